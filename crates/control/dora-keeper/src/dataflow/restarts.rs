//! Nodes that are started again: when, with which edges, and who is told.
//!
//! [`Restarts`](crate::restart::Restarts) says when the rule wants it; here is what the rule cannot know.

use std::time::Instant;

use dora_message::{
    id::NodeId,
    keeper::{InputSource, ToNode},
    supervision::{ExitCause, ExitStatus, FromKeeper, Limit},
};

use super::{Barrier, Dataflow};
use crate::{
    conversation::Stage,
    node::{Aim, Life, Node},
    restart::{Restart, Verdict},
    supervisor::SupervisorLink,
};

impl Dataflow {
    /// Whether another process follows one that has ended so.
    pub(super) fn restart_of(
        &mut self,
        number: usize,
        status: &ExitStatus,
        cause: ExitCause,
        link: &mut SupervisorLink,
    ) -> Option<Restart> {
        let may_be = !self.stopping && !matches!(self.barrier, Barrier::Failed(_));
        match self.nodes[number].ordered {
            Some(Aim::Stop) => return None,
            Some(Aim::Restart) if may_be => return self.ordered_restart(number, link),
            _ => {}
        }
        let by_itself = match cause {
            ExitCause::Own => true,
            ExitCause::Overdue(overdue) => matches!(overdue.limit, Limit::Startup | Limit::Health),
            ExitCause::Stopped | ExitCause::NotRestarted | ExitCause::GraceExceeded | ExitCause::Cascading => false,
        };
        if !by_itself || !may_be || self.has_nothing_to_do(number) {
            return None;
        }
        match self.restarts[number].ended(Instant::now(), status) {
            Verdict::Restart(restart) => Some(restart),
            Verdict::Exceeded { max_restarts } => {
                let node = &self.plan.nodes[number].id;
                link.warn(format!("node `{node}`: max restarts ({max_restarts}) exceeded, giving up"));
                None
            }
            Verdict::Over => None,
        }
    }

    /// All its inputs have ended and nothing is queued; a timer is an input that does not end, unless it does not count.
    fn has_nothing_to_do(&self, number: usize) -> bool {
        let is_timer = |source: &InputSource| matches!(source, InputSource::Timer { .. });
        let mut inputs = self.plan.nodes[number].inputs.iter();
        let goes_on = !self.plan.exit_when_nodes_finish && inputs.any(|input| is_timer(&input.source));
        !goes_on && self.wiring.inputs_are_over(number)
    }

    /// When the next process is to be started.
    pub(super) fn next_restart(&self) -> Option<Instant> {
        let due = |node: &Node| match &node.life {
            Life::Waiting(_, restart) => Some(restart.at),
            _ => None,
        };
        self.nodes.iter().filter_map(due).min()
    }

    /// Starts what is due.
    pub(super) fn restart_due(&mut self, now: Instant, link: &mut SupervisorLink) {
        for number in 0..self.nodes.len() {
            if matches!(&self.nodes[number].life, Life::Waiting(_, restart) if restart.at <= now) {
                self.start_again(number, link);
            }
        }
    }

    fn start_again(&mut self, number: usize, link: &mut SupervisorLink) {
        self.restarts[number].started(Instant::now());
        let (plan, count) = (&self.plan.nodes[number], self.restarts[number].count());
        match Node::spawn(self.plan.dataflow_id, plan, number, count, &self.inheritance, &self.poller) {
            Ok(node) => {
                let pid = node.seen_pid().unwrap_or_default();
                link.send(&FromKeeper::Spawned { node: plan.id.clone(), pid });
                self.nodes[number] = node;
            }
            Err(error) => self.ended(number, ExitStatus::SpawnFailed { error }, link),
        }
    }

    /// A process that was started again, or came by itself, has mapped its edges: it joins those that run.
    pub(super) fn join(&mut self, number: usize, link: &mut SupervisorLink) {
        // Before it can send, so that its consumers learn where from before they hear that there is something.
        for consumer in self.wiring.consumers(number) {
            match self.wiring.is_direct(number, consumer) {
                true => self.follow(number, consumer),
                // It reads only what the node prints: its edges are the keeper's and stay.
                false => self.tell_of_restart(number, consumer),
            }
        }
        self.wiring.started(number);
        self.nodes[number].conversation.start();
        self.nodes[number].watchdog.started(Instant::now());
        self.open_taps(number, link);
        for producer in self.wiring.producers(number) {
            self.follow(producer, number);
        }
        self.guest_started(number, link);
    }

    /// The consumer reads the new edges from that node.
    pub(super) fn followed(&mut self, consumer: usize, producer: &NodeId) {
        if let Some(producer) = self.plan.nodes.iter().position(|node| node.id == *producer) {
            self.wiring.followed(producer, consumer);
            self.follow(producer, consumer);
        }
    }

    /// Tells a consumer of the next process of a producer, if there is one.
    fn follow(&mut self, producer: usize, consumer: usize) {
        let conversation = &mut self.nodes[consumer].conversation;
        if conversation.stage() != Stage::Started || !self.wiring.follow(producer, consumer) {
            return;
        }
        for (grant, fds) in self.wiring.next_grants(&self.plan, producer, consumer) {
            conversation.mail_with(&ToNode::Input(grant), &fds);
        }
        self.tell_of_restart(producer, consumer);
    }

    fn tell_of_restart(&mut self, producer: usize, consumer: usize) {
        let restarted = ToNode::NodeRestarted { node: self.plan.nodes[producer].id.clone() };
        if self.nodes[consumer].conversation.mail(&restarted) {
            self.wiring.wake(consumer);
        }
    }

    /// Nothing is started any more: who waits for a restart has ended.
    pub(super) fn cancel_restarts(&mut self, why: ExitCause, link: &mut SupervisorLink) {
        (0..self.nodes.len()).for_each(|number| self.cancel_restart(number, why, link));
    }

    /// If the node waits for a restart it has ended.
    pub(super) fn cancel_restart(&mut self, number: usize, why: ExitCause, link: &mut SupervisorLink) {
        if self.nodes[number].cancel_restart(why) {
            self.wiring.gone(number);
            self.logs.close(number);
            self.end_taps(number, link);
            self.report_end(number, link);
        }
    }
}
