//! What a node receives.

use dora_arrow_convert::DoraArray;
use dora_message::{
    id::{DataId, NodeId, OperatorId},
    metadata::Metadata,
};

/// Something that happened, as a node receives it.
///
/// # Order
/// The messages of one input arrive in the order in which they were sent, and the inputs are served in turn.
/// [`InputClosed`](Event::InputClosed) comes after the last message of its input, [`NodeFailed`](Event::NodeFailed)
/// before the first `InputClosed` that it causes, and [`Stop`](Event::Stop) with
/// [`AllInputsClosed`](StopCause::AllInputsClosed) after everything else. What the keeper says overtakes queued
/// inputs: `Stop` with [`Manual`](StopCause::Manual), `ParamUpdate`, `ParamDeleted`, `Reload`.
/// [`NodeRestarted`](Event::NodeRestarted) comes after the last message of the old process and before the first one of the
/// new process, in all inputs from that node.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // most events are inputs, and boxing them would cost an allocation each
pub enum Event {
    /// A message, or the tick of a timer.
    Input {
        /// The input that it came in.
        id: DataId,
        /// When it was sent, and the parameters that the sender attached.
        metadata: Metadata,
        /// The payload; for a tick an empty array of type `Null`. It points into shared memory, which is given back
        /// to the sender when the last clone or slice of it is dropped.
        data: DoraArray,
    },
    /// No more messages will come in this input.
    InputClosed {
        /// The input.
        id: DataId,
    },
    /// An input that was closed delivers messages again: its sender was silent for too long before, or had closed the
    /// output and was started again.
    InputRecovered {
        /// The input.
        id: DataId,
    },
    /// A node that this one receives from was started again.
    NodeRestarted {
        /// The node that runs again.
        id: NodeId,
    },
    /// The node should end. Inputs that are queued may still be received until the stream ends.
    Stop(StopCause),
    /// An operator was changed on disk.
    Reload {
        /// The operator, if the node hosts several.
        operator_id: Option<OperatorId>,
    },
    /// A parameter of the node was set while it runs.
    ParamUpdate {
        /// Name of the parameter.
        key: String,
        /// Its new value.
        value: serde_json::Value,
    },
    /// A parameter of the node was deleted while it runs.
    ParamDeleted {
        /// Name of the parameter.
        key: String,
    },
    /// A node that this one receives from ended with an error. Comes once per failure; the `InputClosed` of each
    /// affected input that was still open follows.
    NodeFailed {
        /// All inputs that come from that node.
        affected_input_ids: Vec<DataId>,
        /// How it ended, for people.
        error: String,
        /// The node that failed.
        source_node_id: NodeId,
    },
    /// Something went wrong, in words. Raised when
    ///
    /// - `recv_timeout` or `recv_async_timeout` had nothing within their time: `Timeout event stream error: ...`,
    /// - a message cannot be read, which only a sender of another version or a broken one causes; it is skipped,
    /// - an input contradicts itself, because its sender wrote into its own queue by mistake; `InputClosed` follows,
    /// - the keeper of the dataflow is gone; the stream ends after it,
    /// - the process is a fork of the node; the stream ends after it.
    Error(String),
}

/// Why a node should end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopCause {
    /// Somebody stopped the dataflow or the node.
    Manual,
    /// All inputs that can close are closed.
    AllInputsClosed,
}
