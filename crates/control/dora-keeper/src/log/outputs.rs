//! What nodes print as messages of the dataflow: outputs of `send_stdout_as` and `send_logs_as`, inputs from `dora/logs`.
//!
//! The keeper is a producer like any node. It never waits for a consumer: all these edges drop, and count what they drop.

use std::{collections::HashMap, io, os::fd::BorrowedFd, sync::Arc};

use dora_channel::{Arena, BudgetMemory, INLINE_LEN, OutEdge, Outgoing, Payload, Policy, Producer, Waker};
use dora_message::{
    arrow::TypeTag,
    id::NodeId,
    keeper::QueuePolicy,
    log::{LogEntry, LogMessage},
    supervision::{EdgePlan, EdgeSource, LaunchPlan, LogPlan},
};

use super::node::Moment;
use crate::broker::{Grant, Wiring};

/// One edge, which is an output of its own: consumers differ in what they want.
struct Route {
    from: EdgeSource,
    to: usize,
    /// Every line of the node goes here, as text.
    text: bool,
    /// Every structured entry of the node goes here.
    entries: bool,
}

impl Route {
    fn new(edge: &EdgePlan, plan: &LaunchPlan) -> Self {
        let log = edge.from.node().and_then(|node| plan.nodes.get(node as usize)).map(|node| &node.log);
        let is_output =
            |output: fn(&LogPlan) -> &Option<_>| log.is_some_and(|log| *output(log) == Some(edge.output.clone()));
        Route {
            from: edge.from,
            to: edge.to as usize,
            text: is_output(|log| &log.stdout_as),
            entries: is_output(|log| &log.logs_as),
        }
    }

    fn wants_text(&self, from: usize) -> bool {
        self.text && self.from == EdgeSource::Printed(from as u32)
    }

    fn wants_entry(&self, from: usize, entry: &LogEntry<'_>) -> bool {
        match self.from {
            EdgeSource::Logs { level, node } => {
                let asked = node.is_none_or(|node| node as usize == from);
                // Whoever logs what it receives would never come to rest.
                asked && entry.level <= level && self.to != from
            }
            EdgeSource::Printed(node) => self.entries && entry.is_structured() && node as usize == from,
            EdgeSource::Node(_) => false,
        }
    }
}

/// The keeper as a producer.
pub(super) struct LogOutputs {
    producer: Producer,
    /// Known by the position of the output.
    routes: Vec<Route>,
    last_stamp: u64,
    unsent: u64,
}

impl LogOutputs {
    /// `None`: there are no such edges.
    pub(super) fn create(plan: &LaunchPlan, wiring: &Wiring) -> io::Result<Option<Self>> {
        let Some((slot, grants)) = wiring.own_outputs(plan) else { return Ok(None) };
        let mut fds = wiring.welcome(slot).into_iter().skip(2);
        let mut next = || fds.next().ok_or(io::ErrorKind::NotFound)?.try_clone_to_owned();
        let (arena, holders) = (next()?, next()?);
        let arena = Arena::open(arena, holders, BudgetMemory::map(next()?)?, slot)?;
        let mut producer = Producer::new(arena, grants.len());
        let mut wakers = HashMap::new();
        let mut routes = Vec::with_capacity(grants.len());
        for (output, grant) in grants.into_iter().enumerate() {
            routes.push(Route::new(&plan.edges[grant.0.edge as usize], plan));
            producer.add_edge(output, open(grant, &mut wakers)?);
        }
        Ok(Some(LogOutputs { producer, routes, last_stamp: 0, unsent: 0 }))
    }

    /// Sends a line as it was printed.
    pub(super) fn send_text(&mut self, now: &Moment, text: &str, ended: bool) {
        let mut line = None;
        for output in 0..self.routes.len() {
            if self.routes[output].wants_text(now.number) {
                let line = line.get_or_insert_with(|| [text, if ended { "\n" } else { "" }].concat());
                self.send(output, now, line.as_bytes());
            }
        }
    }

    /// Sends an entry as JSON.
    pub(super) fn send_entry(&mut self, now: &Moment, node: &NodeId, entry: &LogEntry<'_>) {
        let mut json = None;
        for output in 0..self.routes.len() {
            if self.routes[output].wants_entry(now.number, entry) {
                let message = || LogMessage::new(Some(now.dataflow), Some(node), now.time(), entry);
                // Our own types always have a JSON form.
                let json = json.get_or_insert_with(|| serde_json::to_vec(&message()).unwrap_or_default());
                self.send(output, now, json);
            }
        }
    }

    fn send(&mut self, output: usize, now: &Moment, text: &[u8]) {
        if !self.producer.has_consumers(output) {
            return;
        }
        let Some(payload) = self.payload(text) else {
            self.unsent += 1;
            return;
        };
        self.last_stamp = now.time_ns.max(self.last_stamp + 1);
        let message = Outgoing { tag: TypeTag::Text.into(), stamp_ns: self.last_stamp, payload };
        // What a full queue gives up is counted by its edge.
        if self.producer.send(output, message).is_err() {
            self.unsent += 1;
        }
    }

    fn payload(&mut self, text: &[u8]) -> Option<Payload> {
        if text.len() <= INLINE_LEN {
            let mut bytes = [0; INLINE_LEN];
            bytes[..text.len()].copy_from_slice(text);
            return Some(Payload::Inline { bytes, len: text.len() as u8 });
        }
        // Never waits, because no edge does.
        let mut chunk = self.producer.allocate(text.len()).ok()?;
        chunk[..text.len()].copy_from_slice(text);
        Some(Payload::Chunk { chunk, len: text.len(), header_len: 0 })
    }

    /// The outputs of a node end after what was sent.
    pub(super) fn close(&mut self, node: usize) {
        for output in 0..self.routes.len() {
            if self.routes[output].from == EdgeSource::Printed(node as u32) {
                self.producer.close_output(output);
            }
        }
    }

    /// Messages for which there was no memory.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent
    }
}

fn open((grant, fds): Grant<'_>, wakers: &mut HashMap<u32, Arc<Waker>>) -> io::Result<OutEdge> {
    let mut fds = fds.into_iter().map(|fd: BorrowedFd<'_>| fd.try_clone_to_owned());
    let mut next = || fds.next().ok_or(io::ErrorKind::NotFound)?;
    let ring = next()?;
    if grant.new_peer {
        wakers.insert(grant.peer_index, Arc::new(Waker::open(next()?, next()?)?));
    }
    let waker = wakers.get(&grant.peer_index).ok_or(io::ErrorKind::NotFound)?.clone();
    let policy = match grant.policy {
        QueuePolicy::DropNewest => Policy::DropNewest,
        // Loading turns a wish to wait into a longer queue; a plan that asks for it nevertheless must not stop the keeper.
        QueuePolicy::DropOldest | QueuePolicy::Backpressure => Policy::DropOldest,
    };
    OutEdge::open(ring, grant.capacity, policy, grant.bit.into(), waker)
}
