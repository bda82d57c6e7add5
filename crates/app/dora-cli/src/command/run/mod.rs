//! `dora run`: a dataflow on this machine, without a service.
//!
//! Here is what one can ask for, and what is built; then a coordinator and a daemon inside of this process
//! ([`MiniCluster`]) do what they do for `dora start`, and [`Watch`] shows it.

mod mini_cluster;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use dora_daemon::{Build, BuildOptions, Refresh, Sources, become_subreaper, file_identity};
use dora_descriptor::{Loaded, Options, model::LogLevel};
use dora_gateways::{BuildMode, DataflowId, Origin, Submission, Watching};
use dora_message::id::NodeId;
use serde_json::json;
use uuid::Uuid;

use crate::{
    building,
    error::CommandError,
    load,
    lockfile::Lockfile,
    log::{self, Filter, Format},
    python_module,
    signals::Interrupts,
    units, unserved,
    watch::{Detail, Watch},
};
use mini_cluster::MiniCluster;

const EXAMPLES: &str = "\
Examples:
  dora run dataflow.yml
  dora run dataflow.yml --stop-after 10s
  dora run dataflow.yml --env CAMERA=2 --env LABEL=1.10
  dora run dataflow.yml --log-filter camera=warn --log-format json 2> log.jsonl
  dora run -v dataflow.yml                  with programs, edges and their figures

First it builds what was never built and runs all `build:` lines; `dora help build` tells more.
Nodes with `path: dynamic` are not started: processes join as them, also later, and leave (docs/guide/dynamic.md).
What nodes write to standard output goes to standard output, everything else to standard error.
Ctrl-C asks the nodes to stop (SIGTERM after --grace-duration, SIGKILL after half of it again), a second one
sends SIGTERM at once and SIGKILL two seconds later, a third SIGKILL at once. SIGTERM and SIGHUP count as Ctrl-C.
Exit code: 0 when every node succeeded, 1 when one did not, 2 when the command line is wrong.";

/// Run a dataflow on this machine, until all its nodes are done.
///
/// Needs no port and no service; any number of dataflows run side by side.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
#[non_exhaustive]
pub struct RunCommand {
    /// The dataflow file.
    #[arg(value_name = "FILE")]
    pub dataflow: String,
    /// Ask the nodes to stop after this time: `30` (seconds), `500ms`, `10s`, `5m`, `1h30m`.
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    pub stop_after: Option<Duration>,
    /// Time that nodes have to end by themselves when they are stopped, before SIGTERM; SIGKILL comes after half of it again.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::parse_duration)]
    pub grace_duration: Duration,
    /// The least severe lines to show: error, warn, info, debug, trace, or stdout for everything.
    #[arg(long, value_name = "LEVEL", env = "DORA_LOG_LEVEL", default_value = "stdout", value_parser = log::parse_level)]
    pub log_level: LogLevel,
    /// How lines look.
    #[arg(long, value_name = "FORMAT", env = "DORA_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: Format,
    /// Levels of single nodes: `camera=warn,plot=debug`.
    #[arg(long, value_name = "NODE=LEVEL", env = "DORA_LOG_FILTER", value_delimiter = ',', value_parser = log::parse_rule)]
    pub log_filter: Vec<(NodeId, LogLevel)>,
    /// Set an environment variable of all nodes; wins over the file, and the value stays text.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_variable)]
    pub env: Vec<(String, String)>,
    /// Whether a node ends when the nodes that feed it have, although its timers go on; wins over the file.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub exit_when_nodes_finish: Option<bool>,
    /// Let nodes be command lines for a shell (`path: shell`); DORA_ALLOW_SHELL_NODES=true does the same.
    #[arg(long)]
    pub allow_shell_nodes: bool,
    /// Run Python through uv: nodes with `build:` in environments of their own, all others by `uv run`; with our module `dora`.
    #[arg(long)]
    pub uv: bool,
    /// Turn `debug.enable_debug_inspection` of the dataflow on.
    #[arg(long)]
    pub debug: bool,
    /// Shared memory that all messages together may use: `64MB`, `2G`.
    ///
    /// Without it: half of the memory that is available.
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    pub memory: Option<u64>,
    /// Tell which programs run, how they are connected, and at the end what every edge has carried.
    #[arg(short, long)]
    pub verbose: bool,
    /// Build from exactly what the lock file says: commits of repositories, contents of programs behind URLs.
    #[arg(long, conflicts_with = "write_lockfile")]
    pub locked: bool,
    /// Write what the sources are now to the lock file.
    #[arg(long)]
    pub write_lockfile: bool,
    /// The lock file, if it does not lie beside the dataflow file as FILE.dora-lock.yaml.
    #[arg(long, value_name = "PATH")]
    pub lockfile: Option<PathBuf>,
    /// Directory that relative paths of the file start from; that of the file if none.
    #[arg(skip)]
    pub working_dir: Option<PathBuf>,
    /// Not served yet: refused when set.
    #[arg(skip)]
    pub hub_override: Vec<String>,
    /// The program that is a keeper when it is called with `keeper`; `dora` on the search path if none.
    #[arg(skip)]
    pub(crate) keeper: Option<PathBuf>,
}

impl RunCommand {
    /// Runs this dataflow file, with nothing else asked for.
    pub fn new(dataflow: String) -> Self {
        Self {
            dataflow,
            stop_after: None,
            grace_duration: Duration::from_secs(10),
            log_level: LogLevel::Stdout,
            log_format: Format::default(),
            log_filter: Vec::new(),
            env: Vec::new(),
            exit_when_nodes_finish: None,
            allow_shell_nodes: false,
            debug: false,
            memory: None,
            verbose: false,
            working_dir: None,
            uv: false,
            locked: false,
            write_lockfile: false,
            lockfile: None,
            hub_override: Vec::new(),
            keeper: None,
        }
    }

    fn refuse_unserved(&self) -> Result<(), CommandError> {
        match self.hub_override.is_empty() {
            true => Ok(()),
            false => Err(unserved::refuse_run_flag("--hub-override")),
        }
    }

    fn load(&self, path: &Path, printer: &mut log::Printer) -> Result<Loaded, CommandError> {
        let mut loaded = load::load_untold(path, &Options::default())?;
        match printer.format() {
            Format::Json => {
                let warnings = loaded.warnings.records();
                warnings.for_each(|it| printer.own_with(LogLevel::Warn, it.message.to_owned(), json!(it)));
            }
            Format::Pretty | Format::Compact => load::tell_warnings(&loaded.warnings),
        }
        loaded.dataflow.debug.enable_debug_inspection |= self.debug;
        load::refuse_unserved(path, &loaded)?;
        Ok(loaded)
    }

    /// The directory that relative paths start from.
    fn base<'a>(&'a self, path: &'a Path) -> &'a Path {
        self.working_dir.as_deref().unwrap_or_else(|| load::directory(path))
    }

    /// Builds what was not built before, and runs all build lines.
    ///
    /// Gives the warnings that were told.
    fn build(
        &self,
        path: &Path,
        loaded: &Loaded,
        interrupts: &Interrupts,
        printer: &mut log::Printer,
    ) -> Result<Vec<String>, CommandError> {
        let keeper = self.keeper_program()?;
        let lockfile = Lockfile::asked(self.locked, self.write_lockfile, self.lockfile.as_deref(), path)?;
        let options = BuildOptions {
            refresh: Refresh::Missing,
            uv: self.uv,
            python_module: python_module::find(),
            pins: lockfile.pins(),
            ..BuildOptions::new(keeper)
        };
        let build = Build::plan(&loaded.dataflow, path, self.base(path), options)
            .map_err(|error| building::trouble(loaded, &error.into()))?;
        let (sources, told) = match build.is_empty() {
            true => (Sources::default(), Vec::new()),
            false => {
                let told = build.warnings().to_vec();
                (building::run(build, loaded, interrupts, &mut |level, line| printer.own(level, line))?, told)
            }
        };
        lockfile.keep(&sources)?;
        Ok(told)
    }

    /// The dataflow as it is submitted: what was built is used, and nothing is missed of what it prints.
    fn submission(&self, path: &Path, loaded: &Loaded, id: DataflowId) -> Submission {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Submission {
            id: Some(id),
            descriptor: dora_descriptor::expanded_yaml(&loaded.dataflow),
            origin: Origin {
                path: absolute(path),
                working_dir: self.working_dir.as_deref().map(absolute),
                identity: file_identity(path),
            },
            name: None,
            env: self.env.clone(),
            uv: self.uv,
            artifacts: Vec::new(),
            build: BuildMode::Nothing,
            exit_when_nodes_finish: self.exit_when_nodes_finish,
            memory: self.memory,
            write_events_to: std::env::var_os("DORA_WRITE_EVENTS_TO").map(PathBuf::from),
            watched: Some(Watching::Closely),
        }
    }

    /// Whether nodes may be command lines for a shell.
    fn allows_shell(&self) -> bool {
        self.allow_shell_nodes || std::env::var("DORA_ALLOW_SHELL_NODES").is_ok_and(|word| word == "true")
    }

    /// This program, when it is `dora`. A program that uses us as a library cannot be a keeper.
    fn keeper_program(&self) -> Result<PathBuf, CommandError> {
        if let Some(program) = &self.keeper {
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
}

/// Builds and runs the dataflow, and tells how it went.
pub(crate) fn execute(command: RunCommand) -> Result<ExitCode, CommandError> {
    command.refuse_unserved()?;
    let path = PathBuf::from(&command.dataflow);
    let id = DataflowId(Uuid::now_v7());
    let filter = Filter::new(command.log_level, command.log_filter.clone());
    let mut printer = log::Printer::new(command.log_format, filter.clone(), id.0);
    let loaded = command.load(&path, &mut printer)?;
    unknown_nodes(&filter, &loaded).into_iter().for_each(|line| printer.own(LogLevel::Warn, line));
    let interrupts = building::listen()?;
    let told = command.build(&path, &loaded, &interrupts, &mut printer)?;
    become_subreaper()
        .map_err(|error| CommandError::failed(format!("cannot adopt what nodes leave behind: {error}")))?;
    let cluster = MiniCluster::start(command.keeper_program()?, command.allows_shell())?;
    if interrupts.count() > 0 {
        return Err(CommandError::failed("interrupted before the nodes were started"));
    }
    cluster.submit(command.submission(&path, &loaded, id))?;
    let watch = Watch {
        runtime: cluster.runtime(),
        dispatcher: cluster.dispatcher(),
        dataflow: id,
        watching: Watching::Closely,
        grace: command.grace_duration,
        killed_is_failed: true,
        stop_after: command.stop_after,
    };
    let ended = watch
        .follow(&interrupts, printer, Detail { verbose: command.verbose, told })
        .map_err(|error| CommandError::failed(error.to_string()))?;
    match ended.never_started() {
        Some(trouble) => Err(building::trouble(&loaded, trouble)),
        None => Ok(ended.exit_code()),
    }
}

/// Sentences about nodes that a log filter names and the dataflow has not. The filter may be meant for several dataflows.
fn unknown_nodes(filter: &Filter, loaded: &Loaded) -> Vec<String> {
    let unknown = filter.nodes().filter(|node| loaded.dataflow.node(node).is_none());
    unknown.map(|node| format!("the log filter names `{node}`, which is no node of this dataflow")).collect()
}

/// Reads `KEY=VALUE`.
pub(crate) fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, for example `CAMERA=2`".to_owned()),
    }
}
