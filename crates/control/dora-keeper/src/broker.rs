//! The edges of the dataflow and what its nodes share: creates them, hands them out, closes those of the dead.
//!
//! It must not know of processes or sockets.

use std::{collections::HashSet, os::fd::BorrowedFd};

use dora_channel::{
    MAX_EDGES, Sign,
    broker::{BrokerError, BrokeredEdge, Budget, NodeChannels},
};
use dora_message::{
    id::NodeId,
    keeper::{EdgeCounters, EdgeGrant},
    supervision::{EdgePlan, EdgeSource, LaunchPlan},
};

use rustix::process::{Resource, getrlimit};

/// Why the edges cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WiringError {
    /// The system or dora-channel refused.
    #[error(
        "{source}. {nodes} nodes with {edges} edges need about {descriptors} descriptors, a process may have {allowed}. If that is \
         the reason: `ulimit -Hn` shows the limit, `nofile` in /etc/security/limits.conf or `LimitNOFILE=` of a systemd unit \
         raises it"
    )]
    Broker { source: BrokerError, nodes: usize, edges: usize, descriptors: usize, allowed: u64 },
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
    ring: BrokeredEdge,
    /// Ends that have mapped the ring or never will.
    settled: u8,
}

struct Member {
    /// `None` once the node is dead and nobody can ask for its descriptors any more.
    channels: Option<NodeChannels>,
    alive: bool,
    /// It has mapped its edges or never will.
    settled: bool,
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
    started: bool,
}

/// How many descriptors the keeper holds while the nodes start.
fn descriptors(plan: &LaunchPlan) -> usize {
    8 * plan.nodes.len() + plan.edges.len() + 16
}

impl Wiring {
    pub(crate) fn create(plan: &LaunchPlan) -> Result<Self, WiringError> {
        let broker = |source| WiringError::Broker {
            source,
            nodes: plan.nodes.len(),
            edges: plan.edges.len(),
            descriptors: descriptors(plan),
            allowed: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        };
        let keeper = plan.nodes.len();
        let feeds = plan.edges.iter().any(|edge| sender(edge, keeper) == keeper);
        let members = keeper + usize::from(feeds);
        let mut bits = vec![0_usize; members];
        let mut edges = Vec::with_capacity(plan.edges.len());
        for (number, edge) in plan.edges.iter().enumerate() {
            let (from, of, to) = (sender(edge, keeper), edge.from.node().map(|node| node as usize), edge.to as usize);
            if from >= members || of.is_some_and(|node| node >= keeper) || to >= keeper {
                return Err(WiringError::UnknownNode { edge: number });
            }
            if bits[from] == MAX_EDGES {
                return Err(WiringError::TooManyEdges { node: member_id(plan, from) });
            }
            let ring = BrokeredEdge::create(edge.capacity).map_err(broker)?;
            let settled = u8::from(from == keeper);
            edges.push(Edge { from, of, to, bit: bits[from] as u16, ring, settled });
            bits[from] += 1;
        }
        let budget = Budget::create(plan.memory_budget, members).map_err(broker)?;
        let member = |number: usize| {
            let id = member_id(plan, number);
            let channels = NodeChannels::create(id.as_str(), plan.memory_budget).map_err(broker)?;
            Ok(Member { channels: Some(channels), alive: true, settled: number == keeper })
        };
        let nodes = (0..members).map(member).collect::<Result<_, _>>()?;
        Ok(Wiring { budget, nodes, edges, started: false })
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
            let (own, peer, port) = match end {
                End::Output => (edge.from, edge.to, &described.output),
                End::Input => (edge.to, edge.from, &described.input),
            };
            if own != node {
                continue;
            }
            // Both are there until every node has mapped its edges.
            let (Some(ring), Some(channels)) = (edge.ring.ring(), &self.nodes[peer].channels) else { continue };
            let new_peer = known.insert(peer);
            let mut fds = vec![ring];
            if new_peer {
                fds.extend(match end {
                    End::Output => [channels.bell(), channels.eventfd()],
                    End::Input => [channels.arena_read_only(), channels.holders()],
                });
            }
            let grant = EdgeGrant {
                edge: number as u32,
                port: port.clone(),
                peer: member_id(plan, edge.of.filter(|_| end == End::Input).unwrap_or(peer)),
                peer_index: peer as u32,
                new_peer,
                bit: edge.bit,
                capacity: described.capacity,
                policy: described.policy,
            };
            grants.push((grant, fds));
        }
        grants
    }

    /// The node has mapped all its edges; those that both ends have mapped cost no descriptor any more.
    pub(crate) fn mapped(&mut self, node: usize) {
        if std::mem::replace(&mut self.nodes[node].settled, true) {
            return;
        }
        for edge in &mut self.edges {
            edge.settled += u8::from(edge.from == node) + u8::from(edge.to == node);
            if edge.settled >= 2 {
                edge.ring.close_fd();
            }
        }
    }

    /// Nobody will ask for descriptors any more: those of the dead are given up.
    pub(crate) fn started(&mut self) {
        self.started = true;
        for node in self.nodes.iter_mut().filter(|node| !node.alive) {
            node.channels = None;
        }
    }

    /// Nodes that receive from this one, each once.
    pub(crate) fn consumers(&self, node: usize) -> Vec<usize> {
        let all: HashSet<_> = self.edges.iter().filter(|e| e.of == Some(node) && e.to != node).map(|e| e.to).collect();
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable();
        all
    }

    /// The node is dead. Its consumers will read what is queued and then the end; senders that wait for it go on.
    pub(crate) fn gone(&mut self, node: usize) {
        if !std::mem::replace(&mut self.nodes[node].alive, false) {
            return;
        }
        self.mapped(node);
        self.outputs_ended(node);
        for edge in &self.edges {
            if edge.to == node
                && let Some(producer) = &self.nodes[edge.from].channels
            {
                edge.ring.consumer_gone(producer);
            }
        }
        self.budget.release_slot(node);
        if self.started {
            self.nodes[node].channels = None;
        }
    }

    /// The node sends no more, though its process goes on: its consumers will read what is queued and then the end.
    pub(crate) fn outputs_ended(&self, node: usize) {
        for edge in self.edges.iter().filter(|edge| edge.from == node) {
            if let Some(consumer) = &self.nodes[edge.to].channels {
                edge.ring.producer_gone(consumer);
            }
        }
    }

    /// What the node shows of being alive. Nothing, if it is not.
    pub(crate) fn sign(&self, node: usize) -> Sign {
        self.nodes[node].channels.as_ref().map_or(Sign { inside: false, left_ns: 0 }, NodeChannels::sign)
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

    /// What each edge has counted.
    pub(crate) fn counters(&self) -> Vec<EdgeCounters> {
        let read = |edge: &Edge| {
            let counted = edge.ring.counters();
            EdgeCounters {
                sent: counted.sent,
                received: counted.received,
                dropped: counted.dropped,
                undelivered: counted.queued,
                bytes: counted.bytes,
                latency: counted.latency.to_vec(),
            }
        };
        self.edges.iter().map(read).collect()
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
