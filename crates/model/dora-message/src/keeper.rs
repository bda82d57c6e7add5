//! What a node and its keeper say to each other.
//!
//! One `SOCK_SEQPACKET` pair per node, one JSON object per packet, file descriptors attached to the packet that names
//! them. The conversation, in order:
//!
//! ```text
//! node   -> Hello                 the process speaks our protocol, in this version
//! keeper -> Welcome      +6 fds   configuration, bell, eventfd, arena, holders, budget
//! keeper -> Output       +1..3    one per outgoing edge: ring (and, once per consumer, its bell and eventfd)
//! keeper -> Input        +1..3    one per incoming edge: ring (and, once per producer, its arena and holders)
//! keeper -> Wired                 nothing more follows before Start
//! node   -> Ready                 every edge is mapped
//! keeper -> Start | Refused       the start barrier: all nodes are ready, or one failed
//! keeper -> Stop | NodeFailed ... mail while the dataflow runs
//! node   -> Dropped               nothing more will be sent
//! ```
//!
//! When a node that this one receives from was started again:
//!
//! ```text
//! keeper -> Input        +1..3    one per edge from the new process, which has new memory
//! keeper -> NodeRestarted         all of them were sent
//! node   -> Followed              everything from the old process was taken, the new edges are read
//! ```
//!
//! A dynamic node, which found its keeper as [`attach`](crate::attach) tells, ends the conversation with `Left`. The
//! connection itself stays open until the process has let go of every message that it received.
//!
//! The fields are named, unknown fields are ignored and new messages are answered by neither side dying: that is what
//! lets neighbouring versions talk. This module must not know how memory is laid out (dora-channel) nor what a process
//! is (dora-keeper).

use std::{collections::BTreeMap, ops::AddAssign, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::id::{DataId, DataflowId, NodeId};

/// Version of this protocol. A keeper serves nodes of its own and of the previous version.
pub const PROTOCOL_VERSION: u32 = 1;

/// Name of the environment variable that tells a node how to find its keeper (JSON of [`NodeConfig`]).
pub const NODE_CONFIG_ENV: &str = "DORA_NODE_CONFIG";

/// The longest packet either side sends, in bytes. Longer values travel in a memfd.
pub const MAX_PACKET: usize = 64 * 1024;

/// Content of `DORA_NODE_CONFIG`: only what is needed to reach the keeper, because environments are readable by every
/// process of the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeConfig {
    /// The run this process belongs to.
    pub dataflow_id: DataflowId,
    /// The node this process is.
    pub node_id: NodeId,
    /// Number of the inherited descriptor: the node's end of the socket pair.
    pub keeper_fd: i32,
    /// How many attempts of this node came before this one.
    #[serde(default)]
    pub restart_count: u32,
}

/// What happens on an edge whose queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuePolicy {
    /// The oldest queued message makes room; it is counted as dropped.
    DropOldest,
    /// The new message is not queued; it is counted as dropped.
    DropNewest,
    /// The sender waits until there is room.
    Backpressure,
}

/// Everything a node knows about itself. Travels in the memfd of [`ToNode::Welcome`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRunConfig {
    /// The run this process belongs to.
    pub dataflow_id: DataflowId,
    /// The node this process is.
    pub node_id: NodeId,
    /// Inputs in the order of the dataflow file.
    pub inputs: Vec<InputConfig>,
    /// Outputs that the node may send, also those that nobody subscribes to.
    pub outputs: Vec<DataId>,
    /// Wall-clock time, in nanoseconds since the Unix epoch, at which `CLOCK_MONOTONIC` read zero. One value for all
    /// processes of the dataflow on this machine, so that their timestamps agree and no clock step disturbs them.
    pub clock_anchor_ns: u64,
    /// How many attempts of this node came before this one.
    pub restart_count: u32,
    /// Another process may go on with the edges of this one: what the end of the process means for them is told by the
    /// keeper, and not by dropping the halves of the node.
    #[serde(default)]
    pub keeps_edges: bool,
    /// Timers do not keep the node alive once its other inputs are closed.
    pub exit_when_nodes_finish: bool,
    /// Directory for recorded inputs (`DORA_WRITE_EVENTS_TO`), if asked for.
    pub write_events_to: Option<PathBuf>,
    /// The keeper wants to know when the node is in a call of the API, and when it was last.
    #[serde(default)]
    pub health_checked: bool,
    /// The keeper ends the outputs of a node that says [`FromNode::Dropped`]; otherwise the node does it itself.
    #[serde(default)]
    pub keeper_ends_outputs: bool,
    /// Nobody started the process for the dataflow: it goes on when the dataflow ends, and may leave before.
    #[serde(default)]
    pub dynamic: bool,
    /// The expanded dataflow as JSON.
    pub descriptor: serde_json::Value,
}

/// One input of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputConfig {
    /// Name of the input.
    pub id: DataId,
    /// Where its messages come from.
    pub source: InputSource,
    /// Length of its queue.
    pub queue_size: u32,
    /// What happens when the queue is full.
    pub policy: QueuePolicy,
    /// Silence after which the input counts as broken, in nanoseconds, from its first message on.
    #[serde(default)]
    pub timeout_ns: Option<u64>,
}

/// Where the messages of an input come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSource {
    /// An output of a node; there is an [`ToNode::Input`] for it.
    Node {
        /// The producing node.
        node: NodeId,
        /// Its output.
        output: DataId,
    },
    /// A timer that runs in the node itself.
    Timer {
        /// Time between two ticks, in nanoseconds.
        interval_ns: u64,
    },
    /// Log entries of the dataflow's nodes, which the keeper sends; there is an [`ToNode::Input`] for it. Never closes.
    Logs,
}

/// Packets from the node to its keeper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromNode {
    /// First packet of a process that uses the API.
    Hello {
        /// [`PROTOCOL_VERSION`] of the node.
        version: u32,
        /// Version of the API crate, for messages.
        api: String,
    },
    /// All edges are mapped.
    Ready,
    /// The program has dropped its sending half without an end of its outputs. Often the process ends a moment later,
    /// and then its exit code tells whether the node has failed: what its consumers read before the end of the input.
    Dropped,
    /// The process is this dynamic node no longer.
    Left,
    /// Answers [`ToNode::NodeRestarted`]: the new edges from that node are read, the old ones never again.
    Followed {
        /// The node that was started again.
        node: NodeId,
    },
    /// The process gives up during initialisation; the reason goes to the user.
    Failed {
        /// What went wrong.
        reason: String,
    },
}

/// Packets from the keeper to a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToNode {
    /// Descriptors: configuration memfd (JSON of [`NodeRunConfig`]), bell, eventfd, arena (writable), holders, budget.
    Welcome {
        /// [`PROTOCOL_VERSION`] of the keeper.
        version: u32,
        /// Bytes of JSON in the configuration memfd.
        config_len: u64,
        /// Slot of this producer in the budget page.
        budget_slot: u32,
    },
    /// An outgoing edge. Descriptors: ring; with `new_peer` also the consumer's bell and eventfd. While the dataflow runs:
    /// somebody looks at the output from now on. The process takes the edge in before its next message; until then
    /// another grant with the same bit takes its place.
    Output(EdgeGrant),
    /// An incoming edge. Descriptors: ring; with `new_peer` also the producer's arena (read-only) and holders.
    Input(EdgeGrant),
    /// A message that came on no edge: somebody sent it in place of a node. Descriptor: a memfd with the message.
    Message {
        /// The input.
        input: DataId,
        /// When it was sent, in nanoseconds since the Unix epoch.
        stamp_ns: u64,
        /// What lies in the memfd.
        message: LooseMessage,
    },
    /// All edges have been sent.
    Wired,
    /// Every node is ready: messages may be sent.
    Start,
    /// The dataflow does not start.
    Refused {
        /// What the user should read.
        reason: String,
    },
    /// Another process will go on with the edges of this one, although [`NodeRunConfig::keeps_edges`] is not set.
    KeepEdges,
    /// Stop was asked for by the user.
    Stop,
    /// A node ended with an error. Sent before its edges are closed.
    NodeFailed {
        /// The node that failed.
        node: NodeId,
        /// Exit status and last words, for people.
        error: String,
    },
    /// A node was started again. The new edges from it were sent before; they are read when the old ones are empty, and
    /// between the two the user is told.
    NodeRestarted {
        /// The node that runs again.
        node: NodeId,
    },
    /// A parameter of the node was set.
    ParamUpdate {
        /// Name of the parameter.
        key: String,
        /// Its new value.
        value: serde_json::Value,
    },
    /// A parameter of the node was deleted.
    ParamDeleted {
        /// Name of the parameter.
        key: String,
    },
    /// An operator was changed on disk.
    Reload {
        /// The operator, if the runtime hosts several.
        operator: Option<String>,
    },
}

/// A message that lies in memory of its own as it would lie in a chunk: the payload at the start, the header at the next
/// multiple of 8 behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LooseMessage {
    /// What the payload is.
    pub tag: u8,
    /// Payload bytes.
    pub len: usize,
    /// Header bytes.
    pub header_len: usize,
}

/// One edge as one of its ends sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeGrant {
    /// Number of the edge in the dataflow.
    pub edge: u32,
    /// The node's own port: an output for [`ToNode::Output`], an input for [`ToNode::Input`].
    pub port: DataId,
    /// The node at the other end; `dora` for log entries.
    pub peer: NodeId,
    /// Number of the process at the other end, which is the keeper for what nodes print; the key under which its shared
    /// descriptors are kept.
    pub peer_index: u32,
    /// The peer's descriptors are attached to this packet because no earlier one carried them. For an input they are those
    /// of the process that sends on this edge.
    pub new_peer: bool,
    /// For an output: messages that earlier processes of this node sent on the edge.
    #[serde(default)]
    pub sent_before: u64,
    /// Bit of the consumer in the producer's holders.
    pub bit: u16,
    /// Length of the queue.
    pub capacity: u32,
    /// What happens when the queue is full.
    pub policy: QueuePolicy,
}

/// Messages of one edge, counted where they happen. See dora-channel for the exact meaning of each number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeCounters {
    /// Messages that the producer put on this edge, dropped ones included.
    pub sent: u64,
    /// Messages that the consumer took, without those that were lost.
    pub received: u64,
    /// Messages that a process of the consumer had taken and not released when it crashed and was started again.
    #[serde(default)]
    pub lost_in_crash: u64,
    /// Messages that the queue policy gave up, and those that nobody was there for.
    pub dropped: u64,
    /// Those of the dropped messages that were sent while nobody was the consumer, which is a dynamic node.
    #[serde(default)]
    pub unattended: u64,
    /// Messages still queued when the consumer was gone.
    pub undelivered: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// Time from send to receive: `latency[i]` counts messages that took less than 2^i nanoseconds and at least half.
    pub latency: Vec<u64>,
}

/// Adds what the edge has counted later.
impl AddAssign<&EdgeCounters> for EdgeCounters {
    fn add_assign(&mut self, later: &EdgeCounters) {
        self.sent += later.sent;
        self.received += later.received;
        self.lost_in_crash += later.lost_in_crash;
        self.dropped += later.dropped;
        self.unattended += later.unattended;
        self.undelivered += later.undelivered;
        self.bytes += later.bytes;
        self.latency.resize(self.latency.len().max(later.latency.len()), 0);
        for (count, more) in self.latency.iter_mut().zip(&later.latency) {
            *count += more;
        }
    }
}

/// Counters of the edges of a dataflow, by number of the edge.
pub type EdgeReport = BTreeMap<u32, EdgeCounters>;
