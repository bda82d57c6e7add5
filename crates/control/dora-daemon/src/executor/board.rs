//! What each node of a dataflow does on this machine, for whoever asks and for the master.
//!
//! It holds the latest state of each node and which of them the master does not know yet. What happens faster than it can
//! be told is told in one: only the latest state counts.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dora_gateways::{Attempt, DataflowEvent, NodeOutcome, NodeState, NodeUpdate, ObservedNode, Outcome, Trouble};
use dora_message::{id::NodeId, result::NodeResult};
use tokio::sync::{Notify, watch};

use crate::adopted::Adopted;

/// The nodes of one dataflow on this machine.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Notify,
    over: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    nodes: BTreeMap<NodeId, Entry>,
    /// Number of the latest change.
    sequence: u64,
    /// Messages flow: a process that is started now does not wait for others.
    flowing: bool,
    stopping: bool,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Entry {
    attempt: Attempt,
    state: NodeState,
    pid: Option<u32>,
    restarts: u32,
    sequence: u64,
    told: bool,
}

/// A node and its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) node: NodeId,
    pub(super) pid: Option<u32>,
    pub(super) restarts: u32,
}

impl Board {
    pub(super) fn new(nodes: impl IntoIterator<Item = (NodeId, Attempt)>) -> Self {
        let entry =
            |attempt| Entry { attempt, state: NodeState::Waiting, pid: None, restarts: 0, sequence: 1, told: false };
        let nodes = nodes.into_iter().map(|(node, attempt)| (node, entry(attempt))).collect();
        let state = State { nodes, sequence: 1, flowing: false, stopping: false, outcome: None };
        Board { state: Mutex::new(state), changed: Notify::new(), over: watch::Sender::new(false) }
    }

    /// Whether these placements are all of those that it has.
    pub(super) fn has(&self, nodes: &[(NodeId, Attempt)]) -> bool {
        let state = self.lock();
        nodes.iter().all(|(node, attempt)| state.nodes.get(node).is_some_and(|entry| entry.attempt == *attempt))
    }

    /// Programs are built.
    pub(super) fn building(&self) {
        self.change(|state| state.set_where(|_| true, &NodeState::Building));
    }

    /// All nodes have connected; whether messages flow yet depends on other machines.
    pub(super) fn ready(&self) {
        self.change(|state| state.set_where(|entry| entry.state == NodeState::Starting, &NodeState::Running));
    }

    /// The nodes were asked to stop.
    pub(super) fn stopping(&self) {
        self.change(|state| {
            state.stopping = true;
            state.set_where(|entry| !matches!(entry.state, NodeState::Ended(_)), &NodeState::Stopping);
        });
    }

    /// The keeper does not answer: nobody knows what its nodes do.
    pub(super) fn unknown(&self) {
        self.change(|state| state.set_where(|_| true, &NodeState::Unknown));
    }

    /// The nodes, with their placements.
    pub(super) fn placements(&self) -> Vec<(NodeId, Attempt)> {
        self.lock().nodes.iter().map(|(node, entry)| (node.clone(), entry.attempt)).collect()
    }

    /// The keeper was taken up: what its nodes do.
    pub(super) fn take_up(&self, adopted: &Adopted) {
        self.change(|state| {
            (state.flowing, state.stopping) = (adopted.flowing, adopted.stopping);
            for node in &adopted.nodes {
                state.set(&node.node, node.state.clone(), |entry| {
                    (entry.pid, entry.restarts) = (node.pid, node.restarts);
                });
            }
        });
    }

    /// How it ended if its keeper is gone in this way: nodes whose end is not known are lost.
    pub(super) fn lost(&self, how: &str) -> Outcome {
        let state = self.lock();
        let outcome = |(node, entry): (&NodeId, &Entry)| NodeOutcome {
            node: node.clone(),
            result: match &entry.state {
                NodeState::Ended(result) => result.clone(),
                _ => NodeResult::Lost,
            },
            never_connected: false,
            last_stderr: Vec::new(),
        };
        let trouble = Some(Trouble::KeeperDied { how: how.to_owned() });
        Outcome { nodes: state.nodes.iter().map(outcome).collect(), trouble, ..Outcome::default() }
    }

    /// Something has happened.
    pub(super) fn note(&self, event: &DataflowEvent) {
        match event {
            DataflowEvent::AllReady => {
                self.change(|state| state.flowing = true);
                self.ready();
            }
            DataflowEvent::Spawned { node, pid } => self.change(|state| {
                let now = if state.flowing { NodeState::Running } else { NodeState::Starting };
                state.set(node, now, |entry| entry.pid = Some(*pid));
            }),
            DataflowEvent::Restarting { node, restart, .. } => self.change(|state| {
                state.set(node, NodeState::Restarting, |entry| (entry.pid, entry.restarts) = (None, *restart));
            }),
            DataflowEvent::Joined { node, pid, joins } => self.change(|state| {
                let restarts = joins.saturating_sub(1);
                state.set(node, NodeState::Running, |entry| (entry.pid, entry.restarts) = (*pid, restarts));
            }),
            DataflowEvent::Left { node, .. } => {
                self.change(|state| state.set(node, NodeState::Waiting, |entry| entry.pid = None));
            }
            DataflowEvent::Exited(node) => self.change(|state| {
                state.set(&node.node, NodeState::Ended(node.result.clone()), |entry| entry.pid = None);
            }),
            _ => {}
        }
    }

    /// Everything is over.
    pub(super) fn finish(&self, outcome: Outcome) {
        self.change(|state| {
            for node in &outcome.nodes {
                state.set(&node.node, NodeState::Ended(node.result.clone()), |entry| entry.pid = None);
            }
            state.outcome = Some(outcome);
            // Before the master can hear of it.
            self.over.send_replace(true);
        });
    }

    /// Whether everything is over.
    pub(super) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Completes when everything is over.
    pub(super) async fn over(&self) {
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// The nodes as they are.
    pub(super) fn observed(&self) -> Vec<ObservedNode> {
        let state = self.lock();
        let node = |(node, entry): (&NodeId, &Entry)| ObservedNode {
            node: node.clone(),
            attempt: entry.attempt,
            state: entry.state.clone(),
        };
        state.nodes.iter().map(node).collect()
    }

    /// The processes of the nodes.
    pub(super) fn processes(&self) -> Vec<Process> {
        let state = self.lock();
        let process =
            |(node, entry): (&NodeId, &Entry)| Process { node: node.clone(), pid: entry.pid, restarts: entry.restarts };
        state.nodes.iter().map(process).collect()
    }

    /// Completes when there is something to tell, now or since the last time.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What has not been told yet; it counts as told from now on.
    pub(super) fn news(&self) -> Vec<NodeUpdate> {
        let mut state = self.lock();
        let update = |(node, entry): (&NodeId, &mut Entry)| {
            entry.told = true;
            let (node, state) = (node.clone(), entry.state.clone());
            let Entry { attempt, pid, restarts, sequence, .. } = *entry;
            NodeUpdate { node, attempt, sequence, state, pid, restarts }
        };
        state.nodes.iter_mut().filter(|(_, entry)| !entry.told).map(update).collect()
    }

    /// Whoever is told from now on knows nothing yet.
    pub(super) fn all_is_news(&self) {
        self.change(|state| state.nodes.values_mut().for_each(|entry| entry.told = false));
    }

    /// How it ended, if it has.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set_where(&mut self, applies: impl Fn(&Entry) -> bool, state: &NodeState) {
        for entry in self.nodes.values_mut().filter(|entry| applies(entry)) {
            self.sequence += 1;
            (entry.state, entry.sequence, entry.told) = (state.clone(), self.sequence, false);
        }
    }

    fn set(&mut self, node: &NodeId, state: NodeState, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.nodes.get_mut(node) else { return };
        change(entry);
        let is_end = matches!(state, NodeState::Ended(_));
        self.sequence += 1;
        entry.state = if self.stopping && !is_end { NodeState::Stopping } else { state };
        (entry.sequence, entry.told) = (self.sequence, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(board: &Board) -> Vec<NodeState> {
        board.observed().into_iter().map(|node| node.state).collect()
    }

    #[test]
    fn only_what_is_new_is_told_and_only_the_latest_of_it() {
        let board = Board::new([("a".into(), Attempt(1)), ("b".into(), Attempt(2))]);
        assert!(board.has(&[("b".into(), Attempt(2))]) && !board.has(&[("b".into(), Attempt(3))]));
        assert_eq!(board.news().len(), 2);
        board.note(&DataflowEvent::Spawned { node: "a".into(), pid: 7 });
        let starting = board.news();
        assert_eq!((starting.len(), starting[0].pid, &starting[0].state), (1, Some(7), &NodeState::Starting));
        board.note(&DataflowEvent::AllReady);
        board.stopping();
        let outcome =
            NodeOutcome { node: "a".into(), result: NodeResult::Success, never_connected: false, last_stderr: vec![] };
        board.note(&DataflowEvent::Exited(outcome));
        let news = board.news();
        assert_eq!(news.len(), 2);
        assert_eq!(news[0].state, NodeState::Ended(NodeResult::Success));
        assert!(news.iter().all(|update| update.sequence > starting[0].sequence));
        board.all_is_news();
        assert_eq!(board.news().len(), 2);
    }

    #[test]
    fn a_node_that_has_ended_does_not_stop_again_and_one_that_stops_does_not_start() {
        let board = Board::new([("a".into(), Attempt(1)), ("b".into(), Attempt(1))]);
        let lost = |node: &str| NodeOutcome {
            node: node.into(),
            result: NodeResult::Lost,
            never_connected: false,
            last_stderr: vec![],
        };
        board.note(&DataflowEvent::Exited(lost("a")));
        board.stopping();
        board.note(&DataflowEvent::Spawned { node: "b".into(), pid: 7 });
        assert_eq!(states(&board), [NodeState::Ended(NodeResult::Lost), NodeState::Stopping]);
        board.finish(Outcome { nodes: vec![lost("b")], ..Outcome::default() });
        assert_eq!(states(&board), [NodeState::Ended(NodeResult::Lost), NodeState::Ended(NodeResult::Lost)]);
    }
}
