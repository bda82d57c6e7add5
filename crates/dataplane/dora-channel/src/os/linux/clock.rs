//! The one clock of the data plane: `CLOCK_MONOTONIC`, the same in all processes of a machine, never set back.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds since some fixed moment before boot.
///
/// ```
/// use dora_channel::os::clock::monotonic_ns;
/// let earlier = monotonic_ns();
/// assert!(monotonic_ns() >= earlier);
/// ```
#[inline]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds since the Unix epoch by the wall clock, which may be set.
pub fn wall_ns() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A moment of [`monotonic_ns`] as the kernel wants it.
pub fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}
