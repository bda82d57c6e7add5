//! Packets between two processes that may carry descriptors.
//!
//! `SOCK_SEQPACKET`: a packet arrives whole or not at all, and the other end's death is seen as a packet of no bytes.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::signal;

/// The most descriptors one packet of ours carries (the kernel's limit is 253).
pub const MAX_FDS: usize = 8;

/// Whether a call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocking {
    /// It waits.
    Yes,
    /// It fails with [`io::ErrorKind::WouldBlock`].
    No,
}

/// A connected pair.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one packet. A closed peer is an error, never a signal.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>], blocking: Blocking) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one packet"));
    }
    let mut flags = SendFlags::NOSIGNAL;
    if blocking == Blocking::No {
        flags |= SendFlags::DONTWAIT;
    }
    loop {
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map(|_| ()).map_err(Into::into),
        }
    }
}

/// Receives one packet into `buffer`: its length and its descriptors. Length 0: the peer is gone. A packet that is
/// longer than the buffer is an error, and so is a wait that is given up for a [signal](super::signal).
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], blocking: Blocking) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::TRUNC;
    if blocking == Blocking::No {
        flags |= RecvFlags::DONTWAIT;
    }
    let capacity = buffer.len();
    let message = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            // A peer that died with packets unread resets the connection. That is told once and before the packets that
            // it had sent; after these, a packet of no bytes says that it is gone.
            Err(rustix::io::Errno::CONNRESET) => {}
            Err(rustix::io::Errno::INTR) if !signal::gives_up() => {}
            result => break result?,
        }
    };
    let fds = control
        .drain()
        .filter_map(|m| match m {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    if message.bytes > capacity {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "packet longer than the receive buffer"));
    }
    Ok((message.bytes, fds))
}
