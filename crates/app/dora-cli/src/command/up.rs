//! `dora up`: a coordinator and a daemon on this host, in the background.

use std::{
    fs::{self, File},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use dora_gateways::{DispatcherError, DispatcherGateway as _, MachineId};
use dora_rpc::RpcError;

use super::{
    coordinator::{self, Entrance, NetworkArgs},
    daemon::{self, MachineArgs},
    print,
};
use crate::{
    background::{Running, launch, strays},
    client::{
        Client, CoordinatorArgs, Place, Target,
        contexts::{Contexts, Trust},
        for_port,
    },
    error::{CommandError, file_error, tell_note},
    home::{self, Home},
    progress::Progress,
};

/// Time that a coordinator may take to start, which somebody else has begun. Nobody tells when it has.
const STARTING: Duration = Duration::from_secs(5);
/// Between two looks at it.
const A_LOOK: Duration = Duration::from_millis(20);
/// A daemon that has lost its coordinator tries again at least every few seconds.
pub(super) const REGISTRATION: Duration = Duration::from_secs(10);

/// One that has begun to end lets its nodes end first.
const ENDING: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  dora up
  dora up --interface 192.168.1.100    also for other hosts; prints what makes it known there
  dora up --port 7000                  a second coordinator on this host
  dora up --recreate-store             puts aside what the coordinator remembered

What runs already is left as it is, what is missing is started; returns when both are ready.
`dora status` tells how they are, `dora down` ends both.
On this host only the same user reaches them. Other hosts come in by TLS and a token, made on first use.
They write to DORA_HOME/coordinators/PORT/log and DORA_HOME/daemons/PORT/MACHINE/log; DORA_HOME is
~/.dora if nothing else is said.";

/// Start a coordinator and a daemon on this host, if they do not run yet.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    network: NetworkArgs,
    /// The port of the coordinator; also tells those of one host apart [env: DORA_COORDINATOR_PORT] [default: 6013].
    #[arg(long, visible_alias = "coordinator-port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Put the store aside, and begin a new one.
    #[arg(long)]
    recreate_store: bool,
    #[command(flatten)]
    machine: MachineArgs,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let meant = CoordinatorArgs { coordinator_port: arguments.port, ..CoordinatorArgs::default() };
    let port = meant.port_here()?;
    let home = Home::find()?;
    let in_use = Contexts::load(&home)?.current;
    let directory = home.coordinator(port);
    home::make_private(&directory)?;
    let _turn = one_at_a_time(&directory)?;
    let wanted = arguments.network.entrance(port);
    match staying(&directory)?.filter(comes_up) {
        Some(running) => already_there(&running, &wanted, arguments, Target::here(&home, port))?,
        None => {
            no_stray(&directory, port)?;
            if arguments.recreate_store {
                put_aside(&coordinator::store_path(&directory))?;
            }
            match launch(&home, &directory, &wanted.to_arguments()) {
                Ok(()) => print("started dora coordinator\n")?,
                // One that somebody had begun to start was quicker.
                Err(error) => match staying(&directory)?.filter(comes_up) {
                    Some(running) => already_there(&running, &wanted, arguments, Target::here(&home, port))?,
                    None => return Err(error),
                },
            }
        }
    }
    start_daemon(&home, arguments, port)?;
    tell_notes(arguments, in_use.as_deref());
    let trust = match arguments.network.insecure {
        true => Some(Trust::Insecure),
        false => coordinator::for_clients(&directory)?.map(|(fingerprint, token)| Trust::Tls { fingerprint, token }),
    };
    let lines = trust.map(|trust| wanted.invitations(&daemon::host_name(), &trust)).unwrap_or_default();
    if !lines.is_empty() {
        print(&format!("\nOn other hosts, this makes it known:\n  {}\n", lines.join("\n  ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Who runs there and stays. The end of one that has begun to end is waited for.
fn staying(directory: &Path) -> Result<Option<Running>, CommandError> {
    let Some(running) = Running::in_directory(directory)?.filter(Running::is_ending) else {
        return Running::in_directory(directory);
    };
    tell_note(&format!("process {} is just ending; another one is started when it has", running.pid()));
    match running.await_end(ENDING) {
        true => Ok(None),
        false => Err(CommandError::failed(format!("process {} has not ended after {ENDING:?}", running.pid()))
            .with_hint(format!("look at {}; `kill -9 {}` ends it", directory.join("log").display(), running.pid()))),
    }
}

/// Waits until a coordinator that is just starting has told where it listens; false if it has ended instead.
fn comes_up(running: &Running) -> bool {
    let deadline = Instant::now() + STARTING;
    while running.about::<Entrance>().is_none() && Instant::now() < deadline {
        if running.await_end(A_LOOK) {
            return false;
        }
    }
    true
}

/// What somebody should know who may expect something else.
fn tell_notes(arguments: &Arguments, context: Option<&str>) {
    if arguments.network.insecure && !arguments.network.is_on_network() {
        tell_note(
            "`--insecure` has no effect without `--interface`: only this user reaches the coordinator, by its socket",
        );
    }
    if let Some(context) = context {
        tell_note(&format!(
            "commands mean the coordinator of context `{context}`, not this one; `dora context use local` changes that"
        ));
    }
}

/// Refuses to start what would meet a process that has lost its directory.
fn no_stray(directory: &Path, port: u16) -> Result<(), CommandError> {
    let strays = strays::below(directory);
    let Some(stray) = strays.first() else { return Ok(()) };
    Err(CommandError::failed(format!("{} still runs, although its directory was removed", stray.process())).with_hint(
        format!("`dora down --force{}` ends what is left; then again", for_port("--coordinator-port", port)),
    ))
}

/// Holds back whoever else starts or ends something there until this is dropped: a second `dora up` then finds everything
/// running.
pub(super) fn one_at_a_time(directory: &Path) -> Result<File, CommandError> {
    let path = directory.join("up");
    let lock = File::create(&path).and_then(|file| {
        if file.try_lock().is_err() {
            tell_note("another `dora up` or `dora down` is at work; this waits until it is done");
            file.lock()?;
        }
        Ok(file)
    });
    lock.map_err(|error| file_error("lock", &path, &error))
}

fn already_there(
    running: &Running,
    wanted: &Entrance,
    arguments: &Arguments,
    target: Target,
) -> Result<(), CommandError> {
    let (pid, port) = (running.pid(), wanted.port());
    let anew = |what: &str| {
        CommandError::failed(format!("a coordinator with port {port} runs already (process {pid}){what}"))
            .with_hint(format!("`dora down{}` ends it; then again", for_port("--coordinator-port", port)))
    };
    if arguments.recreate_store {
        return Err(anew(", with the store that is to be put aside"));
    }
    // One that hangs is as good as none, and is told.
    Client::connect_to(target)?;
    // One that is just being started by hand may not have told yet; what it was asked for is not known then.
    if !running.about::<Entrance>().is_some_and(|there| there.includes(wanted)) {
        return Err(anew(", and does not listen as asked for"));
    }
    print(&format!("dora coordinator runs already: process {pid}, port {port}\n"))
}

fn start_daemon(home: &Home, arguments: &Arguments, port: u16) -> Result<(), CommandError> {
    let machine = arguments.machine.name();
    let directory = home.daemon(&Place::Here { port }, &machine);
    let already_there = |running: Running| {
        print(&format!("dora daemon runs already: process {}, machine {machine}\n", running.pid()))?;
        await_registration(home, port, machine.clone(), &running, &directory)
    };
    if let Some(running) = staying(&directory)? {
        return already_there(running);
    }
    no_stray(&directory, port)?;
    let mut line = vec!["daemon".to_owned(), "--quiet".to_owned(), format!("--coordinator-port={port}")];
    line.extend(arguments.machine.to_arguments());
    match launch(home, &directory, &line) {
        // It has registered, and what it has taken up is not known to every dataflow yet.
        Ok(()) => print("started dora daemon\n").and_then(|()| match staying(&directory)? {
            Some(running) => await_registration(home, port, machine, &running, &directory),
            None => Ok(()),
        }),
        Err(error) => already_there(staying(&directory)?.ok_or(error)?),
    }
}

/// A daemon that outlived its coordinator registers with the new one by itself, soon.
fn await_registration(
    home: &Home,
    port: u16,
    machine: String,
    running: &Running,
    directory: &Path,
) -> Result<(), CommandError> {
    let client = Client::connect_to(Target::here(home, port))?;
    let dispatcher = client.dispatcher().within(REGISTRATION);
    let registered = dispatcher.await_machine(MachineId(machine));
    match client.block_on(Progress::new().waiting("waiting until the daemon has registered", registered)) {
        Ok(()) => Ok(()),
        Err(DispatcherError::Rpc(RpcError::Deadline { .. })) => Err(CommandError::failed(format!(
            "the daemon (process {}) has not registered within {REGISTRATION:?}",
            running.pid()
        ))
        .with_hint(format!(
            "it hangs, or the coordinator refuses it: {} tells; `kill {}` ends it, `dora up` starts another",
            directory.join("log").display(),
            running.pid()
        ))),
        Err(error) => Err(client.explain(error)),
    }
}

/// Renames a store, so that nothing is lost.
fn put_aside(store: &Path) -> Result<(), CommandError> {
    let now = chrono::Local::now().format("%Y-%m-%d-%H%M%S");
    let aside = store.with_extension(format!("{now}.redb"));
    match fs::rename(store, &aside) {
        Ok(()) => print(&format!("the store of before is {}\n", aside.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(file_error("rename", store, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_put_aside_and_not_removed() {
        let place = tempfile::tempdir().expect("a directory");
        let store = place.path().join("store.redb");
        put_aside(&store).expect("none is fine");
        fs::write(&store, "old").expect("our own file");
        put_aside(&store).expect("our own file");
        let left: Vec<_> = fs::read_dir(place.path()).expect("readable").flatten().map(|entry| entry.path()).collect();
        assert_eq!(left.len(), 1);
        assert!(left[0] != store && fs::read(&left[0]).is_ok_and(|text| text == b"old"), "{left:?}");
    }
}
