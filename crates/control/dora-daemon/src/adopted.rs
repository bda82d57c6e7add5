//! Dataflows that have gone on without their daemon: taken up while they run, and what they have left if they have ended.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use dora_gateways::{NodeState, Outcome};
use dora_message::{
    id::{DataflowId, NodeId},
    supervision::{KeeperState, LaunchPlan, NodeLife, NodeStanding, StartState},
};

use crate::{
    execution::Execution,
    keeper::{AdoptError, Owner, claim},
    outcome::Record,
};

/// A dataflow that ran without this daemon, and what has become of it meanwhile.
#[derive(Debug)]
pub struct Adopted {
    /// What happens from now on. If everything has ended meanwhile that is its end.
    pub execution: Execution,
    /// The plan, as it was given to [`Execution::start`].
    pub plan: LaunchPlan,
    /// Its nodes, in the order of the plan.
    pub nodes: Vec<AdoptedNode>,
    /// Messages flow: every node has passed the start barrier.
    pub flowing: bool,
    /// All nodes are ready and wait for [`Control::release`](crate::Control::release).
    pub ready: bool,
    /// The nodes were asked to end.
    pub stopping: bool,
    /// Sentences that nobody has heard.
    pub warnings: Vec<String>,
}

/// A node of a dataflow that was adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedNode {
    /// The node.
    pub node: NodeId,
    /// What it does.
    pub state: NodeState,
    /// Its process, if it has one that can be seen.
    pub pid: Option<u32>,
    /// How many processes of the node came before the present one.
    pub restarts: u32,
}

impl Execution {
    /// Takes up a dataflow whose keeper goes on without its daemon, or takes it from a daemon with a smaller
    /// [`incarnation`](crate::incarnation). Waits for the keeper's answer, for two seconds at most.
    ///
    /// # Errors
    /// [`AdoptError`]: nothing has changed then.
    pub fn adopt(owner: &Owner, dataflow: DataflowId, incarnation: u64) -> Result<Adopted, AdoptError> {
        let (keeper, state) = claim(owner, &dataflow, incarnation)?;
        let record = Record::of(&state);
        let nodes = nodes(&state, &record);
        Ok(Adopted {
            execution: Execution::of(keeper, record),
            nodes,
            flowing: state.start == StartState::Passed,
            ready: state.start == StartState::Held,
            stopping: state.stopping,
            warnings: state.warnings,
            plan: state.plan,
        })
    }
}

fn nodes(state: &KeeperState, record: &Record) -> Vec<AdoptedNode> {
    let node = |(plan, standing): (&dora_message::supervision::NodePlan, &NodeStanding)| {
        let (now, pid) = match &standing.life {
            NodeLife::Running { pid, .. } if matches!(state.start, StartState::Held | StartState::Passed) => {
                (NodeState::Running, *pid)
            }
            NodeLife::Running { pid, .. } => (NodeState::Starting, *pid),
            NodeLife::Restarting { .. } => (NodeState::Restarting, None),
            NodeLife::Dynamic { here: true, pid } => (NodeState::Running, *pid),
            NodeLife::Dynamic { here: false, .. } => (NodeState::Waiting, None),
            // Who has ended is in the record.
            NodeLife::Ended => (NodeState::Stopping, None),
        };
        let now = match record.result_of(&plan.id) {
            Some(result) => NodeState::Ended(result.clone()),
            None if state.stopping => NodeState::Stopping,
            None => now,
        };
        AdoptedNode { node: plan.id.clone(), state: now, pid, restarts: standing.restarts }
    };
    state.plan.nodes.iter().zip(&state.nodes).map(node).collect()
}

/// What a keeper has left that ended while nobody supervised it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftReport {
    /// The plan, as it was given to [`Execution::start`].
    pub plan: LaunchPlan,
    /// How the dataflow ended.
    pub outcome: Outcome,
    /// Sentences that nobody has heard.
    pub warnings: Vec<String>,
}

/// Why what a keeper has left cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file cannot be read.
    #[error("cannot read `{}`, which a keeper has left: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is something else.
    #[error("`{}` is not what a keeper leaves: {source}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Reads what a keeper has left in the [`report_file`](dora_message::supervision::LastingPlan::report_file) of its plan.
/// Look there once its dataflow is not [`adoptable`](crate::adoptable) any more: the file is complete before that.
///
/// # Errors
/// [`ReportError`] if there is no such file, or it is something else.
pub fn read_report(file: &Path) -> Result<LeftReport, ReportError> {
    let json = fs::read(file).map_err(|source| ReportError::Read { file: file.to_owned(), source })?;
    let state: KeeperState =
        serde_json::from_slice(&json).map_err(|source| ReportError::Content { file: file.to_owned(), source })?;
    let outcome = Record::of(&state).finish(state.report.unwrap_or_default(), None);
    Ok(LeftReport { plan: state.plan, outcome, warnings: state.warnings })
}
