//! The queues of one consumer, behind one lock: what a push and a poll do to them.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Waker,
};

use super::{Message, Polled};
use crate::{
    Policy,
    counters::{Counters, LATENCY_BUCKETS, bucket_of},
};

/// The queues of one consumer.
#[derive(Debug)]
pub(super) struct Inbox<T> {
    state: Mutex<State<T>>,
    pub(super) arrived: Condvar,
    pub(super) room: Condvar,
}

#[derive(Debug)]
pub(super) struct State<T> {
    edges: Vec<Edge<T>>,
    next: usize,
    pub(super) waker: Option<Waker>,
    left: bool,
}

#[derive(Debug)]
struct Edge<T> {
    input: u32,
    queue: VecDeque<Message<T>>,
    capacity: usize,
    policy: Policy,
    closed: bool,
    /// The consumer was told of the end.
    ended: bool,
    counters: Counters,
}

pub(super) enum Pushed {
    Queued,
    Dropped,
    Gone,
    Stopping,
}

impl<T> Inbox<T> {
    pub(super) fn new() -> Self {
        let state = State { edges: Vec::new(), next: 0, waker: None, left: false };
        Inbox { state: Mutex::new(state), arrived: Condvar::new(), room: Condvar::new() }
    }

    /// Adds an edge: its number here.
    pub(super) fn add(&self, input: u32, capacity: u32, policy: Policy, closed: bool) -> usize {
        let counters = Counters {
            sent: 0,
            received: 0,
            lost_in_crash: 0,
            dropped: 0,
            unattended: 0,
            queued: 0,
            bytes: 0,
            latency: [0; LATENCY_BUCKETS],
        };
        let (queue, capacity) = (VecDeque::new(), capacity.max(1) as usize);
        let mut state = self.lock();
        state.edges.push(Edge { input, queue, capacity, policy, closed, ended: false, counters });
        state.edges.len() - 1
    }

    /// Nothing below panics between two steps that belong together, so a panic elsewhere does not spoil the state.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut state: MutexGuard<'_, State<T>>) {
        let waker = state.waker.take();
        drop(state);
        self.arrived.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn push(&self, at: usize, message: Message<T>, bytes: u64, stop: &AtomicBool) -> Pushed {
        let mut _evicted = None; // outlives the lock: destructors of payloads are not ours
        let mut state = self.lock();
        loop {
            if state.left {
                return Pushed::Gone;
            }
            let edge = &mut state.edges[at];
            if edge.queue.len() < edge.capacity {
                break;
            }
            match edge.policy {
                Policy::DropOldest => {
                    _evicted = edge.queue.pop_front();
                    edge.counters.dropped += 1;
                }
                Policy::Backpressure if !stop.load(SeqCst) => {
                    state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Policy::DropNewest | Policy::Backpressure => {
                    edge.counters.count_sent(bytes);
                    edge.counters.dropped += 1;
                    return if edge.policy == Policy::DropNewest { Pushed::Dropped } else { Pushed::Stopping };
                }
            }
        }
        let edge = &mut state.edges[at];
        edge.queue.push_back(message);
        edge.counters.count_sent(bytes);
        self.wake(state);
        Pushed::Queued
    }

    pub(super) fn close(&self, at: usize) {
        let mut state = self.lock();
        state.edges[at].closed = true;
        self.wake(state);
    }
}

impl Counters {
    fn count_sent(&mut self, bytes: u64) {
        self.sent += 1;
        self.bytes += bytes;
    }
}

impl<T> State<T> {
    /// The inputs in turn, so that a busy one cannot starve the others. Also tells whether a sender may have room now.
    pub(super) fn poll(&mut self, now_ns: u64) -> (Polled<T>, bool) {
        let count = self.edges.len();
        for step in 0..count {
            let at = (self.next + step) % count;
            let edge = &mut self.edges[at];
            let input = edge.input;
            if let Some(message) = edge.queue.pop_front() {
                self.next = at + 1;
                edge.counters.received += 1;
                edge.counters.latency[bucket_of(now_ns.saturating_sub(message.stamp_ns))] += 1;
                return (Polled::Message { input, message }, edge.policy == Policy::Backpressure);
            }
            if edge.closed && !std::mem::replace(&mut edge.ended, true) {
                return (Polled::Closed { input }, false);
            }
        }
        (Polled::Empty, false)
    }

    pub(super) fn open_edges(&self) -> usize {
        self.edges.iter().filter(|edge| !edge.ended).count()
    }

    pub(super) fn dropped(&self, input: u32) -> u64 {
        self.edges.iter().filter(|edge| edge.input == input).map(|edge| edge.counters.dropped).sum()
    }

    /// The consumer reads no more. What is queued counts as undelivered.
    pub(super) fn leave(&mut self) -> Vec<Message<T>> {
        self.left = true;
        let mut released = Vec::new();
        for edge in &mut self.edges {
            edge.counters.queued = edge.queue.len() as u64;
            released.extend(std::mem::take(&mut edge.queue));
        }
        released
    }
}

/// What one edge has counted, also after both ends are gone.
#[derive(Debug)]
pub struct EdgeCounters<T> {
    pub(super) inbox: Arc<Inbox<T>>,
    pub(super) at: usize,
}

impl<T> EdgeCounters<T> {
    /// The counters now.
    pub fn read(&self) -> Counters {
        let state = self.inbox.lock();
        let edge = &state.edges[self.at];
        let queued = if state.left { edge.counters.queued } else { edge.queue.len() as u64 };
        Counters { queued, ..edge.counters.clone() }
    }
}
