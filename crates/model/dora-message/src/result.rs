//! How a node ended, as it is told to people and between components.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    id::NodeId,
    supervision::{ExitStatus, Overdue},
};

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeResult {
    /// By itself with exit code 0, or in order after a stop; a dynamic node however its processes ended.
    Success,
    /// In order: the dataflow was stopped when the node was between two processes; how the last one ended.
    NotRestarted(ExitStatus),
    /// A dynamic node that no process has joined as.
    NeverJoined,
    /// By itself, with an exit code other than 0 or by a signal.
    Failed(ExitStatus),
    /// It did not end in time after a stop and was killed.
    GraceExceeded,
    /// It took too long to connect, to show a sign of life, or to end, and was ended for it.
    Overdue(Overdue),
    /// It could not be started; the reason.
    NotStarted(String),
    /// It was ended, or not started, because another node failed before the dataflow started.
    Cascading {
        /// The node that failed first.
        caused_by: Option<NodeId>,
        /// How this one ended.
        status: ExitStatus,
    },
    /// It was ended because the dataflow could not go on; its trouble says why.
    Lost,
}

impl NodeResult {
    /// Whether the node ended well.
    pub fn is_success(&self) -> bool {
        matches!(self, NodeResult::Success | NodeResult::NotRestarted(_) | NodeResult::NeverJoined)
    }
}

/// For people, to follow the name of the node: "exited with code 3".
impl fmt::Display for NodeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeResult::Success => f.write_str("finished"),
            NodeResult::NotRestarted(status) => {
                write!(f, "was between two processes and is not started again; the last one {status}")
            }
            NodeResult::NeverJoined => f.write_str("is dynamic, and no process has joined as it"),
            NodeResult::Failed(status) => status.fmt(f),
            NodeResult::GraceExceeded => f.write_str("was killed because it did not stop in time"),
            NodeResult::Overdue(overdue) => overdue.fmt(f),
            NodeResult::NotStarted(error) => write!(f, "could not be started: {error}"),
            NodeResult::Cascading { caused_by: Some(node), .. } => {
                write!(f, "did not run because node `{node}` failed")
            }
            NodeResult::Cascading { caused_by: None, .. } => f.write_str("did not run because another node failed"),
            NodeResult::Lost => f.write_str("was ended because the dataflow could not go on"),
        }
    }
}
