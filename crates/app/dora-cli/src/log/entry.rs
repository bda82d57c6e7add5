//! One line with what is known about it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use dora_gateways::LogLine;
use dora_message::{
    id::{DataflowId, NodeId},
    log::{LogEntry, LogLevel, LogMessage},
    supervision::OutputStream,
};
use serde_json::Value;

/// A line on its way to the terminal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry<'a> {
    dataflow: Option<DataflowId>,
    /// `None`: dora itself.
    pub(crate) node: Option<&'a NodeId>,
    /// Where it was printed.
    pub(crate) stream: OutputStream,
    /// Where it goes; our own talk goes to standard error.
    pub(crate) to: OutputStream,
    pub(crate) time: DateTime<Utc>,
    pub(crate) said: LogEntry<'a>,
}

impl<'a> Entry<'a> {
    /// Something that dora itself has to say.
    pub(crate) fn own(dataflow: Option<DataflowId>, level: LogLevel, message: String) -> Self {
        let said = LogEntry::plain(level, Cow::Owned(message));
        Self { dataflow, node: None, stream: OutputStream::Stderr, to: OutputStream::Stderr, time: Utc::now(), said }
    }

    /// The same, with values for programs to read.
    pub(crate) fn with_fields(mut self, fields: Value) -> Self {
        self.said.fields = fields.as_object().cloned();
        self
    }

    /// A line that a node printed.
    pub(crate) fn of_node(
        dataflow: DataflowId,
        node: &'a NodeId,
        stream: OutputStream,
        read: DateTime<Utc>,
        text: &'a str,
    ) -> Self {
        let said = LogEntry::parse(text);
        Self { dataflow: Some(dataflow), node: Some(node), stream, to: stream, time: said.time.unwrap_or(read), said }
    }

    /// A line that was understood before: what a log says. It was asked for, so it goes to standard output.
    pub(crate) fn recorded(dataflow: DataflowId, node: Option<&'a NodeId>, line: &'a LogLine) -> Self {
        let said = LogEntry::plain(line.level, Cow::Borrowed(&*line.message));
        Self { dataflow: Some(dataflow), node, stream: line.stream, to: OutputStream::Stdout, time: line.time, said }
    }

    /// The same, said by this part of the program.
    pub(crate) fn with_target(mut self, target: Option<String>) -> Self {
        self.said.target = target;
        self
    }

    /// The same as something that was asked for: it goes to standard output.
    pub(crate) fn on_stdout(self) -> Self {
        Self { to: OutputStream::Stdout, ..self }
    }

    /// The entry as programs read it.
    pub(super) fn message(&self) -> LogMessage<'_> {
        LogMessage::new(self.dataflow, self.node, self.time, &self.said)
    }
}

#[cfg(test)]
impl Entry<'static> {
    /// A line of the node `camera`, for tests.
    pub(super) fn example(text: &'static str) -> Self {
        let node = Box::leak(Box::new(NodeId::from("camera")));
        Self::of_node(DataflowId::nil(), node, OutputStream::Stdout, DateTime::UNIX_EPOCH, text)
    }
}
