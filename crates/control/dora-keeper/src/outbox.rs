//! A socket that is written without ever waiting: what the peer does not take now is kept until it does.
//!
//! It must not know what the packets mean.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
};

use dora_channel::os::packet::{self, Blocking};
use dora_message::keeper::MAX_PACKET;

use crate::poller::{Poller, Token};

struct Packet {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

/// What a socket had to say.
pub(crate) enum Received {
    /// One packet; the bytes lie in the buffer.
    Packet(Vec<u8>, Vec<OwnedFd>),
    /// Nothing more for now.
    Nothing,
    /// The peer is gone.
    Gone,
}

/// One end of a packet socket, registered with the poller for as long as it lives.
pub(crate) struct Outbox {
    socket: OwnedFd,
    token: Token,
    poller: Rc<Poller>,
    queue: VecDeque<Packet>,
    queued_bytes: usize,
}

impl Outbox {
    pub(crate) fn new(socket: OwnedFd, token: Token, poller: &Rc<Poller>) -> io::Result<Self> {
        poller.add(&socket, token)?;
        Ok(Outbox { socket, token, poller: Rc::clone(poller), queue: VecDeque::new(), queued_bytes: 0 })
    }

    /// Bytes that wait for the peer.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Sends a packet, now or as soon as there is room. An error means that the peer is gone.
    pub(crate) fn send(&mut self, bytes: Vec<u8>, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if self.queue.is_empty() {
            match packet::send(self.socket.as_fd(), &bytes, fds, Blocking::No) {
                Err(error) if must_wait(&error) => {}
                result => return result,
            }
        }
        let fds = fds.iter().map(|fd| fd.try_clone_to_owned()).collect::<io::Result<_>>()?;
        self.queued_bytes += bytes.len();
        self.queue.push_back(Packet { bytes, fds });
        self.poller.set_writable(&self.socket, self.token, true)
    }

    /// Sends what waits, as far as there is room.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while let Some(next) = self.queue.front() {
            let fds: Vec<_> = next.fds.iter().map(AsFd::as_fd).collect();
            match packet::send(self.socket.as_fd(), &next.bytes, &fds, Blocking::No) {
                Err(error) if must_wait(&error) => return Ok(()),
                result => result?,
            }
            self.queued_bytes -= next.bytes.len();
            self.queue.pop_front();
            if self.queue.is_empty() {
                self.queue.shrink_to(64);
                self.poller.set_writable(&self.socket, self.token, false)?;
            }
        }
        Ok(())
    }

    /// Takes one packet.
    pub(crate) fn receive(&mut self) -> Received {
        let mut buffer = vec![0; MAX_PACKET];
        match packet::receive(self.socket.as_fd(), &mut buffer, Blocking::No) {
            Ok((0, _)) => Received::Gone,
            Ok((len, fds)) => {
                buffer.truncate(len);
                Received::Packet(buffer, fds)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Nothing,
            // Longer than any packet of the protocol: dropped, like every packet that is not understood.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Received::Packet(Vec::new(), Vec::new()),
            Err(_) => Received::Gone,
        }
    }
}

/// The peer has no room, or too many descriptors are in flight: both pass when it reads.
fn must_wait(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ETOOMANYREFS)
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.poller.remove(&self.socket);
    }
}
