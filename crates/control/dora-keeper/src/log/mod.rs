//! What becomes of what nodes print: log files, the supervisor, outputs and inputs of the dataflow.
//!
//! Lines of a node are cut (`splitter`), written to its file by a thread (`writer`, `file`), sent to whoever subscribes
//! (`outputs`), and kept for the supervisor (`packets`) until it reads them. A node whose lines nobody reads waits in its
//! own full pipe ([`Logs::is_full`]), and no other one does: every queue belongs to one node, and [`Logs::tell`] takes
//! from them in turn. Where the supervisor is not to be waited for, the oldest lines of a full queue are left out and
//! counted instead. Nothing here waits, not even for the disk. It must not know of processes.

mod file;
mod node;
mod outputs;
mod packets;
mod splitter;
mod trouble;
mod writer;

use std::{
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use dora_channel::os::clock::monotonic_ns;
use dora_message::{
    clock::Anchor,
    id::DataflowId,
    supervision::{LaunchPlan, OutputStream},
};

use crate::{broker::Wiring, supervisor::SupervisorLink};
use node::NodeLog;
use outputs::LogOutputs;
use trouble::Trouble;
use writer::Writer;

pub(crate) use packets::{LONGEST_ENCODED, encoded_len};

/// What is known of all lines of a dataflow.
pub(crate) struct Logs {
    dataflow: DataflowId,
    clock: Anchor,
    nodes: Vec<NodeLog>,
    /// `None`: nobody in the dataflow subscribes to lines.
    outputs: Option<LogOutputs>,
    /// `None`: no node has a log file.
    writer: Option<Writer>,
    trouble: Trouble,
    /// The node whose lines are told next.
    turn: usize,
}

impl Logs {
    /// No lines yet. The error is a sentence.
    pub(crate) fn new(plan: &LaunchPlan, wiring: &Wiring) -> Result<Self, String> {
        let clock = Anchor::from_ns(plan.clock_anchor_ns);
        let outputs = LogOutputs::create(plan, wiring);
        let outputs = outputs.map_err(|error| format!("the edges of log entries cannot be made: {error}"))?;
        let writer = Writer::start(&plan.nodes)
            .map_err(|error| format!("the thread of the log files cannot be started: {error}"))?;
        Ok(Logs {
            dataflow: plan.dataflow_id,
            clock,
            nodes: plan.nodes.iter().map(NodeLog::new).collect(),
            outputs,
            writer,
            trouble: Trouble::default(),
            turn: 0,
        })
    }

    /// Takes what a node has printed on one stream; `each` sees every line that is complete now.
    pub(crate) fn take(&mut self, node: usize, stream: OutputStream, bytes: &[u8], each: &mut dyn FnMut(&str)) {
        self.process(node, stream, Some(bytes), each);
    }

    /// A stream has ended: its last line may lack the newline.
    pub(crate) fn end(&mut self, node: usize, stream: OutputStream, each: &mut dyn FnMut(&str)) {
        self.process(node, stream, None, each);
    }

    fn process(&mut self, number: usize, stream: OutputStream, bytes: Option<&[u8]>, each: &mut dyn FnMut(&str)) {
        let Some(node) = self.nodes.get_mut(number) else { return };
        let now = node::Moment { dataflow: self.dataflow, number, stream, time_ns: self.clock.unix_ns(monotonic_ns()) };
        node.process(&now, bytes, self.outputs.as_mut(), each);
        if let (Some(writer), Some(records)) = (&mut self.writer, node.take_records())
            && let Some(notice) = writer.write(number, records, now.time())
        {
            self.trouble.note(notice);
        }
    }

    /// Whether a node must wait until some of its lines were told or written.
    pub(crate) fn is_full(&self, node: usize) -> bool {
        let is_held_up = |writer: &Writer| writer.holds_up(node);
        self.nodes.get(node).is_some_and(NodeLog::is_full) || self.writer.as_ref().is_some_and(is_held_up)
    }

    /// Whether all lines of a node were told.
    pub(crate) fn is_told(&self, node: usize) -> bool {
        self.nodes.get(node).is_none_or(NodeLog::is_told)
    }

    /// Whether all lines of a node were told, or nobody will be told now: they are not waited for then.
    pub(crate) fn is_done(&mut self, node: usize, link: &mut SupervisorLink) -> bool {
        // What nobody hears is kept, for whoever comes next; what somebody hears late comes in order.
        if link.is_deaf()
            && link.is_heard()
            && let Some(missed) = self.nodes.get_mut(node).and_then(NodeLog::give_up)
        {
            link.send(&missed);
        }
        self.is_told(node) || link.is_deaf()
    }

    /// Another supervisor reads from now on.
    pub(crate) fn another_listens(&mut self) {
        self.nodes.iter_mut().for_each(NodeLog::another_listens);
    }

    /// Tells the supervisor as much as it takes now, one packet of each node in turn.
    pub(crate) fn tell(&mut self, link: &mut SupervisorLink) {
        if let Some(writer) = &self.writer {
            writer.notices().for_each(|notice| self.trouble.note(notice));
        }
        self.trouble.warnings().for_each(|message| link.warn(message));
        let mut silent = 0;
        while silent < self.nodes.len() && link.has_room() {
            let packet = self.nodes[self.turn].next_packet();
            self.turn = (self.turn + 1) % self.nodes.len();
            match packet {
                Some(packet) => {
                    link.send_encoded(packet);
                    silent = 0;
                }
                None => silent += 1,
            }
        }
        if link.is_deaf() {
            self.nodes.iter_mut().for_each(NodeLog::make_room);
        }
    }

    /// Becomes readable when [`Self::writer_spoke`] has something to do.
    pub(crate) fn writer_fd(&self) -> Option<BorrowedFd<'_>> {
        self.writer.as_ref().map(Writer::fd)
    }

    /// Takes what the thread of the log files has said. False: it is done.
    pub(crate) fn writer_spoke(&mut self) -> bool {
        self.writer.as_mut().is_some_and(Writer::woken)
    }

    /// When to look again at who must wait.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.writer.as_ref().and_then(Writer::deadline)
    }

    /// No more lines will come. Whether the log files are as complete as they will be.
    pub(crate) fn are_finished(&mut self, now: Instant) -> bool {
        self.writer.as_mut().is_none_or(|writer| writer.is_finished(now))
    }

    /// The end is not to wait for the disk any longer, if it does.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if let Some(writer) = &mut self.writer {
            writer.lose_patience(now);
        }
    }

    /// Waits until what was printed is in the log files, this long at most.
    pub(crate) fn settle(&mut self, within: Duration) {
        if let Some(writer) = &mut self.writer {
            writer.settle(within);
        }
    }

    /// A node has ended for good: the outputs that carry its lines end.
    pub(crate) fn close(&mut self, node: usize) {
        if let Some(outputs) = &mut self.outputs {
            outputs.close(node);
        }
    }

    /// What was lost, at the end: sentences for the user.
    pub(crate) fn losses(&self) -> impl Iterator<Item = String> {
        let unsent = self.outputs.as_ref().map_or(0, LogOutputs::unsent);
        let unsent = (unsent > 0).then(|| {
            format!("{unsent} log entries were not sent to their subscribers, because shared memory was short")
        });
        let unwritten = self.writer.iter().flat_map(Writer::unwritten);
        trouble::total(unwritten).into_iter().chain(unsent)
    }
}
