//! A build as `dora build` and `dora run` show it: a line for whatever happens, and an error that helps.

use std::io;

use dora_daemon::{Build, BuildError, Sources, become_subreaper};
use dora_descriptor::{Loaded, model::LogLevel};
use dora_gateways::{BuildEvent, NodeMistake, Progress, Trouble};

use crate::{error::CommandError, signals::Interrupts};

/// Mistakes with programs that are told one by one: when many nodes share a program, the first few tell it all.
const MOST_MISTAKES: usize = 12;

/// From now on Ctrl-C is heard, and does not end the process by itself.
pub(crate) fn listen() -> Result<Interrupts, CommandError> {
    listening(Interrupts::listen())
}

/// The same for some of the signals.
pub(crate) fn listening(interrupts: io::Result<Interrupts>) -> Result<Interrupts, CommandError> {
    interrupts.map_err(|error| CommandError::failed(format!("cannot listen for Ctrl-C: {error}")))
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
        .map_err(|error| match error {
            BuildError::Cancelled => CommandError::failed("the build was interrupted; all that it had started is gone"),
            error => trouble(loaded, &error.into()),
        })
}

/// How severe an event is, and a line for it.
pub(crate) fn words(event: BuildEvent) -> (LogLevel, String) {
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

/// What kept a dataflow from being built or started, with the places in the user's file.
pub(crate) fn trouble(loaded: &Loaded, trouble: &Trouble) -> CommandError {
    match trouble {
        Trouble::Mistakes(mistakes) => {
            let mut lines: Vec<String> =
                mistakes.iter().take(MOST_MISTAKES).map(|mistake| located(loaded, mistake)).collect();
            if let Some(more) = mistakes.len().checked_sub(MOST_MISTAKES + 1) {
                lines.push(format!("... and {} more", more + 1));
            }
            CommandError::failed(lines.join("\n       "))
        }
        Trouble::Build(mistake) => {
            let mut what = located(loaded, mistake);
            if !mistake.last_lines.is_empty() {
                what += "\n  it printed last:";
                mistake.last_lines.iter().for_each(|line| what += &format!("\n    {line}"));
            }
            let failed = CommandError::failed(what);
            match &mistake.hint {
                Some(hint) => failed.with_hint(hint),
                None => failed,
            }
        }
        trouble => CommandError::failed(trouble.to_string()),
    }
}

/// A mistake, after the place of its key.
fn located(loaded: &Loaded, mistake: &NodeMistake) -> String {
    let span = match &mistake.key {
        Some(key) => loaded.places.node_key(&mistake.node, key),
        None => loaded.places.node(&mistake.node),
    };
    let place = loaded.warnings.sources().position(span);
    format!("{place}: {mistake}")
}
