//! What the keeper and one node say to each other, from the node's Hello to its end.
//!
//! It knows the order of packets, not what other nodes do: when all may start is decided in [`crate::dataflow`].

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use dora_channel::os::memory::memfd_with;
use dora_message::{
    keeper::{FromNode, NodeRunConfig, PROTOCOL_VERSION, ToNode},
    supervision::LaunchPlan,
};

use crate::{
    broker::{End, Wiring},
    outbox::{Outbox, Received},
};

/// How far a node has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has said nothing; perhaps it never will.
    Silent,
    /// It is mapping its edges.
    Wiring,
    /// It waits for the others.
    Ready,
    /// It exchanges messages.
    Started,
    /// It was told that the dataflow does not start.
    Refused,
}

/// What is known when a process says Hello.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Greeting<'a> {
    /// The protocol that it speaks.
    pub(crate) version: u32,
    /// The version of its API.
    pub(crate) api: &'a str,
    /// How many processes of the node came before.
    pub(crate) restart_count: u32,
}

/// The keeper's side of the conversation with one node.
pub(crate) struct Conversation {
    outbox: Option<Outbox>,
    stage: Stage,
    /// Why the node itself is to blame for not getting ready.
    fault: Option<String>,
}

impl Conversation {
    /// `None`: the node could not be started.
    pub(crate) fn new(outbox: Option<Outbox>) -> Self {
        Conversation { outbox, stage: Stage::Silent, fault: None }
    }
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The next packet from the node. Packets that are not understood are ignored.
    pub(crate) fn receive(&mut self) -> Option<FromNode> {
        loop {
            match self.outbox.as_mut()?.receive() {
                Received::Packet(bytes, _) => {
                    if let Ok(packet) = serde_json::from_slice(&bytes) {
                        return Some(packet);
                    }
                }
                Received::Nothing => return None,
                // Closed by a process that may go on without us; its end is seen elsewhere.
                Received::Gone => self.close(),
            }
        }
    }

    /// Sends what has waited for room.
    pub(crate) fn flush(&mut self) {
        let flushed = self.outbox.as_mut().map_or(Ok(()), Outbox::flush);
        self.close_unless(flushed);
    }

    /// A node that is gone may have left packets that must be read: only [`Received::Gone`] ends the conversation then.
    fn close_unless(&mut self, sent: io::Result<()>) {
        let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        if sent.is_err_and(|error| !gone.contains(&error.kind())) {
            self.close();
        }
    }

    /// Nothing can be heard or said any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.outbox.is_none()
    }

    /// No more is heard or said.
    pub(crate) fn close(&mut self) {
        self.outbox = None;
    }

    fn send(&mut self, packet: &ToNode, fds: &[BorrowedFd<'_>]) {
        // Our own types always have a JSON form.
        let Ok(json) = serde_json::to_vec(packet) else { return };
        let sent = self.outbox.as_mut().map_or(Ok(()), |outbox| outbox.send(json, fds));
        self.close_unless(sent);
    }

    /// Answers a Hello: everything that the node needs, or a refusal if it speaks another version.
    pub(crate) fn welcome(&mut self, hello: &Greeting<'_>, plan: &LaunchPlan, node: usize, wiring: &Wiring) {
        let Greeting { version, api, restart_count } = *hello;
        if self.stage != Stage::Silent {
            return;
        }
        // Version 0 was never spoken.
        if version == 0 || !(PROTOCOL_VERSION - 1..=PROTOCOL_VERSION).contains(&version) {
            let fault = format!(
                "it was built with the dora API {api} (protocol {version}), but this `dora` is {} (protocol \
                 {PROTOCOL_VERSION}); use the same version for both",
                env!("CARGO_PKG_VERSION")
            );
            self.refuse(&format!("node `{}` cannot connect: {fault}", plan.nodes[node].id));
            self.fault = Some(fault);
            return;
        }
        if let Err(error) = self.wire(plan, node, wiring, restart_count) {
            return self.refuse(&format!("the keeper cannot connect node `{}`: {error}", plan.nodes[node].id));
        }
        self.stage = Stage::Wiring;
    }

    fn wire(&mut self, plan: &LaunchPlan, node: usize, wiring: &Wiring, restart_count: u32) -> io::Result<()> {
        let config = serde_json::to_vec(&run_config(plan, node, restart_count))?;
        let memory = memfd_with("dora-config", &config)?;
        let fds: Vec<_> = [memory.as_fd()].into_iter().chain(wiring.welcome(node)).collect();
        let version = PROTOCOL_VERSION;
        self.send(&ToNode::Welcome { version, config_len: config.len() as u64, budget_slot: node as u32 }, &fds);
        for (grant, fds) in wiring.grants(plan, node, End::Output) {
            self.send(&ToNode::Output(grant), &fds);
        }
        for (grant, fds) in wiring.grants(plan, node, End::Input) {
            self.send(&ToNode::Input(grant), &fds);
        }
        self.send(&ToNode::Wired, &[]);
        Ok(())
    }

    /// The node has mapped its edges. False if that is out of turn.
    pub(crate) fn ready(&mut self) -> bool {
        let in_turn = self.stage == Stage::Wiring;
        if in_turn {
            self.stage = Stage::Ready;
        }
        in_turn
    }

    /// The node says that it gives up.
    pub(crate) fn gave_up(&mut self, reason: String) {
        self.fault = Some(reason);
    }

    /// All nodes are ready.
    pub(crate) fn start(&mut self) {
        self.send(&ToNode::Start, &[]);
        self.stage = Stage::Started;
    }

    /// The dataflow does not start.
    pub(crate) fn refuse(&mut self, reason: &str) {
        self.send(&ToNode::Refused { reason: reason.to_owned() }, &[]);
        self.stage = Stage::Refused;
    }

    /// Whether the node has read enough for mail to go at once.
    pub(crate) fn has_room(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.queued_bytes() == 0)
    }

    /// Mail while the dataflow runs. False: the node does not run.
    pub(crate) fn mail(&mut self, packet: &ToNode) -> bool {
        self.mail_with(packet, &[])
    }

    /// As [`Self::mail`], with descriptors.
    pub(crate) fn mail_with(&mut self, packet: &ToNode, fds: &[BorrowedFd<'_>]) -> bool {
        let running = self.stage == Stage::Started;
        if running {
            self.send(packet, fds);
        }
        running
    }
}

fn run_config(plan: &LaunchPlan, node: usize, restart_count: u32) -> NodeRunConfig {
    let own = &plan.nodes[node];
    NodeRunConfig {
        dataflow_id: plan.dataflow_id,
        node_id: own.id.clone(),
        inputs: own.inputs.clone(),
        outputs: own.outputs.clone(),
        clock_anchor_ns: plan.clock_anchor_ns,
        restart_count,
        keeps_edges: own.restart.is_some() || own.is_dynamic(),
        exit_when_nodes_finish: plan.exit_when_nodes_finish,
        write_events_to: plan.write_events_to.clone(),
        health_checked: own.limits.health_ms.is_some(),
        keeper_ends_outputs: true,
        dynamic: own.is_dynamic(),
        descriptor: plan.descriptor.clone(),
    }
}
