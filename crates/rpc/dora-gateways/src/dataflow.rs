//! Dataflows and nodes as the control plane speaks of them: which one, in which state, how it ended.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use dora_message::{id::NodeId, result::NodeResult};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Artifact, MachineId};

/// One submission of a dataflow. A restart of the whole dataflow makes a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataflowId(pub Uuid);

impl fmt::Display for DataflowId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Which dataflow somebody means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataflowSelector {
    /// The one with this id.
    Id(DataflowId),
    /// The one with this name: the running one, or else the last that ran.
    Name(String),
    /// The only one that runs.
    Only,
}

/// What somebody typed: an id if it reads like one, else a name.
impl From<&str> for DataflowSelector {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), |id| Self::Id(DataflowId(id)))
    }
}

/// Counts the placements of one node, from 1. What an older attempt sends is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u32);

/// A dataflow that is to run, as it travels with the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The text of the dataflow file.
    pub descriptor: String,
    /// Where the file lies for who submits it: for messages, and for paths where client and daemon share a machine.
    pub origin: String,
    /// A name that no running dataflow has.
    #[serde(default)]
    pub name: Option<String>,
    /// Variables of all nodes, before those of the dataflow.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// Python nodes get environments of their own.
    #[serde(default)]
    pub uv: bool,
    /// Files that nodes name. Their content has been sent before, or is where the daemons are.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
}

/// How a dataflow or a node is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopOptions {
    /// How long nodes may take before SIGTERM; half of it more before SIGKILL. `None`: what the dataflow says.
    #[serde(default)]
    pub grace: Option<Duration>,
    /// SIGKILL at once.
    #[serde(default)]
    pub force: bool,
}

/// Where a dataflow is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataflowState {
    /// Programs are built, downloaded, made ready.
    Building,
    /// Processes are started.
    Spawning,
    /// Processes run; not all of them have connected.
    WaitingForReady,
    /// Every node was ready: messages flow.
    Running,
    /// It was asked to stop.
    Stopping,
    /// All nodes have ended well.
    Finished,
    /// A node has failed, or the dataflow could not be started.
    Failed,
}

impl DataflowState {
    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed)
    }
}

/// Where a node is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeState {
    /// It has no process yet.
    Waiting,
    /// Its process runs and has not connected.
    Starting,
    /// It has connected.
    Running,
    /// Its process has ended and another one will be started.
    Restarting,
    /// It was asked to stop.
    Stopping,
    /// Its machine gives no sign of life: it may still run.
    Unknown,
    /// It has ended.
    Ended(NodeResult),
}

/// A node and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOutcome {
    /// The node.
    pub node: NodeId,
    /// How it ended.
    pub result: NodeResult,
    /// The last lines of its standard error, if it failed.
    #[serde(default)]
    pub last_stderr: Vec<String>,
}

/// How a dataflow ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowResult {
    /// The dataflow.
    pub dataflow: DataflowId,
    /// Why it could not go on, if that was the reason; else what follows from its nodes.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Its nodes, who failed first before the others.
    pub nodes: Vec<NodeOutcome>,
}

impl DataflowResult {
    /// Whether every node ended well.
    pub fn is_success(&self) -> bool {
        self.trouble.is_none() && self.nodes.iter().all(|node| node.result.is_success())
    }
}

/// A dataflow in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowSummary {
    /// Its id.
    pub id: DataflowId,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Where it is in its life.
    pub state: DataflowState,
    /// When it was submitted.
    pub submitted: DateTime<Utc>,
    /// How many nodes it has.
    pub nodes: u32,
}

/// A dataflow with its nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowInfo {
    /// What the list shows.
    pub summary: DataflowSummary,
    /// The text of the dataflow file.
    pub descriptor: String,
    /// Its nodes, in the order of the file.
    pub nodes: Vec<NodeInfo>,
    /// How it ended, if it has.
    #[serde(default)]
    pub result: Option<DataflowResult>,
}

/// A node of a dataflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// The node.
    pub node: NodeId,
    /// Where it runs, once it was placed.
    #[serde(default)]
    pub machine: Option<MachineId>,
    /// Its current placement.
    #[serde(default)]
    pub attempt: Option<Attempt>,
    /// Where it is in its life.
    pub state: NodeState,
    /// Its process, while it has one.
    #[serde(default)]
    pub pid: Option<u32>,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_an_id_or_a_name() {
        let id = Uuid::from_u128(7);
        assert_eq!(DataflowSelector::from(id.to_string().as_str()), DataflowSelector::Id(DataflowId(id)));
        assert_eq!(DataflowSelector::from("camera"), DataflowSelector::Name("camera".to_owned()));
    }

    #[test]
    fn a_dataflow_succeeds_if_all_nodes_do_and_nothing_else_went_wrong() {
        let node = |result| NodeOutcome { node: "a".into(), result, last_stderr: Vec::new() };
        let of = |trouble: Option<&str>, nodes| DataflowResult {
            dataflow: DataflowId(Uuid::nil()),
            trouble: trouble.map(str::to_owned),
            nodes,
        };
        assert!(of(None, vec![node(NodeResult::Success)]).is_success());
        assert!(!of(None, vec![node(NodeResult::Success), node(NodeResult::Lost)]).is_success());
        assert!(!of(Some("no machine"), vec![]).is_success());
    }
}
