//! `dora daemon`: the process that runs the nodes of one machine for a coordinator. `dora up` starts it in the background.

use std::{collections::BTreeMap, fmt, path::PathBuf, process::ExitCode, time::Duration};

use dora_daemon::{Daemon, DaemonOptions, Lasting, RegistrationError, become_subreaper};
use dora_gateways::{MachineId, StopOptions, Urgency};
use dora_rpc::{Role, RpcConfig, RpcService};

use crate::{
    background::{self, Instance, Started},
    client::{self, CoordinatorArgs, CtrlC, Explain as _, Target},
    diary,
    error::CommandError,
    home::Home,
    python_module,
    signals::Interrupts,
    units,
};

const EXAMPLES: &str = "\
Examples:
  dora daemon                                  for the coordinator of this host
  dora daemon --coordinator-addr 192.168.1.100 --labels gpu=yes,arm=left
  dora daemon --context lab --machine-id robot

`dora up` starts one in the background, with a coordinator. For a coordinator on another host, first
run the `dora context add` line that `dora up --interface` printed there. Losing the coordinator stops
nothing: the daemon looks for it again. The first Ctrl-C asks the nodes to stop and ends the daemon
when they have, the second sends them SIGTERM, the third SIGKILL. Ended by SIGTERM, or killed, it leaves
the nodes running: the next daemon of this machine takes them up, also one of another version. Without
one they are stopped after `--orphan-timeout`.
Exit code: 0 when it was asked to end, 1 when the coordinator does not take it, 101 after a panic.";

/// Exit code of a process that Ctrl-C ended, as shells report it.
const EXIT_INTERRUPTED: u8 = 130;

/// Run the nodes that a coordinator sends to this machine.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    machine: MachineArgs,
    /// Do not tell what happens.
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
    /// Started by `dora up`.
    #[arg(long, hide = true)]
    detached: bool,
}

/// What a daemon says about its machine, and allows there; `dora up` takes the same.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MachineArgs {
    /// The name of this machine, which `deploy.machine` in a dataflow file means; the host's name if none.
    #[arg(long, value_name = "NAME", value_parser = parse_machine)]
    machine_id: Option<String>,
    /// What `deploy.labels` in a dataflow file can ask for: `gpu=yes,arm=left`.
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// So long nodes go on without their daemon before they are stopped; `never`: until it is back.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_orphan_timeout)]
    orphan_timeout: OrphanTimeout,
    /// Let nodes be command lines for a shell (`path: shell`); DORA_ALLOW_SHELL_NODES=true does the same.
    #[arg(long)]
    allow_shell_nodes: bool,
}

impl MachineArgs {
    /// The name of the machine.
    pub(super) fn name(&self) -> String {
        self.machine_id.clone().unwrap_or_else(host_name)
    }

    /// The same as arguments of a command line.
    pub(super) fn to_arguments(&self) -> Vec<String> {
        let labels = self.labels.iter().map(|(key, value)| format!("--labels={key}={value}"));
        let shell = self.allow_shell_nodes.then(|| "--allow-shell-nodes".to_owned());
        let orphans = format!("--orphan-timeout={}", self.orphan_timeout);
        [format!("--machine-id={}", self.name()), orphans].into_iter().chain(labels).chain(shell).collect()
    }
}

/// How long nodes go on without their daemon; `None`: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OrphanTimeout(Option<Duration>);

impl fmt::Display for OrphanTimeout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(timeout) => write!(formatter, "{}ms", timeout.as_millis()),
            None => formatter.write_str("never"),
        }
    }
}

fn parse_orphan_timeout(text: &str) -> Result<OrphanTimeout, String> {
    if text == "never" {
        return Ok(OrphanTimeout(None));
    }
    let expected = |error: String| format!("{error}, or `never`");
    units::parse_duration(text).map(|timeout| OrphanTimeout(Some(timeout))).map_err(expected)
}

/// The name of this host.
pub(super) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    parse_machine(&name).unwrap_or_else(|_| "localhost".to_owned())
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let started = Started::begin(arguments.detached, arguments.quiet)?;
    let home = Home::find()?;
    let target = Target::resolve(&arguments.coordinator)?;
    let machine = arguments.machine.name();
    let directory = home.daemon(target.place(), &machine);
    let instance = Instance::take(&directory)?.map_err(|running| {
        let (pid, place) = (running.pid(), target.place());
        CommandError::failed(format!(
            "a daemon of machine `{machine}` for the coordinator at {place} runs already: process {pid}"
        ))
        .with_hint("`--machine-id` gives this one another name")
    })?;
    diary::begin();
    become_subreaper()
        .map_err(|error| CommandError::failed(format!("cannot adopt what nodes leave behind: {error}")))?;
    let options = DaemonOptions {
        labels: arguments.machine.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
        allow_shell: arguments.machine.allow_shell_nodes
            || std::env::var("DORA_ALLOW_SHELL_NODES").is_ok_and(|word| word == "true"),
        lasting: Some(Lasting { orphan_timeout: arguments.machine.orphan_timeout.0 }),
        python_module: python_module::find(),
        // Survives an update of the program while it runs.
        ..DaemonOptions::new(
            MachineId(machine),
            PathBuf::from("/proc/self/exe"),
            dora_daemon::Home { shared: home.path().to_owned(), own: directory },
        )
    };
    let code = client::runtime()?.block_on(serve(&target, options, started, &instance));
    drop(instance);
    code
}

/// Serves until the coordinator or somebody here asks for the end.
async fn serve(
    target: &Target,
    options: DaemonOptions,
    started: Started,
    instance: &Instance,
) -> Result<ExitCode, CommandError> {
    let (mut ctrl_c, mut sigterm) = (CtrlC::of(Interrupts::of_terminal())?, CtrlC::of(Interrupts::of_services())?);
    let address = client::address_of(target).await?;
    let line = format!("Machine `{}` serves the coordinator at {}", options.machine, target.place());
    let service = RpcService::new(RpcConfig::new(Role::Daemon, options.machine.0.clone()));
    let daemon = Daemon::start(&service, options).map_err(|error| CommandError::failed(error.to_string()))?;
    tokio::spawn(background::give_back(daemon.departures()));
    let end = tokio::select! {
        end = daemon.serve(&service, address) => end.map_err(|error| not_taken(error, target)),
        error = announce(&daemon, started, line) => Err(error),
        code = obey(&daemon, &mut ctrl_c, instance) => return Ok(code),
        // Nodes go on, in the hands of their keepers.
        _ = sigterm.next() => Ok(()),
        panic = service.failed() => return Ok(background::panicked(&panic)),
    };
    instance.ends();
    service.stop().await;
    end.map(|()| ExitCode::SUCCESS)
}

/// Says once that the coordinator knows the daemon; comes back only if that fails.
async fn announce(daemon: &Daemon, started: Started, line: String) -> CommandError {
    daemon.registered().await;
    match started.ready(&[line]) {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}

/// Does what each Ctrl-C means; comes back when nothing is left to be meant.
async fn obey(daemon: &Daemon, ctrl_c: &mut CtrlC, instance: &Instance) -> ExitCode {
    loop {
        let urgency = match ctrl_c.next().await {
            1 => Urgency::Ask,
            2 => Urgency::Hurry,
            3 => Urgency::Kill,
            _ => return ExitCode::from(EXIT_INTERRUPTED),
        };
        instance.ends();
        // One that has ended already says so by itself.
        let _ = daemon.shut_down(StopOptions { grace: None, urgency }).await;
    }
}

fn not_taken(error: RegistrationError, target: &Target) -> CommandError {
    match error {
        RegistrationError::Connect(error) => error.explain(target.place()),
        other => {
            CommandError::failed(format!("the coordinator at {} does not take this daemon: {other}", target.place()))
        }
    }
}

/// Reads a name that can stand in a path.
pub(super) fn parse_machine(text: &str) -> Result<String, String> {
    let is_plain = |char: char| char.is_alphanumeric() || matches!(char, '.' | '-' | '_');
    let is_name = text.starts_with(char::is_alphanumeric) && text.chars().all(is_plain) && text.len() <= 64;
    match is_name {
        true => Ok(text.to_owned()),
        false => Err("expected letters, digits, `.`, `-` and `_`, at most 64, for example `robot-1`".to_owned()),
    }
}

/// Reads `KEY=VALUE`.
fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected KEY=VALUE, for example `gpu=yes`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_plain_names() {
        for good in ["robot-1", "a.b", "x_1"] {
            assert_eq!(parse_machine(good).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "../a", "a/b", "a b", "-a", &"a".repeat(65)] {
            assert!(parse_machine(bad).is_err(), "{bad}");
        }
        assert!(!host_name().is_empty());
    }

    #[test]
    fn an_orphan_timeout_may_be_none_and_goes_on_to_the_daemon() {
        for (text, timeout) in
            [("90s", Some(Duration::from_secs(90))), ("1m", Some(Duration::from_secs(60))), ("never", None)]
        {
            let parsed = parse_orphan_timeout(text).expect("a timeout");
            assert_eq!(parsed.0, timeout);
            assert_eq!(parse_orphan_timeout(&parsed.to_string()), Ok(parsed));
        }
        assert!(parse_orphan_timeout("soon").is_err_and(|error| error.ends_with("or `never`")));
    }

    #[test]
    fn labels_are_pairs() {
        assert_eq!(parse_label("gpu=yes"), Ok(("gpu".to_owned(), "yes".to_owned())));
        assert_eq!(parse_label("a="), Ok(("a".to_owned(), String::new())));
        assert!(parse_label("gpu").is_err() && parse_label("=x").is_err());
    }
}
