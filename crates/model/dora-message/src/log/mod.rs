//! What nodes print, as entries with a level: how a printed line is understood, and how an entry is written.
//!
//! ```
//! use dora_message::log::{LogEntry, LogLevel};
//!
//! let line = r#"{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","message":"hot","fields":{"celsius":91}}"#;
//! let entry = LogEntry::parse(line);
//! assert_eq!((entry.level, &*entry.message), (LogLevel::Warn, "hot"));
//! assert_eq!(LogEntry::parse("hello").level, LogLevel::Stdout);
//! ```
//!
//! [`LogMessage`] is what inputs from `dora/logs`, outputs of `send_logs_as` and `--log-format json` carry, and
//! [`LogRecord`] a line of a log file. This module must not know who reads them.

mod entry;
mod level;
mod record;

pub use entry::LogEntry;
pub use level::LogLevel;
pub use record::{KeptRecord, LogMessage, LogRecord, rotated};

/// The longest line that is kept whole, in bytes. What is beyond is replaced by [`TRUNCATED`].
pub const LONGEST_LINE: usize = 1024 * 1024;

/// The end of a line that was longer than [`LONGEST_LINE`].
pub const TRUNCATED: &str = "... [truncated]";
