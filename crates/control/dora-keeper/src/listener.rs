//! Where processes ask to be a dynamic node: an abstract socket, and the connections that have not become one yet.
//!
//! Only processes of the keeper's user are heard. It must not know what they are answered.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    time::{Duration, Instant},
};

use dora_channel::os::{
    named::{self, Peer},
    packet::{self, Blocking},
};
use dora_message::{
    attach::{Standing, ToListener, socket_name},
    id::{DataflowId, NodeId},
    keeper::{FromNode, MAX_PACKET, ToNode},
};
use rustix::process::Pid;

use crate::poller::{Poller, Token};

/// Visitors at one time: whoever comes then takes the place of the one that has been there longest.
const MOST_VISITORS: usize = 64;
/// How long nobody is accepted after that has failed, most likely for want of descriptors.
const PAUSE: Duration = Duration::from_secs(1);

/// A process that has connected.
pub(crate) struct Visitor {
    pub(crate) socket: OwnedFd,
    /// `None`: it lives where no process ids are seen from here.
    pub(crate) pid: Option<Pid>,
    /// The node that it has asked for.
    pub(crate) node: Option<NodeId>,
}

/// What a visitor wants.
pub(crate) enum Wish {
    /// To know whether it can be that node.
    Know(NodeId),
    /// To be the node that it has asked for; this is its Hello.
    Enter(Visitor, FromNode),
}

/// The socket and its visitors.
pub(crate) struct Listener {
    socket: OwnedFd,
    poller: Rc<Poller>,
    visitors: BTreeMap<u32, Visitor>,
    next: u32,
    /// Nobody is accepted until then.
    paused_until: Option<Instant>,
    /// The supervisor was told of a failure.
    is_told: bool,
}

impl Listener {
    /// Listens for the dynamic nodes of a dataflow.
    pub(crate) fn open(dataflow: &DataflowId, poller: &Rc<Poller>) -> io::Result<Self> {
        let socket = named::listen(&socket_name(named::own_uid(), dataflow))?;
        poller.add(&socket, Token::Listener)?;
        Ok(Listener {
            socket,
            poller: Rc::clone(poller),
            visitors: BTreeMap::new(),
            next: 0,
            paused_until: None,
            is_told: false,
        })
    }

    /// Takes all connections that wait. If that fails it is tried again after a while; the first such error is given.
    pub(crate) fn accept(&mut self) -> Option<io::Error> {
        loop {
            match named::accept(&self.socket) {
                // Who cannot be welcomed is shown out: its connection is closed.
                Ok(socket) => drop(self.welcome(socket)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error)
                    if [io::ErrorKind::Interrupted, io::ErrorKind::ConnectionAborted].contains(&error.kind()) => {}
                Err(error) => {
                    self.poller.remove(&self.socket);
                    self.paused_until = Some(Instant::now() + PAUSE);
                    return (!std::mem::replace(&mut self.is_told, true)).then_some(error);
                }
            }
        }
    }

    /// When [`Self::resume`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Accepts again, if it was given up long enough ago.
    pub(crate) fn resume(&mut self, now: Instant) {
        if self.paused_until.take_if(|until| *until <= now).is_some()
            && self.poller.add(&self.socket, Token::Listener).is_err()
        {
            self.paused_until = Some(now + PAUSE);
        }
    }

    fn welcome(&mut self, socket: OwnedFd) -> io::Result<()> {
        let peer = Peer::of(&socket)?;
        if peer.is_same_user() {
            if self.visitors.len() == MOST_VISITORS
                && let Some(oldest) = self.visitors.keys().next().copied()
            {
                self.show_out(oldest);
            }
            self.poller.add(&socket, Token::Visitor(self.next))?;
            self.visitors.insert(self.next, Visitor { socket, pid: peer.pid, node: None });
            self.next = self.next.wrapping_add(1);
        }
        Ok(())
    }

    /// What a visitor says, if that is anything. Who says nonsense, or is gone, is shown out.
    pub(crate) fn hear(&mut self, number: u32) -> Option<Wish> {
        let visitor = self.visitors.get_mut(&number)?;
        let mut buffer = vec![0; MAX_PACKET];
        let len = match packet::receive(visitor.socket.as_fd(), &mut buffer, Blocking::No) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            received => received.map_or(0, |(len, _)| len),
        };
        let packet = &buffer[..len];
        if visitor.node.is_none()
            && let Ok(ToListener::WhoIs { node }) = serde_json::from_slice(packet)
        {
            visitor.node = Some(node.clone());
            return Some(Wish::Know(node));
        }
        let visitor = self.show_out(number)?;
        match serde_json::from_slice(packet) {
            Ok(hello @ FromNode::Hello { .. }) if visitor.node.is_some() => Some(Wish::Enter(visitor, hello)),
            _ => None,
        }
    }

    /// Answers [`Wish::Know`].
    pub(crate) fn answer(&mut self, number: u32, standing: &Standing) {
        let Some(visitor) = self.visitors.get(&number) else { return };
        if !visitor.tell(serde_json::to_vec(standing)) {
            self.show_out(number);
        }
    }

    fn show_out(&mut self, number: u32) -> Option<Visitor> {
        let visitor = self.visitors.remove(&number)?;
        self.poller.remove(&visitor.socket);
        Some(visitor)
    }
}

impl Visitor {
    /// Says no, and ends the connection.
    pub(crate) fn refuse(self, reason: String) {
        self.tell(serde_json::to_vec(&ToNode::Refused { reason }));
    }

    /// A connection has room for one packet: false means that nobody is there.
    fn tell(&self, json: serde_json::Result<Vec<u8>>) -> bool {
        json.is_ok_and(|json| packet::send(self.socket.as_fd(), &json, &[], Blocking::No).is_ok())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.poller.remove(&self.socket);
        for visitor in self.visitors.values() {
            self.poller.remove(&visitor.socket);
        }
    }
}
