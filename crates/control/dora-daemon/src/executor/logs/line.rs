//! How a line becomes one of an answer, from wherever it comes.

use chrono::{DateTime, Utc};
use dora_gateways::{DataflowId, LogLine, LogSource};
use dora_message::{
    id::NodeId,
    log::{KeptRecord, LogEntry, LogLevel},
    supervision::OutputStream,
};
use serde_json::{Map, Value};

/// A line that a node has just printed.
pub(super) fn printed(dataflow: DataflowId, node: &NodeId, stream: OutputStream, time_ns: u64, text: &str) -> LogLine {
    let entry = LogEntry::parse(text);
    let read = || DateTime::from_timestamp_nanos(time_ns.try_into().unwrap_or(i64::MAX));
    LogLine {
        dataflow,
        source: LogSource::Node(node.clone()),
        time: entry.time.unwrap_or_else(read),
        level: entry.level,
        stream,
        target: entry.target,
        message: entry.message.into_owned(),
        fields: fields(entry.fields),
    }
}

/// A line of a log file.
pub(super) fn kept(dataflow: DataflowId, node: &NodeId, record: KeptRecord) -> LogLine {
    LogLine {
        dataflow,
        source: LogSource::Node(node.clone()),
        time: record.ts,
        level: record.level,
        stream: record.stream,
        target: record.target,
        message: record.msg,
        fields: fields(record.fields),
    }
}

/// Something that dora itself has to say.
pub(super) fn own(dataflow: DataflowId, time: DateTime<Utc>, text: String) -> LogLine {
    LogLine {
        dataflow,
        source: LogSource::Dora,
        time,
        level: LogLevel::Warn,
        stream: OutputStream::Stderr,
        target: None,
        message: text,
        fields: None,
    }
}

fn fields(fields: Option<Map<String, Value>>) -> Option<String> {
    fields.map(|fields| Value::Object(fields).to_string())
}
