//! The line that a log file has in place of those that could not be written.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use dora_message::{
    id::NodeId,
    log::{LogEntry, LogLevel, LogRecord},
    supervision::OutputStream,
};

/// A line with its newline: a warning of `dora`.
pub(super) fn line(node: &NodeId, now: DateTime<Utc>, lost: u64, reason: &str) -> Vec<u8> {
    let message = format!("{lost} lines are missing here: {reason}");
    let entry = LogEntry { target: Some("dora".to_owned()), ..LogEntry::plain(LogLevel::Warn, Cow::Owned(message)) };
    // Our own types always have a JSON form.
    let mut line = serde_json::to_vec(&LogRecord::new(node, OutputStream::Stderr, now, &entry)).unwrap_or_default();
    line.push(b'\n');
    line
}
