//! The values that loading a dataflow file gives: a flat list of nodes, every default filled in, every name checked.
//!
//! Nothing here knows YAML, files or positions in them; those live in [`crate::Loaded`] beside the dataflow.

mod node;
mod port;
mod supervision;

use std::time::Duration;

use dora_message::id::NodeId;
pub use dora_message::log::LogLevel;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use node::{
    GitRevision, GitSource, Node, NodeKind, Operator, OperatorSource, PathKind, Pattern, Runtime, Standard,
};
pub use port::{Framing, Input, Output, Source, TimerInterval};
pub use supervision::{HealthRules, LogRules, RestartPolicy, RestartRules};

/// Length of an input's queue when the file does not say.
pub const DEFAULT_QUEUE_SIZE: u32 = 10;
/// Time between two health checks when the file does not say.
pub const DEFAULT_HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Id of the operator of a node with one `operator`, when the file does not say.
pub const DEFAULT_OPERATOR_ID: &str = "op";
/// Rotated log files that are kept when the file does not say.
pub const DEFAULT_ROTATED_FILES: u32 = 5;

/// A dataflow: modules are expanded, parameters and environment variables substituted, edges checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataflow {
    /// The nodes, in the order of the file; the nodes of a module stand where the module stood.
    pub nodes: Vec<Node>,
    /// Environment variables of all nodes. [`Node::env`] already holds them, so that nobody has to merge.
    pub env: IndexMap<String, String>,
    /// Where nodes run that do not say it themselves; see [`Dataflow::deploy_of`].
    pub deploy: Option<Deploy>,
    /// Settings for debugging.
    pub debug: Debug,
    /// Time between two health checks. Not zero.
    pub health_check_interval: Duration,
    /// Type warnings are errors.
    pub strict_types: bool,
    /// Timers do not keep a node's inputs open.
    pub exit_when_nodes_finish: bool,
    /// Pairs of types of which the first may be sent where the second is expected.
    pub type_rules: Vec<TypeRule>,
}

impl Dataflow {
    /// The node with this id.
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| &node.id == id)
    }

    /// Where `node` runs: its own `deploy`, or that of the dataflow.
    pub fn deploy_of<'a>(&'a self, node: &'a Node) -> Option<&'a Deploy> {
        node.deploy.as_ref().or(self.deploy.as_ref())
    }
}

/// `debug` of a dataflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debug {
    /// Let tools look at the messages of every edge.
    pub enable_debug_inspection: bool,
}

/// A user's rule that one type may be sent where another is expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeRule {
    /// URN of the type that is sent.
    pub from: String,
    /// URN of the type that is expected.
    pub to: String,
}

/// `deploy`: which machine runs a node, and where on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// Name of a machine.
    pub machine: Option<String>,
    /// Working directory of the node; relative to the dataflow file if not absolute.
    pub working_dir: Option<String>,
    /// Labels that the machine must carry.
    pub labels: IndexMap<String, String>,
    /// How the program gets to the machine.
    pub distribute: Option<Distribute>,
}

/// How a node's program gets to the machine that runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribute {
    /// It is there already.
    Local,
    /// Copied over ssh.
    Scp,
    /// Downloaded from the coordinator.
    Http,
}

impl Distribute {
    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Scp => "scp",
            Self::Http => "http",
        }
    }
}
