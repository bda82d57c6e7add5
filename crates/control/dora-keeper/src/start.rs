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
    process::{Pid, PidfdFlags, getpid, getppid, pidfd_open, set_child_subreaper},
};

use crate::guard::{self, Guard, Role};

/// What a keeper's supervisor means to it. Decided when it is started: its guard begins before the plan comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bond {
    /// It ends everything when its supervisor is gone: `dora run`.
    Tied,
    /// It goes on, and another supervisor may take it up.
    Lasting {
        /// Where that one finds it, see [`keeper_name`](dora_message::supervision::keeper_name). It can be found before
        /// it is told what to run: so whoever looks for it does not come too early.
        name: String,
    },
}

impl Bond {
    /// What says it on the command line.
    const LASTING: &str = "--lasting";

    /// As the command line of this process has it: `dora keeper`, or `dora keeper --lasting NAME`.
    pub(crate) fn of_this_process() -> Self {
        let mut arguments = std::env::args_os().skip(2);
        match arguments.next().is_some_and(|argument| argument == Self::LASTING) {
            true => Bond::Lasting { name: arguments.next().unwrap_or_default().to_string_lossy().into_owned() },
            false => Bond::Tied,
        }
    }

    fn arguments(&self) -> impl Iterator<Item = &str> {
        let name = match self {
            Bond::Tied => None,
            Bond::Lasting { name } => Some(name.as_str()),
        };
        name.into_iter().flat_map(|name| [Self::LASTING, name])
    }

    /// Whether the keeper goes on without its supervisor.
    pub(crate) fn is_lasting(&self) -> bool {
        *self != Bond::Tied
    }
}

/// Supervisor's side: starts `EXE keeper`. Gives the process, which is the keeper's guard, and the socket to the keeper.
///
/// The keeper is in a session of its own from its first instruction, so a Ctrl-C on our terminal never reaches it.
pub fn start(exe: &Path, bond: &Bond) -> io::Result<(Child, OwnedFd)> {
    let (ours, theirs) = packet::pair()?;
    let mut command = Command::new(exe);
    command.arg("keeper").args(bond.arguments()).stdin(Stdio::from(theirs)).stdout(Stdio::null());
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
    /// The process, if the keeper ends with it: a copy of the socket may outlive it.
    pub(crate) process: Option<OwnedFd>,
    pub(crate) bond: Bond,
    /// What the keeper's parent was at its start.
    pub(crate) guard: GuardId,
}

/// The process that is the guard of this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuardId(Option<Pid>);

impl GuardId {
    /// Its number, while it lives.
    pub(crate) fn living(self) -> Option<u32> {
        let pid = self.0.filter(|guard| getppid() == Some(*guard))?;
        Some(pid.as_raw_pid().unsigned_abs())
    }

    /// Pidfds of this process and, while it lives, of the guard, for a supervisor who is a parent of neither.
    pub(crate) fn pidfds(self) -> io::Result<Vec<OwnedFd>> {
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        Ok([own].into_iter().chain(self.0.and_then(watch_parent)).collect())
    }
}

/// Keeper's side: takes the socket from standard input, splits off the guard, and becomes the reaper of all that its
/// nodes leave behind.
pub(crate) fn settle(bond: Bond) -> io::Result<Settled> {
    if bond.is_lasting() {
        close_inherited();
    }
    let stdin = io::stdin();
    let socket = stdin.as_fd().try_clone_to_owned()?;
    let creator = socket_peercred(&socket).ok().map(|creator| creator.pid).filter(|_| !bond.is_lasting());
    let process = creator.and_then(watch_parent);
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    match guard::split(creator, &bond)? {
        Role::Guard(guard) => Ok(Settled::Guard(guard)),
        Role::Keeper => {
            set_child_subreaper(Some(Pid::INIT))?;
            Ok(Settled::Keeper(Supervisor { socket, process, bond, guard: GuardId(getppid()) }))
        }
    }
}

/// Lets go of whatever came from the supervisor by chance: a pipe whose end somebody waits for, a file that is locked.
fn close_inherited() {
    // SAFETY: this process has just begun, and has opened nothing itself; it has one thread.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u64, u64::from(u32::MAX), 0_u64) };
}

/// Gives back the standard error that was inherited: whoever reads it would wait for its end as long as nodes run.
pub(crate) fn leave_stderr() -> io::Result<()> {
    let null = std::fs::File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

/// A pidfd of the process that made the socket pair, if that is our parent: then the number was not reused meanwhile.
/// Otherwise the parent is dead already, and the socket says so.
pub(crate) fn watch_parent(creator: Pid) -> Option<OwnedFd> {
    let pidfd = pidfd_open(creator, PidfdFlags::empty()).ok()?;
    (getppid() == Some(creator)).then_some(pidfd)
}
