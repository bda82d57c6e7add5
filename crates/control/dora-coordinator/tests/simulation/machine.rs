//! A machine: its keepers and their nodes, which outlive the daemon. What is here is the truth that everybody else only
//! hears of.
//!
//! A keeper does what the real one does, as far as its daemon can see: it starts its nodes once, lets them go when all are
//! ready and nobody else is to be waited for, restarts by itself, stops in order, and keeps how its nodes ended until the
//! master of the dataflow knows. Without a daemon for too long it stops its nodes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use dora_gateways::{
    Attempt, DataflowId, MachineId, NodeOutcome, NodeState, ObservedDataflow, ObservedNode, Outcome, Urgency,
};
use dora_message::{id::NodeId, result::NodeResult, supervision::ExitStatus};
use fastrand::Rng;
use tokio::sync::watch;

use crate::{invariants::Rules, trace::Ms};

/// A keeper without a daemon for so long stops its nodes.
const ORPHANED: Ms = 25_000;

/// As the world, the daemon and the checks share it.
pub type Shared = Arc<Mutex<Machine>>;

pub struct Machine {
    pub name: MachineId,
    pub keepers: BTreeMap<DataflowId, Keeper>,
    /// Since when no daemon is there.
    pub orphaned: Option<Ms>,
    dice: Rng,
    rules: Rules,
}

pub struct Keeper {
    pub nodes: BTreeMap<NodeId, Node>,
    /// Nodes on other machines are waited for.
    held: bool,
    /// All were ready.
    ready: bool,
    stopping: Option<Urgency>,
    /// Counts what has happened.
    changes: watch::Sender<u64>,
}

pub struct Node {
    pub attempt: Attempt,
    stage: Stage,
    /// What it does next by itself.
    next: Option<(Ms, Stage)>,
    stopping: bool,
    pub restarts: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Starting,
    Ready,
    Restarting,
    Ended(NodeResult),
}

impl Machine {
    pub fn new(name: MachineId, dice: Rng, rules: Rules) -> Self {
        Self { name, keepers: BTreeMap::new(), orphaned: Some(0), dice, rules }
    }

    /// A daemon starts nodes.
    pub fn spawn(&mut self, now: Ms, dataflow: DataflowId, nodes: Vec<(NodeId, Attempt)>, held: bool) {
        let mut begin = |(id, attempt)| {
            let slow = if self.dice.u8(..) < 20 { 3000 } else { 200 };
            let next = Some((now + self.dice.u64(5..slow), Stage::Starting));
            (id, Node { attempt, stage: Stage::Waiting, next, stopping: false, restarts: 0 })
        };
        let nodes = nodes.into_iter().map(&mut begin).collect();
        let keeper = Keeper { nodes, held, ready: false, stopping: None, changes: watch::Sender::new(0) };
        self.keepers.insert(dataflow, keeper);
    }

    /// A daemon stops nodes: these, or all.
    pub fn stop(&mut self, now: Ms, dataflow: DataflowId, nodes: &[NodeId], urgency: Urgency) {
        let Some(keeper) = self.keepers.get_mut(&dataflow) else { return };
        if nodes.is_empty() {
            if keeper.stopping.is_some_and(|before| before >= urgency) {
                return;
            }
            keeper.stopping = Some(urgency);
            self.rules.keeper_stops(&self.name, dataflow);
        }
        for (id, node) in keeper.nodes.iter_mut().filter(|(id, _)| nodes.is_empty() || nodes.contains(id)) {
            node.stop(now, urgency, &mut self.dice);
            if matches!(node.stage, Stage::Waiting | Stage::Restarting) {
                node.stage = Stage::Ended(NodeResult::Success);
                self.rules.ended(&self.name, dataflow, id, &NodeResult::Success);
            }
        }
        keeper.look();
    }

    /// All nodes are ready everywhere.
    pub fn release(&mut self, dataflow: DataflowId) {
        if let Some(keeper) = self.keepers.get_mut(&dataflow) {
            keeper.held = false;
            keeper.look();
        }
    }

    /// The master knows how it ended.
    pub fn forget(&mut self, dataflow: DataflowId) {
        self.keepers.remove(&dataflow);
    }

    /// A keeper is killed, and its nodes with it: nobody can say how they ended.
    pub fn kill_keeper(&mut self, dataflow: DataflowId) {
        if self.keepers.remove(&dataflow).is_some() {
            self.rules.keeper_died(&self.name, dataflow);
        }
    }

    /// When something happens next by itself.
    pub fn next(&self) -> Option<Ms> {
        let nodes = self.keepers.values().flat_map(|keeper| keeper.nodes.values());
        let due = nodes.filter_map(|node| node.next.as_ref()).map(|(at, _)| *at).min();
        let runs = self.keepers.values().any(|keeper| keeper.stopping.is_none());
        let orphaned = self.orphaned.filter(|_| runs).map(|since| since + ORPHANED);
        due.into_iter().chain(orphaned).min()
    }

    /// Lets happen what is due; whether anything has.
    pub fn run(&mut self, now: Ms) -> bool {
        if self.next().is_none_or(|next| next > now) {
            return false;
        }
        if self.orphaned.is_some_and(|since| since + ORPHANED <= now) {
            let left: Vec<_> = self.keepers.keys().copied().collect();
            left.into_iter().for_each(|dataflow| self.stop(now, dataflow, &[], Urgency::Ask));
        }
        for (dataflow, keeper) in &mut self.keepers {
            for (id, node) in &mut keeper.nodes {
                if let Some((_, stage)) = node.next.take_if(|(at, _)| *at <= now) {
                    match &stage {
                        Stage::Starting => self.rules.begun(&self.name, *dataflow, id, node.attempt),
                        Stage::Restarting => self.rules.paused(*dataflow, id),
                        Stage::Ended(result) => self.rules.ended(&self.name, *dataflow, id, result),
                        _ => {}
                    }
                    node.enter(now, stage, &mut self.dice);
                }
            }
            keeper.look();
        }
        true
    }

    /// What a daemon says of all dataflows.
    pub fn observed(&self) -> Vec<ObservedDataflow> {
        self.keepers.iter().map(|(id, keeper)| keeper.observed(*id)).collect()
    }
}

impl Keeper {
    pub fn has(&self, nodes: &[(NodeId, Attempt)]) -> bool {
        nodes.iter().all(|(id, attempt)| self.nodes.get(id).is_some_and(|node| node.attempt == *attempt))
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How it ended, once all nodes have.
    pub fn outcome(&self) -> Option<Outcome> {
        let outcome = |(id, node): (&NodeId, &Node)| match &node.stage {
            Stage::Ended(result) => Some(NodeOutcome {
                node: id.clone(),
                result: result.clone(),
                never_connected: false,
                last_stderr: vec![],
            }),
            _ => None,
        };
        let nodes: Option<Vec<_>> = self.nodes.iter().map(outcome).collect();
        nodes.map(|nodes| Outcome { nodes, ..Outcome::default() })
    }

    /// Whether messages flow.
    pub fn flows(&self) -> bool {
        self.ready && !self.held
    }

    pub fn state(&self, id: &NodeId) -> Option<NodeState> {
        let node = self.nodes.get(id)?;
        Some(match &node.stage {
            Stage::Ended(result) => NodeState::Ended(result.clone()),
            _ if node.stopping => NodeState::Stopping,
            Stage::Waiting => NodeState::Waiting,
            Stage::Ready if self.ready => NodeState::Running,
            Stage::Starting | Stage::Ready => NodeState::Starting,
            Stage::Restarting => NodeState::Restarting,
        })
    }

    fn observed(&self, dataflow: DataflowId) -> ObservedDataflow {
        let node = |(id, node): (&NodeId, &Node)| {
            Some(ObservedNode { node: id.clone(), attempt: node.attempt, state: self.state(id)? })
        };
        ObservedDataflow { dataflow, nodes: self.nodes.iter().filter_map(node).collect() }
    }

    /// Something has happened.
    fn look(&mut self) {
        let there = |node: &Node| matches!(node.stage, Stage::Ready | Stage::Ended(_));
        self.ready |= self.nodes.values().all(there);
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl Node {
    fn enter(&mut self, now: Ms, stage: Stage, dice: &mut Rng) {
        let failed = || Stage::Ended(NodeResult::Failed(ExitStatus::Code { code: 1 }));
        let next = match &stage {
            Stage::Starting => Some((dice.u64(10..500), Stage::Ready)),
            Stage::Restarting => Some((dice.u64(10..2000), Stage::Starting)),
            Stage::Ready => match dice.u8(..) {
                0..15 => Some((dice.u64(10..30_000), Stage::Ended(NodeResult::Success))),
                15..25 => Some((dice.u64(10..30_000), failed())),
                25..50 => Some((dice.u64(10..30_000), Stage::Restarting)),
                _ => None,
            },
            Stage::Waiting | Stage::Ended(_) => None,
        };
        self.restarts += u32::from(stage == Stage::Restarting);
        (self.stage, self.next) = (stage, next.map(|(after, stage)| (now + after, stage)));
    }

    /// It ends in a while; or when its grace is over, if it does not listen.
    fn stop(&mut self, now: Ms, urgency: Urgency, dice: &mut Rng) {
        if matches!(self.stage, Stage::Ended(_)) {
            return;
        }
        let listens = self.stopping || dice.u8(..) > 20;
        let (after, result) = match urgency {
            Urgency::Kill => (dice.u64(1..20), NodeResult::GraceExceeded),
            Urgency::Hurry => (dice.u64(5..2000), NodeResult::Success),
            Urgency::Ask if listens => (dice.u64(5..800), NodeResult::Success),
            Urgency::Ask => (6_000, NodeResult::GraceExceeded),
        };
        let at = self
            .next
            .as_ref()
            .filter(|(_, next)| matches!(next, Stage::Ended(_)))
            .map_or(now + after, |(at, _)| (now + after).min(*at));
        (self.stopping, self.next) = (true, Some((at, Stage::Ended(result))));
        if matches!(self.stage, Stage::Waiting | Stage::Restarting) {
            self.next = None;
        }
    }
}
