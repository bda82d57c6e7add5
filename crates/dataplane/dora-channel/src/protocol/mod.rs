//! The lock-free core of a channel: bell, ring and holders.
//!
//! The same code runs over shared memory (std atomics at fixed places of a mapping) and under loom (loom atomics on the
//! heap), so what the models check is what runs. It must not know of system calls, pointers or payloads.
//!
//! - [`Bell`]: how a waiter sleeps without missing a message and a waker makes at most one system call.
//! - [`RingHeader`] with [`Slot`]s: a bounded queue from one producer to one consumer, from which the producer may also
//!   take the oldest entry back.
//! - [`Holders`]: which consumers still hold a chunk of payload.
//! - [`takeover`]: what of it a dead consumer held, while another process goes on with its queue.

mod bell;
mod holders;
pub mod order;
mod ring;
pub mod takeover;
mod watch;

pub use bell::{Bell, Sleep, SleepOn};
pub use holders::{EDGE_WORDS, EdgeSet, Holders, MAX_EDGES};
pub use ring::{
    CLOSED, CONSUMER_ABSENT, CONSUMER_CRASHED, CONSUMER_DEAD, CONSUMER_LEFT, CONSUMER_REPLACED, Pop, RingHeader,
    RxCursor, Slot, TxCursor, WORDS, Words,
};

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, fence};

/// A value alone on its cache lines: 128 bytes, because x86 fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Padded<T>(pub T);
