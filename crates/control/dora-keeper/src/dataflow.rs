//! The nodes of a dataflow together: started, listened to, looked after.
//!
//! The places where one node's fate becomes another's are below: `barrier` is the common start, `ends` the end of one
//! node, `restarts` the life after it, `orders` what the supervisor wants, `taps` whom it lets look at an output,
//! `publish` whom it lets send in place of a node, `stopping` the end
//! of all; `dynamic` are nodes that come and go; `picture` is what the next supervisor has to know. It must not know of
//! descriptors.

mod barrier;
mod dynamic;
mod ends;
mod orders;
mod picture;
mod publish;
mod restarts;
mod stopping;
mod taps;

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use dora_channel::os::clock::monotonic_ns;
use dora_message::{
    keeper::FromNode,
    supervision::{
        ExitCause, Figures, FinalReport, FromKeeper, LaunchPlan, Limit, NodeEnd, NodeFigures, NodePlan, OutputStream,
    },
};
use rustix::process::Pid;

use crate::{
    broker::Wiring,
    cleanup::Cleanup,
    conversation::{Greeting, Stage},
    listener::Listener,
    log::Logs,
    node::{Life, Node, Signalled},
    poller::{Poller, Port, Token},
    restart::Restarts,
    spawn::Inheritance,
    stdio::Amount,
    stop::Ladder,
    stragglers::Feeds,
    supervisor::SupervisorLink,
    watchdog::Sign,
};
use barrier::{Barrier, Hold, Patience};
use dynamic::Farewell;

/// Time that a process may go on after it has dropped its node, before its consumers read the end of its outputs.
const LINGER: Duration = Duration::from_millis(500);

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
    hold: Hold,
    ladder: Option<Ladder>,
    /// The supervisor wants the nodes to end.
    stopping: bool,
    /// Where processes ask to be a dynamic node; `None`: there is no such node.
    listener: Option<Listener>,
    farewell: Farewell,
    /// Nodes that have ended for good, if another supervisor may ask for them; the first first.
    ends: Vec<NodeEnd>,
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
                _ if node_plan.is_dynamic() => Ok(Node::dynamic()),
                None => Node::spawn(plan.dataflow_id, node_plan, number, 0, inheritance, poller),
                Some(first) => Err(format!("not started, because node `{}` could not be", plan.nodes[first].id)),
            };
            nodes.push(node.unwrap_or_else(|error| {
                let cause = if failed.is_some() { ExitCause::Cascading } else { ExitCause::Own };
                failed.get_or_insert(number);
                Node::unborn(error, cause)
            }));
            if let Some(pid) = nodes[number].seen_pid() {
                link.send(&FromKeeper::Spawned { node: node_plan.id.clone(), pid });
            }
        }
        // After the processes were started: they load their code meanwhile.
        let wiring = Wiring::create(&plan).map_err(|error| error.to_string())?;
        let logs = Logs::new(&plan, &wiring)?;
        if let Some(fd) = logs.writer_fd() {
            poller.add(fd, Token::LogWriter).map_err(|error| format!("the log files cannot be watched: {error}"))?;
        }
        let now = Instant::now();
        let mut dataflow = Dataflow {
            feeds: Feeds::new(&plan),
            hold: Hold::of(&plan),
            restarts: plan.nodes.iter().map(|node| Restarts::new(node.restart.clone(), now)).collect(),
            plan,
            nodes,
            inheritance: inheritance.clone(),
            poller: Rc::clone(poller),
            wiring,
            logs,
            barrier: Barrier::Waiting(Patience::Endless),
            ladder: None,
            stopping: false,
            listener: None,
            farewell: Farewell::NotYet,
            ends: Vec::new(),
        };
        dataflow.listen()?;
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

    /// All nodes have ended, the supervisor was told, and the log files are complete.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        self.nodes_are_over(now) && self.logs.are_finished(now)
    }

    /// What is known at the end.
    pub(crate) fn report(&self, cleanup: &Cleanup) -> FinalReport {
        FinalReport { edges: self.wiring.counters(), orphans_killed: cleanup.killed }
    }

    /// What is known now.
    pub(crate) fn figures(&self) -> Figures {
        let figures = |(number, plan): (usize, &NodePlan)| {
            let node = &self.nodes[number];
            NodeFigures {
                id: plan.id.clone(),
                pid: node.seen_pid(),
                restarts: self.restarts[number].count(),
                connected: node.is_connected(),
                shared_memory: self.wiring.memory_of(number),
            }
        };
        let nodes = self.plan.nodes.iter().enumerate().map(figures).collect();
        Figures { nodes, edges: self.wiring.figures(&self.plan) }
    }

    /// When [`Dataflow::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ladder = self.ladder.as_ref().and_then(Ladder::deadline);
        let nodes = self.nodes.iter().filter_map(Node::deadline);
        let listener = self.listener.as_ref().and_then(Listener::deadline);
        let others = [
            ladder,
            listener,
            self.next_restart(),
            self.logs.deadline(),
            self.farewell.deadline(),
            self.barrier.deadline(),
        ];
        nodes.chain(others.into_iter().flatten()).min()
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
                    self.guest_gone(number, link);
                }
            }
            Port::Process => self.guest_process_ready(number, link),
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
                    if node.guest.is_some() {
                        self.wiring.attended(number);
                    }
                    match self.barrier {
                        Barrier::Passed => self.join(number, link),
                        _ => self.check_barrier(link),
                    }
                }
            }
            FromNode::Followed { node } => self.followed(number, &node),
            FromNode::Dropped if node.guest.is_some() => self.wiring.outputs_ended(number),
            FromNode::Dropped => node.outputs_end = Some(Instant::now() + LINGER),
            FromNode::Left => self.guest_leaves(number, link),
            FromNode::Failed { reason } => conversation.gave_up(reason),
        }
    }
    /// Does what is due at this time.
    pub(crate) fn tick(&mut self, now: Instant, link: &mut SupervisorLink) {
        while let Some(step) = self.ladder.as_mut().and_then(|ladder| ladder.due(now)) {
            self.nodes.iter_mut().for_each(|node| node.take(step));
        }
        for number in 0..self.nodes.len() {
            self.tick_node(number, now);
        }
        if let Some(listener) = &mut self.listener {
            listener.resume(now);
        }
        self.restart_due(now, link);
        self.lose_patience(now, link);
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
    /// The thread that writes the log files has something to say, or is done.
    pub(crate) fn log_writer_ready(&mut self) {
        if !self.logs.writer_spoke()
            && let Some(fd) = self.logs.writer_fd()
        {
            self.poller.remove(fd);
        }
    }

    /// Waits until what was printed is in the log files, this long at most.
    pub(crate) fn settle_logs(&mut self, within: Duration) {
        self.logs.settle(within);
    }

    /// Tells what nodes have printed, as far as the supervisor keeps up. A node that is ahead of it has to wait, unless
    /// nobody is there to be waited for.
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
