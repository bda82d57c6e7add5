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

use super::{
    file::{LogFile, Notice},
    outputs::LogOutputs,
    packets::Packer,
    splitter::LineSplitter,
};

/// Bytes that wait for the supervisor before the node has to wait.
const MOST_PENDING: usize = 128 * 1024;

/// The lines of one node.
pub(super) struct NodeLog {
    id: NodeId,
    plan: LogPlan,
    stdout: LineSplitter,
    stderr: LineSplitter,
    file: Option<LogFile>,
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
        let file = plan.log.file.as_ref();
        NodeLog {
            id: plan.id.clone(),
            plan: plan.log.clone(),
            stdout: LineSplitter::default(),
            stderr: LineSplitter::default(),
            file: file.map(|path| LogFile::new(path.clone(), plan.log.max_size, plan.log.max_rotated_files)),
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
    ) -> Option<Notice> {
        let NodeLog { id, plan, file, .. } = self;
        let mut sinks =
            Sinks { id, plan, now, file: file.as_mut(), outputs, packer: Packer::new(id, now.stream, now.time_ns) };
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
        self.file.as_mut().and_then(|file| file.flush(&self.id, now.time()))
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

    /// Lines that are missing in the log file, if any.
    pub(super) fn unwritten(&self) -> Option<(&NodeId, u64)> {
        let lost = self.file.as_ref()?.lost();
        (lost > 0).then_some((&self.id, lost))
    }
}

/// Where a line goes.
struct Sinks<'a> {
    id: &'a NodeId,
    plan: &'a LogPlan,
    now: &'a Moment,
    file: Option<&'a mut LogFile>,
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
        if let Some(file) = &mut self.file {
            let time = self.now.time();
            file.push(self.id, time, &LogRecord::new(self.id, self.now.stream, time, &entry));
        }
    }
}
