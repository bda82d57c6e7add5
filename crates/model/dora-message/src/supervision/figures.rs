//! What a keeper knows of a dataflow while it runs.

use serde::{Deserialize, Serialize};

use crate::{id::NodeId, keeper::EdgeCounters};

/// Nodes and edges of a dataflow at one time. Every number is taken at a moment of its own: while messages flow, sums
/// may differ by those that are on their way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// The nodes, in the order of [`LaunchPlan::nodes`](super::LaunchPlan::nodes).
    pub nodes: Vec<NodeFigures>,
    /// The edges, in the order of [`LaunchPlan::edges`](super::LaunchPlan::edges).
    pub edges: Vec<EdgeFigures>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFigures {
    /// The node.
    pub id: NodeId,
    /// Process id of its process, if it has one that can be seen.
    pub pid: Option<u32>,
    /// How many processes of the node came before the present one; of a dynamic node, how many have left.
    pub restarts: u32,
    /// Its process exchanges messages.
    pub connected: bool,
    /// Bytes of shared memory that the messages of its process take: those that are queued or kept by receivers, and
    /// free ones that it will use again. 0 once the process is gone.
    #[serde(default)]
    pub shared_memory: u64,
}

/// One edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeFigures {
    /// What it has counted, over all processes of its ends, without what is queued now.
    pub counters: EdgeCounters,
    /// Messages in the queue, of a consumer that may still take them.
    pub queued: u64,
    /// Length of the queue.
    pub capacity: u32,
}
