//! The master of one dataflow: schedules and supervises it.

use dora_message::id::NodeId;
use dora_rpc::{Gateway, RpcError, RpcStream};
use serde::{Deserialize, Serialize};

use crate::{
    Attempt, DataflowEvent, DataflowInfo, DataflowResult, DataflowState, LogChunk, LogQuery, MachineId,
    NodeExecutorCall, NodeState, ObservedDataflow, Outcome, OutputId, RawMessage, StopOptions, TapQuery, TappedMessage,
    Watching, error::coded,
};

dora_rpc::gateway! {
    /// What is asked of the master of a dataflow.
    pub trait DataflowMasterGateway, calls DataflowMasterCall {
        /// By a daemon: something has happened to nodes. What comes late or twice changes nothing.
        async fn nodes_changed(&self, machine: MachineId, updates: Vec<NodeUpdate>) -> Result<(), DataflowMasterError>
            => NodesChanged;
        /// By a daemon: all nodes of this placement have ended on its machine, and nothing is left of them. Repeated until it
        /// is answered.
        async fn machine_finished(&self, machine: MachineId, outcome: Outcome) -> Result<(), DataflowMasterError>
            => MachineFinished;
        /// By the resource manager: a daemon has registered again and says what it runs of this dataflow. Its gateway is new.
        async fn machine_returned(
            &self,
            machine: MachineId,
            executor: Gateway<NodeExecutorCall>,
            observed: Option<ObservedDataflow>
        ) -> Result<(), DataflowMasterError> => MachineReturned;
        /// By the resource manager: a daemon gives no sign of life. Its nodes may still run.
        async fn machine_silent(&self, machine: MachineId) -> Result<(), DataflowMasterError> => MachineSilent;
        /// By the resource manager: a machine has been silent for so long that its nodes count as lost.
        async fn machine_lost(&self, machine: MachineId) -> Result<(), DataflowMasterError> => MachineLost;
        /// Waits until the dataflow is in one of these states, or has ended; its state.
        async fn wait(&self, until: Vec<DataflowState>) -> Result<DataflowState, DataflowMasterError> => Wait;
        /// Stops the dataflow and waits for its end; how it ended.
        async fn stop(&self, options: StopOptions) -> Result<DataflowResult, DataflowMasterError> => Stop;
        /// Stops one node. It is not started again.
        async fn stop_node(&self, node: NodeId, options: StopOptions) -> Result<(), DataflowMasterError> => StopNode;
        /// Stops one node and starts it again.
        async fn restart_node(&self, node: NodeId, options: StopOptions) -> Result<(), DataflowMasterError>
            => RestartNode;
        /// The dataflow and its nodes.
        async fn info(&self) -> Result<DataflowInfo, DataflowMasterError> => Info;
        /// The lines that its nodes print.
        async fn logs(&self, query: LogQuery) -> Result<RpcStream<LogChunk>, DataflowMasterError> => Logs;
        /// What happens, from now on; from the start if the submission was to be watched and nobody has asked before.
        async fn events(&self, watching: Watching) -> Result<RpcStream<DataflowEvent>, DataflowMasterError> => Events;
        /// Messages of outputs, as they are sent.
        async fn tap(&self, query: TapQuery) -> Result<RpcStream<TappedMessage>, DataflowMasterError> => Tap;
        /// Sends a message to all consumers of an output, as if its node had.
        async fn publish(&self, output: OutputId, message: RawMessage) -> Result<(), DataflowMasterError> => Publish;
    }
}

/// What has become of a node, as its daemon saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUpdate {
    /// The node.
    pub node: NodeId,
    /// The placement. What an older one sends is refused.
    pub attempt: Attempt,
    /// Rises with each update of this placement: calls may arrive out of order.
    pub sequence: u64,
    /// What it is now.
    pub state: NodeState,
    /// Its process, while it has one.
    #[serde(default)]
    pub pid: Option<u32>,
    /// How often the keeper has started it again.
    #[serde(default)]
    pub restarts: u32,
}

/// Why the master did not do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DataflowMasterError {
    /// The dataflow has no such node.
    #[error("the dataflow has no node `{node}`")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The update is about a placement that has been replaced: the daemon ends what belongs to it.
    #[error("attempt {} of node `{node}` has been replaced by attempt {}", attempt.0, current.0)]
    OldAttempt {
        /// The node.
        node: NodeId,
        /// The placement that was told about.
        attempt: Attempt,
        /// The placement that counts.
        current: Attempt,
    },
    /// The node has no such output.
    #[error("node `{}` has no output `{}`", output.node, output.output)]
    UnknownOutput {
        /// The output.
        output: OutputId,
    },
    /// The dataflow has ended.
    #[error("the dataflow has ended")]
    Ended,
    /// A daemon refuses, or cannot be reached.
    #[error("machine `{machine}`: {reason}")]
    Machine {
        /// The machine.
        machine: MachineId,
        /// Why, for people.
        reason: String,
    },
    /// What the dataflow has come to is not in the store yet. It goes on being tried.
    #[error("the store failed: {reason}")]
    Store {
        /// What is not in it, and why.
        reason: String,
    },
    /// The call failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

coded! {
    DataflowMasterError {
        UnknownNode => "master.unknown_node",
        OldAttempt => "master.old_attempt",
        UnknownOutput => "master.unknown_output",
        Ended => "master.ended",
        Machine => "master.machine",
        Store => "master.store",
    }
    retry {}
}
