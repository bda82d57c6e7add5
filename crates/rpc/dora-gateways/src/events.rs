//! What happens in a dataflow, as whoever watches it is told.

use std::time::Duration;

use dora_message::{
    id::NodeId,
    supervision::{ExitStatus, LaunchPlan, OutputStream},
};
use serde::{Deserialize, Serialize};

use crate::{BuildEvent, DataflowResult, MachineId, NodeOutcome};

/// How much whoever watches a dataflow may miss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watching {
    /// Lines that come faster than they are read are left out, the oldest first, and counted. Other events never are.
    #[default]
    Loosely,
    /// Nothing: nodes that print faster than it is read wait. For a terminal in front of them: `dora run`.
    Closely,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DataflowEvent {
    /// Something happened to a node that is built.
    Build(BuildEvent),
    /// What is about to be started on a machine. Variables of nodes are left out where it leaves that machine.
    Planned {
        /// The machine.
        machine: MachineId,
        /// Its nodes and edges.
        plan: Box<LaunchPlan>,
    },
    /// The process of a node runs.
    Spawned {
        /// The node.
        node: NodeId,
        /// Its process id.
        pid: u32,
    },
    /// All nodes have passed the start barrier.
    AllReady,
    /// A node has printed lines.
    Lines {
        /// The node.
        node: NodeId,
        /// Where they were printed.
        stream: OutputStream,
        /// When they were read, in nanoseconds since the Unix epoch.
        time_ns: u64,
        /// The texts, without their newlines; at least one.
        lines: Vec<String>,
    },
    /// Here so many lines were left out because they were not read fast enough.
    Missed {
        /// How many.
        lines: u64,
    },
    /// The process of a node has ended, and another one will be started; all its lines have come before.
    Restarting {
        /// The node.
        node: NodeId,
        /// How the process ended.
        status: ExitStatus,
        /// Number of the restart, from 1.
        restart: u32,
        /// Wait until then.
        delay: Duration,
    },
    /// A process has become a dynamic node.
    Joined {
        /// The node.
        node: NodeId,
        /// Its process id, if it can be seen.
        pid: Option<u32>,
        /// How many processes have been this node.
        joins: u32,
    },
    /// The process that was a dynamic node is it no longer.
    Left {
        /// The node.
        node: NodeId,
        /// It said so; otherwise it crashed or was killed.
        in_order: bool,
        /// How many processes have been this node.
        joins: u32,
    },
    /// A node has ended; all its lines have come before. Which node is to blame may become known only later; see
    /// [`DataflowEvent::Finished`].
    Exited(NodeOutcome),
    /// Something that the user should know; the run goes on.
    Warning(String),
    /// Everything is over and nothing is left. The last event.
    Finished(DataflowResult),
}
