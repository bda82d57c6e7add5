//! What an edge counts, where it happens: the producer counts what it sends and gives up, the consumer how long
//! messages took. Reading them costs the nodes nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Buckets of the latency histogram: bucket `i` counts messages that took at least 2^(i-1) and less than 2^i
/// nanoseconds; the last one everything longer (over nine minutes).
pub const LATENCY_BUCKETS: usize = 40;

/// Time from send to receive of the messages of one edge. Written by its consumer only.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct LatencyHistogram([AtomicU64; LATENCY_BUCKETS]);

impl Default for LatencyHistogram {
    fn default() -> Self {
        LatencyHistogram(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// The bucket of a latency.
#[inline]
pub fn bucket_of(latency_ns: u64) -> usize {
    ((64 - latency_ns.leading_zeros()) as usize).min(LATENCY_BUCKETS - 1)
}

impl LatencyHistogram {
    /// Counts one message. Only the consumer calls this, so no locked instruction is needed.
    #[inline]
    pub fn record(&self, latency_ns: u64) {
        let bucket = &self.0[bucket_of(latency_ns)];
        bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
    }
    /// All buckets.
    pub fn read(&self) -> [u64; LATENCY_BUCKETS] {
        std::array::from_fn(|i| self.0[i].load(Relaxed))
    }
}

/// Counters of one edge. `sent == received + dropped + queued + lost_in_crash`, where what is queued when the consumer
/// is gone counts as undelivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Messages that the producer put on this edge, given up ones included.
    pub sent: u64,
    /// Messages that the consumer took, without those that were lost.
    pub received: u64,
    /// Messages that a consumer process had taken and not released when it crashed, where another process went on with
    /// the queue. Messages of at most [`INLINE_LEN`](crate::INLINE_LEN) bytes are copied when they are taken and are never
    /// counted here.
    pub lost_in_crash: u64,
    /// Messages that the policy, a spent budget or a stop gave up, that a later one withdrew, or that nobody was there to
    /// read.
    pub dropped: u64,
    /// Those of the dropped messages that nobody was there to read.
    pub unattended: u64,
    /// Messages in the queue now.
    pub queued: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// Time from send to receive, see [`LATENCY_BUCKETS`].
    pub latency: [u64; LATENCY_BUCKETS],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(1), 1);
        assert_eq!(bucket_of(2), 2);
        assert_eq!(bucket_of(3), 2);
        assert_eq!(bucket_of(1024), 11);
        assert_eq!(bucket_of(u64::MAX), LATENCY_BUCKETS - 1);
    }
}
