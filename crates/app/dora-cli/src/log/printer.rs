//! Writes lines: what nodes print on standard output goes to ours, everything else to standard error.

use std::{
    collections::HashMap,
    io::{self, IsTerminal as _, Write as _},
};

use dora_descriptor::model::LogLevel;
use dora_message::{
    id::{DataflowId, NodeId},
    supervision::OutputStream,
};
use serde_json::Value;

use super::{Entry, Filter, Format, format};

/// The longest line that is shown whole, in bytes.
const LONGEST_LINE: usize = 1024 * 1024;

/// Writes lines in one format through one filter.
pub(crate) struct Printer {
    format: Format,
    filter: Filter,
    dataflow: DataflowId,
    /// Beginnings of lines whose rest is still to come.
    beginnings: HashMap<(NodeId, OutputStream), String>,
    stdout_coloured: bool,
    stderr_coloured: bool,
    stdout_closed: bool,
}

impl Printer {
    pub(crate) fn new(format: Format, filter: Filter, dataflow: DataflowId) -> Self {
        // Nodes may colour their text themselves, so the streams are written as they are; only our colours depend on
        // the terminal.
        let coloured = |choice: anstream::ColorChoice, terminal: bool| match choice {
            anstream::ColorChoice::Never => false,
            anstream::ColorChoice::Auto => terminal,
            _ => true,
        };
        let (stdout, stderr) = (io::stdout(), io::stderr());
        Self {
            format,
            filter,
            dataflow,
            beginnings: HashMap::new(),
            stdout_coloured: coloured(anstream::AutoStream::choice(&stdout), stdout.is_terminal()),
            stderr_coloured: coloured(anstream::AutoStream::choice(&stderr), stderr.is_terminal()),
            stdout_closed: false,
        }
    }

    /// A line of a node, or a piece of one.
    pub(crate) fn node_line(&mut self, node: &NodeId, stream: OutputStream, text: &str, more_follows: bool) {
        let key = (node.clone(), stream);
        if more_follows {
            let beginning = self.beginnings.entry(key).or_default();
            append(beginning, text);
            return;
        }
        match self.beginnings.remove(&key) {
            Some(mut line) => {
                append(&mut line, text);
                self.print(&Entry::of_node(self.dataflow, node, stream, &line));
            }
            None => self.print(&Entry::of_node(self.dataflow, node, stream, text)),
        }
    }

    /// Something that dora itself has to say.
    pub(crate) fn own(&mut self, level: LogLevel, message: String) {
        self.print(&Entry::own(Some(self.dataflow), level, message));
    }

    /// The same, with values for programs to read.
    pub(crate) fn own_with(&mut self, level: LogLevel, message: String, fields: Value) {
        let mut entry = Entry::own(Some(self.dataflow), level, message);
        entry.fields = fields.as_object().cloned();
        self.print(&entry);
    }

    /// Whether whoever read our standard output has gone.
    pub(crate) fn stdout_closed(&self) -> bool {
        self.stdout_closed
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    fn print(&mut self, entry: &Entry) {
        if !self.filter.wants(entry) {
            return;
        }
        match entry.stream {
            OutputStream::Stdout => {
                let line = format::line(entry, self.format, self.stdout_coloured);
                // Nodes must not suffer when nobody reads what they print.
                self.stdout_closed |= !self.stdout_closed && io::stdout().lock().write_all(line.as_bytes()).is_err();
            }
            OutputStream::Stderr => {
                let line = format::line(entry, self.format, self.stderr_coloured);
                let _ = io::stderr().lock().write_all(line.as_bytes());
            }
        }
    }
}

/// Appends what fits and says when something did not.
fn append(line: &mut String, text: &str) {
    const MARK: &str = "... [truncated]";
    if line.len() + text.len() <= LONGEST_LINE {
        line.push_str(text);
    } else if !line.ends_with(MARK) {
        line.push_str(MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_once() {
        let mut line = String::new();
        let piece = "x".repeat(60_000);
        for _ in 0..30 {
            append(&mut line, &piece);
        }
        assert!(line.len() <= LONGEST_LINE + 20 && line.ends_with("x... [truncated]"));
    }
}
