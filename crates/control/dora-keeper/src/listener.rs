//! Where processes ask to be a dynamic node: an abstract socket, and the connections that have not become one yet.
//!
//! Only processes of the keeper's user are heard. It must not know what they are answered.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
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
    visitors: HashMap<u32, Visitor>,
    next: u32,
}

impl Listener {
    /// Listens for the dynamic nodes of a dataflow.
    pub(crate) fn open(dataflow: &DataflowId, poller: &Rc<Poller>) -> io::Result<Self> {
        let socket = named::listen(&socket_name(named::own_uid(), dataflow))?;
        poller.add(&socket, Token::Listener)?;
        Ok(Listener { socket, poller: Rc::clone(poller), visitors: HashMap::new(), next: 0 })
    }

    /// Takes all connections that wait. An error means that there will be no more.
    pub(crate) fn accept(&mut self) -> io::Result<()> {
        loop {
            match named::accept(&self.socket) {
                Ok(socket) => self.welcome(socket)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error)
                    if [io::ErrorKind::Interrupted, io::ErrorKind::ConnectionAborted].contains(&error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn welcome(&mut self, socket: OwnedFd) -> io::Result<()> {
        let peer = Peer::of(&socket)?;
        if peer.is_same_user() {
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
