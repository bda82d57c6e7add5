//! Zero-copy channels between the processes of one machine.
//!
//! A message is written once, into a chunk of the producer's arena, and every consumer reads it there. What travels
//! through the ring of each edge is a descriptor of 64 bytes. Memory is unnamed (memfd), so a crash leaves nothing.
//!
//! - [`protocol`]: the lock-free core, the same under loom.
//! - [`broker`]: what the keeper does: creates the memory, marks the edges of the dead.
//! - [`Producer`] with [`Arena`] and [`OutEdge`]: what a node sends with.
//! - [`Consumer`] with [`InEdge`] and [`Message`]: what a node receives with.
//! - [`local`]: the same channel inside one process, for operators and tests.
//! - [`Waiter`], [`Lookout`] and [`Waker`]: how a node sleeps and is woken. [`Pulse`]: how it shows that it is alive.
//! - [`prefetch`]: what a node that slept loads before it needs it.
//! - [`os`]: the only part that calls the system.
//!
//! This crate must not know of nodes' names, Arrow, sockets' protocols or dataflow files.
//!
//! # Invariants
//! - received + dropped + queued + lost in crashes = sent, in order; under `DropOldest` the newest message arrives.
//! - A chunk with a set bit is never written; without bits and loans it is reused.
//! - `CLOSED` is seen after the last message.
//! - No wake-up is lost, even if a waker dies between its decision and its system call.
//! - No consumer, slow, stopped or dead, delays another one; it delays its producer only under `Backpressure`.
#![cfg_attr(loom, allow(dead_code))]

pub mod protocol;

#[cfg(not(loom))]
mod arena;
#[cfg(not(loom))]
pub mod broker;
#[cfg(not(loom))]
mod budget;
#[cfg(all(feature = "conformance", not(loom)))]
pub mod conformance;
#[cfg(not(loom))]
mod consumer;
#[cfg(not(loom))]
mod counters;
#[cfg(not(loom))]
mod descriptor;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
pub mod local;
#[cfg(not(loom))]
pub mod os;
#[cfg(not(loom))]
pub mod prefetch;
#[cfg(not(loom))]
mod producer;
#[cfg(not(loom))]
mod pulse;
#[cfg(not(loom))]
mod spin;
#[cfg(not(loom))]
mod takeover;
#[cfg(not(loom))]
mod waiter;

#[cfg(not(loom))]
pub use self::{
    arena::{AllocateError, Arena, Chunk},
    budget::BudgetMemory,
    consumer::{Consumer, InEdge, Lease, Message, PeerArena, Polled},
    counters::{Counters, LATENCY_BUCKETS, bucket_of},
    descriptor::{INLINE_LEN, MAX_HEADER_LEN},
    layout::MAX_CAPACITY,
    producer::{OutEdge, Outgoing, Payload, Producer, SendError, SenderControl, chunk_layout},
    protocol::{MAX_EDGES, SleepOn},
    pulse::{Inside, Pulse, Sign},
    waiter::{Lookout, Waiter, Waker},
};

/// What happens on an edge whose queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The oldest queued message makes room; it is counted as dropped.
    DropOldest,
    /// The new message is not queued; it is counted as dropped.
    DropNewest,
    /// The sender waits until there is room.
    Backpressure,
}
