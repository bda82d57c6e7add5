//! The process that is a dynamic node: nobody here started it, so it is watched and never signalled.

use std::{io, os::fd::OwnedFd, rc::Rc};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::poller::{Poller, Port, Token};

/// A process that joined.
pub(crate) struct Guest {
    pid: Option<Pid>,
    /// Its end, even if a child of it holds its connection open; `None` where that cannot be seen.
    process: Option<OwnedFd>,
    poller: Rc<Poller>,
    has_left: bool,
}

impl Guest {
    /// Watches the process, of the node with this number, if it can be seen from here.
    pub(crate) fn new(pid: Option<Pid>, number: usize, poller: &Rc<Poller>) -> io::Result<Self> {
        let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        if let Some(pidfd) = &process {
            poller.add(pidfd, Token::Node(number, Port::Process))?;
        }
        Ok(Guest { pid, process, poller: Rc::clone(poller), has_left: false })
    }
    /// Its process id, if it can be seen from here.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid.map(|pid| pid.as_raw_pid().unsigned_abs())
    }
    /// The process has said that it is the node no longer.
    pub(crate) fn leaves(&mut self) {
        self.has_left = true;
    }
    /// Whether it has said so.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left
    }
    /// Whether the process is known to be gone.
    pub(crate) fn is_dead(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let has_ended =
            |process| poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0);
        self.process.as_ref().is_some_and(has_ended)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            self.poller.remove(process);
        }
    }
}
