//! `dora down`: ends the coordinator and its daemons.

use std::{
    fs,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use dora_gateways::{DataflowSummary, DispatcherError, DispatcherGateway as _};

use super::print;
use crate::{
    background::Running,
    client::{Client, CoordinatorArgs, Place, Target, explain},
    error::CommandError,
    home::Home,
    words::counted,
};

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
    let target = Target::resolve(&arguments.coordinator)?;
    let here = Local::find(&target)?;
    if let Some(local) = &here
        && local.coordinator.is_none()
    {
        return local.end_what_is_left(target.place());
    }
    let client = Client::connect_to(target)?;
    print(&format!("Destroying coordinator at {}\n", client.place()))?;
    match destroy(&client, arguments.force) {
        Err(DispatcherError::StillRunning { running }) if agrees(&running) => destroy(&client, true),
        result => result,
    }
    .map_err(|error| client.explain(error))?;
    client.await_end(PATIENCE)?;
    if let Some(local) = here {
        local.end()?;
    }
    print("Coordinator and daemons destroyed successfully\n")?;
    Ok(ExitCode::SUCCESS)
}

fn destroy(client: &Client, force: bool) -> Result<(), DispatcherError> {
    client.block_on(client.patient().destroy(force))
}

/// Whether whoever sits at the terminal wants these to be stopped.
fn agrees(running: &[DataflowSummary]) -> bool {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
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
}

impl Local {
    /// None if the coordinator is not on this host.
    fn find(target: &Target) -> Result<Option<Self>, CommandError> {
        let Place::Here { port } = target.place() else { return Ok(None) };
        let home = Home::find()?;
        let directories = fs::read_dir(home.daemons(target.place())).into_iter().flatten().flatten();
        let running = directories.map(|directory| Running::in_directory(&directory.path()));
        let daemons = running.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Self { coordinator: Running::in_directory(&home.coordinator(*port))?, daemons }))
    }

    /// Ends daemons whose coordinator is gone.
    fn end_what_is_left(&self, place: &Place) -> Result<ExitCode, CommandError> {
        if self.daemons.is_empty() {
            print(&format!("no coordinator at {place}, nothing to do\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        self.end()?;
        print(&format!("no coordinator at {place}; {} ended\n", counted(self.daemons.len(), "daemon")))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Waits for the end of all. A daemon that the coordinator did not know yet hears of it from us.
    fn end(&self) -> Result<(), CommandError> {
        self.daemons.iter().for_each(Running::terminate);
        let all = self.coordinator.iter().chain(&self.daemons);
        match all.into_iter().find(|process| !process.await_end(PATIENCE)) {
            None => Ok(()),
            Some(process) => {
                let pid = process.pid();
                Err(CommandError::failed(format!("process {pid} has not ended after {PATIENCE:?}"))
                    .with_hint(format!("look at its log; `kill -9 {pid}` ends it")))
            }
        }
    }
}
