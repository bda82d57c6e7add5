//! One process of a node after another: what the next one goes on with, and how its consumers follow.
//!
//! A node that is started again goes on with the rings that it reads ([`Wiring::paused`]) and gets new ones to write
//! ([`Wiring::renew`]). Its consumers read the old ones to their end first: all edges from one node to another move on
//! together ([`Wiring::follow`], [`Wiring::followed`]).

use std::rc::Rc;

use dora_channel::broker::BrokerError;
use dora_message::supervision::{EdgePlan, LaunchPlan};

use super::{Edge, Presence, Wiring, links::Link};

impl Wiring {
    /// The process of the node is gone, and another one will come: its queues stay, and senders that wait for it go on
    /// waiting; its consumers hear nothing yet.
    pub(crate) fn paused(&mut self, node: usize, crashed: bool) {
        self.nodes[node].presence = Presence::Paused;
        self.told.retain(|(_, to)| *to != node);
        for edge in &mut self.edges {
            if edge.from == node
                && let Some(link) = edge.links.present()
            {
                link.settle(edge.bit);
            }
            if edge.to == node {
                let producer = &self.nodes[edge.from];
                let present = edge.links.len() - 1;
                for (number, link) in edge.links.iter_mut().enumerate() {
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
        self.renew_memory(plan, node)
    }

    /// Memory and rings for the next process of the node, unless nobody has used the present ones.
    pub(super) fn renew_memory(&mut self, plan: &LaunchPlan, node: usize) -> Result<(), BrokerError> {
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
        for (number, mut link) in new {
            let edge = &mut self.edges[number];
            if self.nodes[edge.to].presence == Presence::Away {
                link.set_attended(false, edge.bit);
            }
            edge.links.push(link);
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
    /// Whether a process of the node has ended its inputs, although messages may still come: the next one could not go on
    /// with them.
    pub(crate) fn has_left_inputs(&self, node: usize) -> bool {
        let mut inputs = self.edges.iter().filter(|edge| edge.to == node);
        inputs.any(|edge| edge.links.present().is_some_and(|link| link.ring.is_abandoned()))
    }
    /// Whether the node has inputs from nodes and all of them have ended and are empty.
    pub(crate) fn inputs_are_over(&self, node: usize) -> bool {
        let mut inputs = self.edges.iter().filter(|edge| edge.to == node).peekable();
        inputs.peek().is_some() && inputs.all(|edge| edge.links.iter().all(|link| link.ring.is_over()))
    }

    /// Whether the consumer is to be told of the next process of the producer, by [`Self::next_grants`]: not if there is
    /// none, or if it is still moving on to the one before.
    pub(crate) fn follow(&mut self, from: usize, to: usize) -> bool {
        // The last ring of a dynamic node may wait for its next process, which is not there yet.
        let producer = &self.nodes[from];
        let waiting = usize::from(producer.presence == Presence::Away && !producer.used);
        self.links_between(from, to).is_some_and(|count| count > 1 + waiting) && self.told.insert((from, to))
    }
    /// The consumer reads what it was told of by [`Self::follow`], and nothing older any more.
    pub(crate) fn followed(&mut self, from: usize, to: usize) {
        if !self.told.remove(&(from, to)) {
            return;
        }
        self.remove(from, to, 0);
    }
}
