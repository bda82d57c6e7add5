//! The edges of the dataflow and what its nodes share: creates them, hands them out, closes those of the dead.
//!
//! Here is what the edges are and how they end; `create` makes them, `grants` says what a process is given of them,
//! `succession` what becomes of them when a node is started again, `dynamic` when it comes and goes, `links` are the
//! rings of one edge, and `taps` edges to the supervisor. It must not know of processes or sockets.

mod create;
mod dynamic;
mod grants;
mod links;
mod succession;
mod taps;

use std::{collections::HashSet, rc::Rc};

use dora_channel::{
    Sign,
    broker::{Budget, NodeChannels},
};
use dora_message::{
    id::NodeId,
    keeper::EdgeCounters,
    supervision::{EdgeFigures, EdgePlan, LaunchPlan},
};

pub(crate) use grants::{End, Grant};
use links::Links;
pub(crate) use taps::Tap;
use taps::TapEdge;

struct Edge {
    /// The process that sends.
    from: usize,
    /// The node that has the output; `None`: it is a built-in one.
    of: Option<usize>,
    to: usize,
    bit: u16,
    links: Links,
}

/// What is known of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Its process runs, or is about to.
    Here,
    /// Its process is gone, another one will come.
    Paused,
    /// Nobody is this node now, which is a dynamic one.
    Away,
    /// It is gone for good.
    Gone,
}

struct Member {
    /// Its bell, and the memory of its present process. `None` once it is gone.
    channels: Option<Rc<NodeChannels>>,
    presence: Presence,
    /// Its present process may have sent and received: the next one needs new memory.
    used: bool,
}
/// All edges of a dataflow on this machine.
pub(crate) struct Wiring {
    budget: Budget,
    /// The nodes; behind them the keeper, if it sends what nodes print.
    nodes: Vec<Member>,
    edges: Vec<Edge>,
    /// Producer and consumer where the consumer was told of the next rings and has not moved on to them.
    told: HashSet<(usize, usize)>,
    taps: Vec<Tap>,
    tap_edges: Vec<TapEdge>,
}
impl Wiring {
    /// The process of the node may send and receive from now on.
    pub(crate) fn started(&mut self, node: usize) {
        self.nodes[node].used = true;
        // Not before: if it ended without having started, the next process would need them.
        self.mapped_outputs(node);
        self.tidy();
    }

    fn mapped_outputs(&mut self, node: usize) {
        for edge in self.edges.iter_mut().filter(|edge| edge.from == node) {
            if let Some(link) = edge.links.present_mut() {
                link.mapped_by_producer = true;
            }
        }
    }

    /// Gives up descriptors that nobody can ask for any more. As long as a node is not gone for good another process of
    /// it may come, whatever its restart rule says.
    fn tidy(&mut self) {
        let nodes = &self.nodes;
        for edge in self.edges.iter_mut().filter(|edge| nodes[edge.to].presence == Presence::Gone) {
            for link in edge.links.iter_mut().filter(|link| link.mapped_by_producer) {
                link.ring.close_fd();
                link.memory = None;
            }
        }
    }

    /// Nodes that receive from this one, each once.
    pub(crate) fn consumers(&self, node: usize) -> Vec<usize> {
        self.peers(|edge| (edge.of == Some(node) && edge.to != node).then_some(edge.to))
    }

    /// Nodes that this one itself sends to, each once.
    fn receivers(&self, node: usize) -> Vec<usize> {
        self.peers(|edge| (edge.from == node).then_some(edge.to))
    }

    /// Nodes that this one receives from, each once.
    pub(crate) fn producers(&self, node: usize) -> Vec<usize> {
        self.peers(|edge| (edge.to == node).then_some(edge.from))
    }

    fn peers(&self, of: impl Fn(&Edge) -> Option<usize>) -> Vec<usize> {
        let mut all: Vec<_> = self.edges.iter().filter_map(of).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
    /// The node is gone for good. Its consumers will read what is queued and then the end; senders that wait for it go on.
    pub(crate) fn gone(&mut self, node: usize) {
        if std::mem::replace(&mut self.nodes[node].presence, Presence::Gone) == Presence::Gone {
            return;
        }
        self.outputs_ended(node);
        self.mapped_outputs(node);
        for edge in &mut self.edges {
            if edge.from == node
                && let Some(link) = edge.links.present()
            {
                link.settle(edge.bit);
            }
            if edge.to == node
                && let (Some(link), Some(producer)) = (edge.links.present(), &self.nodes[edge.from].channels)
            {
                link.ring.consumer_gone(producer);
            }
        }
        self.budget.release_slot(node);
        self.told.retain(|(_, to)| *to != node);
        self.nodes[node].channels = None;
        self.tidy();
    }

    /// The node sends no more, though its process goes on: its consumers will read what is queued and then the end.
    pub(crate) fn outputs_ended(&self, node: usize) {
        for edge in self.edges.iter().filter(|edge| edge.from == node) {
            if let (Some(link), Some(consumer)) = (edge.links.present(), &self.nodes[edge.to].channels) {
                link.ring.producer_gone(consumer);
            }
        }
        self.tapped_outputs_ended(node);
    }

    /// What the node shows of being alive. Nothing, if it is not.
    pub(crate) fn sign(&self, node: usize) -> Sign {
        self.nodes[node].channels.as_ref().map_or(Sign { inside: false, left_ns: 0 }, |channels| channels.sign())
    }
    /// Wakes a node that may sleep, because there is mail for it.
    pub(crate) fn wake(&self, node: usize) {
        if let Some(channels) = &self.nodes[node].channels {
            channels.wake();
        }
    }

    /// Bytes that the messages of the node's process take. Read from the budget: the node does not learn of it.
    pub(crate) fn memory_of(&self, node: usize) -> u64 {
        self.budget.used_by(node)
    }

    /// What each edge has counted, over all processes of its ends.
    pub(crate) fn counters(&self) -> Vec<EdgeCounters> {
        self.edges.iter().map(|edge| edge.links.counters()).collect()
    }

    /// The same while messages flow.
    pub(crate) fn figures(&self, plan: &LaunchPlan) -> Vec<EdgeFigures> {
        let look = |(edge, described): (&Edge, &EdgePlan)| {
            let (mut counters, mut queued) = edge.links.counters_and_queued();
            match self.nodes[edge.to].presence {
                Presence::Gone => queued = 0,
                _ => counters.undelivered -= queued,
            }
            EdgeFigures { counters, queued, capacity: described.capacity }
        };
        self.edges.iter().zip(&plan.edges).map(look).collect()
    }
}

fn member_id(plan: &LaunchPlan, number: usize) -> NodeId {
    plan.nodes.get(number).map_or_else(|| NodeId::from("dora"), |node| node.id.clone())
}
