//! One line with what is known about it.
//!
//! Nodes that use the API's log functions print JSON objects with `level` and `timestamp`; everything else is plain
//! text without a level.

use chrono::{DateTime, Utc};
use dora_descriptor::model::LogLevel;
use dora_message::{
    id::{DataflowId, NodeId},
    supervision::OutputStream,
};
use serde::Serialize;
use serde_json::{Map, Value};

/// One line. Serialized it is a line of the format `json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Entry {
    build_id: Option<()>,
    dataflow_id: Option<DataflowId>,
    pub(crate) node_id: Option<NodeId>,
    daemon_id: Option<()>,
    #[serde(serialize_with = "level_word")]
    pub(crate) level: LogLevel,
    pub(crate) target: Option<String>,
    module_path: Option<String>,
    file: Option<String>,
    line: Option<u64>,
    pub(crate) message: String,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) fields: Option<Map<String, Value>>,
    /// Where it goes; our own talk goes to standard error.
    #[serde(skip)]
    pub(crate) stream: OutputStream,
}

fn level_word<S: serde::Serializer>(level: &LogLevel, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(json_level(*level))
}

/// The level as the format `json` spells it.
fn json_level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "ERROR",
        LogLevel::Warn => "WARN",
        LogLevel::Info => "INFO",
        LogLevel::Debug => "DEBUG",
        LogLevel::Trace => "TRACE",
        LogLevel::Stdout => "stdout",
    }
}

impl Entry {
    /// Something that dora itself has to say.
    pub(crate) fn own(dataflow: Option<DataflowId>, level: LogLevel, message: String) -> Self {
        Self::plain(dataflow, None, OutputStream::Stderr, level, message)
    }

    /// A line that a node printed.
    pub(crate) fn of_node(dataflow: DataflowId, node: &NodeId, stream: OutputStream, text: &str) -> Self {
        let plain = || Self::plain(Some(dataflow), Some(node.clone()), stream, LogLevel::Stdout, text.to_owned());
        if !text.starts_with('{') {
            return plain();
        }
        let structured = || -> Option<Self> {
            let Value::Object(mut object) = serde_json::from_str(text).ok()? else { return None };
            let timestamp = object.get("timestamp")?.as_str()?.parse().ok()?;
            let level = LogLevel::from_word(object.get("level")?.as_str()?)?;
            let mut word = |key: &str| object.remove(key).and_then(|value| value.as_str().map(str::to_owned));
            let message = word("message").or_else(|| word("msg"))?;
            let (target, module_path, file) = (word("target"), word("module_path"), word("file"));
            let line = object.get("line").and_then(Value::as_u64);
            let fields = match object.remove("fields") {
                Some(Value::Object(fields)) if !fields.is_empty() => Some(fields),
                _ => None,
            };
            Some(Self { level, target, module_path, file, line, message, timestamp, fields, ..plain() })
        };
        structured().unwrap_or_else(plain)
    }

    fn plain(
        dataflow_id: Option<DataflowId>,
        node_id: Option<NodeId>,
        stream: OutputStream,
        level: LogLevel,
        message: String,
    ) -> Self {
        Self {
            build_id: None,
            dataflow_id,
            node_id,
            daemon_id: None,
            level,
            target: None,
            module_path: None,
            file: None,
            line: None,
            message,
            timestamp: Utc::now(),
            fields: None,
            stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry::of_node(DataflowId::nil(), &"a".into(), OutputStream::Stdout, text)
    }

    #[test]
    fn structured_lines_are_understood() {
        let text =
            r#"{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","message":"hot","target":"cpu","fields":{"t":91.5}}"#;
        let entry = entry(text);
        assert_eq!(
            (entry.level, entry.message.as_str(), entry.target.as_deref()),
            (LogLevel::Warn, "hot", Some("cpu"))
        );
        assert_eq!(entry.fields.unwrap()["t"], 91.5);
        assert_eq!(entry.timestamp.to_rfc3339(), "2026-01-02T03:04:05+00:00");
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        for text in ["hello", "{", "{}", r#"{"level":"WARN","message":"no time"}"#, r#"{"level":3,"timestamp":"x"}"#] {
            let entry = entry(text);
            assert_eq!((entry.level, entry.message.as_str()), (LogLevel::Stdout, text));
        }
    }
}
