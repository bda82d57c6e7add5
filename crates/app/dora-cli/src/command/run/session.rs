//! One run: events in, lines out, until everything is over.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use dora_daemon::{Event, Execution, Prepared, become_subreaper};
use dora_descriptor::model::LogLevel;
use dora_gateways::{DataflowEvent, NodeOutcome, Outcome};
use dora_message::{id::NodeId, result::NodeResult, supervision::ExitStatus};

use super::{RunCommand, dynamic, explain, failures, interrupts::Orders, summary};
use crate::{
    error::CommandError,
    log::{Printer, StdoutTrouble},
    signals::Interrupts,
};

/// Time that a keeper has to kill all nodes when it is told to.
const KILL_TIME: Duration = Duration::from_secs(1);

/// Runs a prepared dataflow to its end.
pub(super) fn run(
    command: &RunCommand,
    prepared: &Prepared,
    interrupts: &Interrupts,
    mut printer: Printer,
) -> Result<ExitCode, CommandError> {
    if command.verbose {
        explain::lines(prepared).into_iter().for_each(|line| printer.own(LogLevel::Info, line));
    }
    become_subreaper()
        .map_err(|error| CommandError::failed(format!("cannot adopt what nodes leave behind: {error}")))?;
    let keeper = keeper_program(command)?;
    if interrupts.count() > 0 {
        return Err(CommandError::failed("interrupted before the nodes were started"));
    }
    let execution =
        Execution::start(&keeper, &prepared.plan).map_err(|error| CommandError::failed(error.to_string()))?;
    let grace = command.grace_duration;
    let orders = Orders::follow(interrupts, execution.control(), grace);
    let stop_after = command.stop_after.and_then(|time| Instant::now().checked_add(time));
    let due = stop_after.map(Due::Stop);
    let invitation = dynamic::invitation(&prepared.plan);
    let verbose = command.verbose;
    let mut session = Session { execution, printer, orders, due, failed: 0, grace, invitation, verbose, started: None };
    let outcome = session.follow();
    let killed = session.orders.count() >= Orders::KILL;
    let flowed = session.started.map(|started| started.elapsed());
    summary::tell(&mut session.printer, prepared, &outcome, flowed, killed, verbose);
    let success = outcome.is_success() && !killed;
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// This program, when it is `dora`. A program that uses us as a library cannot be a keeper.
pub(super) fn keeper_program(command: &RunCommand) -> Result<PathBuf, CommandError> {
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

/// What the session itself does at some time.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// `--stop-after` is over.
    Stop(Instant),
    /// A keeper that was told to kill the nodes has not.
    KillKeeper(Instant),
}

impl Due {
    fn at(self) -> Instant {
        match self {
            Due::Stop(at) | Due::KillKeeper(at) => at,
        }
    }
}

struct Session {
    execution: Execution,
    printer: Printer,
    orders: Orders,
    due: Option<Due>,
    /// Nodes that have failed by themselves.
    failed: usize,
    grace: Duration,
    /// What to tell once dynamic nodes may join.
    invitation: Option<String>,
    verbose: bool,
    /// When messages began to flow.
    started: Option<Instant>,
}

impl Session {
    fn follow(&mut self) -> Outcome {
        loop {
            let left = self.due.map(|due| due.at().saturating_duration_since(Instant::now()));
            match self.execution.next_event(left) {
                Event::Finished(outcome) => {
                    // The end may be quicker than the news of the Ctrl-C that brought it.
                    self.tell_interrupts();
                    return outcome;
                }
                Event::Happened(event) => self.tell(event),
                // Nothing is held, nobody asks, nobody looks.
                Event::Ready | Event::Figures { .. } | Event::Tapped { .. } | Event::TapOver { .. } => {}
                Event::Woken => self.tell_interrupts(),
                Event::TimedOut => self.time_is_over(),
            }
        }
    }

    fn tell(&mut self, event: DataflowEvent) {
        match event {
            DataflowEvent::Lines { node, stream, time_ns, lines } => self.print(|printer| {
                printer.node_lines(&node, stream, time_ns, &lines);
            }),
            DataflowEvent::Exited(node) => self.exited(&node),
            DataflowEvent::Restarting { node, status, restart, delay } => {
                if self.verbose || is_told(restart) {
                    self.printer.own(LogLevel::Warn, restart_words(&node, &status, restart, delay));
                }
            }
            DataflowEvent::Warning(message) => self.printer.own(LogLevel::Warn, message),
            DataflowEvent::AllReady => {
                self.started = Some(Instant::now());
                self.detail("all nodes are ready, messages flow".to_owned());
                if let Some(invitation) = self.invitation.take() {
                    self.printer.own(LogLevel::Info, invitation);
                }
            }
            DataflowEvent::Joined { node, pid, joins } => {
                if self.verbose || is_told(joins) {
                    self.printer.own(LogLevel::Info, dynamic::joined(&node, pid));
                }
            }
            DataflowEvent::Left { node, in_order, joins } => {
                if self.verbose || is_told(joins) {
                    let level = if in_order { LogLevel::Info } else { LogLevel::Warn };
                    self.printer.own(level, dynamic::left(&node, in_order));
                }
            }
            DataflowEvent::Spawned { node, pid } => self.detail(format!("node `{node}` is process {pid}")),
            // Not told to who runs the dataflow itself.
            DataflowEvent::Build(_)
            | DataflowEvent::Planned { .. }
            | DataflowEvent::Missed { .. }
            | DataflowEvent::Finished(_) => {}
        }
    }

    fn detail(&mut self, message: String) {
        if self.verbose {
            self.printer.own(LogLevel::Info, message);
        }
    }

    fn print(&mut self, print: impl FnOnce(&mut Printer)) {
        print(&mut self.printer);
        match self.printer.stdout_trouble() {
            None => {}
            Some(StdoutTrouble::NoReader) => {
                let message = "nobody reads standard output any more: the nodes are asked to stop";
                self.printer.own(LogLevel::Warn, message.to_owned());
                self.execution.control().stop(self.grace);
            }
            Some(StdoutTrouble::Failing(error)) => {
                let rest = "the nodes go on, and what they print is in their log files";
                self.printer.own(LogLevel::Warn, format!("standard output cannot be written: {error}; {rest}"));
            }
        }
    }

    fn exited(&mut self, node: &NodeOutcome) {
        let message = format!("node `{}` {}", node.node, node.result);
        if matches!(node.result, NodeResult::NotRestarted(_)) {
            return self.printer.own(LogLevel::Info, message);
        }
        if node.is_success() || failures::follows_another(node) {
            return self.detail(message);
        }
        self.failed += 1;
        match self.failed {
            ..=failures::MOST_TOLD => self.printer.own(LogLevel::Error, message),
            _ => self.detail(message),
        }
        if self.failed == failures::MOST_TOLD + 1 && !self.verbose {
            self.printer.own(LogLevel::Error, "more nodes fail; the end tells which".to_owned());
        }
    }

    fn time_is_over(&mut self) {
        match self.due.take() {
            Some(Due::Stop(_)) => {
                self.detail("the time given by --stop-after is over: the nodes are asked to stop".to_owned());
                self.execution.control().stop(self.grace);
            }
            Some(Due::KillKeeper(_)) => {
                let message = "the keeper, which runs the nodes, does not answer; it is killed, and they with it";
                self.printer.own(LogLevel::Warn, message.to_owned());
                self.execution.kill();
            }
            None => {}
        }
    }

    fn tell_interrupts(&mut self) {
        if let Some(news) = self.orders.news() {
            self.printer.own(LogLevel::Info, news.to_owned());
        }
        if self.orders.count() >= Orders::KILL {
            self.due = Some(Due::KillKeeper(Instant::now() + KILL_TIME));
        }
    }
}

/// Of a node that is started, or joins, again and again the first times are told, and then each whose number is a power
/// of two.
fn is_told(number: u32) -> bool {
    number <= 4 || number.is_power_of_two()
}

fn restart_words(node: &NodeId, status: &ExitStatus, restart: u32, delay: Duration) -> String {
    let when = if delay.is_zero() { "now".to_owned() } else { format!("in {delay:?}") };
    let more = if restart > 4 { ", the next ones are told when their number has doubled" } else { "" };
    format!("node `{node}` {status}; it is started again {when} (restart {restart}{more})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_is_readable() {
        let told: Vec<u32> = (1..=100).filter(|restart| is_told(*restart)).collect();
        assert_eq!(told, [1, 2, 3, 4, 8, 16, 32, 64]);
        let words = restart_words(&"a".into(), &ExitStatus::Code { code: 3 }, 2, Duration::from_millis(250));
        assert_eq!(words, "node `a` exited with code 3; it is started again in 250ms (restart 2)");
    }
}
