//! Whether a node is alive, as it shows by itself: a thread of it is in a call of the API, or has left one some time ago.
//!
//! Two words beside the node's bell, written by the node and read by the keeper when a deadline comes: nobody is woken
//! for it, and a node that waits writes nothing. It must not know how long is too long.

use std::sync::{
    Arc,
    atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use crate::{os::clock::monotonic_ns, waiter::Shared};

/// What lies in shared memory.
#[derive(Debug, Default)]
#[repr(C)]
pub struct PulseWords {
    /// Threads that are in a call.
    inside: AtomicU32,
    /// When the last call ended.
    left_ns: AtomicU64,
}

/// A look at a node's pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// A thread of the node is in a call of the API: it receives, waits to receive, or sends.
    pub inside: bool,
    /// When the last call ended, in nanoseconds of `CLOCK_MONOTONIC`; 0 before the first.
    pub left_ns: u64,
}

impl PulseWords {
    /// What the node shows now.
    pub fn look(&self) -> Sign {
        let inside = self.inside.load(Acquire) > 0;
        Sign { inside, left_ns: self.left_ns.load(Relaxed) }
    }
    /// Forgets what an earlier process of the node has left.
    pub fn reset(&self) {
        self.left_ns.store(0, Relaxed);
        self.inside.store(0, Release);
    }
    fn enter(&self) {
        self.inside.fetch_add(1, Relaxed);
    }
    fn leave(&self) {
        self.left_ns.store(monotonic_ns(), Relaxed);
        // Whoever sees nobody inside sees when the last one left.
        self.inside.fetch_sub(1, Release);
    }
}

/// The node's end of its pulse.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Shared>);

impl Pulse {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Pulse(shared)
    }
    /// The calling thread enters a call of the API.
    #[must_use]
    pub fn enter(&self) -> Inside {
        self.0.memory.pulse().enter();
        Inside(self.0.clone())
    }
}

/// A thread that is in a call of the API; dropped when it leaves.
#[derive(Debug)]
pub struct Inside(Arc<Shared>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.memory.pulse().leave();
    }
}

#[cfg(test)]
mod tests {
    use crate::{Waiter, broker::NodeChannels};

    #[test]
    fn the_keeper_sees_who_is_inside_and_when_the_last_one_left() {
        let channels = NodeChannels::create("a", 1 << 20).unwrap();
        let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
        let pulse = Waiter::open(own(channels.bell()), own(channels.eventfd())).unwrap().pulse();
        assert_eq!((channels.sign().inside, channels.sign().left_ns), (false, 0));
        let (first, second) = (pulse.enter(), pulse.enter());
        drop(first);
        let between = channels.sign();
        assert!(between.inside && between.left_ns > 0);
        drop(second);
        let after = channels.sign();
        assert!(!after.inside && after.left_ns >= between.left_ns);
        let _killed_inside = pulse.enter();
        channels.forget_sign();
        assert_eq!((channels.sign().inside, channels.sign().left_ns), (false, 0));
        std::mem::forget(_killed_inside);
    }
}
