//! What happens while the nodes of a dataflow are built.

use std::{path::PathBuf, time::Duration};

use dora_message::{id::NodeId, supervision::OutputStream};
use serde::{Deserialize, Serialize};

use crate::Trouble;

/// Something that happened to a node that is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildEvent {
    /// The node.
    pub node: NodeId,
    /// What happened.
    pub progress: Progress,
}

/// What happened to a node that is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Another build uses this directory; this one goes on when that is over.
    Waiting(PathBuf),
    /// A repository is cloned.
    Cloning {
        /// Its URL.
        url: String,
        /// The commit, or what the file says.
        revision: String,
    },
    /// A program is downloaded from this URL.
    Downloading(String),
    /// A build line is started.
    Line {
        /// Which one, from 1.
        number: usize,
        /// How many there are.
        count: usize,
        /// The line.
        text: String,
    },
    /// The program that runs has printed a line.
    Output {
        /// Where it was printed.
        stream: OutputStream,
        /// The text, without its newline.
        text: String,
    },
    /// Something that the user should know; the build goes on.
    Warning(String),
    /// The node is built, after this time. Not sent when there was nothing to do.
    Built(Duration),
}

/// What comes of a build that was asked for: events, and as the last one how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BuildStep {
    /// Something happened.
    Event(BuildEvent),
    /// Something that the user should know; the build goes on.
    Warning(String),
    /// Everything is built.
    Done,
    /// A node could not be built; nothing of the build runs any more.
    Failed(Trouble),
}
