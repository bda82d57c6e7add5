//! What a node may know about its place in the dataflow.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
};

use dora_message::{
    id::DataId,
    keeper::{self, InputConfig},
};
use serde::Serialize;

/// Inputs and outputs of this node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeRunConfig {
    /// The inputs: where each comes from, how long its queue is, and what happens when that is full.
    pub inputs: BTreeMap<DataId, InputConfig>,
    /// The outputs that are still open.
    pub outputs: BTreeSet<DataId>,
}

impl From<&keeper::NodeRunConfig> for NodeRunConfig {
    fn from(config: &keeper::NodeRunConfig) -> Self {
        NodeRunConfig {
            inputs: config.inputs.iter().map(|input| (input.id.clone(), input.clone())).collect(),
            outputs: config.outputs.iter().cloned().collect(),
        }
    }
}

/// The dataflow of a node as JSON, in the shape of the dataflow file, with modules expanded and defaults filled in.
///
/// ```
/// # let descriptor = dora_node::Descriptor::from(serde_json::json!({ "nodes": [{ "id": "camera" }] }));
/// let ids: Vec<_> = descriptor.nodes().filter_map(|node| node["id"].as_str()).collect();
/// assert_eq!(ids, ["camera"]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Descriptor(serde_json::Value);

impl Descriptor {
    /// The nodes, in the order of the file.
    pub fn nodes(&self) -> impl Iterator<Item = &serde_json::Value> {
        self.0["nodes"].as_array().into_iter().flatten()
    }
}

impl From<serde_json::Value> for Descriptor {
    fn from(value: serde_json::Value) -> Self {
        Descriptor(value)
    }
}

impl Deref for Descriptor {
    type Target = serde_json::Value;
    fn deref(&self) -> &serde_json::Value {
        &self.0
    }
}
