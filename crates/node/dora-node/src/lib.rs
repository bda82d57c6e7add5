//! What runs in the process of a node: the connection to its dataflow, outputs, events, timers.
//!
//! Node sources do not use this crate but its facade, `dora-node-api`.
//!
//! - [`DoraNode`]: the sending half.
//! - [`EventStream`]: the receiving half.
//! - [`integration_testing`]: a node without a dataflow.
//!
//! A message on its way: [`DoraNode::send_output`] (`node/send`) writes it into shared memory and rings the bells of its
//! consumers (dora-channel); [`EventStream::recv`] (`event_stream/scheduler`) takes it from the queue of its input and
//! makes an Arrow array of it that points into that memory (`event_stream/payload`).
//!
//! # Invariants
//! - Neither half waits for the other, nor for the keeper, after the start.
//! - A message is copied at most once, on the sending side.
//! - `Stop` releases a sender that waits; what is queued stays readable.
//! - Nobody polls: an idle node has one thread that blocks in a system call, and the user's.
//! - A forked child touches no shared memory but what it may read.

mod clock;
mod connection;
mod error;
pub mod event_stream;
mod fork;
pub mod integration_testing;
mod node;
mod pulse;
mod run_config;
#[cfg(feature = "tracing")]
mod tracing_output;

pub use connection::{AttachError, ConnectError, Running};
pub use dora_channel::os::signal::on_interrupt;
pub use error::{NodeError, NodeResult, PatternError, TestingError};
pub use event_stream::{
    Announced, Event, EventScheduler, EventStream, StopCause, TryRecvError,
    input_tracker::{InputState, InputTracker},
    merged,
};
pub use fork::Forked;
pub use node::{
    DataSample, DoraNode, DoraNodeBuilder, EncodedSample, NodeLog, SampleAllocator, StreamSegment, ZERO_COPY_THRESHOLD,
};
pub use run_config::{Descriptor, NodeRunConfig};
#[cfg(feature = "tracing")]
pub use tracing_output::{TracingGuard, init_tracing};
