//! What can go wrong in a node, in words for its user.

use std::path::PathBuf;

use dora_channel::{AllocateError, SendError};
use dora_message::{
    arrow::EncodeError,
    id::{DataId, InvalidId, NodeId},
    parameter::ParameterError,
};

use crate::{
    connection::{AttachError, ConnectError, JoinError},
    fork::Forked,
};

/// Result of the calls of a node.
pub type NodeResult<T> = Result<T, NodeError>;

/// Why a call of a node failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The process was not started as a node and has no terminal to ask either.
    #[error(
        "this process was not started as a node of a dataflow. Start the dataflow with `dora run FILE`; to run the node \
         alone, set DORA_TEST_WITH_INPUTS to a JSON file with its inputs, or start it in a terminal to type them"
    )]
    NotANode,
    /// The connection to the dataflow could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The process could not join a dataflow as a dynamic node.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// A name that is not an id.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// An output that the dataflow file does not list under `outputs`, or that was closed before.
    #[error("node `{node}` has no open output `{output}`; its outputs are: {}", list(outputs))]
    UnknownOutput {
        /// This node.
        node: NodeId,
        /// The output that was named.
        output: DataId,
        /// The outputs that are open.
        outputs: Vec<DataId>,
    },
    /// The dataflow stops, so the call did not wait for room in the queue of a consumer. Consumers with room got the
    /// message.
    #[error("output `{output}` was not sent to every consumer: the dataflow is stopping and a queue is full")]
    Stopping {
        /// The output.
        output: DataId,
    },
    /// The message could not be sent.
    #[error("cannot send output `{output}`: {source}{}", advice(source))]
    Send {
        /// The output.
        output: DataId,
        /// The reason.
        source: SendError,
    },
    /// The array cannot be written as a message.
    #[error("cannot encode output `{output}`: {source}")]
    Encode {
        /// The output.
        output: DataId,
        /// The reason.
        source: EncodeError,
    },
    /// An array cannot be encoded into a sample.
    #[error("cannot encode the array: {0}")]
    EncodeSample(#[from] EncodeError),
    /// The parameters cannot be written behind the payload.
    #[error("cannot encode the parameters of output `{output}`: {source}")]
    Parameters {
        /// The output.
        output: DataId,
        /// The reason.
        source: ParameterError,
    },
    /// More bytes than there is memory or address space.
    #[error("a message of {len} bytes is too large")]
    TooLarge {
        /// Bytes asked for.
        len: usize,
    },
    /// `send_output_bytes` was told another length than its data have.
    #[error("output `{output}`: `data_len` is {data_len}, but the data have {found} bytes")]
    LengthMismatch {
        /// The output.
        output: DataId,
        /// The argument.
        data_len: usize,
        /// Length of the data.
        found: usize,
    },
    /// The process is a fork of a node.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Extensions of other transports are not served.
    #[error("extension `{namespace}` is not available: this version of dora keeps no extension table")]
    Extension {
        /// The namespace that was asked for.
        namespace: String,
    },
    /// Inputs, outputs or recordings of a test run.
    #[error(transparent)]
    Testing(#[from] TestingError),
    /// Log output of the `tracing` crate could not be set up.
    #[error("cannot set up tracing: {0}")]
    Tracing(String),
}

impl From<JoinError> for NodeError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Attach(error) => error.into(),
            JoinError::Connect(error) => error.into(),
        }
    }
}

/// Why a test run of a node, or a recording for one, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestingError {
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried, for example "read the test inputs".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is not what `IntegrationTestInput` describes.
    #[error("{} is no file of test inputs: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The reason, with line and column.
        source: serde_json::Error,
    },
    /// One of the events cannot be played.
    #[error("event {index} of the test inputs: {reason}")]
    Event {
        /// Number of the event, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A recording that says of itself that it is incomplete.
    #[error("the recording of node `{node}` is incomplete and would not replay what happened: {reason}")]
    Poisoned {
        /// The recorded node.
        node: NodeId,
        /// What failed while it was recorded.
        reason: String,
    },
    /// An output could not be written.
    #[error("cannot write output `{output}` of the test run: {reason}")]
    Output {
        /// The output.
        output: DataId,
        /// The reason.
        reason: String,
    },
}

/// Why a wait for a response or a result ended without it.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Nothing came within the time given.
    #[error("no reply within the time given")]
    Timeout,
    /// The server was started again, so whatever it was working on is lost. The call may be repeated.
    #[error("server `{0}` was restarted before it replied")]
    ServerRestarted(String),
    /// The event stream ended.
    #[error("the event stream ended before the reply came")]
    StreamEnded,
    /// An [`Event::Error`](crate::Event::Error) came, the server failed, or too many other events piled up.
    #[error("the wait for a reply failed: {0}")]
    StreamError(String),
}

/// What helps against it, where something does.
fn advice(error: &SendError) -> &'static str {
    match error {
        SendError::Allocate(AllocateError::Budget { .. }) => "; `dora run --memory SIZE` allows more",
        _ => "",
    }
}

fn list(outputs: &[DataId]) -> String {
    match outputs {
        [] => "none".to_owned(),
        outputs => outputs.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "),
    }
}
