//! The hybrid clock, without a clock: arithmetic on readings that the caller takes.
//!
//! A step of the machine's wall clock must disturb neither the order of messages nor latency figures. So nobody reads
//! the wall clock while a dataflow runs: its keeper relates the wall clock to `CLOCK_MONOTONIC` once ([`Anchor`]), every
//! process of the dataflow on that machine gets this anchor, and all of them tell the time as anchor + monotonic.
//!
//! ```
//! use dora_message::clock::{Anchor, HybridClock, latency_ns};
//!
//! let anchor = Anchor::new(1_700_000_000_000_000_000, 5_000_000_000); // both clocks, read together, in ns
//! let clock = HybridClock::new(anchor);
//! let sent = clock.tick(6_000_000_000);
//! let again = clock.tick(6_000_000_000);
//! assert!(again > sent, "two messages of the same instant are still ordered");
//! assert!(latency_ns(sent, anchor.word_at(6_000_250_000)).abs_diff(250_000) <= 4);
//! ```
//!
//! A time is a [`uhlc::NTP64`] word: seconds since 1970 in the upper 32 bits, the fraction below. Its lowest
//! [`COUNTER_BITS`] bits count events of the same instant, which leaves a resolution of 3.7 ns.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use uhlc::NTP64;

const NS_PER_S: u128 = 1_000_000_000;

/// Number of low bits of a time word that are a counter and not time.
pub const COUNTER_BITS: u8 = uhlc::CSIZE;

/// How far ahead of our own clock a received time may lie before [`HybridClock::observe`] ignores it: 500 ms.
pub const MAX_DRIFT_NS: u64 = 500_000_000;

const COUNTER_MASK: u64 = (1 << COUNTER_BITS) - 1;

/// How `CLOCK_MONOTONIC` of one machine relates to the wall clock: taken once, by the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Anchor {
    /// Nanoseconds since 1970 at which the monotonic clock read zero.
    ns: u64,
}

impl Anchor {
    /// Relates the two clocks by readings taken at the same moment: nanoseconds since 1970, and of `CLOCK_MONOTONIC`.
    pub const fn new(unix_ns: u64, monotonic_ns: u64) -> Self {
        Self { ns: unix_ns.saturating_sub(monotonic_ns) }
    }

    /// The anchor itself: nanoseconds since 1970 at which the monotonic clock read zero.
    pub const fn as_ns(self) -> u64 {
        self.ns
    }

    /// The counterpart of [`Self::as_ns`].
    pub const fn from_ns(ns: u64) -> Self {
        Self { ns }
    }

    /// Nanoseconds since 1970 at this reading of the monotonic clock.
    pub const fn unix_ns(self, monotonic_ns: u64) -> u64 {
        self.ns.saturating_add(monotonic_ns)
    }

    /// The time word of this reading of the monotonic clock, counter bits zero.
    #[inline]
    pub fn word_at(self, monotonic_ns: u64) -> NTP64 {
        word_of_ns(self.unix_ns(monotonic_ns))
    }

    /// The reading of the monotonic clock at this time, to 3.7 ns; 0 if it lies before the machine's start.
    pub fn monotonic_ns(self, word: NTP64) -> u64 {
        unix_ns(word).saturating_sub(self.ns)
    }
}

/// Nanoseconds since 1970 of a time word, counter bits ignored.
pub fn unix_ns(word: NTP64) -> u64 {
    span_ns(time_bits(word))
}

/// Nanoseconds from `sent` to `now`, counter bits ignored; 0 if `now` is earlier, which a burst within one instant can
/// make it by a few nanoseconds.
pub fn latency_ns(sent: NTP64, now: NTP64) -> u64 {
    span_ns(time_bits(now).saturating_sub(time_bits(sent)))
}

/// Hands out times that only grow, and that follow every time it has observed. Does not read any clock.
///
/// Any number of threads may share it.
#[derive(Debug)]
pub struct HybridClock {
    anchor: Anchor,
    last: AtomicU64,
}

impl HybridClock {
    /// A clock of this machine that has seen nothing yet.
    pub const fn new(anchor: Anchor) -> Self {
        Self { anchor, last: AtomicU64::new(0) }
    }

    /// The anchor it was made with.
    pub const fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// The time of an event that happens at this reading of the monotonic clock. Greater than every earlier one.
    pub fn tick(&self, monotonic_ns: u64) -> NTP64 {
        let now = self.anchor.word_at(monotonic_ns).as_u64();
        // Relaxed: the word is the whole state, and an order between threads comes from what passes between them.
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = now.max(last.saturating_add(1));
            match self.last.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return NTP64(next),
                Err(newer) => last = newer,
            }
        }
    }

    /// Takes note of a received time: later ticks are greater. Returns whether it was taken; a time more than
    /// [`MAX_DRIFT_NS`] ahead of ours is not, because one broken clock must not drag all others along.
    pub fn observe(&self, received: NTP64, monotonic_ns: u64) -> bool {
        let taken = latency_ns(self.anchor.word_at(monotonic_ns), received) <= MAX_DRIFT_NS;
        if taken {
            self.last.fetch_max(received.as_u64(), Ordering::Relaxed);
        }
        taken
    }
}

fn time_bits(word: NTP64) -> u64 {
    word.as_u64() & !COUNTER_MASK
}

/// Length of a difference of time words in nanoseconds, rounded to the nearest.
fn span_ns(difference: u64) -> u64 {
    ((u128::from(difference) * NS_PER_S + (1 << 31)) >> 32) as u64
}

fn word_of_ns(unix_ns: u64) -> NTP64 {
    // In two parts, because dividing 128-bit numbers is slow and each message needs this.
    let (seconds, rest_ns) = (unix_ns / 1_000_000_000, unix_ns % 1_000_000_000);
    let fraction = ((rest_ns << 32) + 500_000_000) / 1_000_000_000;
    // 32 bits of seconds end in 2106; saturate rather than wrap to 1970
    let word = u32::try_from(seconds).map_or(u64::MAX, |seconds| (u64::from(seconds) << 32).saturating_add(fraction));
    NTP64(word & !COUNTER_MASK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_753_000_000_123_456_789;

    #[test]
    fn the_counter_has_the_width_that_uhlc_uses() {
        assert_eq!(COUNTER_BITS, 4);
        assert_eq!(Anchor::from_ns(NOW).word_at(0).as_u64() & 0xf, 0);
    }

    #[test]
    fn a_burst_within_one_instant_is_ordered_and_costs_no_latency() {
        let clock = HybridClock::new(Anchor::from_ns(NOW));
        let words: Vec<_> = (0..100).map(|_| clock.tick(7)).collect();
        assert!(words.is_sorted_by(|a, b| a < b));
        assert_eq!(latency_ns(words[99], clock.anchor().word_at(7)), 0);
    }

    #[test]
    fn observed_times_are_followed_but_not_blindly() {
        let clock = HybridClock::new(Anchor::from_ns(NOW));
        let near = Anchor::from_ns(NOW).word_at(MAX_DRIFT_NS / 2);
        assert!(clock.observe(near, 0));
        assert!(clock.tick(1) > near);
        let far = Anchor::from_ns(NOW).word_at(2 * MAX_DRIFT_NS);
        assert!(!clock.observe(far, 1));
        assert!(clock.tick(2) < far);
    }

    #[test]
    fn concurrent_ticks_are_unique() {
        let clock = HybridClock::new(Anchor::from_ns(NOW));
        let mut words: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..500).map(|ns| clock.tick(ns)).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        words.sort();
        words.dedup();
        assert_eq!(words.len(), 2000);
    }

    proptest! {
        #[test]
        fn conversion_is_exact_to_the_resolution(monotonic in 0..u64::MAX / 16) {
            let anchor = Anchor::from_ns(NOW);
            prop_assume!(anchor.unix_ns(monotonic) < 4_000_000_000_000_000_000);
            let back = anchor.monotonic_ns(anchor.word_at(monotonic));
            prop_assert!(back.abs_diff(monotonic) <= 4, "{back} {monotonic}");
        }

        #[test]
        fn latency_is_the_difference(sent in 0..1u64 << 40, took in 0..1u64 << 40) {
            let anchor = Anchor::from_ns(NOW);
            let latency = latency_ns(anchor.word_at(sent), anchor.word_at(sent + took));
            prop_assert!(latency.abs_diff(took) <= 4, "{latency} {took}");
        }

        #[test]
        fn no_reading_panics(anchor: u64, monotonic: u64, word: u64) {
            let clock = HybridClock::new(Anchor::from_ns(anchor));
            clock.observe(NTP64(word), monotonic);
            clock.tick(monotonic);
            clock.anchor().monotonic_ns(NTP64(word));
        }
    }
}
