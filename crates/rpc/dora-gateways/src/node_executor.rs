//! The node executor: the daemon, which runs the nodes of one machine.

use dora_message::id::NodeId;
use dora_rpc::{FencingToken, Gateway, RpcError, RpcStream, StaleLeader};
use serde::{Deserialize, Serialize};

use crate::{
    ArtifactHash, Attempt, BuildStep, DataflowEvent, DataflowId, DataflowMasterCall, LogChunk, LogQuery, MetricQuery,
    MetricsSnapshot, NodeState, Origin, OutputId, RawMessage, StopOptions, Submission, TapQuery, TappedMessage,
    Watching, error::coded,
};

dora_rpc::gateway! {
    /// What is asked of a daemon. Everything that changes something names the leader: a former one is refused.
    pub trait NodeExecutorGateway, calls NodeExecutorCall {
        /// By the resource manager: a sign of life of the leader, answered by one of the daemon.
        async fn heartbeat(&self, leader: FencingToken) -> Result<(), NodeExecutorError> => Heartbeat;
        /// Whether this file is on the machine: then a dataflow is run where its file is.
        async fn sees(&self, file: Origin) -> Result<bool, NodeExecutorError> => Sees;
        /// Which of these files it does not have yet.
        async fn missing_artifacts(&self, hashes: Vec<ArtifactHash>) -> Result<Vec<ArtifactHash>, NodeExecutorError>
            => MissingArtifacts;
        /// Takes the content of a file. It is refused if it is larger than announced, or not what the hash says.
        async fn upload_artifact(&self, hash: ArtifactHash, size: u64, content: RpcStream<Vec<u8>>)
            -> Result<(), NodeExecutorError> => UploadArtifact;
        /// Builds what these nodes need.
        async fn build(&self, leader: FencingToken, submission: Submission, nodes: Vec<NodeId>)
            -> Result<RpcStream<BuildStep>, NodeExecutorError> => Build;
        /// Starts nodes. That they run, or why not, is told to the master. Asked twice for one attempt, it starts it once, and
        /// tells the new master from then on: so a coordinator that was started again takes over what runs.
        async fn spawn_nodes(&self, leader: FencingToken, spawn: SpawnNodes) -> Result<(), NodeExecutorError>
            => SpawnNodes;
        /// Every node of the dataflow is ready, on all machines: messages may flow.
        async fn release(&self, leader: FencingToken, dataflow: DataflowId) -> Result<(), NodeExecutorError> => Release;
        /// Stops nodes of a dataflow: these, or all if there are none. Their ends are told to the master.
        async fn stop_nodes(
            &self,
            leader: FencingToken,
            dataflow: DataflowId,
            nodes: Vec<NodeId>,
            options: StopOptions
        ) -> Result<(), NodeExecutorError> => StopNodes;
        /// Nobody leads this dataflow: it is stopped, and forgotten when it has ended, although no master hears of it.
        async fn disown(&self, leader: FencingToken, dataflow: DataflowId, options: StopOptions)
            -> Result<(), NodeExecutorError> => Disown;
        /// Nodes take their changed programs without ending: operators are loaded again.
        async fn reload_nodes(&self, leader: FencingToken, dataflow: DataflowId, nodes: Vec<NodeId>)
            -> Result<(), NodeExecutorError> => ReloadNodes;
        /// What it runs.
        async fn observed(&self) -> Result<Vec<ObservedDataflow>, NodeExecutorError> => Observed;
        /// Stops nodes and starts them again, with the same attempt.
        async fn restart_nodes(
            &self,
            leader: FencingToken,
            dataflow: DataflowId,
            nodes: Vec<NodeId>,
            options: StopOptions
        ) -> Result<(), NodeExecutorError> => RestartNodes;
        /// The lines that nodes of a dataflow print, or have printed, on this machine.
        async fn logs(&self, dataflow: DataflowId, query: LogQuery) -> Result<RpcStream<LogChunk>, NodeExecutorError>
            => Logs;
        /// What happens to the nodes of a dataflow on this machine, from now on; from the start if the submission was to be
        /// watched and nobody has asked before. It ends without [`DataflowEvent::Finished`], which is the master's.
        async fn events(&self, dataflow: DataflowId, watching: Watching)
            -> Result<RpcStream<DataflowEvent>, NodeExecutorError> => Events;
        /// Messages of outputs of nodes on this machine, as they are sent.
        async fn tap(&self, dataflow: DataflowId, query: TapQuery)
            -> Result<RpcStream<TappedMessage>, NodeExecutorError> => Tap;
        /// Sends a message to all consumers of an output, as if its node had.
        async fn publish(&self, leader: FencingToken, dataflow: DataflowId, output: OutputId, message: RawMessage)
            -> Result<(), NodeExecutorError> => Publish;
        /// The figures of this machine.
        async fn metrics(&self, query: MetricQuery) -> Result<MetricsSnapshot, NodeExecutorError> => Metrics;
        /// Removes what a dataflow that has ended left: logs and working directories.
        async fn clean(&self, leader: FencingToken, dataflow: DataflowId) -> Result<(), NodeExecutorError> => Clean;
        /// Ends the daemon, with the nodes that it runs.
        async fn shut_down(&self, leader: FencingToken, options: StopOptions) -> Result<(), NodeExecutorError>
            => ShutDown;
    }
}

/// Nodes of a dataflow that are to run on a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpawnNodes {
    /// The dataflow.
    pub dataflow: DataflowId,
    /// All of it: each machine sees the whole graph.
    pub submission: Submission,
    /// The nodes for this machine, with their placements.
    pub nodes: Vec<(NodeId, Attempt)>,
    /// Nodes on other machines belong to it as well: its nodes wait at the start barrier until they are released.
    #[serde(default)]
    pub hold: bool,
    /// The machine has them already and only their master is new. If it has not, nothing is started.
    #[serde(default)]
    pub resumed: bool,
    /// Who is told what becomes of them.
    pub master: Gateway<DataflowMasterCall>,
}

/// A dataflow as a daemon finds it on its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedDataflow {
    /// The dataflow.
    pub dataflow: DataflowId,
    /// Its nodes on this machine.
    pub nodes: Vec<ObservedNode>,
}

/// A node as a daemon finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedNode {
    /// The node.
    pub node: NodeId,
    /// Its placement.
    pub attempt: Attempt,
    /// What it does.
    pub state: NodeState,
}

/// Why a daemon did not do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NodeExecutorError {
    /// Somebody else leads.
    #[error(transparent)]
    Stale(#[from] StaleLeader),
    /// It runs nothing of this dataflow.
    #[error("nothing of dataflow {dataflow} is on this machine")]
    UnknownDataflow {
        /// The dataflow.
        dataflow: DataflowId,
    },
    /// The nodes cannot be started.
    #[error("the nodes cannot be started: {reason}")]
    Spawn {
        /// Why not.
        reason: String,
    },
    /// It cannot be done while the dataflow runs here.
    #[error("dataflow {dataflow} still runs; stop it first")]
    StillRuns {
        /// The dataflow.
        dataflow: DataflowId,
    },
    /// No node of the dataflow on this machine sends on such an output.
    #[error("no node on this machine sends on `{}/{}`", output.node, output.output)]
    UnknownOutput {
        /// The output.
        output: OutputId,
    },
    /// It can be done only while the nodes of the dataflow run here.
    #[error("dataflow {dataflow} does not run yet, or no longer")]
    NotRunning {
        /// The dataflow.
        dataflow: DataflowId,
    },
    /// The system refuses.
    #[error("cannot {doing}: {reason}")]
    System {
        /// What was tried.
        doing: String,
        /// What the system says.
        reason: String,
    },
    /// The content of a file is not what was announced, or cannot be kept.
    #[error("file {hash} was not taken: {reason}")]
    Artifact {
        /// Its hash, as announced.
        hash: ArtifactHash,
        /// What is wrong.
        reason: String,
    },
    /// This version does not do that.
    #[error("{what} is not served by this version")]
    NotServed {
        /// What was asked for.
        what: String,
    },
    /// The call failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

coded! {
    NodeExecutorError {
        Stale => "executor.stale_leader",
        UnknownDataflow => "executor.unknown_dataflow",
        Spawn => "executor.spawn",
        StillRuns => "executor.still_runs",
        UnknownOutput => "executor.unknown_output",
        NotRunning => "executor.not_running",
        System => "executor.system",
        Artifact => "executor.artifact",
        NotServed => "executor.not_served",
    }
    retry {}
}
