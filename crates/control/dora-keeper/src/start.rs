//! How a keeper process begins, seen from both sides: the supervisor starts it, it settles in.
//!
//! The supervisor's socket is the keeper's standard input, which needs no number on a command line and no descriptor
//! that another thread's child could inherit by chance.
#![allow(unsafe_code)]

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use dora_channel::os::packet;
use rustix::{
    net::sockopt::socket_peercred,
    process::{Pid, PidfdFlags, getppid, pidfd_open, set_child_subreaper},
};

use crate::guard::{self, Guard, Role};

/// Supervisor's side: starts `EXE keeper`. Gives the process and the socket to it.
///
/// The keeper is in a session of its own from its first instruction, so a Ctrl-C on our terminal never reaches it.
pub fn start(exe: &Path) -> io::Result<(Child, OwnedFd)> {
    let (ours, theirs) = packet::pair()?;
    let mut command = Command::new(exe);
    command.arg("keeper").stdin(Stdio::from(theirs)).stdout(Stdio::null());
    let leave_session = || rustix::process::setsid().map(drop).map_err(io::Error::from);
    // SAFETY: setsid is one system call and touches no memory.
    let child = unsafe { command.pre_exec(leave_session) }.spawn()?;
    Ok((child, ours))
}

/// What a process that was started as a keeper has become.
pub(crate) enum Settled {
    /// The keeper.
    Keeper(Supervisor),
    /// Its guard.
    Guard(Guard),
}

/// Who started the keeper.
pub(crate) struct Supervisor {
    /// The socket to it.
    pub(crate) socket: OwnedFd,
    /// The process: a copy of the socket may outlive it.
    pub(crate) process: Option<OwnedFd>,
}

/// Keeper's side: takes the socket from standard input, splits off the guard, and becomes the reaper of all that its
/// nodes leave behind.
pub(crate) fn settle() -> io::Result<Settled> {
    let stdin = io::stdin();
    let socket = stdin.as_fd().try_clone_to_owned()?;
    let creator = socket_peercred(&socket).ok().map(|creator| creator.pid);
    let process = creator.and_then(watch_parent);
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    match guard::split(creator)? {
        Role::Guard(guard) => Ok(Settled::Guard(guard)),
        Role::Keeper => {
            set_child_subreaper(Some(Pid::INIT))?;
            Ok(Settled::Keeper(Supervisor { socket, process }))
        }
    }
}

/// A pidfd of the process that made the socket pair, if that is our parent: then the number was not reused meanwhile.
/// Otherwise the parent is dead already, and the socket says so.
pub(crate) fn watch_parent(creator: Pid) -> Option<OwnedFd> {
    let pidfd = pidfd_open(creator, PidfdFlags::empty()).ok()?;
    (getppid() == Some(creator)).then_some(pidfd)
}
