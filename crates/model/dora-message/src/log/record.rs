//! How entries are written: as messages and in log files; and how log files are read again.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{LogEntry, LogLevel};
use crate::{
    id::{DataflowId, NodeId},
    supervision::OutputStream,
};

/// An entry with its origin, as inputs from `dora/logs` and the format `json` of the command line spell it.
#[derive(Debug, Serialize)]
pub struct LogMessage<'a> {
    build_id: Option<()>,
    dataflow_id: Option<DataflowId>,
    node_id: Option<&'a NodeId>,
    daemon_id: Option<()>,
    level: &'static str,
    target: Option<&'a str>,
    module_path: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u64>,
    message: &'a str,
    timestamp: DateTime<Utc>,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> LogMessage<'a> {
    /// The message of an entry. Without a node it is from dora itself. `received` counts if the entry has no time.
    pub fn new(
        dataflow_id: Option<DataflowId>,
        node_id: Option<&'a NodeId>,
        received: DateTime<Utc>,
        entry: &'a LogEntry<'_>,
    ) -> Self {
        Self {
            build_id: None,
            dataflow_id,
            node_id,
            daemon_id: None,
            level: entry.level.as_message_word(),
            target: entry.target.as_deref(),
            module_path: entry.module_path.as_deref(),
            file: entry.file.as_deref(),
            line: entry.line,
            message: &entry.message,
            timestamp: entry.time.unwrap_or(received),
            fields: entry.fields.as_ref(),
        }
    }
}

/// A line of a log file.
#[derive(Debug, Serialize)]
pub struct LogRecord<'a> {
    #[serde(serialize_with = "in_milliseconds")]
    ts: DateTime<Utc>,
    level: LogLevel,
    node: &'a NodeId,
    stream: OutputStream,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> LogRecord<'a> {
    /// The record of an entry that a node printed. `received` counts if the entry has no time.
    pub fn new(node: &'a NodeId, stream: OutputStream, received: DateTime<Utc>, entry: &'a LogEntry<'_>) -> Self {
        Self {
            ts: entry.time.unwrap_or(received),
            level: entry.level,
            node,
            stream,
            msg: &entry.message,
            target: entry.target.as_deref(),
            module_path: entry.module_path.as_deref(),
            file: entry.file.as_deref(),
            line: entry.line,
            fields: entry.fields.as_ref(),
        }
    }
}

/// A line of a log file, as it is read again.
///
/// ```
/// use dora_message::log::{KeptRecord, LogLevel};
///
/// let line = r#"{"ts":"2026-01-02T03:04:05.678Z","level":"warn","node":"camera","stream":"stderr","msg":"hot"}"#;
/// let record: KeptRecord = serde_json::from_str(line)?;
/// assert_eq!((record.level, record.msg.as_str()), (LogLevel::Warn, "hot"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct KeptRecord {
    /// When it was made, or else read; to the millisecond.
    pub ts: DateTime<Utc>,
    /// Its severity.
    pub level: LogLevel,
    /// Where it was printed.
    #[serde(default)]
    pub stream: OutputStream,
    /// What it says.
    pub msg: String,
    /// The part of the program that speaks; `dora` where lines are missing.
    #[serde(default)]
    pub target: Option<String>,
    /// Everything else.
    #[serde(default)]
    pub fields: Option<Map<String, Value>>,
}

/// Where an older log file of a node is: `log_camera.1.jsonl` is the newest of those beside `log_camera.jsonl`.
pub fn rotated(file: &Path, number: u32) -> PathBuf {
    let mut name = file.file_stem().map_or_else(OsString::new, OsString::from);
    name.push(format!(".{number}."));
    name.push(file.extension().unwrap_or_default());
    file.with_file_name(name)
}

fn in_milliseconds<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_messages() {
        let node: NodeId = "camera".into();
        let received = DateTime::from_timestamp_millis(1_767_323_045_678).unwrap();
        let plain = LogEntry::parse("it is\"dark");
        let record = serde_json::to_string(&LogRecord::new(&node, OutputStream::Stderr, received, &plain)).unwrap();
        assert_eq!(
            record,
            r#"{"ts":"2026-01-02T03:04:05.678Z","level":"stdout","node":"camera","stream":"stderr","msg":"it is\"dark"}"#
        );
        let entry = LogEntry::parse(r#"{"timestamp":"2026-01-02T03:04:05Z","level":"info","message":"m","k":1}"#);
        let record = serde_json::to_value(LogRecord::new(&node, OutputStream::Stdout, received, &entry)).unwrap();
        assert_eq!((&record["ts"], &record["fields"]["k"]), (&"2026-01-02T03:04:05.000Z".into(), &1.into()));
        let message = serde_json::to_value(LogMessage::new(None, Some(&node), received, &entry)).unwrap();
        let keys: Vec<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
        let expected =
            "build_id dataflow_id node_id daemon_id level target module_path file line message timestamp fields";
        assert_eq!(keys, expected.split(' ').collect::<Vec<_>>());
        assert_eq!((&message["level"], &message["node_id"]), (&"INFO".into(), &"camera".into()));
    }
}
