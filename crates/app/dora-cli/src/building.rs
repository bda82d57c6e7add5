//! A build as `dora build` and `dora run` show it: a line for whatever happens, and an error that helps.

use dora_daemon::{Build, BuildError, PrepareError, Sources, become_subreaper};
use dora_descriptor::{Loaded, Part, model::LogLevel};
use dora_gateways::{BuildEvent, Progress};
use dora_message::id::NodeId;

use crate::{error::CommandError, signals::Interrupts};

/// Mistakes with programs that are told one by one: when many nodes share a program, the first few tell it all.
const MOST_MISTAKES: usize = 12;

/// From now on Ctrl-C is heard, and does not end the process by itself.
pub(crate) fn listen() -> Result<Interrupts, CommandError> {
    Interrupts::listen().map_err(|error| CommandError::failed(format!("cannot listen for Ctrl-C: {error}")))
}

/// Builds; gives each line for the user to `tell`. Ctrl-C ends the build and all that it has started.
pub(crate) fn run(
    build: Build,
    loaded: &Loaded,
    interrupts: &Interrupts,
    tell: &mut dyn FnMut(LogLevel, String),
) -> Result<Sources, CommandError> {
    become_subreaper()
        .map_err(|error| CommandError::failed(format!("cannot adopt what build lines leave behind: {error}")))?;
    let control = build.control();
    interrupts.tell(move |_| control.cancel());
    for warning in build.warnings() {
        tell(LogLevel::Warn, warning.clone());
    }
    build
        .run(&mut |event| {
            let (level, line) = words(event);
            tell(level, line);
        })
        .map_err(|error| failure(loaded, &error))
}

fn words(event: BuildEvent) -> (LogLevel, String) {
    let node = event.node;
    let text = match event.progress {
        Progress::Waiting(dir) => format!("{node}: waits until another build is done with `{}`", dir.display()),
        Progress::Cloning { url, revision } => format!("{node}: cloning {url} ({revision})"),
        Progress::Downloading(url) => format!("{node}: downloading {url}"),
        Progress::Line { number, count, text } => format!("{node}: [{number}/{count}] {text}"),
        Progress::Output { text, .. } => format!("{node} | {text}"),
        Progress::Warning(text) => return (LogLevel::Warn, format!("node `{node}`: {text}")),
        Progress::Built(took) => format!("{node}: built in {:.1} s", took.as_secs_f32()),
    };
    (LogLevel::Info, text)
}

fn failure(loaded: &Loaded, error: &BuildError) -> CommandError {
    let BuildError::Node { node, problem } = error else {
        return match error {
            BuildError::Cancelled => CommandError::failed("the build was interrupted; all that it had started is gone"),
            error => CommandError::failed(error.to_string()),
        };
    };
    let mut what = format!("{}: {error}", place(loaded, node, problem.key()));
    if !problem.last_lines().is_empty() {
        what += "\n  it printed last:";
        problem.last_lines().iter().for_each(|line| what += &format!("\n    {line}"));
    }
    let failed = CommandError::failed(what);
    match problem.hint() {
        Some(hint) => failed.with_hint(hint),
        None => failed,
    }
}

/// What is wrong with the nodes' programs, each with the place in the file.
pub(crate) fn mistakes(loaded: &Loaded, error: &PrepareError) -> CommandError {
    let line =
        |mistake: &dora_daemon::Mistake| format!("{}: {mistake}", place(loaded, &mistake.node, mistake.problem.key()));
    let mut lines: Vec<String> = error.mistakes.iter().take(MOST_MISTAKES).map(line).collect();
    if let Some(more) = error.mistakes.len().checked_sub(MOST_MISTAKES + 1) {
        lines.push(format!("... and {} more", more + 1));
    }
    CommandError::failed(lines.join("\n       "))
}

/// Where a key of a node stands.
fn place(loaded: &Loaded, node: &NodeId, key: &'static str) -> dora_descriptor::Position {
    loaded.warnings.sources().position(loaded.places.part(node, &Part::Key(key)))
}
