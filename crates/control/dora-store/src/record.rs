//! A dataflow as it is remembered.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dora_gateways::{
    Attempt, DataflowId, DataflowResult, DataflowState, DataflowSummary, MachineId, Outcome, StopOptions, Submission,
};
use dora_message::id::NodeId;
use serde::{Deserialize, Serialize};

/// A dataflow: what was submitted, and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowRecord {
    /// Its id.
    pub id: DataflowId,
    /// When it was submitted.
    pub submitted: DateTime<Utc>,
    /// What was submitted, with descriptor and name.
    pub submission: Submission,
    /// Where it is in its life.
    pub state: DataflowState,
    /// How many nodes it has.
    #[serde(default)]
    pub nodes: u32,
    /// Where its nodes were placed, once they were: where to look for them after a restart, and for their logs later.
    #[serde(default)]
    pub placed: Vec<PlacedNode>,
    /// How it is to stop, once somebody has wanted that: a stop that was begun is not forgotten.
    #[serde(default)]
    pub stop: Option<StopOptions>,
    /// How it ended on machines that are done with it, while it goes on elsewhere.
    #[serde(default)]
    pub ended: BTreeMap<MachineId, Outcome>,
    /// How it ended, with the causes, once it has.
    #[serde(default)]
    pub result: Option<DataflowResult>,
}

/// Where a node was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedNode {
    /// The node.
    pub node: NodeId,
    /// The placement.
    pub attempt: Attempt,
    /// The machine.
    pub machine: MachineId,
}

impl DataflowRecord {
    /// A dataflow that begins to be built.
    pub fn new(id: DataflowId, submitted: DateTime<Utc>, submission: Submission) -> Self {
        Self {
            id,
            submitted,
            submission,
            state: DataflowState::Building,
            nodes: 0,
            placed: Vec::new(),
            stop: None,
            ended: BTreeMap::new(),
            result: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.submission.name.as_deref()
    }

    /// What the list shows.
    pub fn summary(&self) -> DataflowSummary {
        DataflowSummary {
            id: self.id,
            name: self.submission.name.clone(),
            state: self.state,
            submitted: self.submitted,
            nodes: self.nodes,
        }
    }
}
