//! The Rust API of dora nodes.
//!
//! ```no_run
//! use dora_node_api::{DoraNode, Event, MetadataParameters};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let (mut node, mut events) = DoraNode::init_from_env()?;
//!     while let Some(event) = events.recv() {
//!         match event {
//!             Event::Input { id, data, metadata } => {
//!                 let number: f32 = (&data).try_into()?;
//!                 println!("{id}: {number}, sent at {}", metadata.timestamp());
//!                 node.send_output("doubled".into(), MetadataParameters::default(), 2.0 * number)?;
//!             }
//!             Event::Stop(_) => break,
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! - [`DoraNode`] starts a node and sends; [`EventStream`] receives [`Event`]s: blocking, with a timeout, async, or as a
//!   [`Stream`](futures::Stream).
//! - [`IntoArrow`] is what can be sent, [`DoraArray`] what is received. Received data lie in shared memory and are not
//!   copied; [`DoraNode::send_output_raw`] and [`DoraNode::allocate_data_sample`] write there without a copy, too.
//! - [`Metadata`] tells when a message was sent and with which [parameters](MetadataParameters).
//! - [`merged`] adds other streams, [`InputTracker`] remembers what each input said last, [`integration_testing`] runs a
//!   node without a dataflow.
//!
//! Sources written for earlier versions of this crate mostly compile as they are; `docs/compat.md` lists what does not.
//!
//! This crate has no code of its own: it names what others implement.

#[cfg(feature = "arrow-v59")]
pub use arrow;
#[cfg(feature = "arrow-v59")]
pub use arrow as arrow_v59;
#[cfg(feature = "arrow-v58")]
pub use arrow_58 as arrow_v58;
pub use futures;
pub use serde_json;
pub use uhlc;
pub use uuid;

pub use dora_arrow_convert::{ArrowData, DoraArray, IntoArrow, arrow_utils, into_vec};
pub use dora_message::{
    id::{DataId, DataflowId, NodeId, OperatorId},
    metadata::{
        self, FIN, FLUSH, GOAL_ID, GOAL_STATUS, GOAL_STATUS_ABORTED, GOAL_STATUS_CANCELED, GOAL_STATUS_SUCCEEDED,
        Metadata, MetadataParameters, OPEN_TELEMETRY_CONTEXT, Parameter, REQUEST_ID, SEGMENT_ID, SEQ, SESSION_ID,
        get_bool_param, get_integer_param, get_string_param,
    },
};
pub use dora_node::{
    AttachError, ConnectError, DataSample, Descriptor, DoraNode, DoraNodeBuilder, EncodedSample, Event,
    Event as DoraEvent, EventScheduler, EventStream, Forked, InputState, InputTracker, NodeError, NodeResult,
    NodeRunConfig, PatternError, SampleAllocator, StopCause, StreamSegment, TestingError, TryRecvError,
    ZERO_COPY_THRESHOLD, event_stream, integration_testing, merged,
};
#[cfg(feature = "tracing")]
pub use dora_node::{TracingGuard, init_tracing};

/// Paths that existing sources use.
pub mod dora_core {
    /// Names of nodes, operators, inputs and outputs.
    pub mod config {
        pub use dora_message::id::{DataId, NodeId, OperatorId};
    }
    pub use uhlc;
}
