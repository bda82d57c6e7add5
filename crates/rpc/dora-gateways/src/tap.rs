//! Looking at what an output sends, and sending in its place.

use dora_message::id::{DataId, NodeId};
use serde::{Deserialize, Serialize};

/// An output of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutputId {
    /// The node.
    pub node: NodeId,
    /// Its output.
    pub output: DataId,
}

/// What somebody wants to see of the messages of a dataflow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapQuery {
    /// Of these outputs; of all if there are none.
    #[serde(default)]
    pub outputs: Vec<OutputId>,
    /// The messages themselves; otherwise only how long they are and when they came.
    #[serde(default)]
    pub payload: bool,
}

/// A message of an output that is looked at. What comes faster than it is read is left out, and counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TappedMessage {
    /// Whose.
    pub from: OutputId,
    /// When it was sent, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Bytes of its payload.
    pub len: u64,
    /// The message, if asked for and not longer than fits into a reply.
    #[serde(default)]
    pub message: Option<RawMessage>,
    /// Messages of this output since the last one that were left out here because they came too fast.
    #[serde(default)]
    pub missed: u64,
}

/// A message as it lies in shared memory: `dora_message::arrow` makes an array of it, or it of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawMessage {
    /// What the payload is.
    pub tag: u8,
    /// Description of the payload, and metadata.
    #[serde(default)]
    pub header: Vec<u8>,
    /// The payload.
    pub payload: Vec<u8>,
}
