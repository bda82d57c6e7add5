//! A socket in the abstract namespace, and those who have knocked there and are not let in yet.
//!
//! Only processes of the keeper's user are heard. It must not know what they say, nor what they are answered.

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
use dora_message::{id::NodeId, keeper::MAX_PACKET};
use rustix::process::Pid;
use serde::Serialize;

use crate::poller::{Door, Poller, Token};

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

/// The socket and its visitors.
pub(crate) struct Listener {
    socket: OwnedFd,
    door: Door,
    poller: Rc<Poller>,
    visitors: BTreeMap<u32, Visitor>,
    next: u32,
    /// Nobody is accepted until then.
    paused_until: Option<Instant>,
    /// Somebody was told of a failure.
    is_told: bool,
}

impl Listener {
    /// Listens on this name.
    pub(crate) fn open(name: &str, door: Door, poller: &Rc<Poller>) -> io::Result<Self> {
        let socket = named::listen(name)?;
        poller.add(&socket, Token::Listener(door))?;
        Ok(Listener {
            socket,
            door,
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
            && self.poller.add(&self.socket, Token::Listener(self.door)).is_err()
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
            self.poller.add(&socket, Token::Visitor(self.door, self.next))?;
            self.visitors.insert(self.next, Visitor { socket, pid: peer.pid, node: None });
            self.next = self.next.wrapping_add(1);
        }
        Ok(())
    }

    /// The visitor and a packet of it, if it has said something. Who is gone is shown out.
    pub(crate) fn hear(&mut self, number: u32) -> Option<(&mut Visitor, Vec<u8>)> {
        let visitor = self.visitors.get(&number)?;
        let mut packet = vec![0; MAX_PACKET];
        match packet::receive(visitor.socket.as_fd(), &mut packet, Blocking::No) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Ok((len @ 1.., _)) => packet.truncate(len),
            _ => {
                self.show_out(number);
                return None;
            }
        }
        Some((self.visitors.get_mut(&number)?, packet))
    }

    /// One of those who are here.
    pub(crate) fn visitor(&self, number: u32) -> Option<&Visitor> {
        self.visitors.get(&number)
    }

    /// It is a visitor no longer; dropping it ends the connection.
    pub(crate) fn show_out(&mut self, number: u32) -> Option<Visitor> {
        let visitor = self.visitors.remove(&number)?;
        self.poller.remove(&visitor.socket);
        Some(visitor)
    }
}

impl Visitor {
    /// Says something. A connection has room for one packet: false means that nobody is there.
    pub(crate) fn tell(&self, packet: &impl Serialize) -> bool {
        serde_json::to_vec(packet).is_ok_and(|json| packet::send(self.socket.as_fd(), &json, &[], Blocking::No).is_ok())
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
