//! `dora build`: what the nodes of a dataflow need before they run, on this machine; `there` where a coordinator says.

mod there;

use std::{path::PathBuf, process::ExitCode};

use dora_daemon::{Build, BuildOptions, Sources};
use dora_descriptor::{Capabilities, Loaded, Options, model::LogLevel};

use crate::{building, client::CoordinatorArgs, error, error::CommandError, load, lockfile::Lockfile, python_module};

const EXAMPLES: &str = "\
Examples:
  dora build dataflow.yml
  dora build --parallel dataflow.yml       nodes of one directory side by side
  dora build --strict-types dataflow.yml   types that do not fit are mistakes
  dora build --write-lockfile dataflow.yml remember commits and contents in dataflow.dora-lock.yaml
  dora build --locked dataflow.yml         build from exactly these
  dora build dataflow.yml --coordinator-addr 192.168.1.100      build where the nodes would run

Repositories of `git:` are cloned below git/, programs behind URLs are downloaded below build/, then
the `build:` lines of each node run: each is a process of its own, without a shell, in the directory
of the dataflow file or of the repository. What they print is kept in out/build/NODE.log.
`dora run` builds too, but looks at no branch again that was built before.
Exit code: 0 when everything is built, 1 when something is not, 2 when the command line is wrong.";

/// Build what the nodes of a dataflow need: repositories, downloads, `build:` lines.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The dataflow file.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Build on this machine, wherever `deploy` says that nodes run.
    #[arg(long)]
    local: bool,
    /// Install Python packages with uv, for each node into an environment of its own, which gets our module `dora`.
    #[arg(long)]
    uv: bool,
    /// Types that do not fit are mistakes, not warnings.
    #[arg(long)]
    strict_types: bool,
    /// Build nodes side by side although they share a directory: their lines must not disturb each other.
    #[arg(long)]
    parallel: bool,
    /// Build from exactly what the lock file says: commits of repositories, contents of programs behind URLs.
    #[arg(long, conflicts_with = "write_lockfile")]
    locked: bool,
    /// Write what the sources are now to the lock file.
    #[arg(long)]
    write_lockfile: bool,
    /// The lock file, if it does not lie beside the dataflow file as FILE.dora-lock.yaml.
    #[arg(long, value_name = "PATH")]
    lockfile: Option<PathBuf>,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let path = &arguments.path;
    let loaded = load::load(path, &Options { strict_types: arguments.strict_types, ..Options::default() })?;
    let there = !arguments.local && arguments.coordinator.names_one();
    // What can be built although `dora run` does not serve it is built.
    load::refuse(path, &loaded, &Capabilities { remote_deploy: arguments.local || there, ..Capabilities::ALL })?;
    if there { there::execute(arguments, &loaded) } else { here(arguments, &loaded) }
}

/// Builds on this machine.
fn here(arguments: &Arguments, loaded: &Loaded) -> Result<ExitCode, CommandError> {
    let path = &arguments.path;
    // Survives an update of the program while it builds.
    let lockfile = Lockfile::asked(arguments.locked, arguments.write_lockfile, arguments.lockfile.as_deref(), path)?;
    let options = BuildOptions {
        parallel: arguments.parallel,
        uv: arguments.uv,
        python_module: python_module::find(),
        pins: lockfile.pins(),
        ..BuildOptions::new("/proc/self/exe".into())
    };
    let base = load::directory(path);
    let build =
        Build::plan(&loaded.dataflow, path, base, options).map_err(|error| building::trouble(loaded, &error.into()))?;
    if build.is_empty() {
        error::tell_note(&format!("{}: there is nothing to build", path.display()));
        lockfile.keep(&Sources::default())?;
        return Ok(ExitCode::SUCCESS);
    }
    let sources = building::run(build, loaded, &building::listen()?, &mut tell)?;
    lockfile.keep(&sources)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(level: LogLevel, line: String) {
    match level {
        LogLevel::Warn => error::tell_line(&format!("warning: {line}")),
        _ => error::tell_line(&line),
    }
}
