//! `dora start`: hands a dataflow to a coordinator, whose machines run it.
//!
//! Here is what one can ask for; `running` waits until it runs, or for the reason why it does not.

mod running;

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use dora_daemon::file_identity;
use dora_descriptor::{Capabilities, Loaded, Options, model::LogLevel};
use dora_gateways::{
    BuildMode, DataflowId, DispatcherError, DispatcherGateway as _, LONGEST_NAME, Origin, Submission, Watching,
};
use dora_message::id::NodeId;
use uuid::Uuid;

use super::run::parse_variable;
use crate::{
    artifacts, building,
    client::{Client, CoordinatorArgs},
    error::{self, CommandError},
    load,
    log::{self, Filter, Format, Printer},
    signals::{self, Interrupts},
    units,
    watch::{Detail, Watch},
};
pub(crate) use running::{await_running, triggered};

const EXAMPLES: &str = "\
Examples:
  dora start dataflow.yml --name camera-rig
  dora start dataflow.yml --attach                         show what nodes print; Ctrl-C stops them
  dora start dataflow.yml --detach && dora logs -f         the same, and Ctrl-C leaves them alone
  dora start dataflow.yml --env CAMERA=2 --env LABEL=1.10
  dora start dataflow.yml --coordinator-addr 192.168.1.100

First what was never built is built, and all `build:` lines run, where the nodes will.
Machines that do not see the files of this one are sent what nodes name: scripts and the `.py` files beside
them, and each word of `args`, `build` and `env` that is a path below the directory of the dataflow file.
Without --attach and --detach it depends on standard input: a terminal stays attached.";

/// Time that nodes have when Ctrl-C stops them, before SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// Start a dataflow on the machines of a coordinator.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The dataflow file.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// A name that no running dataflow has.
    #[arg(short, long, value_name = "NAME", value_parser = parse_name)]
    name: Option<String>,
    /// Show what happens until the dataflow ends; Ctrl-C stops it.
    #[arg(long, conflicts_with = "detach")]
    attach: bool,
    /// Return once it runs.
    #[arg(long)]
    detach: bool,
    /// Run Python through uv: nodes with `build:` in environments of their own, all others by `uv run`.
    #[arg(long)]
    uv: bool,
    /// Set an environment variable of all nodes; wins over the file, and the value stays text.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_variable)]
    env: Vec<(String, String)>,
    /// Run from copies of the files that nodes name, as on a machine that does not see them: later changes do not matter.
    #[arg(long)]
    copy: bool,
    /// Turn `debug.enable_debug_inspection` of the dataflow on.
    #[arg(long)]
    debug: bool,
    /// Whether a node ends when the nodes that feed it have, although its timers go on; wins over the file.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    exit_when_nodes_finish: Option<bool>,
    /// Shared memory that all messages of a machine together may use: `64MB`, `2G`.
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    memory: Option<u64>,
    /// The least severe lines to show while attached: error, warn, info, debug, trace, or stdout for everything.
    #[arg(long, value_name = "LEVEL", env = "DORA_LOG_LEVEL", default_value = "stdout", value_parser = log::parse_level)]
    log_level: LogLevel,
    /// How lines look.
    #[arg(long, value_name = "FORMAT", env = "DORA_LOG_FORMAT", value_enum, default_value_t)]
    log_format: Format,
    /// Levels of single nodes: `camera=warn,plot=debug`.
    #[arg(long, value_name = "NODE=LEVEL", env = "DORA_LOG_FILTER", value_delimiter = ',', value_parser = log::parse_rule)]
    log_filter: Vec<(NodeId, LogLevel)>,
    /// While attached: tell which programs run, how they are connected, and at the end what every edge has carried.
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

/// A name is no id: what is typed must mean one thing.
fn parse_name(text: &str) -> Result<String, String> {
    let is_plain = |char: char| !char.is_control() && !char.is_whitespace();
    if text.is_empty() || text.starts_with('-') || !text.chars().all(is_plain) {
        return Err("expected a name without blanks that does not start with `-`".to_owned());
    }
    if text.len() > LONGEST_NAME {
        return Err(format!("expected a name of at most {LONGEST_NAME} bytes; this one has {}", text.len()));
    }
    if Uuid::try_parse(text).is_ok() {
        return Err("this reads like the id of a dataflow; choose another name".to_owned());
    }
    Ok(text.to_owned())
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let loaded = arguments.load()?;
    let mut client = Client::connect(&arguments.coordinator)?;
    let attach = arguments.attaches();
    let files = if arguments.copy { artifacts::all } else { artifacts::needed };
    let artifacts = files(&client, &loaded.dataflow, &arguments.path)?;
    let id = DataflowId(Uuid::now_v7());
    // From here on Ctrl-C is an order to the dataflow, for whoever stays to watch it.
    let interrupts = attach.then(building::listen).transpose()?;
    let submission = Submission { artifacts, ..arguments.submission(&loaded, id, attach) };
    if let Err(error) = client.block_on(client.dispatcher().submit(submission.clone())) {
        match error {
            // It may run or not. Whoever asks twice for one id gets one dataflow.
            DispatcherError::Rpc(lost) if lost.may_have_run() => {
                client = Client::connect(&arguments.coordinator)?;
                client.run(client.dispatcher().submit(submission))?;
            }
            error => return Err(client.explain(error)),
        }
    }
    triggered(id)?;
    match interrupts {
        Some(interrupts) => arguments.watch(&client, &loaded, id, &interrupts),
        None => {
            let _interrupts = signals::leave_saying(format!("dataflow {id} goes on; `dora stop {id}` stops it"))?;
            await_running(&client, id, |trouble| building::trouble(&loaded, trouble))
        }
    }
}

impl Arguments {
    fn load(&self) -> Result<Loaded, CommandError> {
        let mut loaded = load::load(&self.path, &Options::default())?;
        loaded.dataflow.debug.enable_debug_inspection |= self.debug;
        // Where nodes may run is for the coordinator to say.
        load::refuse(&self.path, &loaded, &Capabilities { remote_deploy: true, ..load::served() })?;
        Ok(loaded)
    }

    /// Whether the command stays; what was not said is told.
    fn attaches(&self) -> bool {
        let terminal = io::stdin().is_terminal();
        if !self.attach && !self.detach {
            error::tell_note(match terminal {
                true => "attached, because standard input is a terminal; `--detach` returns once the dataflow runs",
                false => "this returns once the dataflow runs; `--attach` shows what its nodes print",
            });
        }
        self.attach || (!self.detach && terminal)
    }

    fn submission(&self, loaded: &Loaded, id: DataflowId, attach: bool) -> Submission {
        let origin = origin(&self.path);
        Submission {
            id: Some(id),
            descriptor: dora_descriptor::expanded_yaml(&loaded.dataflow),
            origin: if self.copy { Origin { identity: None, ..origin } } else { origin },
            name: self.name.clone(),
            env: self.env.clone(),
            uv: self.uv,
            artifacts: Vec::new(),
            build: BuildMode::Missing,
            exit_when_nodes_finish: self.exit_when_nodes_finish,
            memory: self.memory,
            write_events_to: std::env::var_os("DORA_WRITE_EVENTS_TO").map(|dir| absolute(Path::new(&dir))),
            watched: attach.then_some(Watching::Loosely),
        }
    }

    fn watch(
        &self,
        client: &Client,
        loaded: &Loaded,
        id: DataflowId,
        interrupts: &Interrupts,
    ) -> Result<ExitCode, CommandError> {
        let filter = Filter::new(self.log_level, self.log_filter.clone());
        let printer = Printer::new(self.log_format, filter, id.0);
        let watch = Watch {
            runtime: client.runtime(),
            dispatcher: client.dispatcher(),
            dataflow: id,
            watching: Watching::Loosely,
            grace: GRACE,
            killed_is_failed: false,
            stop_after: None,
        };
        let detail = Detail { verbose: self.verbose, told: Vec::new() };
        let goes_on = format!("the dataflow goes on; `dora logs {id} --follow` looks again");
        let lost = |error| client.explain(error).with_hint(goes_on);
        let ended = watch.follow(interrupts, printer, detail).map_err(lost)?;
        match ended.never_started() {
            Some(trouble) => Err(building::trouble(loaded, trouble)),
            None => Ok(ended.exit_code()),
        }
    }
}

/// Where a dataflow comes from, so that a daemon on this machine knows its file again.
pub(crate) fn origin(path: &Path) -> Origin {
    Origin { path: absolute(path), working_dir: None, identity: file_identity(path) }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::parsed;

    #[test]
    fn names_are_no_ids() {
        assert_eq!(parse_name("camera-rig"), Ok("camera-rig".to_owned()));
        for bad in ["", "-x", "a b", "a\tb", "01930000-0000-7000-8000-000000000000"] {
            assert!(parse_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_submission_is_complete_in_itself() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("dataflow.yml");
        std::fs::write(&file, "nodes: [{ id: a, path: a.py, env: { X: \"${DORA_TEST_UNSET_VARIABLE:-5}\" } }]")
            .expect("written");
        let path = file.to_string_lossy();
        let words = [&*path, "-n", "rig", "--env", "A=1.10", "--memory", "1M", "--debug", "--detach"];
        let arguments: Arguments = parsed(&words).expect("a good line");
        let loaded = arguments.load().expect("a dataflow");
        let submission = arguments.submission(&loaded, DataflowId(Uuid::nil()), arguments.attaches());
        assert_eq!(submission.name.as_deref(), Some("rig"));
        assert_eq!(submission.env, [("A".to_owned(), "1.10".to_owned())]);
        assert_eq!((submission.memory, submission.watched), (Some(1 << 20), None));
        assert_eq!(submission.origin.path, file);
        assert!(submission.origin.identity.is_some());
        let copied = Arguments { copy: true, ..arguments };
        assert_eq!(copied.submission(&loaded, DataflowId(Uuid::nil()), false).origin.identity, None);
        assert!(
            submission.descriptor.contains("X: '5'") || submission.descriptor.contains("X: \"5\""),
            "{}",
            submission.descriptor
        );
        assert!(submission.descriptor.contains("enable_debug_inspection: true"));
    }
}
