//! Whether to look a little longer before sleeping: a sender for room, a receiver for a message.
//!
//! Spinning pays when the other side runs on another CPU and is about to act (0.5 to 5 million small messages per second
//! over a short queue); on one CPU it steals the other side's time. So: never with one CPU, for at most 40 us, and only while
//! recent spins have paid. A stream of messages that are further apart than that soon is not spun for at all.

use crate::os::clock::monotonic_ns;

const LIMIT_NS: u64 = 40_000;
const START: i8 = 4;
const BEST: i8 = 16;
const WORST: i8 = -16;
/// One attempt in this many while spinning does not pay, to notice when it would again.
const PROBE: u32 = 64;

#[derive(Debug)]
pub(crate) struct Spin {
    several_cpus: bool,
    score: i8,
    waits: u32,
}

impl Spin {
    pub(crate) fn new() -> Self {
        let several_cpus = rustix::thread::sched_getaffinity(None).is_ok_and(|cpus| cpus.count() > 1);
        Spin { several_cpus, score: START, waits: 0 }
    }

    /// Spins until the condition holds or the time is over: whether it held.
    pub(crate) fn until(&mut self, mut holds: impl FnMut() -> bool) -> bool {
        self.waits = self.waits.wrapping_add(1);
        if !self.several_cpus || (self.score < 0 && !self.waits.is_multiple_of(PROBE)) {
            return false;
        }
        let end = monotonic_ns() + LIMIT_NS;
        let hit = loop {
            if holds() {
                break true;
            }
            for _ in 0..8 {
                std::hint::spin_loop();
            }
            if monotonic_ns() >= end {
                break false;
            }
        };
        self.score = if hit { (self.score + 4).min(BEST) } else { (self.score - 1).max(WORST) };
        hit
    }
}
