//! The end of one node: why, what comes after it, and who is told.

use std::time::Instant;

use dora_message::{
    keeper::ToNode,
    supervision::{ExitCause, ExitStatus, Limit},
};
use rustix::process::Pid;

use super::{Barrier, Dataflow};
use crate::{
    conversation::Stage,
    node::{Life, Node, Signalled},
    poller::Port,
    supervisor::SupervisorLink,
};

impl Dataflow {
    /// A child of the keeper has ended: one of the nodes, or what a node had left behind.
    pub(crate) fn process_ended(&mut self, pid: Pid, status: ExitStatus, link: &mut SupervisorLink) {
        let Some(number) = self.nodes.iter().position(|node| node.pid() == Some(pid)) else { return };
        // What it said last may still lie in its socket.
        self.port_ready(number, Port::Socket, link);
        self.ended(number, status, link);
    }

    /// The process of a node is gone, or could not be started again.
    pub(super) fn ended(&mut self, number: usize, status: ExitStatus, link: &mut SupervisorLink) {
        let cause = self.cause(&self.nodes[number], &status);
        let restart = self.restart_of(number, &status, cause, link);
        let node = &mut self.nodes[number];
        node.life = Life::Ended(status.clone(), cause, restart);
        // What it began ends with it: only the next process may end its outputs.
        node.outputs_end = None;
        node.watchdog.off();
        node.drain(number, &mut self.logs);
        node.conversation.close();
        self.wiring.close_taps(number);
        if restart.is_some() {
            self.wiring.paused(number, !status.is_success());
        } else {
            self.ended_for_good(number, &status, cause, link);
        }
        self.report_end(number, link);
        self.check_barrier(link);
        self.watch_stragglers();
    }

    fn ended_for_good(&mut self, number: usize, status: &ExitStatus, cause: ExitCause, link: &mut SupervisorLink) {
        let plan = &self.plan.nodes[number];
        match &self.barrier {
            Barrier::Waiting(_) if cause == ExitCause::Stopped => {
                link.warn(format!("node `{}` was stopped; the others start without it", plan.id));
            }
            Barrier::Waiting(_) if status.is_success() => {
                link.warn(format!("node `{}` exited before it connected; the others start without it", plan.id));
            }
            Barrier::Waiting(_) => self.fail_barrier(self.blame(number, status), link),
            Barrier::Passed if cause.is_failure(status) => {
                let node = &self.nodes[number];
                let how = node.overdue.map_or_else(|| status.to_string(), |overdue| overdue.to_string());
                self.tell_consumers(number, format!("{how}{}", last_words(node)));
            }
            _ => {}
        }
        self.wiring.gone(number);
        self.logs.close(number);
        self.end_taps(number, link);
    }

    /// Gives those that should have ended by now their last respite.
    pub(super) fn watch_stragglers(&mut self) {
        if self.barrier != Barrier::Passed || self.stopping {
            return;
        }
        let now = Instant::now();
        for straggler in self.feeds.stragglers(|node| self.nodes[node].goes_on()) {
            self.nodes[straggler].watchdog.inputs_ended(now);
        }
    }

    /// Reports the end of a node that has ended, once its lines were told.
    pub(super) fn report_end(&mut self, number: usize, link: &mut SupervisorLink) {
        if matches!(self.nodes[number].life, Life::Ended(..)) && self.logs.is_done(number, link) {
            self.note_end(number, link);
        }
    }

    fn cause(&self, node: &Node, status: &ExitStatus) -> ExitCause {
        let by_term = matches!(
            status,
            ExitStatus::Signal { signal: libc::SIGTERM | libc::SIGINT } | ExitStatus::Code { code: 143 | 130 }
        );
        let by_kill = *status == ExitStatus::Signal { signal: libc::SIGKILL };
        let by_us = match node.signalled {
            Signalled::No => false,
            Signalled::Terminated => by_term,
            Signalled::KilledByLadder | Signalled::KilledByOrder => by_kill || by_term,
        };
        match node.overdue {
            Some(overdue) if by_kill || overdue.limit == Limit::Finish => return ExitCause::Overdue(overdue),
            _ => {}
        }
        let refused = node.conversation.stage() == Stage::Refused && node.conversation.fault().is_none();
        match self.stopping || node.ordered.is_some() {
            true if by_kill && node.signalled == Signalled::KilledByLadder => ExitCause::GraceExceeded,
            true if by_us || refused || status.is_success() => ExitCause::Stopped,
            false if by_us || refused => ExitCause::Cascading,
            _ => ExitCause::Own,
        }
    }
    /// The node has failed: its consumers read that before they read the end of its messages.
    pub(super) fn tell_consumers(&mut self, number: usize, error: String) {
        let failed = ToNode::NodeFailed { node: self.plan.nodes[number].id.clone(), error };
        for consumer in self.wiring.consumers(number) {
            if self.nodes[consumer].conversation.mail(&failed) {
                self.wiring.wake(consumer);
            }
        }
    }
}

pub(super) fn last_words(node: &Node) -> String {
    node.last_words().map(|line| format!(": {line}")).unwrap_or_default()
}
