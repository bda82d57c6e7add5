//! The sending half.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use super::{
    Consumer, EdgeCounters, Message, Outgoing, Stopping,
    inbox::{Inbox, Pushed},
};
use crate::Policy;

/// The outputs of a sender, known by their position.
#[derive(Debug)]
pub struct Producer<T> {
    outputs: Vec<Output<T>>,
    control: Arc<SenderControl<T>>,
}

#[derive(Debug)]
struct Output<T> {
    edges: Vec<OutEdge<T>>,
    sequence: u64,
    closed: bool,
}

#[derive(Debug)]
struct OutEdge<T> {
    inbox: Arc<Inbox<T>>,
    at: usize,
    blocks: bool,
}

/// Releases a blocked sender from another thread.
#[derive(Debug)]
pub struct SenderControl<T> {
    stopping: AtomicBool,
    inboxes: Mutex<Vec<Arc<Inbox<T>>>>,
}

impl<T> SenderControl<T> {
    fn inboxes(&self) -> MutexGuard<'_, Vec<Arc<Inbox<T>>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// From now on no send waits: one that would fails with [`Stopping`]. Releases those that wait already.
    pub fn stop(&self) {
        self.stopping.store(true, SeqCst);
        for inbox in self.inboxes().iter() {
            drop(inbox.lock()); // a sender between its look at the flag and its wait holds this lock
            inbox.room.notify_all();
        }
    }
}

impl<T: Clone> Producer<T> {
    /// A sender with this many outputs and no consumers yet.
    pub fn new(outputs: usize) -> Self {
        let control = SenderControl { stopping: AtomicBool::new(false), inboxes: Mutex::default() };
        let outputs = (0..outputs).map(|_| Output { edges: Vec::new(), sequence: 0, closed: false }).collect();
        Producer { outputs, control: Arc::new(control) }
    }
    /// The handle with which other threads release a blocked sender.
    pub fn control(&self) -> Arc<SenderControl<T>> {
        self.control.clone()
    }
    /// Connects an output to a consumer. `input` is the consumer's key for its messages; `capacity` 0 counts as 1. The
    /// edge reads what it has counted.
    pub fn connect(
        &mut self,
        output: usize,
        consumer: &Consumer<T>,
        input: u32,
        capacity: u32,
        policy: Policy,
    ) -> Option<EdgeCounters<T>> {
        let output = self.outputs.get_mut(output)?;
        let inbox = consumer.inbox().clone();
        let at = inbox.add(input, capacity, policy, output.closed);
        output.edges.push(OutEdge { inbox: inbox.clone(), at, blocks: policy == Policy::Backpressure });
        output.edges.sort_by_key(|edge| edge.blocks); // those that block come last and delay no other
        self.control.inboxes().push(inbox.clone());
        Some(EdgeCounters { inbox, at })
    }
    /// Sends a message to all consumers of an output: how many got it.
    pub fn send(&mut self, output: usize, message: Outgoing<T>) -> Result<usize, Stopping> {
        let Some(output) = self.outputs.get_mut(output).filter(|output| !output.closed) else { return Ok(0) };
        let sequence = output.sequence;
        output.sequence += 1;
        let (mut delivered, mut stopped) = (0, false);
        output.edges.retain(|edge| {
            let copy = Message { payload: message.payload.clone(), sequence, stamp_ns: message.stamp_ns };
            let pushed = edge.inbox.push(edge.at, copy, message.bytes, &self.control.stopping);
            delivered += usize::from(matches!(pushed, Pushed::Queued));
            stopped |= matches!(pushed, Pushed::Stopping);
            !matches!(pushed, Pushed::Gone)
        });
        if stopped { Err(Stopping) } else { Ok(delivered) }
    }
}

impl<T> Producer<T> {
    /// Whether anybody would get a message of this output.
    pub fn has_consumers(&self, output: usize) -> bool {
        self.outputs.get(output).is_some_and(|output| !output.closed && !output.edges.is_empty())
    }
    /// Ends an output: each consumer reads the end after what is queued.
    pub fn close_output(&mut self, output: usize) {
        let Some(output) = self.outputs.get_mut(output) else { return };
        if !std::mem::replace(&mut output.closed, true) {
            output.edges.iter().for_each(|edge| edge.inbox.close(edge.at));
        }
    }
    /// Ends all outputs.
    pub fn close(&mut self) {
        (0..self.outputs.len()).for_each(|output| self.close_output(output));
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.close();
    }
}
