//! The start barrier: messages flow when every node is ready, or not at all.

use std::time::{Duration, Instant};

use dora_message::supervision::{ExitCause, ExitStatus, FromKeeper, LaunchPlan};

use super::{Dataflow, ends::last_words};
use crate::{
    conversation::Stage,
    node::{Life, Node},
    stop::Ladder,
    supervisor::SupervisorLink,
};

/// Time that nodes have to end by themselves after the start barrier has failed.
const BARRIER_GRACE: Duration = Duration::from_secs(2);
/// How long nodes that are ready wait for the others before the user is told for whom.
const PATIENCE: Duration = Duration::from_secs(5);

/// The start barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Barrier {
    /// Some node is not ready.
    Waiting(Patience),
    /// All nodes were ready; messages flow.
    Passed,
    /// It never will be passed; the reason is for nodes that connect from now on.
    Failed(String),
}

/// Whether the user was told for whom the others wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// No node is ready: perhaps none ever will be, because these programs are no nodes.
    Endless,
    /// Some are ready: it is told then.
    Until(Instant),
    /// It was told, once.
    Lost,
}

/// Whether the supervisor lets nodes start that are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Not yet. It is to be told when they are.
    Wanted,
    /// Not yet. It was told.
    Told,
    /// Yes.
    Released,
}

impl Hold {
    pub(super) fn of(plan: &LaunchPlan) -> Self {
        if plan.hold { Hold::Wanted } else { Hold::Released }
    }
}

impl Barrier {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Barrier::Waiting(Patience::Until(at)) => Some(*at),
            _ => None,
        }
    }
}

impl Dataflow {
    /// Lets all nodes start if no one is waited for any more: every node is ready or has ended.
    pub(super) fn check_barrier(&mut self, link: &mut SupervisorLink) {
        let Barrier::Waiting(patience) = self.barrier else { return };
        if self.nodes.iter().any(is_waited_for) {
            if patience == Patience::Endless && self.nodes.iter().any(|node| node.conversation.stage() == Stage::Ready)
            {
                self.barrier = Barrier::Waiting(Patience::Until(Instant::now() + PATIENCE));
            }
            return;
        }
        if self.hold != Hold::Released {
            return self.wait_for_release(link);
        }
        self.barrier = Barrier::Passed;
        let now = Instant::now();
        let starts = |node: &Node| node.pid().is_some() || node.conversation.stage() == Stage::Ready;
        for (number, node) in self.nodes.iter_mut().enumerate().filter(|(_, node)| starts(node)) {
            self.wiring.started(number);
            node.conversation.start();
            node.watchdog.started(now);
        }
        link.send(&FromKeeper::AllReady);
        (0..self.nodes.len()).for_each(|number| self.open_taps(number, link));
        let joined: Vec<_> = (0..self.nodes.len()).filter(|number| self.nodes[*number].is_started_guest()).collect();
        joined.into_iter().for_each(|number| self.guest_started(number, link));
    }

    fn wait_for_release(&mut self, link: &mut SupervisorLink) {
        // They wait for no other node.
        self.barrier = Barrier::Waiting(Patience::Endless);
        if self.hold == Hold::Wanted {
            self.hold = Hold::Told;
            link.send(&FromKeeper::Ready);
        }
    }

    /// The supervisor lets the nodes start, now or as soon as they are ready.
    pub(crate) fn release(&mut self, link: &mut SupervisorLink) {
        self.hold = Hold::Released;
        self.check_barrier(link);
    }

    /// Tells for whom the nodes that are ready wait, if they have waited for long.
    pub(super) fn lose_patience(&mut self, now: Instant, link: &mut SupervisorLink) {
        if self.barrier.deadline().is_none_or(|at| at > now) {
            return;
        }
        self.barrier = Barrier::Waiting(Patience::Lost);
        let nodes = self.plan.nodes.iter().zip(&self.nodes);
        let waited_for = nodes.filter(|(_, node)| is_waited_for(node)).map(|(plan, _)| format!("`{}`", plan.id));
        link.warn(format!(
            "nodes are ready and wait for {}, not connected after {} s. A program that is no node never connects: \
             `startup_timeout` limits the wait, and one that ends with code 0 is not waited for",
            waited_for.collect::<Vec<_>>().join(", "),
            PATIENCE.as_secs()
        ));
    }

    /// The dataflow does not start: all nodes are told why and have some time to end.
    pub(super) fn fail_barrier(&mut self, reason: String, link: &mut SupervisorLink) {
        self.refuse_all(&reason);
        self.barrier = Barrier::Failed(reason);
        self.hurry(Ladder::begin(Instant::now(), BARRIER_GRACE));
        self.cancel_restarts(ExitCause::Cascading, link);
    }

    pub(super) fn refuse_all(&mut self, reason: &str) {
        let connected = |node: &&mut Node| matches!(node.conversation.stage(), Stage::Wiring | Stage::Ready);
        for node in self.nodes.iter_mut().filter(connected) {
            node.conversation.refuse(reason);
        }
    }
    /// Why the barrier failed, for the other nodes.
    pub(super) fn blame(&self, number: usize, status: &ExitStatus) -> String {
        let (id, node) = (&self.plan.nodes[number].id, &self.nodes[number]);
        if let Some(overdue) = node.overdue {
            return format!("node `{id}` {overdue}");
        }
        if let Some(fault) = node.conversation.fault() {
            return format!("node `{id}` could not connect: {fault}");
        }
        let when = match node.conversation.stage() {
            Stage::Silent => "before it connected",
            _ => "before all nodes were ready",
        };
        format!("node `{id}` {status} {when}{}", last_words(node))
    }
}

/// Whether the start waits for it.
fn is_waited_for(node: &Node) -> bool {
    match &node.life {
        Life::Running(_) => node.conversation.stage() != Stage::Ready,
        Life::Ended(status, _, Some(_)) | Life::Waiting(status, _) => !status.is_success(),
        Life::Ended(..) | Life::Over | Life::Dynamic => false,
    }
}
