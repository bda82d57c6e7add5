//! What the keeper grants becomes a producer, a consumer and a bell. Descriptors are closed as soon as they are mapped.

use std::{collections::HashMap, os::fd::OwnedFd, sync::Arc};

use dora_channel::{Arena, BudgetMemory, Consumer, InEdge, OutEdge, PeerArena, Policy, Producer, Waiter, Waker};
use dora_message::{
    id::DataId,
    keeper::{EdgeGrant, NodeRunConfig, QueuePolicy},
};

use super::{ConnectError, handshake::missing, lease::Lease, trying};

/// Both halves of a node and what it sleeps on.
#[derive(Debug)]
pub(crate) struct Wired {
    /// Outputs are known by their position in the configuration.
    pub(crate) producer: Producer,
    /// Inputs are known by their position in the configuration.
    pub(crate) consumer: Consumer,
    pub(crate) waiter: Waiter,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
}

/// Maps outgoing edges: at the start, and when somebody looks at an output.
#[derive(Debug)]
pub(crate) struct Outgoing {
    outputs: Vec<DataId>,
    wakers: HashMap<u32, Arc<Waker>>,
}

impl Outgoing {
    /// The output, by its position, and the edge. `fds`: ring, and of a new peer bell and eventfd.
    pub(crate) fn open(&mut self, grant: &EdgeGrant, fds: Vec<OwnedFd>) -> Result<(usize, OutEdge), ConnectError> {
        let output = self.outputs.iter().position(|output| *output == grant.port);
        let output = output.ok_or_else(|| unknown("output", &grant.port))?;
        let mut fds = fds.into_iter();
        let mut next = |what| fds.next().ok_or_else(|| missing(what));
        let ring = next("a ring")?;
        if grant.new_peer {
            let waker = trying("map a bell", Waker::open(next("a bell")?, next("an eventfd")?))?;
            self.wakers.insert(grant.peer_index, Arc::new(waker));
        }
        let waker = self.wakers.get(&grant.peer_index).ok_or_else(|| missing("the bell of a consumer"))?.clone();
        let edge = OutEdge::open(ring, grant.capacity, policy(grant.policy), grant.bit.into(), waker);
        Ok((output, trying("map an outgoing edge", edge)?))
    }
}

/// Maps incoming edges: at the start, and when a node that this one receives from was started again.
#[derive(Debug)]
pub(crate) struct Incoming {
    inputs: Vec<DataId>,
    /// Another process of this node may go on with them.
    kept: bool,
    /// What messages that were received keep alive.
    lease: Option<Arc<Lease>>,
    arenas: HashMap<u32, Arc<PeerArena>>,
}

impl Incoming {
    fn new(config: &NodeRunConfig, lease: Option<Arc<Lease>>) -> Self {
        let inputs = config.inputs.iter().map(|input| input.id.clone()).collect();
        Incoming { inputs, kept: config.keeps_edges, lease, arenas: HashMap::new() }
    }

    /// What must live until the last message was dropped.
    pub(super) fn lease(&self) -> Option<Arc<Lease>> {
        self.lease.clone()
    }

    /// Another process will go on with what is mapped from now on.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }

    /// `fds`: ring, and of a new peer arena and holders.
    pub(crate) fn open(&mut self, grant: &EdgeGrant, fds: Vec<OwnedFd>) -> Result<InEdge, ConnectError> {
        let input = self.inputs.iter().position(|input| *input == grant.port);
        let input = input.ok_or_else(|| unknown("input", &grant.port))?;
        let mut fds = fds.into_iter();
        let mut next = |what| fds.next().ok_or_else(|| missing(what));
        let ring = next("a ring")?;
        if grant.new_peer {
            let lease = self.lease.clone().map(|lease| lease as dora_channel::Lease);
            let arena = PeerArena::open_with(next("an arena")?, next("holders")?, lease);
            let arena = trying("map the memory of a peer", arena)?;
            self.arenas.insert(grant.peer_index, arena);
        }
        let arena = self.arenas.get(&grant.peer_index).ok_or_else(|| missing("the arena of a producer"))?.clone();
        let edge = InEdge::open(input as u32, ring, grant.capacity, policy(grant.policy), grant.bit.into(), arena);
        let edge = trying("map an incoming edge", edge)?;
        Ok(if self.kept { edge.kept() } else { edge })
    }
}

/// A node whose edges arrive one by one.
pub(super) struct Wiring(Wired);

fn policy(policy: QueuePolicy) -> Policy {
    match policy {
        QueuePolicy::DropOldest => Policy::DropOldest,
        QueuePolicy::DropNewest => Policy::DropNewest,
        QueuePolicy::Backpressure => Policy::Backpressure,
    }
}

fn unknown(kind: &str, id: &DataId) -> ConnectError {
    ConnectError::Protocol(format!("the keeper granted an edge of {kind} `{id}`, which this node does not have"))
}

impl Wiring {
    /// `fds`: bell, eventfd, arena, holders, budget.
    pub(super) fn new(
        config: &NodeRunConfig,
        budget_slot: usize,
        mut fds: impl Iterator<Item = OwnedFd>,
        lease: Option<Arc<Lease>>,
    ) -> Result<Self, ConnectError> {
        let mut next = |what| fds.next().ok_or_else(|| missing(what));
        let waiter = trying("map the bell", Waiter::open(next("a bell")?, next("an eventfd")?))?;
        let (arena, holders, budget) = (next("an arena")?, next("holders")?, next("the budget")?);
        let budget = trying("map the memory budget", BudgetMemory::map(budget))?;
        let arena = trying("map the memory for messages", Arena::open(arena, holders, budget, budget_slot))?;
        let producer = Producer::new(arena, config.outputs.len());
        let consumer = Consumer::new(config.clock_anchor_ns);
        let outgoing = Outgoing { outputs: config.outputs.clone(), wakers: HashMap::new() };
        Ok(Wiring(Wired { producer, consumer, waiter, incoming: Incoming::new(config, lease), outgoing }))
    }

    pub(super) fn output(&mut self, grant: &EdgeGrant, fds: Vec<OwnedFd>) -> Result<(), ConnectError> {
        let (output, edge) = self.0.outgoing.open(grant, fds)?;
        self.0.producer.add_edge(output, edge);
        self.0.producer.resume(output, grant.sent_before);
        Ok(())
    }

    pub(super) fn input(&mut self, grant: &EdgeGrant, fds: Vec<OwnedFd>) -> Result<(), ConnectError> {
        self.0.consumer.add_edge(self.0.incoming.open(grant, fds)?);
        Ok(())
    }

    pub(super) fn finish(self) -> Wired {
        self.0
    }
}
