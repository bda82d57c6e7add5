//! How a printed line is understood.
//!
//! A JSON object with a `level` and a `timestamp` is a structured entry, whatever else it holds; everything else is
//! plain text. Nothing of a structured line is lost: what has no place of its own is a field.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::LogLevel;

/// One entry: a line of text, or what a structured line says.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry<'a> {
    /// Its severity; [`LogLevel::Stdout`] for plain text.
    pub level: LogLevel,
    /// What it says.
    pub message: Cow<'a, str>,
    /// When it was made, if the line says so in a way that is understood.
    pub time: Option<DateTime<Utc>>,
    /// The part of the program that speaks.
    pub target: Option<String>,
    /// The module that speaks.
    pub module_path: Option<String>,
    /// The source file that speaks.
    pub file: Option<String>,
    /// The line in that file.
    pub line: Option<u64>,
    /// Everything else.
    pub fields: Option<Map<String, Value>>,
}

/// Keys that say where an entry comes from; the receiver knows better.
const ORIGIN: [&str; 4] = ["build_id", "dataflow_id", "node_id", "daemon_id"];

impl<'a> LogEntry<'a> {
    /// An entry without more than a text.
    pub const fn plain(level: LogLevel, message: Cow<'a, str>) -> Self {
        Self { level, message, time: None, target: None, module_path: None, file: None, line: None, fields: None }
    }

    /// Understands a line, given without its newline.
    pub fn parse(text: &'a str) -> Self {
        // Most lines are no JSON: one look at the first byte is all that they cost.
        let structured = if text.starts_with('{') { Self::structured(text) } else { None };
        structured.unwrap_or(Self::plain(LogLevel::Stdout, Cow::Borrowed(text)))
    }

    /// Whether the line had a level of its own.
    pub fn is_structured(&self) -> bool {
        self.level != LogLevel::Stdout
    }

    fn structured(text: &str) -> Option<Self> {
        let Value::Object(mut object) = serde_json::from_str(text).ok()? else { return None };
        let level =
            LogLevel::from_printed(object.get("level")?.as_str()?).filter(|level| *level != LogLevel::Stdout)?;
        let time = time(object.get("timestamp")?);
        let mut fields = match object.remove("fields") {
            Some(Value::Object(fields)) => fields,
            None | Some(Value::Null) => Map::new(),
            Some(other) => Map::from_iter([("fields".to_owned(), other)]),
        };
        // Rust's `tracing` and Python's bridge put the text into the fields.
        let message = text_of(&mut object, "message")
            .or_else(|| text_of(&mut object, "msg"))
            .or_else(|| text_of(&mut fields, "message"))
            .unwrap_or_default();
        let [target, module_path, file] = ["target", "module_path", "file"]
            .map(|key| text_of(&mut object, key).or_else(|| text_of(&mut fields, key)));
        let line = number_of(&mut object, "line").or_else(|| number_of(&mut fields, "line"));
        object.retain(|key, value| {
            !ORIGIN.contains(&key.as_str()) && !["level", "timestamp"].contains(&key.as_str()) && !value.is_null()
        });
        fields.extend(object);
        let fields = (!fields.is_empty()).then_some(fields);
        Some(Self { level, message: Cow::Owned(message), time, target, module_path, file, line, fields })
    }
}

/// Takes a text; what is no text stays.
fn text_of(object: &mut Map<String, Value>, key: &str) -> Option<String> {
    match object.remove(key)? {
        Value::String(text) => Some(text),
        other => {
            object.insert(key.to_owned(), other);
            None
        }
    }
}

/// Takes a number, or the text of one, as fields of the node API are; what is no number stays.
fn number_of(object: &mut Map<String, Value>, key: &str) -> Option<u64> {
    let value = object.get(key)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    object.remove(key);
    Some(number)
}

/// A time in RFC 3339, or in seconds since 1970.
fn time(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => DateTime::from_timestamp_nanos((number.as_f64()? * 1e9) as i64).into(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_the_node_api() {
        let entry = LogEntry::parse(
            r#"{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","node_id":"a","message":"hot","target":"cpu","fields":{"t":91.5}}"#,
        );
        assert_eq!((entry.level, &*entry.message, entry.target.as_deref()), (LogLevel::Warn, "hot", Some("cpu")));
        assert_eq!(entry.fields, serde_json::json!({ "t": 91.5 }).as_object().cloned());
        assert_eq!(entry.time.unwrap().to_rfc3339(), "2026-01-02T03:04:05+00:00");
    }

    #[test]
    fn fields_may_have_any_type() {
        let entry = LogEntry::parse(
            r#"{"timestamp":1767323045.5,"level":"warning","fields":{"message":"hot","line":7,"file":"a.py","n":[1]},"span":{"id":3}}"#,
        );
        assert_eq!((entry.level, &*entry.message), (LogLevel::Warn, "hot"));
        assert_eq!((entry.file.as_deref(), entry.line), (Some("a.py"), Some(7)));
        assert_eq!(entry.fields, serde_json::json!({ "n": [1], "span": { "id": 3 } }).as_object().cloned());
        assert_eq!(entry.time.unwrap().timestamp_millis(), 1_767_323_045_500);
        let texts = LogEntry::parse(r#"{"timestamp":1,"level":"info","fields":{"line":"7","file":"a.py"}}"#);
        assert_eq!((texts.line, texts.fields), (Some(7), None));
        let odd = LogEntry::parse(r#"{"timestamp":"noon","level":"info","message":7,"fields":"text"}"#);
        assert_eq!((odd.time, &*odd.message), (None, ""));
        assert_eq!(odd.fields, serde_json::json!({ "fields": "text", "message": 7 }).as_object().cloned());
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        for text in [
            "hello",
            "",
            "{",
            "{}",
            r#"{"level":"WARN","message":"no time"}"#,
            r#"{"level":3,"timestamp":"x"}"#,
            r#"{"level":"stdout","timestamp":"x"}"#,
            r#"[{"level":"warn","timestamp":1}]"#,
        ] {
            let entry = LogEntry::parse(text);
            assert_eq!((entry.level, &*entry.message, entry.is_structured()), (LogLevel::Stdout, text, false));
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(text in "\\{?(\"level\":\"info\",\"timestamp\":-?[0-9]{0,40}e?[0-9]{0,3}|.{0,20}){0,4}\\}?") {
            let entry = LogEntry::parse(&text);
            prop_assert!(entry.is_structured() || *entry.message == *text);
        }
    }
}
