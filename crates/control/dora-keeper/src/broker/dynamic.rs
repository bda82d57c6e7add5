//! The edges of dynamic nodes: of processes that come and go as they like.
//!
//! While nobody is the node, whoever sends to it gives its messages up and counts them, and waits for nothing; its own
//! edges are ready for the next process. What one process had queued the next one does not read.

use dora_message::supervision::LaunchPlan;

use super::{Presence, Wiring};

impl Wiring {
    /// A process is the node: it reads what is sent from now on.
    pub(crate) fn attended(&mut self, node: usize) {
        for edge in self.edges.iter_mut().filter(|edge| edge.to == node) {
            let bit = edge.bit;
            edge.links.iter_mut().for_each(|link| link.set_attended(true, bit));
        }
    }

    /// Nobody reads any more, or nobody does yet: what is queued counts as undelivered.
    pub(crate) fn unattended(&mut self, node: usize) {
        self.nodes[node].presence = Presence::Away;
        for edge in self.edges.iter_mut().filter(|edge| edge.to == node) {
            let bit = edge.bit;
            edge.links.iter_mut().for_each(|link| link.set_attended(false, bit));
        }
    }

    /// The process that was the node has let go of everything, or is dead. Its consumers read what is queued and then
    /// the end, until another process comes.
    pub(crate) fn left(&mut self, plan: &LaunchPlan, node: usize, crashed: bool) {
        self.unattended(node);
        if self.nodes[node].used {
            self.outputs_ended(node);
        }
        self.paused(node, crashed);
        // Who consumes from it finds open edges, even if that one comes first. What fails now is tried again then.
        let _ = self.renew_memory(plan, node);
        self.nodes[node].presence = Presence::Away;
    }
}
