//! `dora down`: ends the coordinator and its daemons.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use dora_daemon::{Owner, adoptable, stop_orphans};
use dora_gateways::{DataflowSummary, DispatcherError, DispatcherGateway as _};
use dora_rpc::RpcError;

use super::{list::Status, print, up::one_at_a_time};
use crate::{
    background::{Running, strays},
    choice,
    client::{Client, CoordinatorArgs, Place, REACH, Target, explain},
    error::{CommandError, tell_note},
    home::Home,
    progress::Progress,
    signals,
    words::counted,
};

/// Time that nodes whose daemon is gone have to end by themselves.
const GRACE: Duration = Duration::from_secs(10);
/// How long a process may take to end once its work has.
const PATIENCE: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  dora down
  dora down --force                           stops the dataflows that run first
  dora down --coordinator-addr 192.168.1.100

While dataflows run it asks, on a terminal; elsewhere it refuses. Returns when coordinator and daemons have ended.
What ended dataflows were, the next `dora up` remembers.";

/// End the coordinator and its daemons.
#[derive(Debug, Clone, clap::Args)]
#[command(visible_alias = "destroy", after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Stop the dataflows that run.
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let began = Instant::now();
    let target = Target::resolve(&arguments.coordinator)?;
    let place = target.place().clone();
    let _turn = turn(&place)?;
    let mut here = Local::find(&place)?;
    if here.as_ref().is_some_and(|local| arguments.force && local.kill_stopped()) {
        here = Local::find(&place)?;
    }
    if let Some(local) = &here {
        local.end_strays(arguments.force)?;
        if local.coordinator.is_none() {
            return local.end_what_is_left(&place, arguments.force);
        }
    }
    match Client::connect_to(target) {
        Ok(client) => destroy(&client, arguments.force, here.as_ref())?,
        // It may be ending just now, because another `dora down` has asked it to.
        Err(error) => match &here {
            Some(local) if local.ends_within(REACH.saturating_sub(began.elapsed())) => local.end().map(drop)?,
            _ => return Err(error),
        },
    }
    print("Coordinator and daemons destroyed successfully\n")?;
    Ok(ExitCode::SUCCESS)
}

/// Holds back a `dora up` that would find what is just ending; and another `dora down`, which then finds nothing.
fn turn(place: &Place) -> Result<Option<File>, CommandError> {
    let Place::Here { port } = place else { return Ok(None) };
    let directory = Home::find()?.coordinator(*port);
    directory.exists().then(|| one_at_a_time(&directory)).transpose()
}

/// Has the coordinator end its daemons and itself, and waits until they are gone.
fn destroy(client: &Client, force: bool, here: Option<&Local>) -> Result<(), CommandError> {
    match ask_to_end(client, force) {
        Ok(()) => {}
        // It ended before it could say so: another `dora down` was quicker.
        Err(DispatcherError::Rpc(RpcError::Stopped { .. })) => {}
        Err(DispatcherError::Rpc(_)) if here.is_some_and(|local| local.ends_within(REACH)) => {}
        Err(error) => return Err(client.explain(error)),
    }
    client.await_end(PATIENCE)?;
    here.map_or(Ok(()), |local| local.end().map(drop))
}

fn ask_to_end(client: &Client, force: bool) -> Result<(), DispatcherError> {
    let running = match force {
        true => Vec::new(),
        false => client.block_on(client.dispatcher().list(Status::Running.filter()))?,
    };
    let force = force || (!running.is_empty() && agrees(&running));
    if !running.is_empty() && !force {
        return Err(DispatcherError::StillRunning { running });
    }
    // Nobody may be listening.
    let _ = print(&format!("Destroying coordinator at {}\n", client.place()));
    let patient = client.patient();
    // Not heard: then it ends this command without a word, as it always would.
    let _interrupts = signals::leave_saying("coordinator and daemons go on ending".to_owned());
    client.block_on(Progress::new().waiting("ending", patient.destroy(force)))
}

/// Whether whoever sits at the terminal wants these to be stopped.
fn agrees(running: &[DataflowSummary]) -> bool {
    if !choice::somebody_is_there() {
        return false;
    }
    let mut stderr = io::stderr().lock();
    let question =
        format!("{} running: {}. Stop and go on? [y/N] ", counted(running.len(), "dataflow"), explain::names(running));
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// The processes of a coordinator that are on this host.
struct Local {
    coordinator: Option<Running>,
    daemons: Vec<Running>,
    /// Those whose directories were removed: nobody can ask what they run.
    strays: Vec<Running>,
    /// The directories of all daemons, those included that do not run any more.
    directories: Vec<PathBuf>,
}

impl Local {
    /// None if the coordinator is not on this host.
    fn find(place: &Place) -> Result<Option<Self>, CommandError> {
        let Place::Here { port } = place else { return Ok(None) };
        let home = Home::find()?;
        let (coordinator, daemons) = (home.coordinator(*port), home.daemons(place));
        let strays = [&coordinator, &daemons].into_iter().flat_map(|directory| strays::below(directory)).collect();
        let directories = fs::read_dir(&daemons).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        let (coordinator, daemons) = (Running::in_directory(&coordinator)?, Running::all_in(&daemons)?);
        Ok(Some(Self { coordinator, daemons, strays, directories }))
    }

    /// Ends processes whose directories were removed, if that is wanted: their nodes end with them.
    fn end_strays(&self, force: bool) -> Result<(), CommandError> {
        if self.strays.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.strays.iter().map(|stray| stray.process().to_string()).collect();
        let names = names.join(" and ");
        if !force {
            return Err(CommandError::failed(format!(
                "still there, although the directories were removed: {names}. Nobody can ask what they run"
            ))
            .with_hint("`dora down --force` ends them in order, and the nodes that they run"));
        }
        self.strays.iter().for_each(Running::interrupt);
        await_ends(&self.strays)?;
        print(&format!("ended: {names}\n"))
    }

    /// Kills processes that somebody has stopped (SIGSTOP): they hear nobody, and what they run goes on without them.
    /// Whether there were any.
    fn kill_stopped(&self) -> bool {
        let all = self.coordinator.iter().chain(&self.daemons);
        let stopped: Vec<_> = all.filter(|process| process.process().is_stopped()).collect();
        for process in &stopped {
            tell_note(&format!("{} was stopped and hears nobody: it is killed", process.process()));
            process.kill();
            process.await_end(REACH);
        }
        !stopped.is_empty()
    }

    /// How many dataflows keepers run for the daemons, whether these run or not.
    fn kept(&self) -> usize {
        let kept = |directory: &PathBuf| adoptable(&Owner::of(directory)).map_or(0, |dataflows| dataflows.len());
        self.directories.iter().map(kept).sum()
    }

    /// Ends daemons whose coordinator is gone.
    fn end_what_is_left(&self, place: &Place, force: bool) -> Result<ExitCode, CommandError> {
        let running = self.kept();
        if running > 0 && !force {
            let verb = if running == 1 { "runs" } else { "run" };
            let what = format!("no coordinator at {place}, but {} {verb} on", counted(running, "dataflow"));
            return Err(CommandError::failed(what)
                .with_hint("`dora up` starts a coordinator, which takes up what runs; `dora down --force` stops it"));
        }
        let stopped = self.end()?;
        let ended = [(self.daemons.len(), "daemon"), (stopped, "dataflow")];
        let ended: Vec<_> =
            ended.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| counted(count, what)).collect();
        match ended.is_empty() {
            // What has lost its directories was told of.
            true if !self.strays.is_empty() => {}
            true => print(&format!("no coordinator at {place}, nothing to do\n"))?,
            false => print(&format!("no coordinator at {place}; {} ended\n", ended.join(" and ")))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Whether the coordinator is gone by then.
    fn ends_within(&self, limit: Duration) -> bool {
        self.coordinator.as_ref().is_none_or(|process| process.await_end(limit))
    }

    /// Waits for the end of all. A daemon that the coordinator did not know yet hears of it from us; what a daemon that is
    /// gone has left running is stopped. How many dataflows that were.
    fn end(&self) -> Result<usize, CommandError> {
        self.daemons.iter().for_each(Running::interrupt);
        await_ends(self.coordinator.iter().chain(&self.daemons))?;
        let stopped = self.directories.iter().map(|directory| stop_orphans(directory, GRACE));
        stopped.sum::<Result<usize, _>>().map_err(|orphan| CommandError::failed(orphan.to_string()))
    }
}

fn await_ends<'a>(processes: impl IntoIterator<Item = &'a Running>) -> Result<(), CommandError> {
    match processes.into_iter().find(|process| !process.await_end(PATIENCE)) {
        None => Ok(()),
        Some(process) => {
            let pid = process.pid();
            Err(CommandError::failed(format!("process {pid} has not ended after {PATIENCE:?}"))
                .with_hint(format!("look at its log; `kill -9 {pid}` ends it")))
        }
    }
}
