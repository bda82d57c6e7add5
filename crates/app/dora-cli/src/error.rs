//! What a command tells its user when it cannot go on: what happened, where, what to do next; and its exit code.

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use dora_descriptor::{Diagnostics, model::LogLevel};
use serde_json::json;

use crate::log::{self, Entry, Format};

/// Exit code of a command that was used wrongly; clap uses the same.
const EXIT_USAGE: u8 = 2;
/// Exit code of a command that failed.
const EXIT_FAILED: u8 = 1;

/// Why a command does not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The command line asks for something that is not there.
    #[error("{what}")]
    Usage { what: String, hint: Option<String> },
    /// Something did not work.
    #[error("{what}")]
    Failed { what: String, hint: Option<String> },
    /// The dataflow file has mistakes, shown with their code frames.
    #[error("{mistakes}")]
    Mistakes { mistakes: Diagnostics, summary: String },
}

impl CommandError {
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), hint: None }
    }

    pub(crate) fn with_hint(self, next: impl Into<String>) -> Self {
        match self {
            Self::Usage { what, .. } => Self::Usage { what, hint: Some(next.into()) },
            Self::Failed { what, .. } => Self::Failed { what, hint: Some(next.into()) },
            other => other,
        }
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. } | Self::Failed { hint, .. } => hint.as_deref(),
            Self::Mistakes { .. } => None,
        }
    }

    /// Writes it to standard error as the lines of the command look, and gives the exit code of the process.
    pub(crate) fn tell_as(&self, format: Format) -> ExitCode {
        if format != Format::Json {
            return self.tell();
        }
        tell_line(log::line(&self.entry(), format, false).trim_end());
        self.exit_code()
    }

    /// Writes it to standard error, for people, and gives the exit code of the process.
    pub(crate) fn tell(&self) -> ExitCode {
        let error = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        match self {
            Self::Mistakes { mistakes, summary } => {
                let report = mistakes.render(stderr_is_coloured());
                tell_line(&format!("{}\n\n{error}error{error:#}: {summary}", report.trim_end()));
            }
            Self::Usage { what, hint } | Self::Failed { what, hint } => {
                tell_line(&format!("{error}error{error:#}: {what}"));
                if let Some(hint) = hint {
                    tell_hint(hint);
                }
            }
        }
        self.exit_code()
    }

    /// The same for programs.
    fn entry(&self) -> Entry<'_> {
        let (message, fields) = match self {
            Self::Mistakes { mistakes, summary } => {
                (summary, json!({ "mistakes": mistakes.records().collect::<Vec<_>>() }))
            }
            Self::Usage { what, hint } | Self::Failed { what, hint } => (what, json!({ "hint": hint })),
        };
        Entry::own(None, LogLevel::Error, message.clone()).with_fields(fields)
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Self::Usage { .. }) { EXIT_USAGE } else { EXIT_FAILED })
    }
}

/// Whether those who read standard error want colours.
pub(crate) fn stderr_is_coloured() -> bool {
    let stderr = std::io::stderr();
    match anstream::AutoStream::choice(&stderr) {
        anstream::ColorChoice::Never => false,
        anstream::ColorChoice::Auto => stderr.is_terminal(),
        _ => true,
    }
}

/// Writes a line to standard error, with its colours only where they are wanted. Nobody may be listening.
pub(crate) fn tell_line(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Says on standard error what to do next.
pub(crate) fn tell_hint(hint: &str) {
    let style = Style::new().fg_color(Some(AnsiColor::Cyan.into())).bold();
    tell_line(&format!("{style}hint{style:#}: {hint}"));
}

/// Says on standard error what is worth knowing.
pub(crate) fn tell_note(note: &str) {
    let style = Style::new().fg_color(Some(AnsiColor::Green.into())).bold();
    tell_line(&format!("{style}note{style:#}: {note}"));
}

/// An error of the operating system on a file, with the file's name.
pub(crate) fn file_error(doing: &str, path: &std::path::Path, error: &std::io::Error) -> CommandError {
    CommandError::failed(format!("cannot {doing} `{}`: {}", path.display(), describe(error)))
}

fn describe(error: &std::io::Error) -> String {
    without_number(&error.to_string())
}

/// What the system says, without the number that Rust appends.
pub(crate) fn without_number(reason: &str) -> String {
    reason.split(" (os error").next().unwrap_or(reason).to_owned()
}
