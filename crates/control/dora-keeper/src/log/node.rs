//! The lines of one node, whichever of its processes printed them.
//!
//! It outlives restarts: a process that is started again goes on in the log file of the one that crashed.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use dora_message::{
    id::{DataflowId, NodeId},
    log::{LogEntry, LogRecord},
    supervision::{FromKeeper, LogPlan, NodePlan, OutputStream},
};

use super::{
    outputs::LogOutputs,
    packets::{Packer, Packet},
    splitter::LineSplitter,
};

/// Bytes that wait for the supervisor before the node has to wait, or the oldest are left out.
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
    pending: VecDeque<Packet>,
    pending_bytes: usize,
    /// Lines that the supervisor is still to be told were left out.
    missed: u64,
    /// The supervisor was told the beginning of a line.
    mid_line: bool,
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
            missed: 0,
            mid_line: false,
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
            self.pending_bytes += packet.json.len();
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
        self.pending.is_empty() && self.missed == 0
    }

    /// What the supervisor is told next: lines, or how many are missing.
    pub(super) fn next_packet(&mut self) -> Option<Vec<u8>> {
        if let Some(missed) = self.take_missed() {
            // Our own types always have a JSON form.
            return serde_json::to_vec(&missed).ok();
        }
        let packet = self.pop()?;
        self.mid_line = packet.partial;
        Some(packet.json)
    }

    fn pop(&mut self) -> Option<Packet> {
        let packet = self.pending.pop_front()?;
        self.pending_bytes -= packet.json.len();
        Some(packet)
    }

    fn take_missed(&mut self) -> Option<FromKeeper> {
        let lines = std::mem::take(&mut self.missed);
        // Of a line that was begun nothing more comes: the supervisor forgets it.
        self.mid_line &= lines == 0;
        (lines > 0).then(|| FromKeeper::Missed { node: self.id.clone(), lines })
    }

    /// Nobody is waited for: the oldest lines give way, whole ones.
    pub(super) fn make_room(&mut self) {
        while self.is_full()
            && let Some(lines) = self.drop_line()
        {
            self.missed += lines;
        }
    }

    /// Leaves out a packet, and the rest of its last line.
    fn drop_line(&mut self) -> Option<u64> {
        let mut packet = self.pop()?;
        let mut lines = packet.lines;
        while packet.partial
            && let Some(rest) = self.pop()
        {
            lines += rest.lines;
            packet = rest;
        }
        Some(lines)
    }

    /// Gives up all that waits; what the supervisor is told of it, if that is anything.
    pub(super) fn give_up(&mut self) -> Option<FromKeeper> {
        while let Some(lines) = self.drop_line() {
            self.missed += lines;
        }
        self.take_missed()
    }

    /// Another supervisor reads: it knows the beginning of no line, and misses nothing that the log file has.
    pub(super) fn another_listens(&mut self) {
        if std::mem::take(&mut self.mid_line) {
            self.drop_line();
        }
        self.missed = 0;
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
