//! The file with the events of a test run.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use dora_message::{
    id::{DataId, NodeId},
    metadata::MetadataParameters,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The events of a test run, and which node they are for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntegrationTestInput {
    /// The node.
    pub id: NodeId,
    /// Its name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its command line in the dataflow; not used by a test run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<String>,
    /// Its environment in the dataflow; not used by a test run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, Value>>,
    /// Its outputs; a test run accepts others too.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub outputs: BTreeSet<DataId>,
    /// Its inputs in the dataflow; not used by a test run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<DataId, Value>,
    /// The output that carried its standard output; not used by a test run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_stdout_as: Option<String>,
    /// What it receives, in any order; the stream ends after the last one.
    pub events: Vec<TimedIncomingEvent>,
    /// Whether a recording is complete. `None`: it was written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_status: Option<Box<RecordingStatus>>,
}

impl IntegrationTestInput {
    /// These events for this node.
    pub fn new(id: NodeId, events: Vec<TimedIncomingEvent>) -> Self {
        IntegrationTestInput {
            id,
            name: None,
            description: None,
            args: None,
            env: None,
            outputs: BTreeSet::new(),
            inputs: BTreeMap::new(),
            send_stdout_as: None,
            events,
            recording_status: None,
        }
    }
}

/// Whether a recording is complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum RecordingStatus {
    /// It is.
    Clean,
    /// Some events are missing: a test run refuses it.
    Poisoned {
        /// Number of the first missing event.
        first_failure_event_index: usize,
        /// When it came, in seconds since the node was initialised.
        first_failure_time_offset_secs: f64,
        /// Why it could not be recorded.
        first_failure_error: String,
        /// How many more are missing.
        additional_failures: u64,
    },
}

/// An event and when it comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimedIncomingEvent {
    /// Seconds since the node was initialised.
    pub time_offset_secs: f64,
    /// The event.
    #[serde(flatten)]
    pub event: IncomingEvent,
}

/// An event of a test run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum IncomingEvent {
    /// The node is asked to stop.
    Stop,
    /// A message.
    Input {
        /// The input.
        id: DataId,
        /// Its parameters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata: Option<MetadataParameters>,
        /// Its payload; `None` is an empty array of type `Null`, like the tick of a timer.
        #[serde(flatten)]
        data: Option<Box<InputData>>,
    },
    /// No more messages come in this input.
    InputClosed {
        /// The input.
        id: DataId,
    },
    /// All inputs are closed, which stops the node.
    AllInputsClosed,
}

/// The payload of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InputData {
    /// A list of values, or one value.
    JsonObject {
        /// The values.
        data: Value,
        /// Their Arrow type: `"UInt8"`, `{"List": {...}}`. `None`: guessed from the values.
        #[serde(default)]
        data_type: Option<Value>,
    },
    /// A column of an Arrow IPC file.
    ArrowFile {
        /// The file, relative to the working directory.
        path: PathBuf,
        /// Number of the record batch.
        #[serde(default)]
        batch_index: usize,
        /// Name of the column; `None`: the whole batch as an array of type `Struct`.
        column: Option<String>,
    },
}
