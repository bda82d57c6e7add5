//! A node and what it runs.

use dora_message::id::{DataId, NodeId, OperatorId};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Deploy, HealthRules, Input, LogRules, Output, RestartRules};

/// One process of the dataflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Unique in the dataflow. The nodes of a module are called `<module id>.<inner id>`.
    pub id: NodeId,
    /// A name for people.
    pub name: Option<String>,
    /// A description for people.
    pub description: Option<String>,
    /// What the process runs.
    pub kind: NodeKind,
    /// Its inputs. Those of an operator are called `<operator>/<input>`.
    pub inputs: IndexMap<DataId, Input>,
    /// Its outputs. Those of an operator are called `<operator>/<output>`.
    pub outputs: IndexMap<DataId, Output>,
    /// Its environment variables, those of the dataflow and of surrounding modules included.
    pub env: IndexMap<String, String>,
    /// Where it runs; see [`Dataflow::deploy_of`](super::Dataflow::deploy_of).
    pub deploy: Option<Deploy>,
    /// What happens to its lines of text. Outputs of an operator carry the operator's id, as in `outputs`.
    pub logs: LogRules,
    /// Whether and when it is started again. Runtime nodes never are.
    pub restart: RestartRules,
    /// How long it may be silent.
    pub health: HealthRules,
    /// Bytes of shared memory for its outputs, if limited by the file.
    pub shared_memory_pool_size: Option<u64>,
    /// Cores it may run on; empty means all.
    pub cpu_affinity: Vec<u32>,
}

impl Node {
    /// What it runs, if it is a standard node.
    pub fn standard(&self) -> Option<&Standard> {
        match &self.kind {
            NodeKind::Standard(standard) => Some(standard),
            NodeKind::Runtime(_) => None,
        }
    }

    /// What it runs, if it hosts operators.
    pub fn runtime(&self) -> Option<&Runtime> {
        match &self.kind {
            NodeKind::Runtime(runtime) => Some(runtime),
            NodeKind::Standard(_) => None,
        }
    }
}

/// What a node runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A program of its own.
    Standard(Standard),
    /// Operators, hosted by a process of ours.
    Runtime(Runtime),
}

/// A node that is a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standard {
    /// The program as the file names it; relative to the dataflow file. See [`Standard::path_kind`].
    pub path: String,
    /// SHA-256 of the program, 64 lower-case hexadecimal digits. Only with a URL.
    pub path_sha256: Option<String>,
    /// Arguments in POSIX quoting; for [`PathKind::Shell`] the command line itself.
    pub args: Option<String>,
    /// Commands that build it, one per line.
    pub build: Option<String>,
    /// Repository that holds it.
    pub git: Option<GitSource>,
    /// The role it plays in a service or an action.
    pub pattern: Option<Pattern>,
}

impl Standard {
    /// What kind of program `path` names.
    pub fn path_kind(&self) -> PathKind {
        PathKind::of(&self.path)
    }
}

/// What kind of program a `path` names. Told from the text alone; whether it exists is for the daemon to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// `dynamic`: nobody starts it, it attaches by itself.
    Dynamic,
    /// `shell`: `args` is given to a shell.
    Shell,
    /// `http://` or `https://`: downloaded first.
    Url,
    /// A Python source file.
    Python,
    /// A file, or a command on the search path.
    Program,
}

impl PathKind {
    /// Classifies the text of a `path`.
    pub fn of(path: &str) -> Self {
        match path {
            "dynamic" => Self::Dynamic,
            "shell" => Self::Shell,
            _ if path.starts_with("http://") || path.starts_with("https://") => Self::Url,
            _ if path.ends_with(".py") => Self::Python,
            _ => Self::Program,
        }
    }
}

/// A repository that holds a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitSource {
    /// URL of the repository.
    pub url: String,
    /// Which revision; the default branch if none.
    pub revision: Option<GitRevision>,
}

/// A revision of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GitRevision {
    /// Head of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// A commit.
    Rev(String),
}

/// The role of a node or an operator in a service or an action; implies metadata keys of its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Answers requests.
    ServiceServer,
    /// Sends requests.
    ServiceClient,
    /// Executes goals.
    ActionServer,
    /// Sends goals.
    ActionClient,
}

impl Pattern {
    /// All patterns.
    pub const ALL: [Self; 4] = [Self::ServiceServer, Self::ServiceClient, Self::ActionServer, Self::ActionClient];

    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceServer => "service-server",
            Self::ServiceClient => "service-client",
            Self::ActionServer => "action-server",
            Self::ActionClient => "action-client",
        }
    }

    /// Metadata keys that every output of such a node carries.
    pub fn metadata_keys(self) -> &'static [&'static str] {
        match self {
            Self::ServiceServer | Self::ServiceClient => &["request_id"],
            Self::ActionServer => &["goal_id", "goal_status"],
            Self::ActionClient => &["goal_id"],
        }
    }
}

/// A node that hosts operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// The operators; at least one.
    pub operators: Vec<Operator>,
    /// Written as `operator`, so that `node/output` may leave the operator's id out.
    pub single: bool,
}

/// One operator. Its inputs and outputs are those of the node whose id starts with `<operator>/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Unique in the node.
    pub id: OperatorId,
    /// A name for people.
    pub name: Option<String>,
    /// A description for people.
    pub description: Option<String>,
    /// What it runs.
    pub source: OperatorSource,
    /// Commands that build it, one per line.
    pub build: Option<String>,
    /// The role it plays in a service or an action.
    pub pattern: Option<Pattern>,
}

/// What an operator runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorSource {
    /// A Python file.
    Python {
        /// The file, relative to the dataflow file.
        source: String,
        /// The conda environment to run in.
        conda_env: Option<String>,
    },
    /// A shared library: path without the platform's prefix and extension, or a URL.
    SharedLibrary(String),
}
