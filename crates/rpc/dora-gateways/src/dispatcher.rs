//! The dispatcher: dataflows as a whole. The command line talks to nobody else.

use dora_message::id::NodeId;
use dora_rpc::{RpcError, RpcStream};
use serde::{Deserialize, Serialize};

use crate::{
    ArtifactHash, BuildStep, DataflowEvent, DataflowId, DataflowInfo, DataflowResult, DataflowSelector, DataflowState,
    DataflowSummary, LogChunk, LogQuery, MachineId, MachineInfo, NoFit, Origin, OutputId, RawMessage, StopOptions,
    Submission, TapQuery, TappedMessage, Watching, error::coded,
};

dora_rpc::gateway! {
    /// What is asked of the dispatcher.
    pub trait DispatcherGateway, calls DispatcherCall {
        /// Which of these files it does not have yet. They are sent before a dataflow that names them.
        async fn missing_artifacts(&self, hashes: Vec<ArtifactHash>) -> Result<Vec<ArtifactHash>, DispatcherError>
            => MissingArtifacts;
        /// Takes the content of a file. It is refused if it is larger than announced, or not what the hash says.
        async fn upload_artifact(&self, hash: ArtifactHash, size: u64, content: RpcStream<Vec<u8>>)
            -> Result<(), DispatcherError> => UploadArtifact;
        /// Begins to run a dataflow. It is in the store when the answer comes; that it runs is told by its state.
        async fn submit(&self, submission: Submission) -> Result<DataflowId, DispatcherError> => Submit;
        /// Waits until a dataflow is in one of these states, or has ended; its state.
        async fn wait(&self, dataflow: DataflowId, until: Vec<DataflowState>) -> Result<DataflowState, DispatcherError>
            => Wait;
        /// Stops a dataflow and waits for its end; how it ended.
        async fn stop(&self, dataflow: DataflowSelector, options: StopOptions)
            -> Result<DataflowResult, DispatcherError> => Stop;
        /// Stops a dataflow and runs it again from the same submission; the id of the new one.
        async fn restart(&self, dataflow: DataflowSelector, options: StopOptions)
            -> Result<DataflowId, DispatcherError> => Restart;
        /// Stops one node. It is not started again.
        async fn stop_node(&self, dataflow: DataflowSelector, node: NodeId, options: StopOptions)
            -> Result<(), DispatcherError> => StopNode;
        /// Stops one node and starts it again.
        async fn restart_node(&self, dataflow: DataflowSelector, node: NodeId, options: StopOptions)
            -> Result<(), DispatcherError> => RestartNode;
        /// The dataflows, the latest first.
        async fn list(&self, filter: ListFilter) -> Result<Vec<DataflowSummary>, DispatcherError> => List;
        /// One dataflow.
        async fn info(&self, dataflow: DataflowSelector) -> Result<DataflowInfo, DispatcherError> => Info;
        /// The lines that nodes print. Lines that a slow reader misses are counted.
        async fn logs(&self, dataflow: DataflowSelector, query: LogQuery)
            -> Result<RpcStream<LogChunk>, DispatcherError> => Logs;
        /// What happens in a dataflow, from now on; from its start if the submission was to be watched and nobody has asked
        /// before. The last event is its end.
        async fn events(&self, dataflow: DataflowSelector, watching: Watching)
            -> Result<RpcStream<DataflowEvent>, DispatcherError> => Events;
        /// Messages of outputs of a running dataflow, as they are sent.
        async fn tap(&self, dataflow: DataflowSelector, query: TapQuery)
            -> Result<RpcStream<TappedMessage>, DispatcherError> => Tap;
        /// Sends a message to all consumers of an output, as if its node had.
        async fn publish(&self, dataflow: DataflowSelector, output: OutputId, message: RawMessage)
            -> Result<(), DispatcherError> => Publish;
        /// Whether this file is on all machines: then nothing that lies beside it needs to travel.
        async fn sees(&self, file: Origin) -> Result<bool, DispatcherError> => Sees;
        /// The machines that daemons have registered.
        async fn machines(&self) -> Result<Vec<MachineInfo>, DispatcherError> => Machines;
        /// Waits until a machine is registered and gives signs of life, and all dataflows that have nodes there know it.
        async fn await_machine(&self, machine: MachineId) -> Result<(), DispatcherError> => AwaitMachine;
        /// Builds what a dataflow needs, on the machines where its nodes would go.
        async fn build(&self, submission: Submission) -> Result<RpcStream<BuildStep>, DispatcherError> => Build;
        /// Ends the coordinator and all daemons. Refused while dataflows run, unless `force`: then those are stopped.
        async fn destroy(&self, force: bool) -> Result<(), DispatcherError> => Destroy;
        /// Forgets dataflows that have ended, with their logs; those that it forgot.
        async fn clean(&self, filter: ListFilter) -> Result<Vec<DataflowSummary>, DispatcherError> => Clean;
        /// Not served: [`DispatcherError::NotServed`].
        async fn savepoint(&self, dataflow: DataflowSelector) -> Result<(), DispatcherError> => Savepoint;
    }
}

/// Which dataflows somebody means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListFilter {
    /// In one of these states; in any if there are none.
    #[serde(default)]
    pub states: Vec<DataflowState>,
    /// With this text in the name; with `*` or `?` in it, a name that looks like that.
    #[serde(default)]
    pub name: Option<String>,
}

/// Why the dispatcher did not do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DispatcherError {
    /// No dataflow has this id or name.
    #[error("there is no dataflow `{given}`{}", suggestion(near))]
    UnknownDataflow {
        /// What was given.
        given: String,
        /// Names that are nearly the same.
        #[serde(default)]
        near: Vec<String>,
    },
    /// None was named, and not exactly one runs.
    #[error("{}", which_one(running))]
    Ambiguous {
        /// Those that run.
        running: Vec<DataflowSummary>,
    },
    /// Another running dataflow has the name.
    #[error("dataflow {taken_by} is running under the name `{name}`")]
    NameTaken {
        /// The name.
        name: String,
        /// The one that has it.
        taken_by: DataflowId,
    },
    /// The dataflow has no such node.
    #[error("the dataflow has no node `{node}`{}", suggestion(near))]
    UnknownNode {
        /// What was given.
        node: NodeId,
        /// Ids that are nearly the same.
        #[serde(default)]
        near: Vec<String>,
    },
    /// The dataflow file has mistakes.
    #[error("the dataflow cannot be run: {}", mistakes.join("; "))]
    Descriptor {
        /// Each with file, line and key, as it is to be shown.
        mistakes: Vec<String>,
    },
    /// The node has no such output.
    #[error("node `{}` has no output `{}`{}", output.node, output.output, suggestion(near))]
    UnknownOutput {
        /// What was given.
        output: OutputId,
        /// Outputs that are nearly the same, or all of the node.
        #[serde(default)]
        near: Vec<String>,
    },
    /// The dataflow has ended, so this cannot be done to it.
    #[error("dataflow {dataflow} has ended")]
    Ended {
        /// The dataflow.
        dataflow: DataflowId,
    },
    /// There is no place for some nodes.
    #[error("{}", joined(nodes))]
    NoFit {
        /// Why not, for each of them.
        nodes: Vec<NoFit>,
    },
    /// The content of a file is not what was announced.
    #[error("file {hash} was not taken: {reason}")]
    Artifact {
        /// Its hash, as announced.
        hash: ArtifactHash,
        /// What is wrong with it.
        reason: String,
    },
    /// Dataflows run that would be lost.
    #[error("{}, or force it", stop_first(running.len()))]
    StillRunning {
        /// Those that run.
        running: Vec<DataflowSummary>,
    },
    /// The coordinator cannot write what it must remember.
    #[error("the store failed: {reason}")]
    Store {
        /// What the store says.
        reason: String,
    },
    /// A machine that is needed refuses, or cannot be reached.
    #[error("machine `{machine}`: {reason}")]
    Machine {
        /// The machine.
        machine: MachineId,
        /// Why, for people.
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
    DispatcherError {
        UnknownDataflow => "dispatcher.unknown_dataflow",
        Ambiguous => "dispatcher.ambiguous",
        NameTaken => "dispatcher.name_taken",
        UnknownNode => "dispatcher.unknown_node",
        Descriptor => "dispatcher.descriptor",
        UnknownOutput => "dispatcher.unknown_output",
        Ended => "dispatcher.ended",
        NoFit => "dispatcher.no_fit",
        Artifact => "dispatcher.artifact",
        StillRunning => "dispatcher.still_running",
        Store => "dispatcher.store",
        Machine => "dispatcher.machine",
        NotServed => "dispatcher.not_served",
    }
    retry { NoFit }
}

fn which_one(running: &[DataflowSummary]) -> String {
    match running.len() {
        0 => "no dataflow runs".to_owned(),
        count => format!("{count} dataflows run; say which one"),
    }
}

fn suggestion(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!("; did you mean `{}`?", names.join("` or `")),
    }
}

fn stop_first(count: usize) -> String {
    match count {
        1 => "1 dataflow is running; stop it first".to_owned(),
        count => format!("{count} dataflows are running; stop them first"),
    }
}

fn joined(nodes: &[NoFit]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_comes_with_near_ones() {
        let unknown = |near: &[&str]| DispatcherError::UnknownDataflow {
            given: "camra".to_owned(),
            near: near.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(unknown(&[]).to_string(), "there is no dataflow `camra`");
        assert_eq!(unknown(&["camera"]).to_string(), "there is no dataflow `camra`; did you mean `camera`?");
        assert_eq!(unknown(&["a", "b"]).to_string(), "there is no dataflow `camra`; did you mean `a` or `b`?");
    }
}
