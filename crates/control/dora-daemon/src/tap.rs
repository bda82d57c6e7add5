//! Reads what an output sends while somebody looks at it.
//!
//! It must not know what the messages mean.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use dora_channel::{Consumer, InEdge, Message, PeerArena, Policy, Polled, Waiter, Waker, os::clock::monotonic_ns};

/// The messages of one process of a node on one output, from some moment on. What comes faster than it is read is left
/// out, the oldest first, and delays nobody. Dropping it ends the edge; messages may live longer.
#[derive(Debug)]
pub struct TapReader {
    consumer: Consumer,
    waiter: Waiter,
    ended: Arc<AtomicBool>,
}

/// What [`TapReader::next`] found.
#[derive(Debug)]
pub enum Tapped {
    /// The next message.
    Message(Message),
    /// The process sends no more on the output, or somebody has called [`TapEnd::end`].
    Over,
    /// The time is over.
    TimedOut,
}

/// Ends the wait for messages of a tap, from another thread.
#[derive(Debug)]
pub struct TapEnd {
    ended: Arc<AtomicBool>,
    waker: Waker,
}

impl TapEnd {
    /// Makes [`TapReader::next`] return [`Tapped::Over`], now and always.
    pub fn end(&self) {
        self.ended.store(true, SeqCst);
        self.waker.wake();
    }
}

impl TapReader {
    /// `fds`: those of [`FromKeeper::Tapped`](dora_message::supervision::FromKeeper::Tapped).
    pub(crate) fn open(bit: u16, capacity: u32, fds: Vec<OwnedFd>) -> io::Result<Self> {
        let mut fds = fds.into_iter();
        let mut next = || fds.next().ok_or(io::ErrorKind::NotFound);
        let (ring, arena, holders, bell, eventfd) = (next()?, next()?, next()?, next()?, next()?);
        let arena = PeerArena::open(arena, holders)?;
        let edge = InEdge::open(0, ring, capacity, Policy::DropOldest, bit.into(), arena)?;
        // Nobody looks at its latencies.
        let mut consumer = Consumer::new(0);
        // What was sent is looked at, also if a later message withdrew it.
        consumer.spare(|_| true);
        consumer.add_edge(edge);
        Ok(TapReader { consumer, waiter: Waiter::open(bell, eventfd)?, ended: Arc::default() })
    }

    /// The next message; waits for it, for at most `timeout`.
    pub fn next(&mut self, timeout: Option<Duration>) -> Tapped {
        let deadline = timeout.map(|timeout| {
            let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
            monotonic_ns().saturating_add(timeout)
        });
        loop {
            if self.ended.load(SeqCst) || self.consumer.open_edges() == 0 {
                return Tapped::Over;
            }
            match self.consumer.poll() {
                Polled::Message { message, .. } => return Tapped::Message(message),
                Polled::Closed { .. } | Polled::Broken { .. } => return Tapped::Over,
                Polled::Empty if deadline.is_some_and(|at| at <= monotonic_ns()) => return Tapped::TimedOut,
                Polled::Empty => {
                    let (consumer, ended) = (&self.consumer, &self.ended);
                    self.waiter.wait(|| ended.load(SeqCst) || consumer.is_ready(), deadline);
                }
            }
        }
    }

    /// Messages that were left out so far.
    pub fn missed(&self) -> u64 {
        self.consumer.dropped(0)
    }

    /// To end the wait for messages.
    pub fn end(&self) -> TapEnd {
        TapEnd { ended: self.ended.clone(), waker: self.waiter.waker() }
    }
}
