//! The pipes of a node: what it prints is read from here.
//!
//! It must not know what lines mean.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
};

use crate::poller::{Poller, Token};

/// What is read at once: the pipes of all nodes take turns.
const READ: usize = 32 * 1024;

/// How much of a pipe to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    /// A buffer full: the process runs, the poller calls again.
    Some,
    /// What is in it now: the process is gone, and a child of its own may hold the pipe open for ever.
    Rest,
}

/// The read end of a node's standard output or error, registered with the poller unless it is paused.
pub(crate) struct Pipe {
    fd: OwnedFd,
    token: Token,
    poller: Rc<Poller>,
    paused: bool,
}

impl Pipe {
    pub(crate) fn new(fd: OwnedFd, token: Token, poller: &Rc<Poller>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        poller.add(&fd, token)?;
        Ok(Pipe { fd, token, poller: Rc::clone(poller), paused: false })
    }

    /// Stops reading, so that the pipe fills and the node that prints waits; or goes on.
    pub(crate) fn pause(&mut self, paused: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.paused, paused) == paused {
            return Ok(());
        }
        if paused {
            self.poller.remove(&self.fd);
            return Ok(());
        }
        self.poller.add(&self.fd, self.token)
    }

    /// Reads. False: nothing more will come.
    pub(crate) fn read(&mut self, amount: Amount, take: &mut dyn FnMut(&[u8])) -> bool {
        let mut left = match amount {
            Amount::Some => 1,
            Amount::Rest => rustix::io::ioctl_fionread(self.fd.as_fd()).unwrap_or(0) as usize,
        };
        let mut buffer = [0; READ];
        while left > 0 {
            match rustix::io::read(&self.fd, &mut buffer[..]) {
                Ok(0) => return false,
                Ok(len) => {
                    take(&buffer[..len]);
                    left = left.saturating_sub(len);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => return false,
            }
        }
        amount == Amount::Some
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.poller.remove(&self.fd);
    }
}
