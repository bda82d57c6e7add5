//! Lines that nodes print, and questions about them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dora_message::{id::NodeId, log::LogLevel, supervision::OutputStream};
use serde::{Deserialize, Serialize};

use crate::{DataflowId, MachineId};

/// Who printed a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSource {
    /// A node.
    Node(NodeId),
    /// dora itself, about the dataflow.
    Dora,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The dataflow.
    pub dataflow: DataflowId,
    /// Who printed it.
    pub source: LogSource,
    /// When it was read.
    pub time: DateTime<Utc>,
    /// Its severity.
    pub level: LogLevel,
    /// On which stream it was printed.
    #[serde(default)]
    pub stream: OutputStream,
    /// Which part of the program says so.
    #[serde(default)]
    pub target: Option<String>,
    /// The text, without a newline.
    pub message: String,
    /// Structured fields, as the text of a JSON object.
    #[serde(default)]
    pub fields: Option<String>,
}

/// Part of an answer about lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LogChunk {
    /// The next lines.
    Lines(Vec<LogLine>),
    /// Here so many lines were left out because they were not read fast enough.
    Missed(u64),
    /// The lines of a machine cannot be read, or no further.
    Unread {
        /// The machine.
        machine: MachineId,
        /// Why, for people.
        reason: String,
    },
}

/// Which lines somebody wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogQuery {
    /// Of these nodes; of all and of dora itself if there are none.
    #[serde(default)]
    pub nodes: Vec<NodeId>,
    /// Only the last so many of what there is.
    #[serde(default)]
    pub tail: Option<u64>,
    /// Not older than this.
    #[serde(default)]
    pub since: Option<Duration>,
    /// Not younger than this.
    #[serde(default)]
    pub until: Option<Duration>,
    /// At least this severe. `None`: all.
    #[serde(default)]
    pub level: Option<LogLevel>,
    /// Containing this text.
    #[serde(default)]
    pub grep: Option<String>,
    /// And then all that come, until the dataflow ends.
    #[serde(default)]
    pub follow: bool,
}
