//! `dora system`: the processes of `dora up`, looked at and started anew.

use std::{path::Path, process::ExitCode, time::Duration};

use clap::{Subcommand, ValueEnum};
use dora_gateways::{DispatcherGateway as _, MachineId};

use super::{
    print, status,
    up::{REGISTRATION, one_at_a_time},
};
use crate::{
    background::{Running, launch},
    client::{Client, CoordinatorArgs, Place, Target},
    error::{CommandError, tell_note},
    home::Home,
    progress::Progress,
};

/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `dora up` adds to the command line of a process that it starts.
const DETACHED: &str = "--detached";

const EXAMPLES: &str = "\
Examples:
  dora system status                 the same as `dora status`
  dora system restart coordinator    for a new version of `dora`, say";

const RESTART_EXAMPLES: &str = "\
Examples:
  dora system restart coordinator
  dora system restart coordinator --coordinator-port 7000

The process that `dora up` has started ends in order, and is started again with the options that it had, by the version
of `dora` that is called here. Dataflows go on meanwhile, and have the same ids and names afterwards. It returns when
the machines that were there are there again.
Exit code: 0 then, 1 when something is not as before, 2 when the coordinator is not of this host.";

/// The processes behind dataflows: how they are, and starting them anew.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    Status(status::Arguments),
    Restart(Restart),
}

/// End a process of `dora up` and start it again, while dataflows go on.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = RESTART_EXAMPLES)]
struct Restart {
    /// Which one.
    #[arg(value_name = "PROCESS", value_enum)]
    process: Process,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Process {
    /// What decides and remembers.
    Coordinator,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    match &arguments.verb {
        Verb::Status(arguments) => status::execute(arguments),
        Verb::Restart(Restart { process: Process::Coordinator, coordinator }) => restart_coordinator(coordinator),
    }
}

fn restart_coordinator(arguments: &CoordinatorArgs) -> Result<ExitCode, CommandError> {
    let target = Target::resolve(arguments)?;
    let Place::Here { port } = *target.place() else {
        let what = format!("the coordinator at {} is restarted on its own host", target.place());
        return Err(CommandError::usage(what, "`dora system restart coordinator` there"));
    };
    let home = Home::find()?;
    // One that does not run, or hangs, is told.
    let machines = machines(&Client::connect_to(target)?)?;
    let directory = home.coordinator(port);
    let _turn = one_at_a_time(&directory)?;
    let gone = || CommandError::failed(format!("the coordinator with port {port} has just ended"));
    let running = Running::in_directory(&directory)?.ok_or_else(gone)?;
    let line = command_line(&running)?;
    end(&running)?;
    launch(&home, &directory, &line)?;
    let back = await_machines(&Client::connect_to(Target::here(&home, port))?, machines);
    let pid = Running::in_directory(&directory)?.ok_or_else(gone)?.pid();
    print(&format!("restarted dora coordinator: process {pid}, port {port}\n"))?;
    Ok(if back { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The machines that are there.
fn machines(client: &Client) -> Result<Vec<MachineId>, CommandError> {
    let machines = client.run(client.dispatcher().machines())?;
    Ok(machines.into_iter().filter(|machine| machine.reachable).map(|machine| machine.machine).collect())
}

/// The options that a process of `dora up` was started with.
fn command_line(running: &Running) -> Result<Vec<String>, CommandError> {
    let line = of_up(running.process().arguments());
    line.ok_or_else(|| {
        CommandError::failed(format!("{} was not started by `dora up`", running.process())).with_hint(format!(
            "who started it restarts it: `systemctl restart`, say, or `kill {}` and the same command again",
            running.pid()
        ))
    })
}

/// What was asked of `dora up`, in the command line of a process that it has started.
fn of_up(arguments: Vec<String>) -> Option<Vec<String>> {
    let options = || arguments.iter().skip(1);
    options().any(|word| word == DETACHED).then(|| options().filter(|word| *word != DETACHED).cloned().collect())
}

fn end(running: &Running) -> Result<(), CommandError> {
    running.terminate();
    if running.await_end(PATIENCE) {
        return Ok(());
    }
    let log = Path::join(running.directory(), "log");
    Err(CommandError::failed(format!("process {} has not ended after {PATIENCE:?}", running.pid())).with_hint(format!(
        "look at {}; `kill -9 {}` and `dora up` start it anew, and what runs goes on meanwhile",
        log.display(),
        running.pid()
    )))
}

/// Waits until all of these machines are registered again; whether they are.
fn await_machines(client: &Client, machines: Vec<MachineId>) -> bool {
    let dispatcher = client.dispatcher().within(REGISTRATION);
    let mut all = true;
    for machine in machines {
        let registered = dispatcher.await_machine(machine.clone());
        let what = format!("waiting for machine `{machine}`");
        if client.block_on(Progress::new().waiting(&what, registered)).is_err() {
            tell_note(&format!(
                "machine `{machine}` has not registered again within {REGISTRATION:?}; `dora status` looks again"
            ));
            all = false;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_up_has_started_is_started_again_with_the_same_options() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let started = of_up(words("dora coordinator --quiet --port=7000 --interface=::1 --detached"));
        assert_eq!(started, Some(words("coordinator --quiet --port=7000 --interface=::1")));
        assert_eq!(of_up(words("/usr/bin/dora coordinator")), None);
    }
}
