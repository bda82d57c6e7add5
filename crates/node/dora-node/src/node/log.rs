//! Log lines of a node: one JSON object per line on standard output, where the keeper picks them up.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use chrono::{DateTime, SecondsFormat};
use dora_message::id::NodeId;
use serde::Serialize;

use super::DoraNode;
use crate::clock::NodeClock;

/// The most bytes of `fields`, as JSON, that a line carries. Lines of more than 64 KiB would be cut.
const MAX_FIELDS: usize = 60 * 1024;

/// One line.
#[derive(Debug, Serialize)]
pub(crate) struct LogLine<'a> {
    pub(crate) timestamp: String,
    pub(crate) level: &'a str,
    pub(crate) node_id: &'a NodeId,
    pub(crate) message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fields: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fields_dropped: Option<bool>,
}

impl LogLine<'_> {
    /// Writes it to standard output.
    pub(crate) fn print(&self) {
        self.print_to(&mut std::io::stdout().lock());
    }

    /// Writes it in one piece. A closed stream is not an error: there is nobody to tell.
    fn print_to(&self, stream: &mut impl Write) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            let _ = stream.write_all(&line).and_then(|()| stream.flush());
        }
    }
}

/// A time since the epoch as log lines spell it.
pub(crate) fn rfc3339(unix_ns: u64) -> String {
    let time = DateTime::from_timestamp_nanos(i64::try_from(unix_ns).unwrap_or(i64::MAX));
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn level_word(level: &str) -> &'static str {
    match level.to_ascii_lowercase().as_str() {
        "error" => "error",
        "warn" | "warning" => "warn",
        "debug" => "debug",
        "trace" => "trace",
        _ => "info",
    }
}

/// The log and the clock of a node, apart from its outputs. Made by [`DoraNode::logger`].
#[derive(Debug, Clone)]
pub struct NodeLog {
    id: NodeId,
    clock: Arc<NodeClock>,
}

impl NodeLog {
    /// As [`DoraNode::log_with_fields`].
    pub fn log_with_fields(
        &self,
        level: &str,
        message: &str,
        target: Option<&str>,
        fields: Option<&BTreeMap<String, String>>,
    ) {
        self.line(level, message, target, fields).print();
    }

    /// Logs what ends this process, as an error on standard error: the last words there are the cause that is told.
    pub fn log_failure(&self, message: &str, target: Option<&str>, fields: Option<&BTreeMap<String, String>>) {
        self.line("error", message, target, fields).print_to(&mut std::io::stderr().lock());
    }

    fn line<'a>(
        &'a self,
        level: &str,
        message: &'a str,
        target: Option<&'a str>,
        fields: Option<&'a BTreeMap<String, String>>,
    ) -> LogLine<'a> {
        let fits = |fields: &BTreeMap<String, String>| {
            serde_json::to_string(fields).is_ok_and(|json| json.len() <= MAX_FIELDS)
        };
        let kept = fields.filter(|fields| fits(fields));
        LogLine {
            timestamp: rfc3339(self.clock.now_ns()),
            level: level_word(level),
            node_id: &self.id,
            message,
            target,
            fields: kept,
            fields_dropped: (fields.is_some() && kept.is_none()).then_some(true),
        }
    }

    /// As [`DoraNode::timestamp`].
    pub fn timestamp(&self) -> uhlc::Timestamp {
        self.clock.timestamp()
    }
}

impl DoraNode {
    /// Logs a message. `level` is one of error, warn, info, debug and trace; anything else counts as info. `target`
    /// names the part of the program that speaks.
    pub fn log(&self, level: &str, message: &str, target: Option<&str>) {
        self.log_with_fields(level, message, target, None);
    }

    /// Logs a message with fields. Fields that take more than 60 KiB as JSON are left out; the line says so.
    pub fn log_with_fields(
        &self,
        level: &str,
        message: &str,
        target: Option<&str>,
        fields: Option<&BTreeMap<String, String>>,
    ) {
        self.logger().log_with_fields(level, message, target, fields);
    }

    /// The log of this node for other threads, which need not wait for one that is sending.
    pub fn logger(&self) -> NodeLog {
        NodeLog { id: self.id.clone(), clock: self.clock.clone() }
    }

    /// Logs an error.
    pub fn log_error(&self, message: &str) {
        self.log("error", message, None);
    }
    /// Logs a warning.
    pub fn log_warn(&self, message: &str) {
        self.log("warn", message, None);
    }
    /// Logs an information.
    pub fn log_info(&self, message: &str) {
        self.log("info", message, None);
    }
    /// Logs a message for whoever looks for a fault.
    pub fn log_debug(&self, message: &str) {
        self.log("debug", message, None);
    }
    /// Logs a message for whoever follows each step.
    pub fn log_trace(&self, message: &str) {
        self.log("trace", message, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_what_readers_look_for() {
        let node = "camera".into();
        let line = LogLine {
            timestamp: rfc3339(1_700_000_000_000_000_001),
            level: level_word("WARNING"),
            node_id: &node,
            message: "it is\ndark",
            target: None,
            fields: None,
            fields_dropped: None,
        };
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"timestamp":"2023-11-14T22:13:20.000000001Z","level":"warn","node_id":"camera","message":"it is\ndark"}"#
        );
    }
}
