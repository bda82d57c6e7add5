//! Sleeping on a word, and waking who sleeps there.

use std::{
    io,
    num::NonZeroU32,
    os::fd::{BorrowedFd, OwnedFd},
    sync::atomic::AtomicU32,
};

use rustix::{
    event::{EventfdFlags, eventfd},
    thread::futex::{Flags, wait_bitset, wake},
};

use super::clock::timespec;

const ANY: NonZeroU32 = NonZeroU32::MAX;

/// Sleeps while the word has this value, at most until the deadline (absolute, [`monotonic_ns`](super::clock)). May
/// return early; the caller looks at its conditions again. True: a signal was handled.
pub fn futex_wait(word: &AtomicU32, while_equal: u32, deadline_ns: Option<u64>) -> bool {
    // The bitset form is the one whose timeout is absolute: no drift when the wait is repeated.
    let deadline = deadline_ns.map(timespec);
    wait_bitset(word, Flags::empty(), while_equal, deadline.as_ref(), ANY) == Err(rustix::io::Errno::INTR)
}

/// Wakes whoever sleeps on the word: one thread, and perhaps another that is on the lookout for a task.
pub fn futex_wake(word: &AtomicU32) {
    const ALL: u32 = i32::MAX as u32;
    let _ = wake(word, Flags::empty(), ALL);
}

/// A counter that a poller can wait on.
pub fn new_eventfd() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Makes an eventfd readable.
pub fn eventfd_wake(fd: BorrowedFd<'_>) {
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

/// Makes an eventfd unreadable again.
pub fn eventfd_clear(fd: BorrowedFd<'_>) {
    let mut counter = [0u8; 8];
    let _ = rustix::io::read(fd, &mut counter);
}
