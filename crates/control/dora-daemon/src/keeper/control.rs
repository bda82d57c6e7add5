//! Orders to a keeper.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use dora_channel::{
    chunk_layout,
    os::{
        memory::memfd_with,
        packet::{self, Blocking},
    },
};
use dora_message::{
    id::{DataId, NodeId},
    keeper::LooseMessage,
    supervision::{Ending, ToKeeper},
};
use rustix::event::{EventfdFlags, eventfd};

/// Gives orders to a keeper, from any thread.
#[derive(Debug, Clone)]
pub struct Control(pub(super) Arc<Descriptors>);

#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) socket: OwnedFd,
    pub(super) wake: OwnedFd,
}

impl Control {
    /// For the keeper at the other end of this socket.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Control(Arc::new(Descriptors { socket, wake })))
    }
    /// Lets the nodes of a plan with [`LaunchPlan::hold`](dora_message::supervision::LaunchPlan::hold) start, as soon as they are ready.
    pub fn release(&self) {
        self.tell(&ToKeeper::Release);
    }
    /// Makes [`Keeper::next`](super::Keeper::next) return [`Received::Figures`](super::Received::Figures) with this number. A keeper that is about to end does not answer.
    pub fn ask_figures(&self, serial: u64) {
        self.tell(&ToKeeper::Figures { serial });
    }
    /// Brings one node to its end; it is not started again. If that cannot be, a warning tells why.
    pub fn stop_node(&self, node: NodeId, ending: Ending) {
        self.tell(&ToKeeper::StopNode { node, ending });
    }
    /// Brings one node to its end and starts it again, with its queues. If that cannot be, a warning tells why.
    pub fn restart_node(&self, node: NodeId, ending: Ending) {
        self.tell(&ToKeeper::RestartNode { node, ending });
    }
    /// Looks at an output of a node: makes [`Keeper::next`](super::Keeper::next) return [`Received::Tapped`](super::Received::Tapped) for each process of the node that
    /// runs or will run, and [`FromKeeper::TapOver`](dora_message::supervision::FromKeeper::TapOver) when there will be none. `tap` is a number that no other tap has.
    pub fn tap(&self, tap: u64, node: NodeId, output: DataId, capacity: u32) {
        self.tell(&ToKeeper::Tap { tap, node, output, capacity });
    }
    /// Looks no more. The readers are to be dropped as well.
    pub fn untap(&self, tap: u64) {
        self.tell(&ToKeeper::Untap { tap });
    }
    /// Sends a message to every consumer of an output, as if the node had sent it: `tag` says what the payload is, the
    /// header describes it. Consumers that are not there, or have not read what came before, do not get it.
    ///
    /// # Errors
    /// If there is no memory for it, or it is longer than anything can be.
    pub fn publish(&self, node: NodeId, output: DataId, tag: u8, header: &[u8], payload: &[u8]) -> io::Result<()> {
        let (len, header_at) = chunk_layout(payload.len(), header.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(payload);
        bytes.resize(header_at.min(len), 0);
        bytes.extend_from_slice(header);
        let memory = memfd_with("dora-message", &bytes)?;
        let message = LooseMessage { tag, len: payload.len(), header_len: header.len() };
        self.send(&ToKeeper::Publish { node, output, message }, Some(&memory))
    }
    /// Asks all nodes to stop: SIGTERM after `grace`, SIGKILL after half of it again. A keeper that is gone is none to
    /// ask, so that is no error.
    pub fn stop(&self, grace: Duration) {
        self.tell(&ToKeeper::Stop { grace_ms: grace.as_millis().try_into().unwrap_or(u64::MAX) });
    }
    /// After [`stop`](Self::stop), when somebody cannot wait: SIGTERM at once, SIGKILL two seconds later.
    pub fn hurry(&self) {
        self.tell(&ToKeeper::Hurry);
    }
    /// Kills all nodes at once.
    pub fn kill(&self) {
        self.tell(&ToKeeper::Kill);
    }
    /// Makes [`Keeper::next`](super::Keeper::next) return [`Received::Woken`](super::Received::Woken).
    pub fn wake(&self) {
        let _ = rustix::io::write(&self.0.wake, &1_u64.to_ne_bytes());
    }
    pub(super) fn tell(&self, order: &ToKeeper) {
        let _ = self.send(order, None);
    }
    pub(super) fn send(&self, order: &ToKeeper, memory: Option<&OwnedFd>) -> io::Result<()> {
        let fds: Vec<_> = memory.map(AsFd::as_fd).into_iter().collect();
        packet::send(self.0.socket.as_fd(), &serde_json::to_vec(order)?, &fds, Blocking::Yes)
    }
}
