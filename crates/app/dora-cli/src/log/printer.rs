//! Writes lines: what nodes print on standard output goes to ours, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use chrono::DateTime;
use dora_message::{
    id::{DataflowId, NodeId},
    log::LogLevel,
    supervision::OutputStream,
};
use serde_json::Value;

use super::{Entry, Filter, Format, format};

/// Writes lines in one format through one filter.
pub(crate) struct Printer {
    format: Format,
    filter: Filter,
    dataflow: DataflowId,
    stdout_coloured: bool,
    stderr_coloured: bool,
    stdout: Stdout,
}

/// What standard output does with lines.
#[derive(Default)]
struct Stdout {
    closed: bool,
    failing: bool,
    news: Option<StdoutTrouble>,
}

/// Why lines are not shown.
pub(crate) enum StdoutTrouble {
    /// Whoever read our standard output has gone; no further line is written to it.
    NoReader,
    /// It does not take lines, for example because a disk is full. The next ones are tried again.
    Failing(io::Error),
}

impl Stdout {
    fn close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.news = Some(StdoutTrouble::NoReader);
        }
    }

    fn write(&mut self, lines: &str) {
        if self.closed {
            return;
        }
        match io::stdout().lock().write_all(lines.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.close(),
            Err(error) if !self.failing => {
                self.failing = true;
                self.news = Some(StdoutTrouble::Failing(error));
            }
            _ => {}
        }
    }
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
            stdout_coloured: coloured(anstream::AutoStream::choice(&stdout), stdout.is_terminal()),
            stderr_coloured: coloured(anstream::AutoStream::choice(&stderr), stderr.is_terminal()),
            stdout: Stdout::default(),
        }
    }

    /// Lines of a node, read at this time, in nanoseconds since the Unix epoch.
    pub(crate) fn node_lines(&mut self, node: &NodeId, stream: OutputStream, time_ns: u64, lines: &[String]) {
        let read = DateTime::from_timestamp_nanos(time_ns.try_into().unwrap_or(i64::MAX));
        let entry = |text| Entry::of_node(self.dataflow, node, stream, read, text);
        let text: String = lines.iter().filter_map(|line| self.shown(&entry(line))).collect();
        self.write(stream, &text);
    }

    /// Entries of standard output.
    pub(crate) fn entries<'a>(&mut self, entries: impl IntoIterator<Item = Entry<'a>>) {
        let text: String = entries.into_iter().filter_map(|entry| self.shown(&entry)).collect();
        self.write(OutputStream::Stdout, &text);
    }

    /// Something that dora itself has to say.
    pub(crate) fn own(&mut self, level: LogLevel, message: String) {
        self.print(&Entry::own(Some(self.dataflow), level, message));
    }

    /// The same, with values for programs to read.
    pub(crate) fn own_with(&mut self, level: LogLevel, message: String, fields: Value) {
        self.print(&Entry::own(Some(self.dataflow), level, message).with_fields(fields));
    }

    /// Nobody reads standard output any more: nothing more is written there.
    pub(crate) fn stdout_abandoned(&mut self) {
        self.stdout.close();
    }

    /// Why lines are not shown any more; each reason once.
    pub(crate) fn stdout_trouble(&mut self) -> Option<StdoutTrouble> {
        self.stdout.news.take()
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    fn print(&mut self, entry: &Entry<'_>) {
        if let Some(line) = self.shown(entry) {
            self.write(entry.to, &line);
        }
    }

    /// The line as it is shown, if it is wanted.
    fn shown(&self, entry: &Entry<'_>) -> Option<String> {
        let coloured = match entry.to {
            OutputStream::Stdout => self.stdout_coloured,
            OutputStream::Stderr => self.stderr_coloured,
        };
        self.filter.wants(entry).then(|| format::line(entry, self.format, coloured))
    }

    /// Writes whole lines, in one piece: a flood of lines is not a flood of system calls.
    fn write(&mut self, stream: OutputStream, lines: &str) {
        if lines.is_empty() {
            return;
        }
        match stream {
            // Nodes must not suffer when nobody reads what they print.
            OutputStream::Stdout => self.stdout.write(lines),
            OutputStream::Stderr => {
                let _ = io::stderr().lock().write_all(lines.as_bytes());
            }
        }
    }
}
