//! What time it is in a dataflow: one clock for all its processes on a machine, which nobody can set back.
//!
//! It is `CLOCK_MONOTONIC` plus an anchor that the keeper fixed when the dataflow started, in nanoseconds since the Unix
//! epoch. A step of the wall clock changes neither the order of messages nor their latency. Messages carry nanoseconds;
//! [`uhlc::Timestamp`] appears only where users see it.

use std::{
    num::NonZeroU128,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use dora_channel::os::clock::{monotonic_ns, wall_ns};
use dora_message::{clock::Anchor, id::NodeId};

/// The clock of one node.
#[derive(Debug)]
pub(crate) struct NodeClock {
    anchor: Anchor,
    last: AtomicU64,
    id: uhlc::ID,
}

impl NodeClock {
    pub(crate) fn new(anchor: Anchor, node: &NodeId) -> Self {
        NodeClock { anchor, last: AtomicU64::new(0), id: clock_id(node) }
    }

    /// A clock for a node that runs alone: it starts with the wall clock.
    pub(crate) fn alone(node: &NodeId) -> Self {
        Self::new(Anchor::new(wall_ns(), monotonic_ns()), node)
    }

    /// The time of an event of this node, in nanoseconds since the Unix epoch. Greater than every earlier one.
    pub(crate) fn stamp(&self) -> u64 {
        let now = self.anchor.unix_ns(monotonic_ns());
        // Relaxed: the number is the whole state. Failing to exchange means that another thread took a stamp meanwhile.
        let mut last = self.last.load(Relaxed);
        loop {
            let next = now.max(last + 1);
            match self.last.compare_exchange_weak(last, next, Relaxed, Relaxed) {
                Ok(_) => return next,
                Err(newer) => last = newer,
            }
        }
    }

    /// [`Self::stamp`] as users see it.
    pub(crate) fn timestamp(&self) -> uhlc::Timestamp {
        timestamp(self.stamp(), self.id)
    }

    /// The time now, which need not be unique.
    pub(crate) fn now_ns(&self) -> u64 {
        self.anchor.unix_ns(monotonic_ns())
    }
}

/// A stamp as users see it.
pub(crate) fn timestamp(stamp_ns: u64, clock: uhlc::ID) -> uhlc::Timestamp {
    uhlc::Timestamp::new(Anchor::from_ns(0).word_at(stamp_ns), clock)
}

/// The id of a node's clock: the same in all processes, so that it need not travel. A hash of the node id (FNV-1a).
pub(crate) fn clock_id(node: &NodeId) -> uhlc::ID {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = node.as_str().bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    uhlc::ID::from(NonZeroU128::new(hash).unwrap_or(NonZeroU128::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_even_within_one_reading() {
        let clock = NodeClock::new(Anchor::from_ns(u64::MAX / 4), &"a".into());
        let stamps: Vec<_> = (0..1000).map(|_| clock.stamp()).collect();
        assert!(stamps.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_timestamp_tells_time_and_node() {
        let camera = clock_id(&"camera".into());
        assert_ne!(camera, clock_id(&"camerb".into()));
        let stamp = timestamp(1_700_000_000_500_000_000, camera);
        assert_eq!(*stamp.get_id(), camera);
        assert!((stamp.get_time().as_secs_f64() - 1_700_000_000.5).abs() < 1e-6);
    }
}
