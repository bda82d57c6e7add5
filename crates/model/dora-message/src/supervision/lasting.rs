//! A keeper that outlives its supervisor, and how the next one takes it up: a name, a claim, and a picture of what runs.
//!
//! Such a keeper listens on a `SOCK_SEQPACKET` socket in the abstract namespace. Whoever wants to supervise it connects:
//!
//! ```text
//! supervisor -> Claim             its version, and which incarnation it is
//! keeper     -> Granted  +1..3    a memfd with KeeperState, then pidfds: the keeper's and its guard's
//!             | Refused           why not
//! ```
//!
//! From then on the connection is what the socket pair is to a supervisor that has started its keeper: [`ToKeeper`] one
//! way, [`FromKeeper`] the other. What had happened before is in the picture and is not told again.
//!
//! # Versions
//! Each side says its [`SUPERVISION_VERSION`] in its first packet, and takes the neighbouring ones. What that means:
//! fields are added with a default and none is renamed; what a packet says stays what it said; packets and refusals that
//! are not understood are ignored, so a new order does nothing in a keeper of the version before. A plan is given back as
//! the keeper has understood it: the fields that it does not know have their defaults then.
//!
//! [`ToKeeper`]: super::ToKeeper
//! [`FromKeeper`]: super::FromKeeper

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{ExitCause, ExitStatus, FinalReport, LaunchPlan};
use crate::id::{DataflowId, NodeId};

/// Version of what a keeper and its supervisor say to each other. Each takes its own and the neighbouring ones.
pub const SUPERVISION_VERSION: u32 = 1;

/// How long a keeper goes on without a supervisor if nobody said how long.
pub const ORPHAN_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether two versions of [`SUPERVISION_VERSION`] understand each other. Version 0 was never spoken.
pub fn is_neighbour(version: u32) -> bool {
    version != 0 && version.abs_diff(SUPERVISION_VERSION) <= 1
}

/// What the names begin with on which the keepers of one owner listen. `owner` is letters and digits, at most 32.
///
/// ```
/// use dora_message::supervision::{kept_dataflow, keeper_name};
/// let dataflow = dora_message::id::DataflowId::nil();
/// assert_eq!(kept_dataflow(1000, "a", &keeper_name(1000, "a", &dataflow)), Some(dataflow));
/// assert_eq!(kept_dataflow(1000, "b", &keeper_name(1000, "a", &dataflow)), None);
/// ```
pub fn keeper_prefix(uid: u32, owner: &str) -> String {
    format!("dora-keeper/{uid}/{owner}/")
}

/// The name on which the lasting keeper of a dataflow listens.
pub fn keeper_name(uid: u32, owner: &str, dataflow: &DataflowId) -> String {
    format!("{}{dataflow}", keeper_prefix(uid, owner))
}

/// The dataflow whose lasting keeper listens on a name; `None` if it is not the name of a keeper of this owner.
pub fn kept_dataflow(uid: u32, owner: &str, name: &str) -> Option<DataflowId> {
    name.strip_prefix(&keeper_prefix(uid, owner))?.parse().ok()
}

/// How a keeper lives on without its supervisor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastingPlan {
    /// Which supervisors may take it up, see [`keeper_prefix`].
    pub owner: String,
    /// Of the supervisor that starts it, see [`Claim::incarnation`].
    pub incarnation: u64,
    /// How long it goes on without a supervisor before it stops its nodes; `None`: for ever.
    pub orphan_timeout: Option<Duration>,
    /// Where it leaves its [`KeeperState`], as JSON, if it ends and no supervisor has come by then.
    #[serde(default)]
    pub report_file: Option<PathBuf>,
    /// What the supervisor wants its successor to know. The keeper does not look at it.
    #[serde(default)]
    pub supervisor_data: String,
}

/// Without what only the supervisor understands.
impl fmt::Debug for LastingPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LastingPlan { owner, incarnation, orphan_timeout, report_file, supervisor_data } = self;
        f.debug_struct("LastingPlan")
            .field("owner", owner)
            .field("incarnation", incarnation)
            .field("orphan_timeout", orphan_timeout)
            .field("report_file", report_file)
            .field("supervisor_data", &format_args!("{} bytes", supervisor_data.len()))
            .finish()
    }
}

/// First packet of whoever wants to supervise a keeper that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its [`SUPERVISION_VERSION`].
    pub version: u32,
    /// Which of all that may supervise it this is: later ones have larger numbers. It takes the place of a supervisor with
    /// a smaller one, which is heard no more; where nobody supervises it is taken if nobody with a larger one has been.
    pub incarnation: u64,
}

/// What a keeper answers to a [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClaimAnswer {
    /// Whoever asked is the supervisor now. Descriptors: a memfd with the JSON of [`KeeperState`], a pidfd of the keeper,
    /// and one of its guard if that lives.
    Granted {
        /// The keeper's [`SUPERVISION_VERSION`].
        version: u32,
        /// Bytes of JSON in the memfd.
        state_len: u64,
    },
    /// It is not; the connection is closed.
    Refused {
        /// The keeper's [`SUPERVISION_VERSION`].
        version: u32,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a keeper does not take a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Refusal {
    /// A later one has come before.
    Superseded {
        /// The incarnation of that one.
        incarnation: u64,
    },
    /// The versions are too far apart.
    Version,
}

/// For people, to follow the name of a keeper: "is supervised by a later daemon".
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Superseded { .. } => f.write_str("is supervised by a daemon that was started later"),
            Refusal::Version => f.write_str("is of another version of dora, too far from this one"),
        }
    }
}

/// All that a supervisor needs to know of a dataflow that runs without it, or has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeeperState {
    /// Process id of the keeper.
    pub keeper: u32,
    /// Process id of its guard; `None`: it is gone.
    #[serde(default)]
    pub guard: Option<u32>,
    /// The plan, as it was given.
    pub plan: LaunchPlan,
    /// How far the start has come.
    pub start: StartState,
    /// The nodes were asked to end.
    #[serde(default)]
    pub stopping: bool,
    /// The nodes, in the order of the plan.
    pub nodes: Vec<NodeStanding>,
    /// The nodes that have ended for good, in the order of their ends.
    #[serde(default)]
    pub ends: Vec<NodeEnd>,
    /// What nobody was there to hear: see [`FromKeeper::Warning`](super::FromKeeper::Warning).
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Everything has ended.
    #[serde(default)]
    pub report: Option<FinalReport>,
}

/// How far the start barrier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartState {
    /// Some node is not ready.
    Waiting,
    /// All are, and wait for the release.
    Held,
    /// Messages flow.
    Passed,
    /// They never will.
    Failed,
}

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStanding {
    /// How many processes of the node came before the present one; of a dynamic node, how many have left.
    pub restarts: u32,
    /// What it does.
    pub life: NodeLife,
}

/// What a node does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum NodeLife {
    /// Its process runs, or has ended and that is told soon.
    Running {
        /// The process, while it runs.
        pid: Option<u32>,
        /// It exchanges messages.
        connected: bool,
    },
    /// Its process has ended, and the next one will be started.
    Restarting {
        /// How the process ended.
        status: ExitStatus,
    },
    /// It has ended for good: see [`KeeperState::ends`].
    Ended,
    /// It is dynamic.
    Dynamic {
        /// A process is the node, with this id if it can be seen.
        here: bool,
        /// The process.
        pid: Option<u32>,
    },
}

/// The end of a node; the fields of [`FromKeeper::Exited`](super::FromKeeper::Exited).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEnd {
    /// The node.
    pub node: NodeId,
    /// How it ended.
    pub status: ExitStatus,
    /// Why.
    pub cause: ExitCause,
    /// It never said Hello.
    #[serde(default)]
    pub never_connected: bool,
    /// What it printed on standard error last.
    #[serde(default)]
    pub last_stderr: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::{
        super::{FromKeeper, ToKeeper},
        *,
    };

    #[test]
    fn neighbours_talk_and_others_do_not() {
        assert!(is_neighbour(SUPERVISION_VERSION) && is_neighbour(SUPERVISION_VERSION + 1));
        assert!(!is_neighbour(0) && !is_neighbour(SUPERVISION_VERSION + 2));
    }

    #[test]
    fn a_name_fits_into_an_address() {
        let name = keeper_name(u32::MAX, &"a".repeat(32), &DataflowId::max());
        assert!(name.len() <= 107, "{}", name.len());
    }

    /// What version 1 has said. Later versions must understand it as long as they are its neighbours.
    const CLAIM_1: &str = r#"{"version":1,"incarnation":7}"#;
    const GRANTED_1: &str = r#"{"type":"granted","version":1,"state_len":12}"#;
    const REFUSED_1: &str = r#"{"type":"refused","version":1,"refusal":{"why":"superseded","incarnation":9}}"#;
    const STATE_1: &str = r#"{"keeper":11,"guard":10,
        "plan":{"dataflow_id":"00000000-0000-0000-0000-000000000001","clock_anchor_ns":5,"memory_budget":1048576,
            "exit_when_nodes_finish":false,"hold":true,"write_events_to":null,"descriptor":{"nodes":[]},
            "nodes":[{"id":"a","program":"/bin/true","args":[],"env":[["A","b"]],"working_dir":"/","inputs":[],"outputs":["out"],
                "cpu_affinity":[],"limits":{"startup_ms":null,"health_ms":null,"finish_ms":null},
                "log":{"file":null,"max_size":null,"max_rotated_files":5,"min_level":"stdout","stdout_as":null,"logs_as":null},
                "restart":null}],
            "edges":[],
            "lasting":{"owner":"0123456789abcdef","incarnation":7,"orphan_timeout":{"secs":60,"nanos":0},
                "report_file":"/r.json","supervisor_data":"{}"}},
        "start":"passed","stopping":false,
        "nodes":[{"restarts":2,"life":{"is":"running","pid":12,"connected":true}},
            {"restarts":1,"life":{"is":"restarting","status":{"kind":"signal","signal":11}}},
            {"restarts":0,"life":{"is":"ended"}},
            {"restarts":3,"life":{"is":"dynamic","here":false,"pid":null}}],
        "ends":[{"node":"c","status":{"kind":"code","code":3},"cause":"own","never_connected":true,"last_stderr":["x"]}],
        "warnings":["w"],
        "report":{"edges":[],"orphans_killed":1}}"#;

    /// Orders of version 1: a keeper of this version obeys them.
    const ORDERS_1: [&str; 13] = [
        r#"{"type":"launch","plan_len":9}"#,
        r#"{"type":"release"}"#,
        r#"{"type":"figures","serial":1}"#,
        r#"{"type":"stop_node","node":"a","ending":{"ask":{"grace_ms":5}}}"#,
        r#"{"type":"restart_node","node":"a","ending":"hurry"}"#,
        r#"{"type":"restart_node","node":"a","ending":"kill"}"#,
        r#"{"type":"tap","tap":1,"node":"a","output":"out","capacity":4}"#,
        r#"{"type":"untap","tap":1}"#,
        r#"{"type":"publish","node":"a","output":"out","message":{"tag":0,"len":1,"header_len":0}}"#,
        r#"{"type":"stop","grace_ms":5}"#,
        r#"{"type":"hurry"}"#,
        r#"{"type":"kill"}"#,
        r#"{"type":"dismiss"}"#,
    ];

    /// Reports of version 1: a supervisor of this version understands them.
    const REPORTS_1: [&str; 16] = [
        r#"{"type":"hello","version":1,"pid":7}"#,
        r#"{"type":"spawned","node":"a","pid":7}"#,
        r#"{"type":"ready"}"#,
        r#"{"type":"all_ready"}"#,
        r#"{"type":"tapped","tap":1,"bit":2,"capacity":4}"#,
        r#"{"type":"tap_over","tap":1,"reason":"the node has ended"}"#,
        r#"{"type":"figures","serial":1,"len":9}"#,
        r#"{"type":"lines","node":"a","stream":"stdout","time_ns":1,"lines":["x"],"partial":false}"#,
        r#"{"type":"missed","node":"a","lines":3}"#,
        r#"{"type":"restarting","node":"a","status":{"kind":"code","code":3},"restart":1,"delay_ms":0}"#,
        r#"{"type":"exited","node":"a","status":{"kind":"spawn_failed","error":"no"},"cause":"cascading",
            "never_connected":true,"last_stderr":[]}"#,
        r#"{"type":"joined","node":"a","pid":null,"joins":1}"#,
        r#"{"type":"left","node":"a","in_order":true,"joins":1}"#,
        r#"{"type":"warning","message":"w"}"#,
        r#"{"type":"failed","reason":"r"}"#,
        r#"{"type":"finished","report_len":9}"#,
    ];

    #[test]
    fn orders_and_reports_of_version_1_are_understood_and_said_still() {
        let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        for json in ORDERS_1 {
            let order: ToKeeper = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_value(order).unwrap(), value(json));
        }
        for json in REPORTS_1 {
            let report: FromKeeper = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_value(report).unwrap(), value(json));
        }
    }

    #[test]
    fn what_version_1_has_said_is_understood() {
        let claim: Claim = serde_json::from_str(CLAIM_1).unwrap();
        assert_eq!(claim, Claim { version: 1, incarnation: 7 });
        let granted: ClaimAnswer = serde_json::from_str(GRANTED_1).unwrap();
        assert_eq!(granted, ClaimAnswer::Granted { version: 1, state_len: 12 });
        let refused: ClaimAnswer = serde_json::from_str(REFUSED_1).unwrap();
        assert_eq!(refused, ClaimAnswer::Refused { version: 1, refusal: Refusal::Superseded { incarnation: 9 } });
        let state: KeeperState = serde_json::from_str(STATE_1).unwrap();
        assert_eq!((state.start, state.nodes.len(), state.ends.len()), (StartState::Passed, 4, 1));
        assert_eq!(state.plan.lasting.as_ref().map(|lasting| lasting.orphan_timeout), Some(Some(ORPHAN_TIMEOUT)));
        // And it is what is said now.
        let again: KeeperState = serde_json::from_value(serde_json::to_value(&state).unwrap()).unwrap();
        assert_eq!(again, state);
    }

    #[test]
    fn a_picture_needs_little() {
        let mut picture: serde_json::Value = serde_json::from_str(STATE_1).unwrap();
        for field in ["guard", "stopping", "ends", "warnings", "report"] {
            picture.as_object_mut().unwrap().remove(field);
        }
        let plan = picture["plan"].as_object_mut().unwrap();
        plan.remove("lasting");
        plan.insert("from_the_future".to_owned(), serde_json::json!([1]));
        assert!(serde_json::from_value::<KeeperState>(picture).unwrap().ends.is_empty());
    }
}
