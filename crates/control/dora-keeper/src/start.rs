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
use rustix::process::{Pid, set_child_subreaper};

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

/// Keeper's side: takes the socket from standard input, and becomes the reaper of all that its nodes leave behind.
pub(crate) fn settle() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    let socket = stdin.as_fd().try_clone_to_owned()?;
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    set_child_subreaper(Some(Pid::INIT))?;
    Ok(socket)
}
