//! What the supervisor wants while the dataflow runs; here is what it wants of one node: that it stops, or that another
//! process of it is started.
//!
//! A node without a restart rule ends its inputs when it drops them. Before it is asked to stop for a restart it is told
//! not to. If it had ended them before nobody can go on with them, and it is not started again.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use dora_message::{
    id::NodeId,
    keeper::ToNode,
    supervision::{Ending, ExitCause, ToKeeper},
};

use super::{Barrier, Dataflow};
use crate::{
    node::{Aim, Life, Signalled},
    restart::Restart,
    stop::Ladder,
    supervisor::SupervisorLink,
};

impl Dataflow {
    /// Does what the supervisor wants.
    pub(crate) fn obey(&mut self, order: ToKeeper, fds: &[OwnedFd], link: &mut SupervisorLink) {
        match order {
            ToKeeper::Stop { grace_ms } => {
                self.stop(Ladder::begin(Instant::now(), Duration::from_millis(grace_ms)), link);
            }
            ToKeeper::Hurry => self.stop(Ladder::at_once(Instant::now()), link),
            ToKeeper::Kill => self.kill(link),
            ToKeeper::Release => self.release(link),
            ToKeeper::Figures { serial } => link.send_figures(serial, &self.figures()),
            ToKeeper::StopNode { node, ending } => self.end_node(&node, Aim::Stop, ending, link),
            ToKeeper::RestartNode { node, ending } => self.end_node(&node, Aim::Restart, ending, link),
            ToKeeper::Tap { tap, node, output, capacity } => self.tap(tap, &node, output, capacity, link),
            ToKeeper::Untap { tap } => self.wiring.untap(tap),
            ToKeeper::Publish { node, output, message } => self.publish(&node, &output, message, fds, link),
            // It is what is being executed, and has not ended.
            ToKeeper::Launch { .. } | ToKeeper::Dismiss => {}
        }
    }

    /// Brings a node to its end. The supervisor is warned if that cannot be.
    fn end_node(&mut self, id: &NodeId, aim: Aim, ending: Ending, link: &mut SupervisorLink) {
        let number = match self.endable(id) {
            Ok(number) => number,
            Err(why) => {
                let what = match aim {
                    Aim::Stop => "stopped",
                    Aim::Restart => "started again",
                };
                return link.warn(format!("node `{id}` cannot be {what}: {why}"));
            }
        };
        let now = Instant::now();
        match (&self.nodes[number].life, aim) {
            (Life::Running(_), _) => self.end_process(number, aim, ending),
            (_, Aim::Restart) => self.nodes[number].hasten_restart(now),
            (_, Aim::Stop) => {
                self.cancel_restart(number, ExitCause::NotRestarted, link);
                self.check_barrier(link);
                self.watch_stragglers();
            }
        }
    }

    /// The number of a node that runs or will, or why it does not.
    fn endable(&self, id: &NodeId) -> Result<usize, &'static str> {
        let number = self.number_of(id).ok_or("the dataflow has no such node on this machine")?;
        if self.stopping || matches!(self.barrier, Barrier::Failed(_)) {
            return Err("the dataflow is ending");
        }
        match &self.nodes[number].life {
            Life::Dynamic => Err("it is a dynamic node: nobody here started its process, so nobody here ends it"),
            Life::Ended(_, _, None) | Life::Over => Err("it has ended"),
            Life::Running(_) | Life::Ended(..) | Life::Waiting(..) => Ok(number),
        }
    }

    fn end_process(&mut self, number: usize, aim: Aim, ending: Ending) {
        let now = Instant::now();
        let node = &mut self.nodes[number];
        node.ordered = Some(aim);
        // From now on the ladder decides.
        node.watchdog.off();
        let ladder = match ending {
            Ending::Kill => return node.kill(Signalled::KilledByOrder),
            Ending::Ask { grace_ms } => Ladder::begin(now, Duration::from_millis(grace_ms)),
            Ending::Hurry => Ladder::at_once(now),
        };
        ladder.apply(&mut node.ladder);
        if aim == Aim::Restart {
            node.conversation.mail(&ToNode::KeepEdges);
        }
        self.ask_to_stop(number);
    }

    /// What comes after the end that was ordered for the sake of a restart.
    pub(super) fn ordered_restart(&mut self, number: usize, link: &mut SupervisorLink) -> Option<Restart> {
        if self.wiring.has_left_inputs(number) {
            link.warn(format!(
                "node `{}` is not started again: its process had ended its inputs, and nobody can go on with them",
                self.plan.nodes[number].id
            ));
            return None;
        }
        Some(self.restarts[number].ordered(Instant::now()))
    }
}
