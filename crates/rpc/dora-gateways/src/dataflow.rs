//! Dataflows and nodes as the control plane speaks of them: which one, in which state, how it ended.

use std::{fmt, path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use dora_message::{id::NodeId, result::NodeResult};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Artifact, DataflowResult, MachineId, Watching};

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

impl From<DataflowId> for DataflowSelector {
    fn from(id: DataflowId) -> Self {
        Self::Id(id)
    }
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The id that it gets; a new one if none. Who submits again with the same id, because an answer was lost, runs it once.
    #[serde(default)]
    pub id: Option<DataflowId>,
    /// The text of the dataflow file, complete in itself: modules and variables of the client are resolved.
    pub descriptor: String,
    /// The file that it was made from.
    pub origin: Origin,
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
    /// Whether and how nodes are built before they are started.
    #[serde(default)]
    pub build: BuildMode,
    /// Timers do not keep nodes alive; as the dataflow says if none.
    #[serde(default)]
    pub exit_when_nodes_finish: Option<bool>,
    /// Bytes of shared memory that all messages of a machine together may use; half of what is free if none.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Directory for recorded inputs, if wanted.
    #[serde(default)]
    pub write_events_to: Option<PathBuf>,
    /// Who submits this watches it from its start: events are kept until they are asked for.
    #[serde(default)]
    pub watched: Option<Watching>,
}

/// The file that a dataflow was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its absolute path on the client's machine, for messages.
    pub path: PathBuf,
    /// Directory that relative paths start from, if it is not that of the file.
    #[serde(default)]
    pub working_dir: Option<PathBuf>,
    /// What tells the file from all others. A daemon that finds the same file under the same path works in its directory.
    #[serde(default)]
    pub identity: Option<FileIdentity>,
}

/// Tells a file from all others, on all machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// The running kernel: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The device that holds it.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// What is done before nodes are started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BuildMode {
    /// What was never built is built, and all build lines are run.
    #[default]
    Missing,
    /// Everything is looked up again: `dora build`.
    All,
    /// Nothing: it was built before.
    Nothing,
}

/// How a dataflow or a node is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopOptions {
    /// How long nodes may take before SIGTERM; half of it more before SIGKILL. `None`: 10 s.
    #[serde(default)]
    pub grace: Option<Duration>,
    /// Whether somebody cannot wait.
    #[serde(default)]
    pub urgency: Urgency,
}

/// How urgent a stop is. A stop that is more urgent than the one before takes its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Urgency {
    /// Nodes are asked, and have their grace.
    #[default]
    Ask,
    /// SIGTERM at once, SIGKILL two seconds later.
    Hurry,
    /// SIGKILL at once.
    Kill,
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
    /// Its program is built.
    Building,
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

/// Bytes of the longest name that a dataflow may have: it stands in lists, and in messages of other tools.
pub const LONGEST_NAME: usize = 128;

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
}
