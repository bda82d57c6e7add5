//! The receiving half.

use std::{
    sync::{Arc, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use super::{
    Polled,
    inbox::{Inbox, State},
};
use crate::os::clock::monotonic_ns;

/// The inputs of a receiver.
#[derive(Debug)]
pub struct Consumer<T> {
    inbox: Arc<Inbox<T>>,
    clock_offset_ns: u64,
}

impl<T> Consumer<T> {
    /// A receiver without inputs yet. `clock_offset_ns` plus `CLOCK_MONOTONIC` is the clock that senders stamp with.
    pub fn new(clock_offset_ns: u64) -> Self {
        Consumer { inbox: Arc::new(Inbox::new()), clock_offset_ns }
    }
    pub(super) fn inbox(&self) -> &Arc<Inbox<T>> {
        &self.inbox
    }
    /// Edges whose end has not been reported.
    pub fn open_edges(&self) -> usize {
        self.inbox.lock().open_edges()
    }
    /// Messages that the policy of an input gave up so far.
    pub fn dropped(&self, input: u32) -> u64 {
        self.inbox.lock().dropped(input)
    }
    fn look(&self, state: &mut State<T>) -> Polled<T> {
        let (found, made_room) = state.poll(monotonic_ns().wrapping_add(self.clock_offset_ns));
        if made_room {
            self.inbox.room.notify_all();
        }
        found
    }
    /// The next message, taking the inputs in turn. Does not wait.
    pub fn poll(&mut self) -> Polled<T> {
        self.look(&mut self.inbox.lock())
    }
    /// Waits for the next message, at most until the deadline (in [`monotonic_ns`]); then `Empty`.
    pub fn receive(&mut self, deadline_ns: Option<u64>) -> Polled<T> {
        let mut state = self.inbox.lock();
        loop {
            let found = self.look(&mut state);
            let left = deadline_ns.map(|deadline| deadline.saturating_sub(monotonic_ns()));
            if !matches!(found, Polled::Empty) || left == Some(0) {
                return found;
            }
            let arrived = &self.inbox.arrived;
            state = match left {
                None => arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(ns) => {
                    arrived.wait_timeout(state, Duration::from_nanos(ns)).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
    /// The next message for an async task, which is woken when there may be one. Never gives `Empty`.
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Polled<T>> {
        let mut state = self.inbox.lock();
        match self.look(&mut state) {
            Polled::Empty => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
            found => Poll::Ready(found),
        }
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        let released = self.inbox.lock().leave();
        self.inbox.room.notify_all();
        drop(released); // without the lock: destructors of payloads are not ours
    }
}
