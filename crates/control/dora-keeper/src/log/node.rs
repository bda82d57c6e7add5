//! The lines of one node, whichever of its processes printed them.
//!
//! It outlives restarts: a process that is started again goes on in the log file of the one that crashed.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use dora_message::{
    id::{DataflowId, NodeId},
    log::{LogEntry, LogRecord},
    supervision::{LogPlan, NodePlan, OutputStream},
};

use super::{outputs::LogOutputs, packets::Packer, splitter::LineSplitter};

/// Bytes that wait for the supervisor before the node has to wait.
const MOST_PENDING: usize = 128 * 1024;

/// The lines of one node.
pub(super) struct NodeLog {
    id: NodeId,
    plan: LogPlan,
    stdout: LineSplitter,
    stderr: LineSplitter,
    /// Lines for the log file, each with its newline. `None`: it has no file.
    records: Option<Vec<u8>>,
    /// Packets for the supervisor.
    pending: VecDeque<Vec<u8>>,
    pending_bytes: usize,
}

/// When and where something was read.
pub(super) struct Moment {
    pub(super) dataflow: DataflowId,
    /// The node.
    pub(super) number: usize,
    pub(super) stream: OutputStream,
    /// Nanoseconds since the Unix epoch.
    pub(super) time_ns: u64,
}

impl Moment {
    pub(super) fn time(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.time_ns.try_into().unwrap_or(i64::MAX))
    }
}

impl NodeLog {
    pub(super) fn new(plan: &NodePlan) -> Self {
        NodeLog {
            id: plan.id.clone(),
            plan: plan.log.clone(),
            stdout: LineSplitter::default(),
            stderr: LineSplitter::default(),
            records: plan.log.file.as_ref().map(|_| Vec::new()),
            pending: VecDeque::new(),
            pending_bytes: 0,
        }
    }

    /// Takes bytes, or the end of a stream.
    pub(super) fn process(
        &mut self,
        now: &Moment,
        bytes: Option<&[u8]>,
        outputs: Option<&mut LogOutputs>,
        each: &mut dyn FnMut(&str),
    ) {
        let NodeLog { id, plan, records, .. } = self;
        let packer = Packer::new(id, now.stream, now.time_ns);
        let mut sinks = Sinks { id, plan, now, records: records.as_mut(), outputs, packer };
        let mut emit = |text: &str, ended| {
            each(text);
            sinks.line(text, ended);
        };
        let splitter = match now.stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        match bytes {
            Some(bytes) => splitter.push(bytes, &mut emit),
            None => splitter.finish(&mut emit),
        }
        for packet in sinks.packer.finish() {
            self.pending_bytes += packet.len();
            self.pending.push_back(packet);
        }
    }

    /// Lines for the log file that came since the last call.
    pub(super) fn take_records(&mut self) -> Option<Vec<u8>> {
        self.records.as_mut().filter(|records| !records.is_empty()).map(std::mem::take)
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending_bytes >= MOST_PENDING
    }

    pub(super) fn is_told(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn next_packet(&mut self) -> Option<Vec<u8>> {
        let packet = self.pending.pop_front()?;
        self.pending_bytes -= packet.len();
        Some(packet)
    }
}

/// Where a line goes.
struct Sinks<'a> {
    id: &'a NodeId,
    plan: &'a LogPlan,
    now: &'a Moment,
    records: Option<&'a mut Vec<u8>>,
    outputs: Option<&'a mut LogOutputs>,
    packer: Packer<'a>,
}

impl Sinks<'_> {
    fn line(&mut self, text: &str, ended: bool) {
        if let Some(outputs) = &mut self.outputs {
            outputs.send_text(self.now, text, ended);
        }
        let entry = LogEntry::parse(text);
        if entry.level > self.plan.min_level {
            return;
        }
        self.packer.push(text);
        if let Some(outputs) = &mut self.outputs {
            outputs.send_entry(self.now, self.id, &entry);
        }
        if let Some(records) = &mut self.records {
            append(records, &LogRecord::new(self.id, self.now.stream, self.now.time(), &entry));
        }
    }
}

fn append(records: &mut Vec<u8>, record: &LogRecord<'_>) {
    let start = records.len();
    match serde_json::to_writer(&mut *records, record) {
        Ok(()) => records.push(b'\n'),
        // Our own types always have a JSON form.
        Err(_) => records.truncate(start),
    }
}
