//! The end of all nodes, because the supervisor wants it.

use std::time::Instant;

use dora_message::{keeper::ToNode, supervision::ExitCause};

use super::{Barrier, Dataflow, dynamic::Farewell};
use crate::{conversation::Stage, node::Signalled, stop::Ladder, supervisor::SupervisorLink};

impl Dataflow {
    /// Asks all nodes to stop. Programs that never connected cannot be asked: they get SIGTERM.
    pub(crate) fn stop(&mut self, ladder: Ladder, link: &mut SupervisorLink) {
        self.hurry(ladder);
        self.logs.hurry(Instant::now());
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        if matches!(self.barrier, Barrier::Waiting(_)) {
            let reason = "the dataflow was stopped before it started".to_owned();
            self.refuse_all(&reason);
            self.barrier = Barrier::Failed(reason);
        }
        (0..self.nodes.len()).for_each(|number| self.ask_to_stop(number));
        self.cancel_restarts(ExitCause::NotRestarted, link);
    }

    /// Asks a node in the way that it can hear.
    pub(super) fn ask_to_stop(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        match node.conversation.stage() {
            Stage::Silent => node.terminate(),
            Stage::Wiring | Stage::Ready => node.conversation.refuse("the node was stopped before it started"),
            Stage::Started if node.conversation.mail(&ToNode::Stop) => self.wiring.wake(number),
            Stage::Started | Stage::Refused => {}
        }
    }

    /// SIGKILL to all nodes, at once.
    pub(crate) fn kill(&mut self, link: &mut SupervisorLink) {
        self.stopping = true;
        self.logs.hurry(Instant::now());
        self.farewell = Farewell::Over;
        for node in &mut self.nodes {
            node.watchdog.off();
            node.kill(Signalled::KilledByOrder);
        }
        self.cancel_restarts(ExitCause::NotRestarted, link);
    }
    pub(super) fn hurry(&mut self, ladder: Ladder) {
        // From now on the ladder decides.
        self.nodes.iter_mut().for_each(|node| node.watchdog.off());
        ladder.apply(&mut self.ladder);
    }
}
