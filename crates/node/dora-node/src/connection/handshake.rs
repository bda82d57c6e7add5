//! The conversation of a node with its keeper from `Hello` to `Start`.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use dora_channel::os::{
    memory::read_memfd,
    packet::{self, Blocking},
};
use dora_message::keeper::{FromNode, MAX_PACKET, NodeRunConfig, PROTOCOL_VERSION, ToNode};

use super::{
    ConnectError,
    inherited::KeeperSocket,
    lease::Lease,
    trying,
    wiring::{Wired, Wiring},
};

/// The longest configuration that is read: 64 MiB. It holds the dataflow as JSON.
const MAX_CONFIG: u64 = 64 << 20;

/// Runs it. Blocks until every node of the dataflow is ready.
pub(super) fn run(socket: &Arc<KeeperSocket>) -> Result<(NodeRunConfig, Wired), ConnectError> {
    let mut talk = Talk { socket, buffer: vec![0; MAX_PACKET] };
    talk.say(&FromNode::Hello { version: PROTOCOL_VERSION, api: env!("CARGO_PKG_VERSION").to_owned() })?;
    match talk.get_ready() {
        Ok(ready) => {
            talk.say(&FromNode::Ready)?;
            talk.wait_for_start()?;
            Ok(ready)
        }
        Err(error) => {
            // What the keeper itself said, or its end, it knows already.
            if !matches!(error, ConnectError::Refused(_) | ConnectError::KeeperGone) {
                let _ = talk.say(&FromNode::Failed { reason: error.to_string() });
            }
            Err(error)
        }
    }
}

struct Talk<'a> {
    socket: &'a Arc<KeeperSocket>,
    buffer: Vec<u8>,
}

impl Talk<'_> {
    fn say(&self, packet: &FromNode) -> Result<(), ConnectError> {
        let json = serde_json::to_vec(packet).map_err(|error| ConnectError::Protocol(error.to_string()))?;
        match packet::send(self.socket.as_fd(), &json, &[], Blocking::Yes) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(ConnectError::KeeperGone),
            result => trying("write to the keeper of the dataflow", result),
        }
    }

    /// The next packet that this version understands.
    fn hear(&mut self) -> Result<(ToNode, Vec<OwnedFd>), ConnectError> {
        loop {
            let received = packet::receive(self.socket.as_fd(), &mut self.buffer, Blocking::Yes);
            let (len, fds) = trying("read from the keeper of the dataflow", received)?;
            if len == 0 {
                return Err(ConnectError::KeeperGone);
            }
            match serde_json::from_slice(&self.buffer[..len]) {
                Ok(ToNode::Refused { reason }) => return Err(ConnectError::Refused(reason)),
                Ok(packet) => return Ok((packet, fds)),
                Err(_) => {} // from a newer keeper
            }
        }
    }

    fn get_ready(&mut self) -> Result<(NodeRunConfig, Wired), ConnectError> {
        let (mut wiring, config) = loop {
            if let (ToNode::Welcome { config_len, budget_slot, .. }, fds) = self.hear()? {
                let mut fds = fds.into_iter();
                let memory = fds.next().ok_or_else(|| missing("the configuration"))?;
                let json = trying("read the configuration", read_memfd(memory, config_len, MAX_CONFIG))?;
                let config: NodeRunConfig =
                    serde_json::from_slice(&json).map_err(|error| ConnectError::Protocol(error.to_string()))?;
                let lease = config.dynamic.then(|| Lease::of(self.socket));
                break (Wiring::new(&config, budget_slot as usize, fds, lease)?, config);
            }
        };
        loop {
            match self.hear()? {
                (ToNode::Output(grant), fds) => wiring.output(&grant, fds)?,
                (ToNode::Input(grant), fds) => wiring.input(&grant, fds)?,
                (ToNode::Wired, _) => return Ok((config, wiring.finish())),
                _ => {}
            }
        }
    }

    fn wait_for_start(&mut self) -> Result<(), ConnectError> {
        while self.hear()?.0 != ToNode::Start {}
        Ok(())
    }
}

/// A packet came with fewer descriptors than it needs.
pub(super) fn missing(what: &str) -> ConnectError {
    ConnectError::Protocol(format!("the keeper did not send {what}"))
}
