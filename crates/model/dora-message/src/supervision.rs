//! What a keeper and whoever supervises it (a daemon, or `dora run`) say to each other.
//!
//! One `SOCK_SEQPACKET` connection, one JSON object per packet. The supervisor decides (policy), the keeper executes
//! (mechanism): it is given a complete [`LaunchPlan`] and reports what happens. A keeper that outlives its supervisor is
//! taken up by the next one, see [`Claim`]. This module must not know how a dataflow file looks (dora-descriptor) nor how
//! processes are made (dora-keeper).

mod exit;
mod figures;
mod lasting;

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    id::{DataId, DataflowId, NodeId},
    keeper::{EdgeCounters, InputConfig, LooseMessage, QueuePolicy},
    log::LogLevel,
};

pub use exit::{ExitCause, ExitStatus, Limit, Overdue, signal_name};
pub use figures::{EdgeFigures, Figures, NodeFigures};
pub use lasting::{
    Claim, ClaimAnswer, KeeperState, LastingPlan, NodeEnd, NodeLife, NodeStanding, ORPHAN_TIMEOUT, Refusal,
    SUPERVISION_VERSION, StartState, is_neighbour, keeper_name, keeper_prefix, kept_dataflow,
};

/// Everything a keeper needs to run the nodes of one dataflow on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchPlan {
    /// The run.
    pub dataflow_id: DataflowId,
    /// See [`NodeRunConfig::clock_anchor_ns`](crate::keeper::NodeRunConfig::clock_anchor_ns).
    pub clock_anchor_ns: u64,
    /// Bytes of shared memory that all producers together may use for payload.
    pub memory_budget: u64,
    /// Timers do not keep nodes alive.
    pub exit_when_nodes_finish: bool,
    /// When all nodes are ready, the keeper tells by [`FromKeeper::Ready`] and lets them start at [`ToKeeper::Release`]:
    /// so that nodes of several machines start together.
    #[serde(default)]
    pub hold: bool,
    /// Directory for recorded inputs, if asked for.
    pub write_events_to: Option<PathBuf>,
    /// The expanded dataflow as JSON, for `dataflow_descriptor()`.
    pub descriptor: serde_json::Value,
    /// The nodes; edges refer to them by position.
    pub nodes: Vec<NodePlan>,
    /// The edges; their numbers are their positions.
    pub edges: Vec<EdgePlan>,
    /// The keeper goes on without its supervisor. `None`: it ends with it.
    #[serde(default)]
    pub lasting: Option<LastingPlan>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodePlan {
    /// The node.
    pub id: NodeId,
    /// Absolute path of the program; `None`: the node is dynamic, a process that nobody starts here joins by itself.
    pub program: Option<PathBuf>,
    /// Its arguments, already split.
    pub args: Vec<String>,
    /// Its whole environment, without `DORA_NODE_CONFIG`, which the keeper adds.
    pub env: Vec<(String, String)>,
    /// Its working directory.
    pub working_dir: PathBuf,
    /// Its inputs, timers included.
    pub inputs: Vec<InputConfig>,
    /// The outputs that it sends itself.
    pub outputs: Vec<DataId>,
    /// Cores it may run on; empty means all.
    #[serde(default)]
    pub cpu_affinity: Vec<u32>,
    /// How long it may take.
    #[serde(default)]
    pub limits: Limits,
    /// What becomes of what it prints.
    #[serde(default)]
    pub log: LogPlan,
    /// Whether it is started again after its end; `None`: never.
    #[serde(default)]
    pub restart: Option<RestartRule>,
}

impl NodePlan {
    /// A program without arguments, environment, edges or rules, whose lines are shown and not kept.
    pub fn of_program(id: NodeId, program: PathBuf, working_dir: PathBuf) -> Self {
        NodePlan {
            id,
            program: Some(program),
            args: Vec::new(),
            env: Vec::new(),
            working_dir,
            inputs: Vec::new(),
            outputs: Vec::new(),
            cpu_affinity: Vec::new(),
            limits: Limits::default(),
            log: LogPlan::default(),
            restart: None,
        }
    }
    /// Whether a process that nobody starts here joins as this node.
    pub fn is_dynamic(&self) -> bool {
        self.program.is_none()
    }
}

/// When a node is started again after its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRule {
    /// After which ends.
    pub after: RestartAfter,
    /// Restarts at most, counted within `window` if there is one; 0 means no limit.
    pub max_restarts: u32,
    /// Wait before the first restart; doubles with each one.
    pub delay: Option<Duration>,
    /// The longest wait.
    pub max_delay: Option<Duration>,
    /// Time after which restarts are counted from zero.
    pub window: Option<Duration>,
}

/// Which ends of a node lead to a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartAfter {
    /// An exit code other than 0, or a signal.
    Failure,
    /// Every end.
    AnyEnd,
}

/// How long a node may take for what, in milliseconds; `None` is for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From its start until it has connected.
    pub startup_ms: Option<u64>,
    /// Outside of the API's calls, once messages flow.
    pub health_ms: Option<u64>,
    /// From the end of its inputs to its own end, when only nodes are left whose inputs have ended.
    pub finish_ms: Option<u64>,
}

/// What becomes of what a node prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlan {
    /// The log file. Its directory is made when the first line comes; `None`: nothing is kept.
    pub file: Option<PathBuf>,
    /// Bytes after which the file is rotated; `None`: never.
    pub max_size: Option<u64>,
    /// Rotated files that are kept.
    pub max_rotated_files: u32,
    /// The least severe entries that are kept, shown and sent. Lines of [`Self::stdout_as`] are sent in any case.
    pub min_level: LogLevel,
    /// Output on which every line is sent as text, its newline included.
    pub stdout_as: Option<DataId>,
    /// Output on which every structured entry is sent.
    pub logs_as: Option<DataId>,
}

impl Default for LogPlan {
    /// Everything is shown, nothing kept or sent.
    fn default() -> Self {
        LogPlan {
            file: None,
            max_size: None,
            max_rotated_files: 5,
            min_level: LogLevel::Stdout,
            stdout_as: None,
            logs_as: None,
        }
    }
}

/// Where the messages of an edge come from. Nodes are given by their position in [`LaunchPlan::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeSource {
    /// A node sends them.
    Node(u32),
    /// The keeper sends what this node prints, on one of the outputs of its [`LogPlan`].
    Printed(u32),
    /// The keeper sends the entries of all nodes, or of one; never those of the consumer itself.
    Logs {
        /// The least severe entries that are sent.
        level: LogLevel,
        /// Only those of this node.
        node: Option<u32>,
    },
}

impl EdgeSource {
    /// The node that has the output, whoever sends on it; its end closes the edge. `None`: nothing does.
    pub fn node(self) -> Option<u32> {
        match self {
            EdgeSource::Node(node) | EdgeSource::Printed(node) => Some(node),
            EdgeSource::Logs { .. } => None,
        }
    }
}

/// One edge to broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgePlan {
    /// Who sends.
    pub from: EdgeSource,
    /// The output: of [`EdgeSource::node`], or a built-in one such as `logs/warn`.
    pub output: DataId,
    /// Position of the consumer in [`LaunchPlan::nodes`].
    pub to: u32,
    /// Its input.
    pub input: DataId,
    /// Length of the queue.
    pub capacity: u32,
    /// What happens when the queue is full.
    pub policy: QueuePolicy,
}

/// Packets from the supervisor to the keeper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToKeeper {
    /// Start everything. Descriptor: a memfd with the JSON of [`LaunchPlan`].
    Launch {
        /// Bytes of JSON in the memfd.
        plan_len: u64,
    },
    /// Let the nodes of a plan with [`LaunchPlan::hold`] start once they are ready. They may be ready already.
    Release,
    /// Asks for [`FromKeeper::Figures`].
    Figures {
        /// Comes back with the answer.
        serial: u64,
    },
    /// Bring one node to its end and do not start it again. Refused by a warning if the node has ended for good, or the
    /// dataflow is ending, or nobody here started the process.
    StopNode {
        /// The node.
        node: NodeId,
        /// How.
        ending: Ending,
    },
    /// The same, and start the node again, whatever its restart rule says; its queues stay.
    RestartNode {
        /// The node.
        node: NodeId,
        /// How it is brought to its end.
        ending: Ending,
    },
    /// Lets the supervisor read what a node sends on an output from now on, by one more edge that drops the oldest:
    /// [`FromKeeper::Tapped`] follows for each process of the node, or [`FromKeeper::TapOver`].
    Tap {
        /// A number of the supervisor's choice, which no other tap has.
        tap: u64,
        /// The node.
        node: NodeId,
        /// An output that it sends itself.
        output: DataId,
        /// Length of the queue.
        capacity: u32,
    },
    /// No further [`FromKeeper::Tapped`]. The edge ends when the supervisor drops its end of it.
    Untap {
        /// Number of the tap.
        tap: u64,
    },
    /// Brings a message to every consumer of an output, as if the node had sent it; consumers that are not there, or have
    /// not read what came before, do not get it. No edge counts it. Descriptor: a memfd with the message.
    Publish {
        /// The node.
        node: NodeId,
        /// One of its outputs.
        output: DataId,
        /// What lies in the memfd.
        message: LooseMessage,
    },
    /// Ask all nodes to stop; SIGTERM after the grace, SIGKILL after half of it again.
    Stop {
        /// Time that the nodes have to end by themselves, in milliseconds.
        grace_ms: u64,
    },
    /// The nodes were asked, and somebody cannot wait: SIGTERM at once, SIGKILL two seconds later.
    Hurry,
    /// SIGKILL to everything, at once.
    Kill,
    /// Everything has ended and the report was taken: a keeper that may outlive its supervisor can go. Before the end it
    /// does nothing.
    Dismiss,
}

/// How one node is brought to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It is asked to stop; SIGTERM after the grace, SIGKILL after half of it again.
    Ask {
        /// Time that it has to end by itself, in milliseconds.
        grace_ms: u64,
    },
    /// It is asked, and somebody cannot wait: SIGTERM at once, SIGKILL two seconds later.
    Hurry,
    /// SIGKILL, at once.
    Kill,
}

/// Which stream of a node a line came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

/// Packets from the keeper to its supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromKeeper {
    /// First packet of a keeper that may outlive its supervisor, to the one that has started it. Descriptors: a pidfd of
    /// the keeper, and one of its guard.
    Hello {
        /// Its [`SUPERVISION_VERSION`].
        version: u32,
        /// Its process id.
        pid: u32,
    },
    /// A process runs.
    Spawned {
        /// The node.
        node: NodeId,
        /// Its process id.
        pid: u32,
    },
    /// Every node is ready, and waits for [`ToKeeper::Release`]. Said once, and only if the plan wants it.
    Ready,
    /// Every node has passed the start barrier.
    AllReady,
    /// Messages of a tapped output can be read: of one process of the node, until the edge is closed. Descriptors: ring,
    /// arena (read-only), holders, and a bell and an eventfd to wait on.
    Tapped {
        /// Number of the tap.
        tap: u64,
        /// Bit of this consumer in the holders.
        bit: u16,
        /// Length of the queue.
        capacity: u32,
    },
    /// No messages will follow those of the last [`FromKeeper::Tapped`], if there was one.
    TapOver {
        /// Number of the tap.
        tap: u64,
        /// Why, for people, to follow the name of the output: "the node has ended".
        reason: String,
    },
    /// Answers [`ToKeeper::Figures`]. Descriptor: a memfd with the JSON of [`Figures`].
    Figures {
        /// That of the question.
        serial: u64,
        /// Bytes of JSON in the memfd.
        len: u64,
    },
    /// Lines of a node's output, without their newlines. A line that is too long for a packet comes in pieces, each in a
    /// packet of its own.
    Lines {
        /// The node.
        node: NodeId,
        /// Where they were written.
        stream: OutputStream,
        /// When they were read, in nanoseconds since the Unix epoch.
        time_ns: u64,
        /// The texts, invalid UTF-8 replaced; each at most [`LONGEST_LINE`](crate::log::LONGEST_LINE) long.
        lines: Vec<String>,
        /// More of the last line follows.
        #[serde(default)]
        partial: bool,
    },
    /// Here so many lines of a node were left out, because the supervisor did not read. Only where it is not to be waited
    /// for.
    Missed {
        /// The node.
        node: NodeId,
        /// How many.
        lines: u64,
    },
    /// A process has ended, its output is complete, and the node will be started again.
    Restarting {
        /// The node.
        node: NodeId,
        /// How the process ended.
        status: ExitStatus,
        /// Number of the restart, from 1.
        restart: u32,
        /// Wait until then, in milliseconds.
        delay_ms: u64,
    },
    /// A process has ended, its output is complete, and the node is not started again.
    Exited {
        /// The node.
        node: NodeId,
        /// How it ended.
        status: ExitStatus,
        /// Why.
        cause: ExitCause,
        /// It never said Hello: a program that does not use the API.
        #[serde(default)]
        never_connected: bool,
        /// Last lines of its standard error, and before them the message of its last panic, if that came earlier.
        last_stderr: Vec<String>,
    },
    /// A process has become a dynamic node, and exchanges messages.
    Joined {
        /// The node.
        node: NodeId,
        /// Its process id, if the keeper can see it.
        pid: Option<u32>,
        /// How many processes have been this node, this one included.
        joins: u32,
    },
    /// The process that was a dynamic node is it no longer.
    Left {
        /// The node.
        node: NodeId,
        /// It said so; otherwise it has crashed, was killed, or ended without dropping its node.
        in_order: bool,
        /// How many processes have been this node.
        joins: u32,
    },
    /// Something went wrong that is not a node's fault; the run goes on.
    Warning {
        /// What and what to do, for people.
        message: String,
    },
    /// The keeper cannot run the dataflow. It has killed what it had started; the last packet.
    Failed {
        /// What went wrong and what to do, for people.
        reason: String,
    },
    /// All nodes have ended and nothing is left. The last packet. Descriptor: a memfd with the JSON of [`FinalReport`].
    Finished {
        /// Bytes of JSON in the memfd.
        report_len: u64,
    },
}

/// What the keeper knows when everything is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FinalReport {
    /// Counters of each edge, in the order of [`LaunchPlan::edges`].
    pub edges: Vec<EdgeCounters>,
    /// Processes that nodes had left behind and that were killed.
    pub orphans_killed: u32,
}
