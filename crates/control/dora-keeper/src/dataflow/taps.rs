//! Outputs at which the supervisor looks: an edge for each process of the node, made when it starts or while it runs.

use dora_message::{
    id::{DataId, NodeId},
    keeper::ToNode,
    supervision::FromKeeper,
};

use super::Dataflow;
use crate::{broker::Tap, node::Life, supervisor::SupervisorLink};

impl Dataflow {
    /// Lets the supervisor read an output, now and whenever another process of the node starts.
    pub(super) fn tap(&mut self, number: u64, id: &NodeId, output: DataId, capacity: u32, link: &mut SupervisorLink) {
        match self.tappable(id, &output) {
            Ok(node) => {
                self.wiring.tap(Tap { number, node, output, capacity });
                self.open_tap(number, node, link);
            }
            Err(reason) => link.send(&FromKeeper::TapOver { tap: number, reason: reason.to_owned() }),
        }
    }

    /// The number of the node, or why there is nothing to see.
    fn tappable(&self, id: &NodeId, output: &DataId) -> Result<usize, &'static str> {
        let node = self.number_of(id).ok_or("the dataflow has no such node on this machine")?;
        if !self.plan.nodes[node].outputs.contains(output) {
            return Err("the node itself sends no such output");
        }
        match &self.nodes[node].life {
            Life::Ended(_, _, None) | Life::Over => Err("the node has ended"),
            _ => Ok(node),
        }
    }

    /// The process of the node exchanges messages: who looks at its outputs reads what it sends from now on.
    pub(super) fn open_taps(&mut self, node: usize, link: &mut SupervisorLink) {
        self.wiring.taps_of(node).into_iter().for_each(|tap| self.open_tap(tap, node, link));
    }

    fn open_tap(&mut self, tap: u64, node: usize, link: &mut SupervisorLink) {
        if !self.nodes[node].is_connected() {
            return;
        }
        match self.wiring.open_tap(&self.plan, tap) {
            Ok(Some(edge)) => {
                let (grant, fds) = edge.producer;
                self.nodes[node].conversation.mail_with(&ToNode::Output(grant), &fds);
                let (tapped, fds) = edge.reader;
                link.send_with(&tapped, &fds);
            }
            Ok(None) => {}
            Err(error) => {
                self.wiring.untap(tap);
                link.send(&FromKeeper::TapOver { tap, reason: error.to_string() });
            }
        }
    }

    /// The node has ended for good.
    pub(super) fn end_taps(&mut self, node: usize, link: &mut SupervisorLink) {
        for tap in self.wiring.taps_of(node) {
            self.wiring.untap(tap);
            link.send(&FromKeeper::TapOver { tap, reason: "the node has ended".to_owned() });
        }
    }
}
