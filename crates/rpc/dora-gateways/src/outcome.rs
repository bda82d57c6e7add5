//! How nodes, edges and dataflows ended.

use std::fmt;

use dora_message::{
    id::{DataId, NodeId},
    keeper::{EdgeCounters, QueuePolicy},
    result::NodeResult,
};
use serde::{Deserialize, Serialize};

use crate::{DataflowId, MachineId, NoFit};

/// A node and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOutcome {
    /// The node.
    pub node: NodeId,
    /// How it ended.
    pub result: NodeResult,
    /// It never connected: a program that does not use the API, or that ended too early.
    #[serde(default)]
    pub never_connected: bool,
    /// Last lines of its standard error, at most 20; before them the message of a panic that came earlier, and a line that
    /// says how many were left out.
    #[serde(default)]
    pub last_stderr: Vec<String>,
}

impl NodeOutcome {
    /// Whether it ended well.
    pub fn is_success(&self) -> bool {
        self.result.is_success()
    }

    /// Its part of [`Outcome::nodes`], from 0: failed by itself, killed after its grace, ended because of others, ended well.
    pub fn rank(&self) -> u8 {
        match self.result {
            NodeResult::Failed(_) | NodeResult::NotStarted(_) | NodeResult::Overdue(_) => 0,
            NodeResult::GraceExceeded => 1,
            NodeResult::Cascading { .. } | NodeResult::Lost => 2,
            NodeResult::Success | NodeResult::NotRestarted(_) | NodeResult::NeverJoined => 3,
        }
    }
}

/// An edge and what it has counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeOutcome {
    /// The node that has the output; `dora` for log entries.
    pub from: NodeId,
    /// Its output.
    pub output: DataId,
    /// The consumer.
    pub to: NodeId,
    /// Its input.
    pub input: DataId,
    /// What happened when the queue was full.
    pub policy: QueuePolicy,
    /// Length of the queue.
    pub capacity: u32,
    /// What was counted.
    pub counters: EdgeCounters,
}

/// A mistake of a node that was found on the machine that should run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMistake {
    /// The node.
    pub node: NodeId,
    /// The key of the dataflow file that it is about: who has the file finds the line.
    #[serde(default)]
    pub key: Option<String>,
    /// What is wrong, for people.
    pub message: String,
    /// What may help.
    #[serde(default)]
    pub hint: Option<String>,
    /// What a program printed last, if one failed.
    #[serde(default)]
    pub last_lines: Vec<String>,
}

/// What went wrong besides the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Trouble {
    /// Nodes cannot be started as the file says.
    #[error("{}", joined(.0))]
    Mistakes(Vec<NodeMistake>),
    /// A node could not be built.
    #[error("{0}")]
    Build(NodeMistake),
    /// There is no place for some nodes.
    #[error("{}", joined(.0))]
    NoFit(Vec<NoFit>),
    /// It was stopped before its nodes were started.
    #[error("it was stopped before its nodes were started")]
    Interrupted,
    /// The keeper could not run the dataflow.
    #[error("the dataflow cannot run: {0}")]
    CannotRun(String),
    /// The keeper died.
    #[error("the keeper, which runs the nodes, died ({how}); all nodes were ended")]
    KeeperDied {
        /// How it ended, for people.
        how: String,
    },
    /// A daemon refuses, or cannot be reached.
    #[error("machine `{machine}`: {reason}")]
    Machine {
        /// The machine.
        machine: MachineId,
        /// Why, for people.
        reason: String,
    },
}

impl fmt::Display for NodeMistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "node `{}`: {}", self.node, self.message)
    }
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// How the nodes of one machine ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// All nodes: first those that failed by themselves, the earliest first, because it is probably the cause; then those
    /// that failed because of others; then those that ended well, in the order of their ends.
    pub nodes: Vec<NodeOutcome>,
    /// All edges, in the order of the plan, with what they have counted.
    #[serde(default)]
    pub edges: Vec<EdgeOutcome>,
    /// Processes that nodes had left behind and that were killed.
    #[serde(default)]
    pub orphans_killed: u32,
    /// What else went wrong.
    #[serde(default)]
    pub trouble: Option<Trouble>,
}

impl Outcome {
    /// Whether all went well. What was stopped before it began did what it was told.
    pub fn is_success(&self) -> bool {
        matches!(self.trouble, None | Some(Trouble::Interrupted)) && self.failures().next().is_none()
    }

    /// The nodes that did not end well, the root cause first.
    pub fn failures(&self) -> impl Iterator<Item = &NodeOutcome> {
        let never_began = self.trouble == Some(Trouble::Interrupted);
        self.nodes.iter().filter(move |node| !(node.is_success() || never_began && node.result == NodeResult::Lost))
    }

    /// The outcomes of several machines as one. Of several troubles the first one counts.
    pub fn merge(outcomes: impl IntoIterator<Item = Self>) -> Self {
        let mut all = outcomes.into_iter().fold(Self::default(), |mut all, machine| {
            all.nodes.extend(machine.nodes);
            all.edges.extend(machine.edges);
            all.orphans_killed += machine.orphans_killed;
            all.trouble = all.trouble.or(machine.trouble);
            all
        });
        all.nodes.sort_by_key(NodeOutcome::rank);
        all
    }
}

/// How a dataflow ended, on all its machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowResult {
    /// The dataflow.
    pub dataflow: DataflowId,
    /// Nodes and edges of all machines, in the order that [`Outcome`] describes.
    pub outcome: Outcome,
}

impl DataflowResult {
    /// Whether every node ended well.
    pub fn is_success(&self) -> bool {
        self.outcome.is_success()
    }
}

#[cfg(test)]
mod tests {
    use dora_message::supervision::ExitStatus;

    use super::*;

    #[test]
    fn a_dataflow_succeeds_if_all_nodes_do_and_nothing_else_went_wrong() {
        let node = |result| NodeOutcome { node: "a".into(), result, never_connected: false, last_stderr: Vec::new() };
        let of = |trouble, nodes| Outcome { nodes, trouble, ..Outcome::default() };
        assert!(of(None, vec![node(NodeResult::Success)]).is_success());
        assert!(!of(None, vec![node(NodeResult::Success), node(NodeResult::Lost)]).is_success());
        let stopped = |nodes| of(Some(Trouble::Interrupted), nodes);
        assert!(stopped(vec![]).is_success() && stopped(vec![node(NodeResult::Lost)]).is_success());
        assert!(!stopped(vec![node(NodeResult::GraceExceeded)]).is_success(), "that one had begun, on another machine");
        assert!(!of(Some(Trouble::CannotRun("no".to_owned())), vec![]).is_success());
    }

    #[test]
    fn of_several_machines_the_root_cause_comes_first() {
        let node = |name: &str, result| NodeOutcome {
            node: name.into(),
            result,
            never_connected: false,
            last_stderr: Vec::new(),
        };
        let cascading = NodeResult::Cascading { caused_by: None, status: ExitStatus::Code { code: 1 } };
        let first = Outcome {
            nodes: vec![node("victim", cascading), node("fine", NodeResult::Success)],
            orphans_killed: 1,
            ..Outcome::default()
        };
        let cause = node("cause", NodeResult::Failed(ExitStatus::Code { code: 3 }));
        let trouble = Some(Trouble::CannotRun("no".to_owned()));
        let second = Outcome { nodes: vec![cause], orphans_killed: 2, trouble: trouble.clone(), ..Outcome::default() };
        let all = Outcome::merge([first, second]);
        let order: Vec<_> = all.nodes.iter().map(|node| node.node.as_str()).collect();
        assert_eq!((order, all.orphans_killed, all.trouble), (vec!["cause", "victim", "fine"], 3, trouble));
    }
}
