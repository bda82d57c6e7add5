//! Severity.

use serde::{Deserialize, Serialize};

/// Severity of a log entry. Ordered: the most severe is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// The node failed at something.
    Error,
    /// Something is wrong.
    Warn,
    /// Something happened.
    Info,
    /// For those who look for a mistake.
    Debug,
    /// Everything.
    Trace,
    /// Plain text, which has no level. Any other minimum hides it.
    Stdout,
}

impl LogLevel {
    /// All levels, the most severe first.
    pub const ALL: [Self; 6] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace, Self::Stdout];

    /// The word of dataflow files, command lines and log files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
            Self::Stdout => "stdout",
        }
    }

    /// The word of [`LogMessage`](super::LogMessage).
    pub const fn as_message_word(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
            Self::Stdout => "stdout",
        }
    }

    /// The level with this name, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(word))
    }

    /// The level that a program means with this word, in any case: those of dora, and those of Python's `logging`.
    pub fn from_printed(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "warning" => Some(Self::Warn),
            "critical" | "fatal" => Some(Self::Error),
            other => Self::from_word(other),
        }
    }
}
