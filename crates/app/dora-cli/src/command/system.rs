//! `dora system`: the processes of `dora up`, looked at and started anew.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Subcommand, ValueEnum};
use dora_gateways::{DispatcherGateway as _, MachineId};

use super::{
    daemon::{host_name, parse_machine},
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
  dora system restart coordinator    for a new version of `dora`, say
  dora system restart daemon";

const RESTART_EXAMPLES: &str = "\
Examples:
  dora system restart coordinator
  dora system restart coordinator --coordinator-port 7000
  dora system restart daemon
  dora system restart daemon --machine-id robot

The process that `dora up` has started ends in order, and is started again with the options that it had, by the version
of `dora` that is called here. Dataflows go on meanwhile, with the same processes, ids and names. It returns when the
machines that were there are there again.
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
    /// Of the daemons of this host the one with this name; that of `dora up` if none is given.
    #[arg(long, value_name = "NAME", value_parser = parse_machine)]
    machine_id: Option<String>,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Process {
    /// What decides and remembers.
    Coordinator,
    /// What runs the nodes of this machine.
    Daemon,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    match &arguments.verb {
        Verb::Status(arguments) => status::execute(arguments),
        Verb::Restart(arguments) => restart(arguments),
    }
}

fn restart(arguments: &Restart) -> Result<ExitCode, CommandError> {
    if let (Process::Coordinator, Some(_)) = (arguments.process, &arguments.machine_id) {
        return Err(CommandError::usage("a coordinator has no `--machine-id`", "`--coordinator-port` tells which one"));
    }
    let target = Target::resolve(&arguments.coordinator)?;
    let Place::Here { port } = *target.place() else {
        let what = format!("the coordinator at {} is restarted on its own host, with its daemons", target.place());
        return Err(CommandError::usage(what, "`dora system restart` there"));
    };
    let home = Home::find()?;
    // One that does not run, or hangs, is told.
    let machines = machines(&Client::connect_to(target.clone())?)?;
    let _turn = one_at_a_time(&home.coordinator(port))?;
    let (who, directory) = arguments.process_of(&home, port);
    let running = Running::in_directory(&directory)?;
    let running = running.ok_or_else(|| CommandError::failed(format!("no dora {who}, runs on this host")))?;
    let line = command_line(&running)?;
    end(&running)?;
    launch(&home, &directory, &line)?;
    let back = await_machines(&Client::connect_to(target)?, machines);
    let pid = Running::in_directory(&directory)?.map_or_else(|| "-".to_owned(), |running| running.pid().to_string());
    print(&format!("restarted dora {who}: process {pid}\n"))?;
    Ok(if back { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Restart {
    /// What the process is called, and where it runs.
    fn process_of(&self, home: &Home, port: u16) -> (String, PathBuf) {
        match self.process {
            Process::Coordinator => (format!("coordinator, port {port}"), home.coordinator(port)),
            Process::Daemon => {
                let machine = self.machine_id.clone().unwrap_or_else(host_name);
                (format!("daemon, machine {machine}"), home.daemon(&Place::Here { port }, &machine))
            }
        }
    }
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
    let pid = running.pid();
    if running.process().is_stopped() {
        return Err(CommandError::failed(format!("process {pid} is stopped, and does not end before it goes on"))
            .with_hint(format!(
                "`kill -CONT {pid}` lets it go on; `kill -9 {pid}` and `dora up` start it anew at once"
            )));
    }
    running.terminate();
    if running.await_end(PATIENCE) {
        return Ok(());
    }
    let log = Path::join(running.directory(), "log");
    Err(CommandError::failed(format!("process {pid} has not ended after {PATIENCE:?}")).with_hint(format!(
        "look at {}; `kill -9 {pid}` and `dora up` start it anew, and what runs goes on meanwhile",
        log.display()
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
