//! From what a dataflow should be and what its machines say, to what is to be done.
//!
//! What holds for every input, and is tested as such:
//! - A node is started only while no process of it is known to live: an older attempt that a machine still has is stopped
//!   first, and a machine that is silent may still have one.
//! - The attempt that should run is never stopped.
//! - Doing what the plan says, and asking again, comes to an end: then everything is as intended.

use std::collections::{BTreeMap, BTreeSet};

use dora_gateways::{Attempt, MachineId, NodeState, StopOptions};
use dora_message::{id::NodeId, result::NodeResult};

/// What a dataflow should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intended {
    /// Its nodes.
    pub nodes: BTreeMap<NodeId, IntendedNode>,
    /// Machines that were told that all nodes are ready. Once one was, a further one need not wait for others.
    pub released: BTreeSet<MachineId>,
}

/// What a node should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntendedNode {
    /// Where its current attempt was placed.
    pub machine: MachineId,
    /// Its current attempt.
    pub attempt: Attempt,
    /// What is wanted of it.
    pub wanted: Wanted,
}

/// What is wanted of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It runs.
    Running,
    /// It has ended.
    Stopped(StopOptions),
    /// Nothing more: it has ended, and that is known.
    Nothing,
}

/// What each machine says. One that is missing counts as silent.
pub type Observed = BTreeMap<MachineId, MachineView>;

/// What is known of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineView {
    /// Its daemon says that it has these nodes of the dataflow.
    Reachable(BTreeMap<NodeId, Found>),
    /// Its daemon gives no sign of life. Its nodes may live.
    Silent,
    /// It has been silent for so long that its nodes count as lost.
    Lost,
}

/// A node as a machine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its placement.
    pub attempt: Attempt,
    /// What it does.
    pub state: NodeState,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A machine starts nodes. Asked again for an attempt that it has, it does nothing.
    Spawn {
        /// The machine.
        machine: MachineId,
        /// The nodes, with their attempts.
        nodes: Vec<(NodeId, Attempt)>,
    },
    /// A machine stops a node.
    Stop {
        /// The machine.
        machine: MachineId,
        /// The node.
        node: NodeId,
        /// The attempt that is stopped.
        attempt: Attempt,
        /// How.
        options: StopOptions,
    },
    /// A node has ended: that is to be remembered, and what follows from it to be decided.
    NoteEnd {
        /// The node.
        node: NodeId,
        /// The attempt that has ended.
        attempt: Attempt,
        /// How.
        result: NodeResult,
    },
    /// The machine of a node is lost: it is to be placed again.
    PlaceAgain {
        /// The node.
        node: NodeId,
        /// The attempt that the new placement has.
        attempt: Attempt,
    },
    /// Machines are told that all nodes are ready.
    Release {
        /// The machines.
        machines: Vec<MachineId>,
    },
}

/// What is to be done now. Nothing, once everything is as intended.
pub fn plan(intended: &Intended, observed: &Observed) -> Vec<Action> {
    let mut actions = stops(intended, observed);
    let living: BTreeSet<_> = found(observed).filter(|(.., found)| lives(found)).map(|(_, id, _)| id).collect();
    let mut spawns: BTreeMap<&MachineId, Vec<(NodeId, Attempt)>> = BTreeMap::new();
    for (id, node) in &intended.nodes {
        match need(id, node, observed, &living) {
            Need::Nothing => {}
            Need::Spawn => spawns.entry(&node.machine).or_default().push((id.clone(), node.attempt)),
            Need::Note(result) => actions.push(Action::NoteEnd { node: id.clone(), attempt: node.attempt, result }),
            Need::Place => {
                actions.push(Action::PlaceAgain { node: id.clone(), attempt: Attempt(node.attempt.0 + 1) });
            }
        }
    }
    let spawn = |(machine, nodes): (&MachineId, _)| Action::Spawn { machine: machine.clone(), nodes };
    actions.extend(spawns.into_iter().map(spawn));
    actions.extend(release(intended, observed));
    actions
}

/// Processes that should not live.
fn stops(intended: &Intended, observed: &Observed) -> Vec<Action> {
    let mut actions = Vec::new();
    let may_stop = |found: &Found| lives(found) && found.state != NodeState::Stopping;
    for (machine, id, found) in found(observed).filter(|(.., found)| may_stop(found)) {
        let node = intended.nodes.get(id);
        let options = match node.filter(|node| node.machine == *machine && node.attempt == found.attempt) {
            Some(IntendedNode { wanted: Wanted::Running, .. }) => continue,
            Some(IntendedNode { wanted: Wanted::Stopped(options), .. }) => *options,
            // It lives although its end was noted, or is of an attempt that has been replaced, or of no node at all.
            _ => StopOptions::default(),
        };
        let (machine, node) = (machine.clone(), id.clone());
        actions.push(Action::Stop { machine, node, attempt: found.attempt, options });
    }
    actions
}

enum Need {
    Nothing,
    Spawn,
    Note(NodeResult),
    Place,
}

/// What one node needs, besides that its older attempts are stopped.
fn need(id: &NodeId, node: &IntendedNode, observed: &Observed, living: &BTreeSet<&NodeId>) -> Need {
    if node.wanted == Wanted::Nothing {
        return Need::Nothing;
    }
    let nodes = match observed.get(&node.machine) {
        None | Some(MachineView::Silent) => return Need::Nothing,
        Some(MachineView::Lost) if node.wanted == Wanted::Running => return Need::Place,
        Some(MachineView::Lost) => return Need::Note(NodeResult::Lost),
        Some(MachineView::Reachable(nodes)) => nodes,
    };
    match nodes.get(id).filter(|found| found.attempt == node.attempt) {
        Some(Found { state: NodeState::Ended(result), .. }) => Need::Note(result.clone()),
        Some(_) => Need::Nothing,
        None if node.wanted != Wanted::Running => Need::Note(NodeResult::Lost),
        // A process of an older attempt is being stopped: this one waits for its end.
        None if living.contains(id) => Need::Nothing,
        None => Need::Spawn,
    }
}

/// Who is to be told that all nodes are ready: nobody before they are, then every machine that has nodes.
fn release(intended: &Intended, observed: &Observed) -> Option<Action> {
    let waited_for = || intended.nodes.iter().filter(|(_, node)| node.wanted == Wanted::Running);
    let is_ready = |(id, node): (&NodeId, &IntendedNode)| match observed.get(&node.machine) {
        Some(MachineView::Reachable(nodes)) => {
            nodes.get(id).is_some_and(|found| found.attempt == node.attempt && found.state == NodeState::Running)
        }
        _ => false,
    };
    if intended.released.is_empty() && !waited_for().all(is_ready) {
        return None;
    }
    let ready = waited_for().filter(|node| is_ready(*node)).map(|(_, node)| &node.machine);
    let machines: BTreeSet<_> = ready.filter(|machine| !intended.released.contains(*machine)).cloned().collect();
    (!machines.is_empty()).then(|| Action::Release { machines: machines.into_iter().collect() })
}

/// What the machines that can be reached have.
fn found(observed: &Observed) -> impl Iterator<Item = (&MachineId, &NodeId, &Found)> {
    observed.iter().flat_map(|(machine, view)| {
        let nodes = if let MachineView::Reachable(nodes) = view { Some(nodes) } else { None };
        nodes.into_iter().flatten().map(move |(id, node)| (machine, id, node))
    })
}

fn lives(found: &Found) -> bool {
    !matches!(found.state, NodeState::Ended(_))
}
