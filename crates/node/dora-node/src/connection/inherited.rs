//! The one descriptor that a node inherits: its end of the socket pair to its keeper.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{SocketType, sockopt::socket_type},
};

use super::ConnectError;

/// Descriptors that this process uses as its connection now.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// The socket to the keeper, inherited or found. There is at most one of each number.
#[derive(Debug)]
pub(crate) struct KeeperSocket(OwnedFd);

/// Takes the descriptor over. From now on children do not inherit it.
pub(super) fn take(fd: RawFd) -> Result<KeeperSocket, ConnectError> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&fd) {
        return Err(ConnectError::Taken);
    }
    let not_inherited = || ConnectError::NotInherited { fd };
    if fd < 0 {
        return Err(not_inherited());
    }
    // SAFETY: only used for the two system calls below, which fail on a number that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    if socket_type(borrowed) != Ok(SocketType::SEQPACKET) {
        return Err(not_inherited());
    }
    fcntl_setfd(borrowed, FdFlags::CLOEXEC).map_err(|_| not_inherited())?;
    taken.push(fd);
    // SAFETY: the descriptor is open and the process was started with it, so nobody in here owns it; `TAKEN` sees to it
    // that we own it once.
    Ok(KeeperSocket(unsafe { OwnedFd::from_raw_fd(fd) }))
}

impl KeeperSocket {
    /// One that this process has opened itself.
    pub(super) fn found(socket: OwnedFd) -> Self {
        KeeperSocket(socket)
    }
}

impl AsFd for KeeperSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for KeeperSocket {
    fn drop(&mut self) {
        let fd = self.0.as_raw_fd();
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|taken| *taken != fd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn only_a_socket_of_the_right_kind_is_taken_and_only_once() {
        let (ours, _peer) = dora_channel::os::packet::pair().unwrap();
        let fd = ours.into_raw_fd();
        let socket = take(fd).unwrap();
        assert!(matches!(take(fd), Err(ConnectError::Taken)));
        drop(socket);
        let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        for other in [-1, 1_000_000, file.as_raw_fd()] {
            assert!(matches!(take(other), Err(ConnectError::NotInherited { fd }) if fd == other), "{other}");
        }
    }
}
