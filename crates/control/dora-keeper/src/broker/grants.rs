//! What a process is handed when it connects: descriptors, and what each of them is for.

use std::{collections::HashSet, os::fd::BorrowedFd};

use dora_message::{
    keeper::EdgeGrant,
    supervision::{EdgePlan, LaunchPlan},
};

use super::{Wiring, links::Link, member_id};

/// One grant and the descriptors that go with it.
pub(crate) type Grant<'a> = (EdgeGrant, Vec<BorrowedFd<'a>>);
/// Which end of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The producer's.
    Output,
    /// The consumer's.
    Input,
}
impl Wiring {
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
    /// The keeper's own end as a producer, if it is one: what it sends with, and for each of its edges the number and
    /// what [`Wiring::grants`] would give a node.
    pub(crate) fn own_outputs<'a>(&'a self, plan: &'a LaunchPlan) -> Option<(usize, Vec<Grant<'a>>)> {
        let keeper = plan.nodes.len();
        (self.nodes.len() > keeper).then(|| (keeper, self.grants(plan, keeper, End::Output)))
    }
}
