//! One run: events in, lines out, until everything is over.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use dora_daemon::{Control, Event, Execution, NodeOutcome, Outcome, Prepared, become_subreaper};
use dora_descriptor::model::LogLevel;

use super::{RunCommand, explain, summary};
use crate::{error::CommandError, log::Printer, signals};

/// Time that nodes have to end by themselves before SIGTERM; SIGKILL comes after half of it again.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a prepared dataflow to its end.
pub(super) fn run(command: &RunCommand, prepared: &Prepared, mut printer: Printer) -> Result<ExitCode, CommandError> {
    if command.verbose {
        explain::lines(prepared).into_iter().for_each(|line| printer.own(LogLevel::Info, line));
    }
    become_subreaper()
        .map_err(|error| CommandError::failed(format!("cannot adopt what nodes leave behind: {error}")))?;
    let keeper = keeper_program(command)?;
    let execution =
        Execution::start(&keeper, &prepared.plan).map_err(|error| CommandError::failed(error.to_string()))?;
    let interrupts = Arc::new(AtomicU32::new(0));
    watch_signals(&execution.control(), &interrupts)?;
    let deadline = command.stop_after.and_then(|time| Instant::now().checked_add(time));
    let mut session = Session { execution, printer, interrupts, told: 0, deadline, verbose: command.verbose };
    let outcome = session.follow();
    let killed = session.interrupts.load(Relaxed) > 1;
    summary::tell(&mut session.printer, prepared, &outcome, command.verbose);
    let success = outcome.is_success() && !killed;
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// This program, when it is `dora`. A program that uses us as a library cannot be a keeper.
fn keeper_program(command: &RunCommand) -> Result<PathBuf, CommandError> {
    if let Some(program) = &command.keeper {
        return Ok(program.clone());
    }
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = beside.into_iter().chain(std::env::split_paths(&path)).map(|directory| directory.join("dora"));
    candidates.into_iter().find(|candidate| candidate.is_file()).ok_or_else(|| {
        CommandError::failed("the program `dora`, which runs the nodes, is not on the search path")
            .with_hint("`cargo install --path crates/app/dora-cli` installs it")
    })
}

fn watch_signals(control: &Control, interrupts: &Arc<AtomicU32>) -> Result<(), CommandError> {
    // The orders go to the keeper from the thread of the signals; the main thread only tells about them.
    let (stopping, killing) = (control.clone(), control.clone());
    let (first, second) = (Arc::clone(interrupts), Arc::clone(interrupts));
    let stop = move || {
        stopping.stop(GRACE);
        first.store(1, Relaxed);
        stopping.wake();
    };
    let kill = move || {
        // Before the order: whoever sees its effects must see the reason.
        second.store(2, Relaxed);
        killing.kill();
        killing.wake();
    };
    signals::on_interrupt(stop, kill)
        .map_err(|error| CommandError::failed(format!("cannot listen for Ctrl-C: {error}")))
}

struct Session {
    execution: Execution,
    printer: Printer,
    interrupts: Arc<AtomicU32>,
    /// Interrupts that the user was told about.
    told: u32,
    deadline: Option<Instant>,
    verbose: bool,
}

impl Session {
    fn follow(&mut self) -> Outcome {
        loop {
            let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.execution.next_event(left) {
                Event::Finished(outcome) => return outcome,
                Event::Line { node, stream, text, partial } => self.line(|printer| {
                    printer.node_line(&node, stream, &text, partial);
                }),
                Event::Exited(node) => self.exited(&node),
                Event::Warning(message) => self.printer.own(LogLevel::Warn, message),
                Event::AllReady => self.detail("all nodes are ready, messages flow".to_owned()),
                Event::Spawned { node, pid } => self.detail(format!("node `{node}` is process {pid}")),
                Event::Woken => self.tell_interrupts(),
                Event::TimedOut => {
                    self.deadline = None;
                    self.detail("the time given by --stop-after is over: the nodes are asked to stop".to_owned());
                    self.execution.control().stop(GRACE);
                }
            }
        }
    }

    fn detail(&mut self, message: String) {
        if self.verbose {
            self.printer.own(LogLevel::Info, message);
        }
    }

    fn line(&mut self, print: impl FnOnce(&mut Printer)) {
        let was_closed = self.printer.stdout_closed();
        print(&mut self.printer);
        if self.printer.stdout_closed() && !was_closed {
            self.printer
                .own(LogLevel::Warn, "nobody reads standard output any more: the nodes are asked to stop".to_owned());
            self.execution.control().stop(GRACE);
        }
    }

    fn exited(&mut self, node: &NodeOutcome) {
        if !node.is_success() {
            self.printer.own(LogLevel::Error, format!("node `{}` {}", node.node, node.result));
        } else {
            self.detail(format!("node `{}` {}", node.node, node.result));
        }
    }

    fn tell_interrupts(&mut self) {
        let now = self.interrupts.load(Relaxed);
        let told = std::mem::replace(&mut self.told, now);
        let message = match (told < now, now) {
            (true, 1) => "stopping the nodes; Ctrl-C again kills them",
            (true, 2) => "killing the nodes; Ctrl-C again leaves at once",
            _ => return,
        };
        self.printer.own(LogLevel::Info, message.to_owned());
    }
}
