//! The edges of the dataflow and what its nodes share: creates them, hands them out, closes those of the dead.
//!
//! A node that is started again goes on with the rings that it reads ([`Wiring::paused`]) and gets new ones to write
//! ([`Wiring::renew`]). Its consumers read the old ones to their end first: all edges from one node to another move on
//! together ([`Wiring::follow`], [`Wiring::followed`]). It must not know of processes or sockets.

mod links;

use std::{collections::HashSet, os::fd::BorrowedFd, rc::Rc};

use dora_channel::{
    MAX_EDGES, Sign,
    broker::{BrokerError, Budget, NodeChannels},
};
use dora_message::{
    id::NodeId,
    keeper::{EdgeCounters, EdgeGrant},
    supervision::{EdgePlan, EdgeSource, LaunchPlan},
};

use links::{Link, Links};
use rustix::process::{Resource, getrlimit};

/// Why the edges cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WiringError {
    /// The system or dora-channel refused.
    #[error(transparent)]
    Broker(BrokerError),
    /// There are too few descriptors.
    #[error(
        "{source}. {nodes} nodes with {edges} edges need about {descriptors} descriptors, a process may have {allowed}: \
         `ulimit -Hn` shows the limit, `nofile` in /etc/security/limits.conf or `LimitNOFILE=` of a systemd unit raises it"
    )]
    Descriptors { source: BrokerError, nodes: usize, edges: usize, descriptors: usize, allowed: u64 },
    /// More edges than a producer has bits for.
    #[error("node `{node}` has more than {MAX_EDGES} outgoing edges")]
    TooManyEdges { node: NodeId },
    /// The plan contradicts itself.
    #[error("edge {edge} refers to a node that does not exist")]
    UnknownNode { edge: usize },
}

/// One grant and the descriptors that go with it.
pub(crate) type Grant<'a> = (EdgeGrant, Vec<BorrowedFd<'a>>);

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
    /// It is gone for good.
    Gone,
}

struct Member {
    /// Its bell, and the memory of its present process. `None` once it is gone.
    channels: Option<Rc<NodeChannels>>,
    presence: Presence,
    /// Its present process may have sent and received: the next one needs new memory.
    used: bool,
    /// Another process may come after the present one.
    may_return: bool,
}

/// Which end of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The producer's.
    Output,
    /// The consumer's.
    Input,
}

/// All edges of a dataflow on this machine.
pub(crate) struct Wiring {
    budget: Budget,
    /// The nodes; behind them the keeper, if it sends what nodes print.
    nodes: Vec<Member>,
    edges: Vec<Edge>,
    /// Producer and consumer where the consumer was told of the next rings and has not moved on to them.
    told: HashSet<(usize, usize)>,
}

fn refused(source: BrokerError, plan: &LaunchPlan) -> WiringError {
    if !source.is_for_want_of_descriptors() {
        return WiringError::Broker(source);
    }
    WiringError::Descriptors {
        source,
        nodes: plan.nodes.len(),
        edges: plan.edges.len(),
        descriptors: descriptors(plan),
        allowed: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
    }
}

/// How many descriptors the keeper holds while the nodes start.
fn descriptors(plan: &LaunchPlan) -> usize {
    8 * plan.nodes.len() + plan.edges.len() + 16
}

impl Wiring {
    pub(crate) fn create(plan: &LaunchPlan) -> Result<Self, WiringError> {
        let broker = |source| refused(source, plan);
        let keeper = plan.nodes.len();
        let feeds = plan.edges.iter().any(|edge| sender(edge, keeper) == keeper);
        let members = keeper + usize::from(feeds);
        let create = |number| NodeChannels::create(member_id(plan, number).as_str(), plan.memory_budget).map(Rc::new);
        let channels = (0..members).map(create).collect::<Result<Vec<_>, _>>().map_err(broker)?;
        let mut bits = vec![0_usize; members];
        let mut edges = Vec::with_capacity(plan.edges.len());
        for (number, edge) in plan.edges.iter().enumerate() {
            let (from, of, to) = (sender(edge, keeper), edge.from.node().map(|node| node as usize), edge.to as usize);
            let is_known = of.is_none_or(|node| node < keeper) && to < keeper;
            let (Some(memory), true) = (channels.get(from), is_known) else {
                return Err(WiringError::UnknownNode { edge: number });
            };
            if bits[from] == MAX_EDGES {
                return Err(WiringError::TooManyEdges { node: member_id(plan, from) });
            }
            let mut link = Link::create(edge.capacity, memory).map_err(broker)?;
            link.mapped_by_producer = from == keeper;
            edges.push(Edge { from, of, to, bit: bits[from] as u16, links: Links::new(link) });
            bits[from] += 1;
        }
        let budget = Budget::create(plan.memory_budget, members).map_err(broker)?;
        let member = |(number, channels): (usize, Rc<NodeChannels>)| {
            let may_return = plan.nodes.get(number).is_some_and(|node| node.restart.is_some());
            Member { channels: Some(channels), presence: Presence::Here, used: false, may_return }
        };
        let nodes = channels.into_iter().enumerate().map(member).collect();
        Ok(Wiring { budget, nodes, edges, told: HashSet::new() })
    }

    /// The descriptors of [`ToNode::Welcome`](dora_message::keeper::ToNode::Welcome) that follow the configuration.
    pub(crate) fn welcome(&self, node: usize) -> Vec<BorrowedFd<'_>> {
        let own = self.nodes[node].channels.as_ref();
        let own = own.map(|c| vec![c.bell(), c.eventfd(), c.arena(), c.holders()]).unwrap_or_default();
        own.into_iter().chain([self.budget.fd()]).collect()
    }

    /// What the node is told about each edge that ends at it with this end.
    pub(crate) fn grants<'a>(&'a self, plan: &'a LaunchPlan, node: usize, end: End) -> Vec<Grant<'a>> {
        let mut known = HashSet::new();
        let mut grants = Vec::new();
        for (number, (edge, described)) in self.edges.iter().zip(&plan.edges).enumerate() {
            let (own, peer, link) = match end {
                End::Output => (edge.from, edge.to, edge.links.present()),
                End::Input => (edge.to, edge.from, edge.links.oldest()),
            };
            if own == node
                && let Some(link) = link
                && let Some(grant) = self.grant(plan, number, described, end, link, !known.contains(&peer))
            {
                known.insert(peer);
                grants.push(grant);
            }
        }
        grants
    }

    /// `None` if nobody is or was at the other end.
    fn grant<'a>(
        &'a self,
        plan: &LaunchPlan,
        number: usize,
        described: &EdgePlan,
        end: End,
        link: &'a Link,
        new_peer: bool,
    ) -> Option<Grant<'a>> {
        let edge = &self.edges[number];
        let (peer, port, of_peer) = match end {
            End::Output => {
                let consumer = self.nodes[edge.to].channels.as_ref()?;
                (edge.to, &described.output, [consumer.bell(), consumer.eventfd()])
            }
            End::Input => {
                let producer = link.memory.as_ref()?;
                (edge.from, &described.input, [producer.arena_read_only(), producer.holders()])
            }
        };
        let fds = [link.ring.ring()?].into_iter().chain(of_peer.into_iter().filter(|_| new_peer)).collect();
        let grant = EdgeGrant {
            edge: number as u32,
            port: port.clone(),
            peer: member_id(plan, edge.of.filter(|_| end == End::Input).unwrap_or(peer)),
            peer_index: peer as u32,
            new_peer,
            sent_before: edge.links.counters().sent,
            bit: edge.bit,
            capacity: described.capacity,
            policy: described.policy,
        };
        Some((grant, fds))
    }

    /// The process of the node has mapped all its edges.
    pub(crate) fn mapped(&mut self, node: usize) {
        for edge in &mut self.edges {
            if edge.from == node
                && let Some(link) = edge.links.present_mut()
            {
                link.mapped_by_producer = true;
            }
            if edge.to == node
                && let Some(link) = edge.links.iter_mut().next()
            {
                link.mapped_by_consumer = true;
            }
        }
        self.tidy();
    }

    /// The process of the node may send and receive from now on.
    pub(crate) fn started(&mut self, node: usize) {
        self.nodes[node].used = true;
    }

    /// Gives up descriptors that nobody can ask for any more.
    fn tidy(&mut self) {
        let nodes = &self.nodes;
        for edge in &mut self.edges {
            let consumer = &nodes[edge.to];
            for link in edge.links.iter_mut() {
                let is_settled = link.mapped_by_consumer && !consumer.may_return;
                if link.mapped_by_producer && (is_settled || consumer.presence == Presence::Gone) {
                    link.ring.close_fd();
                    link.memory = None;
                }
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

    /// The process of the node is gone, and another one will come: its queues stay, and senders that wait for it go on
    /// waiting; its consumers hear nothing yet.
    pub(crate) fn paused(&mut self, node: usize, crashed: bool) {
        self.nodes[node].presence = Presence::Paused;
        self.told.retain(|(_, to)| *to != node);
        for edge in &mut self.edges {
            if edge.from == node
                && let Some(link) = edge.links.present_mut()
            {
                link.mapped_by_producer = true;
                link.settle(edge.bit);
            }
            if edge.to == node {
                let producer = &self.nodes[edge.from];
                let present = edge.links.len() - 1;
                for (number, link) in edge.links.iter_mut().enumerate() {
                    link.mapped_by_consumer = false;
                    let Some(memory) = &link.memory else { continue };
                    link.ring.consumer_replaced(memory, crashed);
                    if number < present || producer.presence != Presence::Here {
                        link.settle(edge.bit);
                    }
                }
            }
        }
        self.budget.release_slot(node);
    }

    /// Another process of the node has connected: it gets memory of its own, unless nobody has used the present one.
    pub(crate) fn renew(&mut self, plan: &LaunchPlan, node: usize) -> Result<(), BrokerError> {
        self.nodes[node].presence = Presence::Here;
        for from in self.producers(node) {
            while self.links_between(from, node).is_some_and(|count| count > 1) && self.is_drained(from, node, 0) {
                self.remove(from, node, 0);
            }
        }
        if !self.nodes[node].used {
            return Ok(());
        }
        let Some(before) = &self.nodes[node].channels else { return Ok(()) };
        before.forget_sign();
        let channels = Rc::new(before.next(plan.nodes[node].id.as_str(), self.budget.limit())?);
        let receives = |edge: &Edge| edge.from == node && self.nodes[edge.to].presence != Presence::Gone;
        let outgoing = self.edges.iter().zip(&plan.edges).enumerate().filter(|(_, (edge, _))| receives(edge));
        let create = |(number, (_, described)): (usize, (&Edge, &EdgePlan))| {
            Ok((number, Link::create(described.capacity, &channels)?))
        };
        // All or nothing: edges to one consumer have the same number of rings.
        let new = outgoing.map(create).collect::<Result<Vec<_>, BrokerError>>()?;
        for to in self.receivers(node) {
            self.forget_waiting(node, to);
        }
        for (number, link) in new {
            self.edges[number].links.push(link);
        }
        self.nodes[node].channels = Some(channels);
        self.nodes[node].used = false;
        Ok(())
    }

    /// Before there is another ring: those that the consumer was not told of go if they are empty or too many.
    fn forget_waiting(&mut self, from: usize, to: usize) {
        let known = 1 + usize::from(self.told.contains(&(from, to)));
        let mut at = known;
        while self.links_between(from, to).is_some_and(|count| at < count) {
            let too_many = self.between(from, to).any(|edge| edge.links.are_too_many(known));
            if too_many || self.is_drained(from, to, at) {
                self.remove(from, to, at);
            } else {
                at += 1;
            }
        }
    }

    fn between(&self, from: usize, to: usize) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == from && edge.to == to)
    }

    /// How many rings each edge from one node to another has: the same for all of them.
    fn links_between(&self, from: usize, to: usize) -> Option<usize> {
        self.between(from, to).next().map(|edge| edge.links.len())
    }

    fn is_drained(&self, from: usize, to: usize, at: usize) -> bool {
        self.between(from, to).all(|edge| edge.links.iter().nth(at).is_none_or(|link| link.ring.is_drained()))
    }

    fn remove(&mut self, from: usize, to: usize, at: usize) {
        for edge in self.edges.iter_mut().filter(|edge| edge.from == from && edge.to == to) {
            edge.links.remove(at);
        }
    }

    /// Whether any edge of the consumer is written by that node itself, and not by the keeper for it.
    pub(crate) fn is_direct(&self, from: usize, to: usize) -> bool {
        self.between(from, to).next().is_some()
    }

    /// Whether the consumer is to be told of the next process of the producer, by [`Self::next_grants`]: not if there is
    /// none, or if it is still moving on to the one before.
    pub(crate) fn follow(&mut self, from: usize, to: usize) -> bool {
        self.links_between(from, to).is_some_and(|count| count > 1) && self.told.insert((from, to))
    }

    /// The edges from the process of the producer that comes after the one that the consumer reads.
    pub(crate) fn next_grants<'a>(&'a self, plan: &'a LaunchPlan, from: usize, to: usize) -> Vec<Grant<'a>> {
        let mut grants = Vec::new();
        for (number, (edge, described)) in self.edges.iter().zip(&plan.edges).enumerate() {
            if (edge.from, edge.to) == (from, to)
                && let Some(link) = edge.links.next()
            {
                grants.extend(self.grant(plan, number, described, End::Input, link, grants.is_empty()));
            }
        }
        grants
    }

    /// The consumer reads what it was told of by [`Self::follow`], and nothing older any more.
    pub(crate) fn followed(&mut self, from: usize, to: usize) {
        if !self.told.remove(&(from, to)) {
            return;
        }
        self.remove(from, to, 0);
        for edge in self.edges.iter_mut().filter(|edge| edge.from == from && edge.to == to) {
            if let Some(link) = edge.links.iter_mut().next() {
                link.mapped_by_consumer = true;
            }
        }
        self.tidy();
    }

    /// Whether the node has inputs from nodes and all of them have ended and are empty.
    pub(crate) fn inputs_are_over(&self, node: usize) -> bool {
        let mut inputs = self.edges.iter().filter(|edge| edge.to == node).peekable();
        inputs.peek().is_some() && inputs.all(|edge| edge.links.iter().all(|link| link.ring.is_over()))
    }

    /// The node is gone for good. Its consumers will read what is queued and then the end; senders that wait for it go on.
    pub(crate) fn gone(&mut self, node: usize) {
        if std::mem::replace(&mut self.nodes[node].presence, Presence::Gone) == Presence::Gone {
            return;
        }
        self.outputs_ended(node);
        for edge in &mut self.edges {
            if edge.from == node
                && let Some(link) = edge.links.present_mut()
            {
                link.mapped_by_producer = true;
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
    }

    /// What the node shows of being alive. Nothing, if it is not.
    pub(crate) fn sign(&self, node: usize) -> Sign {
        self.nodes[node].channels.as_ref().map_or(Sign { inside: false, left_ns: 0 }, |channels| channels.sign())
    }

    /// The keeper's own end as a producer, if it is one: what it sends with, and for each of its edges the number and
    /// what [`Wiring::grants`] would give a node.
    pub(crate) fn own_outputs<'a>(&'a self, plan: &'a LaunchPlan) -> Option<(usize, Vec<Grant<'a>>)> {
        let keeper = plan.nodes.len();
        (self.nodes.len() > keeper).then(|| (keeper, self.grants(plan, keeper, End::Output)))
    }

    /// Wakes a node that may sleep, because there is mail for it.
    pub(crate) fn wake(&self, node: usize) {
        if let Some(channels) = &self.nodes[node].channels {
            channels.wake();
        }
    }

    /// What each edge has counted, over all processes of its ends.
    pub(crate) fn counters(&self) -> Vec<EdgeCounters> {
        self.edges.iter().map(|edge| edge.links.counters()).collect()
    }
}

/// The process that sends on an edge: a node, or the keeper, whose number follows those of the nodes.
fn sender(edge: &EdgePlan, keeper: usize) -> usize {
    match edge.from {
        EdgeSource::Node(node) => node as usize,
        EdgeSource::Printed(_) | EdgeSource::Logs { .. } => keeper,
    }
}

fn member_id(plan: &LaunchPlan, number: usize) -> NodeId {
    plan.nodes.get(number).map_or_else(|| NodeId::from("dora"), |node| node.id.clone())
}
