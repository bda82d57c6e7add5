//! The nodes of a dataflow together: start, start barrier, stop, end.
//!
//! The three places where one node's fate becomes another's are here: the barrier ([`Dataflow::check_barrier`]), its
//! failure ([`Dataflow::fail_barrier`]) and a death ([`Dataflow::process_ended`]); `restarts` is the life after death. It
//! must not know of descriptors.

mod restarts;

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use dora_channel::os::clock::monotonic_ns;
use dora_message::{
    keeper::{FromNode, ToNode},
    supervision::{ExitCause, ExitStatus, FinalReport, FromKeeper, LaunchPlan, Limit, OutputStream},
};
use rustix::process::Pid;

use crate::{
    broker::Wiring,
    cleanup::Cleanup,
    conversation::{Greeting, Stage},
    log::Logs,
    node::{Life, Node, Signalled},
    poller::{Poller, Port},
    restart::Restarts,
    spawn::Inheritance,
    stdio::Amount,
    stop::Ladder,
    stragglers::Feeds,
    supervisor::SupervisorLink,
    watchdog::Sign,
};

/// Time that nodes have to end by themselves after the start barrier has failed.
const BARRIER_GRACE: Duration = Duration::from_secs(2);
/// Time that a process may go on after it has dropped its node, before its consumers read the end of its outputs.
const LINGER: Duration = Duration::from_millis(500);

/// The start barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Barrier {
    /// Some node is not ready.
    Waiting,
    /// All nodes were ready; messages flow.
    Passed,
    /// It never will be passed; the reason is for nodes that connect from now on.
    Failed(String),
}

/// A dataflow that was launched.
pub(crate) struct Dataflow {
    plan: LaunchPlan,
    nodes: Vec<Node>,
    restarts: Vec<Restarts>,
    inheritance: Inheritance,
    poller: Rc<Poller>,
    wiring: Wiring,
    feeds: Feeds,
    logs: Logs,
    barrier: Barrier,
    ladder: Option<Ladder>,
    /// The supervisor wants the nodes to end.
    stopping: bool,
}

impl Dataflow {
    /// Starts all nodes. The error is a sentence; processes may run and are the caller's to kill.
    pub(crate) fn launch(
        plan: LaunchPlan,
        inheritance: &Inheritance,
        poller: &Rc<Poller>,
        link: &mut SupervisorLink,
    ) -> Result<Self, String> {
        let mut failed: Option<usize> = None;
        let mut nodes: Vec<Node> = Vec::with_capacity(plan.nodes.len());
        for (number, node_plan) in plan.nodes.iter().enumerate() {
            let node = match failed {
                None => Node::spawn(plan.dataflow_id, node_plan, number, 0, inheritance, poller),
                Some(first) => Err(format!("not started, because node `{}` could not be", plan.nodes[first].id)),
            };
            nodes.push(node.unwrap_or_else(|error| {
                let cause = if failed.is_some() { ExitCause::Cascading } else { ExitCause::Own };
                failed.get_or_insert(number);
                Node::unborn(error, cause)
            }));
            if let Some(pid) = nodes[number].pid() {
                let pid = pid.as_raw_pid().unsigned_abs();
                link.send(&FromKeeper::Spawned { node: node_plan.id.clone(), pid });
            }
        }
        // After the processes were started: they load their code meanwhile.
        let wiring = Wiring::create(&plan).map_err(|error| error.to_string())?;
        let logs = Logs::new(&plan, &wiring)?;
        let now = Instant::now();
        let mut dataflow = Dataflow {
            feeds: Feeds::new(&plan),
            restarts: plan.nodes.iter().map(|node| Restarts::new(node.restart.clone(), now)).collect(),
            plan,
            nodes,
            inheritance: inheritance.clone(),
            poller: Rc::clone(poller),
            wiring,
            logs,
            barrier: Barrier::Waiting,
            ladder: None,
            stopping: false,
        };
        if let Some(first) = failed {
            dataflow.bury_unborn(first, link);
        }
        dataflow.check_barrier(link);
        Ok(dataflow)
    }

    fn bury_unborn(&mut self, first: usize, link: &mut SupervisorLink) {
        if let Life::Ended(status, ..) = &self.nodes[first].life {
            self.fail_barrier(format!("node `{}` {status}", self.plan.nodes[first].id), link);
        }
        for number in first..self.nodes.len() {
            self.wiring.gone(number);
            self.report_end(number, link);
        }
    }

    /// All nodes have ended and the supervisor was told.
    pub(crate) fn is_over(&self) -> bool {
        self.nodes.iter().all(|node| node.life == Life::Over)
    }

    /// What is known at the end.
    pub(crate) fn report(&self, cleanup: &Cleanup) -> FinalReport {
        FinalReport { edges: self.wiring.counters(), orphans_killed: cleanup.killed }
    }

    /// When [`Dataflow::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ladder = self.ladder.as_ref().and_then(Ladder::deadline);
        self.nodes.iter().filter_map(Node::deadline).chain(ladder).chain(self.next_restart()).min()
    }

    /// Something can be read from a node's descriptor, or written to it.
    pub(crate) fn port_ready(&mut self, number: usize, port: Port, link: &mut SupervisorLink) {
        let Some(node) = self.nodes.get_mut(number) else { return };
        match port {
            Port::Socket => {
                node.conversation.flush();
                while let Some(packet) = self.nodes[number].conversation.receive() {
                    self.hear(number, packet, link);
                }
                let node = &mut self.nodes[number];
                if node.conversation.is_closed() {
                    node.watchdog.disconnected();
                }
            }
            Port::Stdout => node.read_output(number, OutputStream::Stdout, Amount::Some, &mut self.logs),
            Port::Stderr => node.read_output(number, OutputStream::Stderr, Amount::Some, &mut self.logs),
        }
    }

    fn hear(&mut self, number: usize, packet: FromNode, link: &mut SupervisorLink) {
        let node = &mut self.nodes[number];
        let conversation = &mut node.conversation;
        match packet {
            FromNode::Hello { version, api } => match (&self.barrier, conversation.stage()) {
                (Barrier::Failed(reason), _) => conversation.refuse(reason),
                (_, Stage::Silent) => {
                    let hello = Greeting { version, api: &api, restart_count: self.restarts[number].count() };
                    match self.wiring.renew(&self.plan, number) {
                        Ok(()) => conversation.welcome(&hello, &self.plan, number, &self.wiring),
                        Err(error) => conversation.refuse(&format!("the keeper has no memory for it: {error}")),
                    }
                }
                _ => {}
            },
            FromNode::Ready => {
                if conversation.ready() {
                    node.watchdog.connected();
                    self.wiring.mapped(number);
                    match self.barrier {
                        Barrier::Passed => self.join(number),
                        _ => self.check_barrier(link),
                    }
                }
            }
            FromNode::Followed { node } => self.followed(number, &node),
            FromNode::Dropped => node.outputs_end = Some(Instant::now() + LINGER),
            FromNode::Failed { reason } => conversation.gave_up(reason),
        }
    }

    /// Lets all nodes start if no one is waited for any more: every node is ready or has ended.
    fn check_barrier(&mut self, link: &mut SupervisorLink) {
        let waited_for = |node: &Node| match &node.life {
            Life::Running(_) => node.conversation.stage() != Stage::Ready,
            Life::Ended(status, _, Some(_)) | Life::Waiting(status, _) => !status.is_success(),
            Life::Ended(..) | Life::Over => false,
        };
        if self.barrier != Barrier::Waiting || self.nodes.iter().any(waited_for) {
            return;
        }
        self.barrier = Barrier::Passed;
        let now = Instant::now();
        for (number, node) in self.nodes.iter_mut().enumerate().filter(|(_, node)| node.pid().is_some()) {
            self.wiring.started(number);
            node.conversation.start();
            node.watchdog.started(now);
        }
        link.send(&FromKeeper::AllReady);
    }

    /// The dataflow does not start: all nodes are told why and have some time to end.
    fn fail_barrier(&mut self, reason: String, link: &mut SupervisorLink) {
        self.refuse_all(&reason);
        self.barrier = Barrier::Failed(reason);
        self.hurry(Ladder::begin(Instant::now(), BARRIER_GRACE));
        self.cancel_restarts(ExitCause::Cascading, link);
    }

    fn refuse_all(&mut self, reason: &str) {
        let connected = |node: &&mut Node| matches!(node.conversation.stage(), Stage::Wiring | Stage::Ready);
        for node in self.nodes.iter_mut().filter(connected) {
            node.conversation.refuse(reason);
        }
    }

    fn hurry(&mut self, ladder: Ladder) {
        // From now on the ladder decides.
        self.nodes.iter_mut().for_each(|node| node.watchdog.off());
        match &mut self.ladder {
            Some(running) => running.hurry(ladder),
            none => *none = Some(ladder),
        }
    }

    /// Asks all nodes to stop. Programs that never connected cannot be asked: they get SIGTERM.
    pub(crate) fn stop(&mut self, ladder: Ladder, link: &mut SupervisorLink) {
        self.hurry(ladder);
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        if self.barrier == Barrier::Waiting {
            let reason = "the dataflow was stopped before it started".to_owned();
            self.refuse_all(&reason);
            self.barrier = Barrier::Failed(reason);
        }
        for (number, node) in self.nodes.iter_mut().enumerate() {
            if node.conversation.stage() == Stage::Silent {
                node.terminate();
            } else if node.conversation.mail(&ToNode::Stop) {
                self.wiring.wake(number);
            }
        }
        self.cancel_restarts(ExitCause::Stopped, link);
    }

    /// SIGKILL to all nodes, at once.
    pub(crate) fn kill(&mut self, link: &mut SupervisorLink) {
        self.stopping = true;
        for node in &mut self.nodes {
            node.watchdog.off();
            node.kill(Signalled::KilledByOrder);
        }
        self.cancel_restarts(ExitCause::Stopped, link);
    }

    /// Does what is due at this time.
    pub(crate) fn tick(&mut self, now: Instant, link: &mut SupervisorLink) {
        while let Some(step) = self.ladder.as_mut().and_then(|ladder| ladder.due(now)) {
            self.nodes.iter_mut().for_each(|node| node.take(step));
        }
        for number in 0..self.nodes.len() {
            self.tick_node(number, now);
        }
        self.restart_due(now, link);
    }

    fn tick_node(&mut self, number: usize, now: Instant) {
        let node = &mut self.nodes[number];
        if node.outputs_end.take_if(|at| *at <= now).is_some() {
            self.wiring.outputs_ended(number);
        }
        let wiring = &self.wiring;
        if let Some(overdue) = node.watchdog.due(now, || sign(wiring, number, now)) {
            node.overdue = Some(overdue);
            match overdue.limit {
                Limit::Startup | Limit::Health => node.kill(Signalled::KilledByLadder),
                // It was told to end when its inputs did, and the grace is over.
                Limit::Finish => node.ladder = Some(Ladder::at_once(now)),
            }
        }
        self.nodes[number].climb(now);
    }

    /// A child of the keeper was stopped by a signal, or goes on.
    pub(crate) fn process_paused(&mut self, pid: Pid, stopped: bool) {
        let Some(node) = self.nodes.iter_mut().find(|node| node.pid() == Some(pid)) else { return };
        match stopped {
            true => node.watchdog.stopped(Instant::now()),
            false => node.watchdog.continued(),
        }
    }

    /// A child of the keeper has ended: one of the nodes, or what a node had left behind.
    pub(crate) fn process_ended(&mut self, pid: Pid, status: ExitStatus, link: &mut SupervisorLink) {
        let Some(number) = self.nodes.iter().position(|node| node.pid() == Some(pid)) else { return };
        // What it said last may still lie in its socket.
        self.port_ready(number, Port::Socket, link);
        self.ended(number, status, link);
    }

    /// The process of a node is gone, or could not be started again.
    fn ended(&mut self, number: usize, status: ExitStatus, link: &mut SupervisorLink) {
        let cause = self.cause(&self.nodes[number], &status);
        let restart = self.restart_of(number, &status, cause, link);
        let node = &mut self.nodes[number];
        node.life = Life::Ended(status.clone(), cause, restart);
        // What it began ends with it: only the next process may end its outputs.
        node.outputs_end = None;
        node.watchdog.off();
        node.drain(number, &mut self.logs);
        node.conversation.close();
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
            Barrier::Waiting if status.is_success() => link.send(&FromKeeper::Warning {
                message: format!("node `{}` exited before it connected; the others start without it", plan.id),
            }),
            Barrier::Waiting => self.fail_barrier(self.blame(number, status), link),
            Barrier::Passed if cause.is_failure(status) => self.tell_consumers(number, status),
            _ => {}
        }
        self.wiring.gone(number);
        self.logs.close(number);
    }

    /// Gives those that should have ended by now their last respite.
    fn watch_stragglers(&mut self) {
        if self.barrier != Barrier::Passed || self.stopping {
            return;
        }
        let now = Instant::now();
        for straggler in self.feeds.stragglers(|node| self.nodes[node].goes_on()) {
            self.nodes[straggler].watchdog.inputs_ended(now);
        }
    }

    /// Reports the end of a node that has ended, once its lines were told.
    fn report_end(&mut self, number: usize, link: &mut SupervisorLink) {
        if matches!(self.nodes[number].life, Life::Ended(..)) && self.logs.is_told(number) {
            self.nodes[number].report(&self.plan.nodes[number], link);
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
        match self.stopping {
            true if by_kill && node.signalled == Signalled::KilledByLadder => ExitCause::GraceExceeded,
            true if by_us || refused || status.is_success() => ExitCause::Stopped,
            false if by_us || refused => ExitCause::Cascading,
            _ => ExitCause::Own,
        }
    }

    /// Why the barrier failed, for the other nodes.
    fn blame(&self, number: usize, status: &ExitStatus) -> String {
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

    /// The node has failed: its consumers read that before they read the end of its messages.
    fn tell_consumers(&mut self, number: usize, status: &ExitStatus) {
        let node = &self.nodes[number];
        let how = node.overdue.map_or_else(|| status.to_string(), |overdue| overdue.to_string());
        let error = format!("{how}{}", last_words(node));
        let failed = ToNode::NodeFailed { node: self.plan.nodes[number].id.clone(), error };
        for consumer in self.wiring.consumers(number) {
            if self.nodes[consumer].conversation.mail(&failed) {
                self.wiring.wake(consumer);
            }
        }
    }

    /// Tells what nodes have printed, as far as the supervisor keeps up. A node that is ahead of it has to wait.
    pub(crate) fn tell_output(&mut self, link: &mut SupervisorLink) {
        self.logs.tell(link);
        for number in 0..self.nodes.len() {
            self.nodes[number].pause_output(self.logs.is_full(number));
            self.report_end(number, link);
        }
    }

    /// Warns of lines that were lost.
    pub(crate) fn tell_losses(&self, link: &mut SupervisorLink) {
        self.logs.losses().for_each(|message| link.warn(message));
    }
}

fn sign(wiring: &Wiring, number: usize, now: Instant) -> Sign {
    let sign = wiring.sign(number);
    let ago = || now.checked_sub(Duration::from_nanos(monotonic_ns().saturating_sub(sign.left_ns)));
    match sign.inside {
        true => Sign::InCall,
        false => Sign::Outside((sign.left_ns > 0).then(ago).flatten()),
    }
}

fn last_words(node: &Node) -> String {
    node.last_words().map(|line| format!(": {line}")).unwrap_or_default()
}
