//! `dora coordinator`: the process that decides about dataflows. `dora up` starts it in the background.
//!
//! Here is what one can ask for and the life of the process; `entrance` says where it listens, `credentials` what it shows
//! and demands there.

mod credentials;
mod entrance;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
    time::Duration,
};

use dora_coordinator::{Coordinator, CoordinatorOptions};
use dora_rpc::{Role, RpcConfig, RpcService};
use dora_store::Store;

pub(super) use self::{
    credentials::for_clients,
    entrance::{Entrance, NetworkArgs},
};
use crate::{
    background::{self, Instance, Started},
    client::{self, CtrlC, DEFAULT_PORT},
    diary,
    error::CommandError,
    home::Home,
    units,
};

const EXAMPLES: &str = "\
Examples:
  dora coordinator                               for commands of the same user on this host
  dora coordinator --interface 192.168.1.100     also for other hosts: by TLS, and a token
  dora coordinator --port 7000 --store memory    a second one, which forgets all when it ends

`dora up` starts one in the background, with a daemon. Dataflows go on when a coordinator ends;
`dora down` ends them, with it.
Exit code: 0 when it was asked to end, 1 when it could not begin, 101 after a panic.";

/// Decide about dataflows, for the daemons and commands that connect.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    network: NetworkArgs,
    /// Its port; also tells the coordinators of one host apart.
    #[arg(
        long,
        value_name = "PORT",
        env = "DORA_COORDINATOR_PORT",
        default_value_t = DEFAULT_PORT,
        value_parser = clap::value_parser!(u16).range(1..),
    )]
    port: u16,
    /// Do not tell where it listens.
    #[arg(long)]
    quiet: bool,
    /// Where it remembers dataflows: `redb` (in DORA_HOME), `redb:PATH`, or `memory`.
    #[arg(long, value_name = "STORE", default_value = "redb")]
    store: StoreKind,
    /// After so long without a sign of life, what runs on a machine counts as lost.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = units::parse_duration)]
    machine_timeout: Duration,
    /// Started by `dora up`.
    #[arg(long, hide = true)]
    detached: bool,
}

/// Where a coordinator remembers dataflows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StoreKind {
    /// In a file: this one, or that of its directory.
    File(Option<PathBuf>),
    Memory,
}

impl FromStr for StoreKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("redb:")) {
            ("memory", _) => Ok(Self::Memory),
            ("redb", _) => Ok(Self::File(None)),
            (_, Some(path)) if !path.is_empty() => Ok(Self::File(Some(path.into()))),
            _ => Err("expected `redb`, `redb:PATH` or `memory`".to_owned()),
        }
    }
}

impl StoreKind {
    fn open(&self, directory: &Path) -> Result<Store, CommandError> {
        let path = match self {
            Self::Memory => return Store::in_memory().map_err(|error| CommandError::failed(error.to_string())),
            Self::File(path) => path.clone().unwrap_or_else(|| store_path(directory)),
        };
        Store::open(&path).map_err(|error| {
            CommandError::failed(error.to_string()).with_hint(
                "`dora up --recreate-store` puts the file aside and begins a new one; `--store redb:PATH` names another",
            )
        })
    }
}

/// The file in which the coordinator of a directory remembers dataflows.
pub(super) fn store_path(directory: &Path) -> PathBuf {
    directory.join("store.redb")
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let started = Started::begin(arguments.detached, arguments.quiet)?;
    let home = Home::find()?;
    let directory = home.coordinator(arguments.port);
    let instance = Instance::take(&directory)?.map_err(|running| {
        let (pid, port) = (running.pid(), arguments.port);
        CommandError::failed(format!("a coordinator with port {port} runs already: process {pid}"))
            .with_hint("`--port` gives this one another port; `dora down` ends the other one")
    })?;
    diary::begin();
    let options = CoordinatorOptions {
        artifacts: Some(home.artifacts()),
        machine_timeout: arguments.machine_timeout,
        ..CoordinatorOptions::new(arguments.store.open(&directory)?)
    };
    let entrance = arguments.network.entrance(arguments.port);
    client::frugal_runtime()?.block_on(serve(&home, &entrance, options, &instance, started))
}

/// Serves until somebody asks for the end.
async fn serve(
    home: &Home,
    entrance: &Entrance,
    options: CoordinatorOptions,
    instance: &Instance,
    started: Started,
) -> Result<ExitCode, CommandError> {
    let mut ctrl_c = CtrlC::listen()?;
    let doors = entrance.doors(home)?;
    let service = RpcService::new(RpcConfig { token: doors.token, ..RpcConfig::new(Role::Coordinator, "coordinator") });
    let coordinator = Coordinator::start(&service, options).map_err(|error| CommandError::failed(error.to_string()))?;
    for door in doors.listen_on {
        service.listen(door).await.map_err(|error| entrance.explain(error))?;
    }
    tokio::spawn(background::give_back(service.departures()));
    instance.tell(entrance)?;
    started.ready(&entrance.lines(home))?;
    let code = tokio::select! {
        _ = ctrl_c.next() => ExitCode::SUCCESS,
        () = coordinator.ended() => ExitCode::SUCCESS,
        panic = service.failed() => return Ok(background::panicked(&panic)),
    };
    instance.ends();
    tokio::select! {
        () = service.stop() => {}
        _ = ctrl_c.next() => {}
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores() {
        assert_eq!("redb".parse(), Ok(StoreKind::File(None)));
        assert_eq!("redb:/a".parse(), Ok(StoreKind::File(Some("/a".into()))));
        assert_eq!("memory".parse(), Ok(StoreKind::Memory));
        for bad in ["", "redb:", "disk"] {
            assert!(bad.parse::<StoreKind>().is_err(), "{bad}");
        }
    }
}
