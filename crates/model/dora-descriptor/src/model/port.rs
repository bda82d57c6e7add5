//! Inputs and outputs of a node.

use std::{fmt, time::Duration};

use dora_message::{
    id::{DataId, NodeId},
    keeper::QueuePolicy,
    log::LogLevel,
};
use serde::{Deserialize, Serialize};

use super::DEFAULT_QUEUE_SIZE;

/// An input of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where its messages come from.
    pub source: Source,
    /// Messages that wait at most; at least 1.
    pub queue_size: u32,
    /// What happens when that many wait.
    pub queue_policy: QueuePolicy,
    /// Silence after which the input counts as broken.
    pub input_timeout: Option<Duration>,
    /// URN of the expected type.
    pub type_urn: Option<String>,
}

impl Input {
    /// An input with the default queue: 10 messages, the oldest makes room.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            queue_size: DEFAULT_QUEUE_SIZE,
            queue_policy: QueuePolicy::DropOldest,
            input_timeout: None,
            type_urn: None,
        }
    }
}

/// Where the messages of an input come from. `Display` gives the text of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An output of a node of the same dataflow; it exists.
    Node {
        /// The producing node.
        node: NodeId,
        /// Its output, for a runtime node `<operator>/<output>`.
        output: DataId,
    },
    /// A timer.
    Timer {
        /// Time between two ticks. Not zero.
        interval: Duration,
    },
    /// Log messages of the dataflow's nodes.
    Logs {
        /// The least severe level that is wanted; all, standard output included, if none.
        level: Option<LogLevel>,
        /// Only of this node.
        node: Option<NodeId>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { node, output } => write!(f, "{node}/{output}"),
            Self::Timer { interval } => write!(f, "dora/timer/{}", TimerInterval(*interval)),
            Self::Logs { level: None, node: None } => f.write_str("dora/logs"),
            // Without a level but with a node the text needs the least severe level, which means the same.
            Self::Logs { level, node: Some(node) } => {
                write!(f, "dora/logs/{}/{node}", level.unwrap_or(LogLevel::Stdout).as_str())
            }
            Self::Logs { level: Some(level), node: None } => write!(f, "dora/logs/{}", level.as_str()),
        }
    }
}

/// Writes a timer's interval as the file does, in the coarsest unit that is exact: `millis/50`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerInterval(pub Duration);

impl fmt::Display for TimerInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (unit, size) = [("secs", 1_000_000_000), ("millis", 1_000_000), ("micros", 1_000)]
            .into_iter()
            .find(|(_, size)| nanos.is_multiple_of(*size))
            .unwrap_or(("nanos", 1));
        write!(f, "{unit}/{}", nanos / size)
    }
}

/// An output of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// URN of the type that is sent.
    pub type_urn: Option<String>,
    /// Metadata keys that each message carries.
    pub metadata: Vec<String>,
    /// How messages are framed.
    pub framing: Framing,
}

/// Framing of an output. Kept for old files: messages look the same to receivers whatever it says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// Plain buffers.
    #[default]
    Raw,
    /// Arrow's stream format.
    ArrowIpc,
}

impl Framing {
    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::ArrowIpc => "arrow-ipc",
        }
    }
}
