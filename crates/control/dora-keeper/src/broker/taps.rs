//! Edges to the supervisor, who looks at an output: made while the node runs, one for each of its processes.
//!
//! They take free bits of the producer. A bit is free again when the reader has dropped its end: all readers are in one
//! process, and what it still holds of an old edge does not harm a new one. Where that process has died the bit stays
//! taken until the producer's own process ends.

use std::os::fd::BorrowedFd;

use dora_channel::{
    MAX_EDGES,
    broker::{BrokeredEdge, NodeChannels},
};
use dora_message::{
    id::DataId,
    keeper::{EdgeGrant, QueuePolicy},
    supervision::{FromKeeper, LaunchPlan},
};

use super::{Wiring, create::WiringError, grants::Grant, member_id};

/// An output at which the supervisor looks.
pub(crate) struct Tap {
    /// The supervisor's name for it.
    pub(crate) number: u64,
    /// The producer.
    pub(crate) node: usize,
    pub(crate) output: DataId,
    /// Length of the queue.
    pub(crate) capacity: u32,
}

/// The edge of a tap from the present process of its node.
pub(super) struct TapEdge {
    from: usize,
    ring: BrokeredEdge,
    /// What the reader sleeps on.
    reader: NodeChannels,
    bit: u16,
}

/// What both ends of a new edge are told.
pub(crate) struct TapGrants<'a> {
    pub(crate) producer: Grant<'a>,
    pub(crate) reader: (FromKeeper, Vec<BorrowedFd<'a>>),
}

impl Wiring {
    /// The output is looked at, once [`Self::open_tap`] has made an edge.
    pub(crate) fn tap(&mut self, tap: Tap) {
        self.taps.push(tap);
    }

    /// It is looked at no more, once the reader drops its edge.
    pub(crate) fn untap(&mut self, number: u64) {
        self.taps.retain(|tap| tap.number != number);
    }

    /// The taps of a node.
    pub(crate) fn taps_of(&self, node: usize) -> Vec<u64> {
        self.taps.iter().filter(|tap| tap.node == node).map(|tap| tap.number).collect()
    }

    /// Makes the edge of a tap from the present process of its node. `None`: there is nobody to read, or nobody to send.
    pub(crate) fn open_tap(&mut self, plan: &LaunchPlan, number: u64) -> Result<Option<TapGrants<'_>>, WiringError> {
        let Some(at) = self.taps.iter().position(|tap| tap.number == number) else { return Ok(None) };
        let (node, capacity) = (self.taps[at].node, self.taps[at].capacity);
        self.tap_edges.retain(|edge| !edge.ring.has_left());
        let bit = self.free_bit(node).ok_or_else(|| WiringError::TooManyEdges { node: member_id(plan, node) })?;
        let ring = BrokeredEdge::create(capacity).map_err(WiringError::Broker)?;
        let reader = NodeChannels::create("tap", 0).map_err(WiringError::Broker)?;
        self.tap_edges.push(TapEdge { from: node, ring, reader, bit });
        let (Some(edge), Some(producer)) = (self.tap_edges.last(), &self.nodes[node].channels) else { return Ok(None) };
        let Some(ring) = edge.ring.ring() else { return Ok(None) };
        let (bell, eventfd) = (edge.reader.bell(), edge.reader.eventfd());
        let grant = EdgeGrant {
            edge: plan.edges.len() as u32 + u32::from(bit),
            port: self.taps[at].output.clone(),
            peer: member_id(plan, usize::MAX),
            peer_index: self.nodes.len() as u32,
            new_peer: true,
            sent_before: 0,
            bit,
            capacity,
            policy: QueuePolicy::DropOldest,
        };
        let of_reader = vec![ring, producer.arena_read_only(), producer.holders(), bell, eventfd];
        Ok(Some(TapGrants {
            producer: (grant, vec![ring, bell, eventfd]),
            reader: (FromKeeper::Tapped { tap: number, bit, capacity }, of_reader),
        }))
    }

    fn free_bit(&self, node: usize) -> Option<u16> {
        let of_edges = self.edges.iter().filter(|edge| edge.from == node).map(|edge| edge.bit);
        let of_taps = self.tap_edges.iter().filter(|edge| edge.from == node).map(|edge| edge.bit);
        let taken: Vec<u16> = of_edges.chain(of_taps).collect();
        (0..MAX_EDGES as u16).find(|bit| !taken.contains(bit))
    }

    /// The node sends no more, though its process goes on: who looks at it reads what is queued and then the end.
    pub(super) fn tapped_outputs_ended(&self, node: usize) {
        for edge in self.tap_edges.iter().filter(|edge| edge.from == node) {
            edge.ring.producer_gone(&edge.reader);
        }
    }

    /// Whoever looked is gone without a word: it can release nothing, and its bits are not given to others before the
    /// producers have released what it held.
    pub(crate) fn readers_gone(&mut self) {
        self.taps.clear();
        for edge in self.tap_edges.iter_mut().filter(|edge| !edge.ring.has_left()) {
            if let Some(producer) = &self.nodes[edge.from].channels {
                edge.ring.consumer_gone(producer);
            }
            edge.ring.close_fd();
        }
    }

    /// The process of the node is gone: the same, and the next one begins with new edges.
    pub(crate) fn close_taps(&mut self, node: usize) {
        self.tapped_outputs_ended(node);
        self.tap_edges.retain(|edge| edge.from != node);
    }
}
