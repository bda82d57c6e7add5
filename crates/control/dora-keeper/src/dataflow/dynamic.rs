//! Dynamic nodes: processes that nobody here started join as them, leave, and join again.
//!
//! They take no part in the start barrier, and do not keep the dataflow alive: when all others have ended they are given
//! a moment to leave. Nobody signals them.

use std::time::{Duration, Instant};

use dora_channel::os::named::own_uid;
use dora_message::{
    attach::{MOST_NAMED, Standing, ToListener, socket_name},
    id::NodeId,
    keeper::{FromNode, ToNode},
    supervision::FromKeeper,
};

use super::Dataflow;
use crate::{
    conversation::Stage,
    guest::Guest,
    listener::{Listener, Visitor},
    node::{Life, Node},
    poller::{Door, Port},
    supervisor::SupervisorLink,
};

/// Time that processes have to leave when the dataflow is over.
const TIME_TO_LEAVE: Duration = Duration::from_millis(500);

/// How far the farewell to those that joined has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Other nodes run.
    NotYet,
    /// They were asked to leave, and have time until then.
    Until(Instant),
    /// Nobody waits for them any more.
    Over,
}

impl Farewell {
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Farewell::Until(at) => Some(at),
            _ => None,
        }
    }
}

impl Dataflow {
    /// Lets processes ask, if there is a node to ask for. The error is a sentence.
    pub(super) fn listen(&mut self) -> Result<(), String> {
        if self.plan.nodes.iter().any(|node| node.is_dynamic()) {
            let name = socket_name(own_uid(), &self.plan.dataflow_id);
            let listener = Listener::open(&name, Door::Guests, &self.poller);
            self.listener = Some(listener.map_err(|error| format!("dynamic nodes could not find it: {error}"))?);
        }
        Ok(())
    }

    /// Processes have connected.
    pub(crate) fn visitors_came(&mut self, link: &mut SupervisorLink) {
        if let Some(error) = self.listener.as_mut().and_then(Listener::accept) {
            link.warn(format!(
                "processes that want to join as a dynamic node have to wait, because the keeper cannot accept them: {error}"
            ));
        }
    }

    /// One of them has something to say: first for whom it asks, then Hello. Who says anything else is shown out.
    pub(crate) fn visitor_ready(&mut self, number: u32, link: &mut SupervisorLink) {
        let Some((visitor, packet)) = self.listener.as_mut().and_then(|listener| listener.hear(number)) else { return };
        if visitor.node.is_none()
            && let Ok(ToListener::WhoIs { node }) = serde_json::from_slice(&packet)
        {
            visitor.node = Some(node.clone());
            return self.answer(number, &node);
        }
        let Some(visitor) = self.listener.as_mut().and_then(|listener| listener.show_out(number)) else { return };
        if let Ok(hello @ FromNode::Hello { .. }) = serde_json::from_slice(&packet) {
            self.let_in(visitor, hello, link);
        }
    }

    /// Tells a visitor whether it can be the node.
    fn answer(&mut self, number: u32, node: &NodeId) {
        let standing = self.standing(node);
        let Some(listener) = &mut self.listener else { return };
        if !listener.visitor(number).is_some_and(|visitor| visitor.tell(&standing)) {
            listener.show_out(number);
        }
    }

    pub(super) fn number_of(&self, id: &NodeId) -> Option<usize> {
        self.plan.nodes.iter().position(|node| node.id == *id)
    }

    fn standing(&self, id: &NodeId) -> Standing {
        let Some(number) = self.number_of(id) else {
            let dynamic = self.plan.nodes.iter().filter(|node| node.is_dynamic());
            return Standing::Unknown { dynamic: dynamic.map(|node| node.id.clone()).take(MOST_NAMED).collect() };
        };
        match &self.nodes[number] {
            Node { life: Life::Dynamic, guest: None, .. } => Standing::Free,
            Node { guest: Some(guest), .. } => Standing::Taken { pid: guest.pid(), holds_messages: guest.has_left() },
            _ => Standing::NotDynamic,
        }
    }

    fn let_in(&mut self, visitor: Visitor, hello: FromNode, link: &mut SupervisorLink) {
        let Some(id) = visitor.node.clone() else { return };
        let (Some(number), Standing::Free) = (self.number_of(&id), self.standing(&id)) else {
            let reason = format!("node `{id}` {}", self.standing(&id));
            return refuse(&visitor, reason);
        };
        if self.stopping || self.farewell != Farewell::NotYet {
            return refuse(&visitor, format!("node `{id}` cannot join any more: the dataflow is ending"));
        }
        let pid = visitor.pid;
        let guest = Guest::new(pid, number, &self.poller);
        match guest.and_then(|guest| Node::joined(visitor.socket, guest, number, &self.poller)) {
            Ok(node) => {
                self.nodes[number] = node;
                self.hear(number, hello, link);
                // Who is refused does not stand in the way of others.
                if self.nodes[number].conversation.stage() == Stage::Refused {
                    self.guest_gone(number, link);
                }
            }
            // Its socket is closed: it reads that the keeper is gone.
            Err(error) => link.warn(format!("node `{}` could not join: {error}", self.plan.nodes[number].id)),
        }
    }

    /// The process of a dynamic node exchanges messages from now on.
    pub(super) fn guest_started(&mut self, number: usize, link: &mut SupervisorLink) {
        let node = &mut self.nodes[number];
        let Some(guest) = &node.guest else { return };
        if self.stopping {
            node.conversation.mail(&ToNode::Stop);
        }
        let joins = self.restarts[number].count() + 1;
        link.send(&FromKeeper::Joined { node: self.plan.nodes[number].id.clone(), pid: guest.pid(), joins });
    }

    /// The process says that it is the node no longer.
    pub(super) fn guest_leaves(&mut self, number: usize, link: &mut SupervisorLink) {
        let node = &mut self.nodes[number];
        let Some(guest) = node.guest.as_mut().filter(|guest| !guest.has_left()) else { return };
        if node.conversation.stage() == Stage::Started {
            guest.leaves();
            self.wiring.outputs_ended(number);
            self.wiring.unattended(number);
            self.tell_left(number, true, link);
        }
    }

    /// The process behind a dynamic node is said to have ended.
    pub(super) fn guest_process_ready(&mut self, number: usize, link: &mut SupervisorLink) {
        if self.nodes[number].guest.as_ref().is_some_and(Guest::is_dead) {
            // What it said last may still lie in its socket.
            self.port_ready(number, Port::Socket, link);
            self.guest_gone(number, link);
        }
    }

    /// The process behind a dynamic node is dead, or has let go of everything: another one may come.
    pub(super) fn guest_gone(&mut self, number: usize, link: &mut SupervisorLink) {
        let Some(guest) = self.nodes[number].guest.take() else { return };
        let was_started = self.nodes[number].conversation.stage() == Stage::Started;
        let crashed = was_started && !guest.has_left();
        if crashed {
            let process = guest.pid().map_or_else(|| "its process".to_owned(), |pid| format!("process {pid}"));
            self.tell_consumers(number, format!("{process} ended without leaving the dataflow"));
        }
        self.wiring.close_taps(number);
        self.wiring.left(&self.plan, number, crashed);
        self.nodes[number] = Node::dynamic();
        if crashed {
            self.tell_left(number, false, link);
        }
        if was_started {
            self.restarts[number].another();
        }
    }

    fn tell_left(&mut self, number: usize, in_order: bool, link: &mut SupervisorLink) {
        let joins = self.restarts[number].count() + 1;
        link.send(&FromKeeper::Left { node: self.plan.nodes[number].id.clone(), in_order, joins });
    }

    /// Whether all nodes have ended, the supervisor was told, and dynamic nodes have left or had the time to.
    ///
    /// Where all nodes are dynamic there is none whose end could be the end: such a dataflow runs until it is stopped.
    pub(super) fn nodes_are_over(&mut self, now: Instant) -> bool {
        let is_dynamic = |node: &Node| node.life == Life::Dynamic;
        let runs = self.nodes.iter().any(|node| node.life != Life::Over && !is_dynamic(node));
        let only_dynamic = !self.nodes.is_empty() && self.nodes.iter().all(is_dynamic);
        if runs || (only_dynamic && !self.stopping) {
            return false;
        }
        if self.farewell == Farewell::NotYet {
            self.say_farewell();
            self.farewell = Farewell::Until(now + TIME_TO_LEAVE);
        }
        let is_here = |node: &Node| node.guest.as_ref().is_some_and(|guest| !guest.has_left());
        let time_is_over = self.farewell.deadline().is_none_or(|at| at <= now);
        let is_over = time_is_over || !self.nodes.iter().any(is_here);
        if is_over {
            self.farewell = Farewell::Over;
            self.close_the_door();
        }
        is_over
    }

    /// Nobody is heard any more: who is still there reads the end of the dataflow.
    fn close_the_door(&mut self) {
        self.listener = None;
        for node in self.nodes.iter_mut().filter(|node| node.guest.is_some()) {
            *node = Node::dynamic();
        }
    }

    /// Asks those to leave that do not read the end of all their inputs.
    fn say_farewell(&mut self) {
        for number in (0..self.nodes.len()).filter(|number| self.feeds.is_endless(*number)) {
            if self.nodes[number].guest.is_some() && self.nodes[number].conversation.mail(&ToNode::Stop) {
                self.wiring.wake(number);
            }
        }
    }
}

fn refuse(visitor: &Visitor, reason: String) {
    visitor.tell(&ToNode::Refused { reason });
}
