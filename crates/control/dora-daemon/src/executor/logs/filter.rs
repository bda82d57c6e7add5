//! Which lines somebody wants.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use dora_gateways::{LogLine, LogQuery, LogSource};
use dora_message::{id::NodeId, log::LogLevel};

/// What a line must be.
pub(super) struct Filter {
    /// Of all nodes and of dora itself, if there are none.
    nodes: BTreeSet<NodeId>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    level: LogLevel,
    text: Option<String>,
}

impl Filter {
    pub(super) fn new(query: LogQuery, now: DateTime<Utc>) -> Self {
        // What is longer than time itself goes back to its beginning.
        let before = |time: Duration| {
            let time = TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
            now.checked_sub_signed(time).unwrap_or(DateTime::<Utc>::MIN_UTC)
        };
        Filter {
            nodes: query.nodes.into_iter().collect(),
            since: query.since.map(before),
            until: query.until.map(before),
            level: query.level.unwrap_or(LogLevel::Stdout),
            text: query.grep,
        }
    }

    pub(super) fn wants_node(&self, node: &NodeId) -> bool {
        self.nodes.is_empty() || self.nodes.contains(node)
    }

    pub(super) fn wants(&self, line: &LogLine) -> bool {
        let source = match &line.source {
            LogSource::Node(node) => self.wants_node(node),
            LogSource::Dora => self.nodes.is_empty(),
        };
        source
            && line.level <= self.level
            && self.since.is_none_or(|since| line.time >= since)
            && self.until.is_none_or(|until| line.time <= until)
            && self.text.as_ref().is_none_or(|text| line.message.contains(text))
    }
}

#[cfg(test)]
mod tests {
    use dora_gateways::DataflowId;

    use dora_message::supervision::OutputStream;

    use super::*;

    fn line(node: &str, seconds: i64, level: LogLevel, message: &str) -> LogLine {
        LogLine {
            dataflow: DataflowId(uuid::Uuid::nil()),
            source: LogSource::Node(node.into()),
            time: DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds),
            level,
            stream: OutputStream::Stdout,
            target: None,
            message: message.to_owned(),
            fields: None,
        }
    }

    #[test]
    fn each_part_of_a_query_leaves_lines_out() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(100);
        let wants = |query, line: &LogLine| Filter::new(query, now).wants(line);
        let warning = line("a", 50, LogLevel::Warn, "it is hot");
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert!(wants(LogQuery::default(), &warning));
        assert!(!wants(LogQuery { nodes: vec!["b".into()], ..LogQuery::default() }, &warning));
        assert!(wants(LogQuery { level: Some(LogLevel::Info), ..LogQuery::default() }, &warning));
        assert!(!wants(LogQuery { level: Some(LogLevel::Error), ..LogQuery::default() }, &warning));
        assert!(!wants(LogQuery { grep: Some("cold".to_owned()), ..LogQuery::default() }, &warning));
        for (since, until, expected) in [(60, 40, true), (40, 0, false), (60, 55, false), (u64::MAX, 0, true)] {
            let query = LogQuery { since: seconds(since), until: seconds(until), ..LogQuery::default() };
            assert_eq!(wants(query, &warning), expected, "{since} {until}");
        }
        let own = LogLine { source: LogSource::Dora, ..warning };
        assert!(wants(LogQuery::default(), &own));
        assert!(!wants(LogQuery { nodes: vec!["a".into()], ..LogQuery::default() }, &own));
    }
}
