//! Messages that somebody sends in place of a node: they come as mail and on no edge.

use std::os::fd::{AsFd, OwnedFd};

use dora_channel::os::clock::monotonic_ns;
use dora_message::{
    clock::Anchor,
    id::{DataId, NodeId},
    keeper::{LooseMessage, ToNode},
    supervision::EdgeSource,
};

use super::Dataflow;
use crate::supervisor::SupervisorLink;

impl Dataflow {
    /// Brings a message to every consumer of an output.
    pub(super) fn publish(
        &mut self,
        node: &NodeId,
        output: &DataId,
        message: LooseMessage,
        fds: &[OwnedFd],
        link: &mut SupervisorLink,
    ) {
        let known = self.number_of(node).filter(|number| self.plan.nodes[*number].outputs.contains(output));
        let (Some(number), Some(memory)) = (known, fds.first()) else {
            return link.warn(format!("nothing is sent on `{node}/{output}`: the node itself has no such output"));
        };
        let stamp_ns = Anchor::from_ns(self.plan.clock_anchor_ns).unix_ns(monotonic_ns());
        let from = EdgeSource::Node(number as u32);
        for edge in self.plan.edges.iter().filter(|edge| edge.from == from && edge.output == *output) {
            let consumer = edge.to as usize;
            let conversation = &mut self.nodes[consumer].conversation;
            // Whoever does not read its mail must not be a reason to keep more and more of it.
            if !conversation.has_room() {
                continue;
            }
            let mail = ToNode::Message { input: edge.input.clone(), stamp_ns, message };
            if conversation.mail_with(&mail, &[memory.as_fd()]) {
                self.wiring.wake(consumer);
            }
        }
    }
}
