//! Kills what nodes have left behind: children and grandchildren in whatever process group or session.
//!
//! Works for a process that is a child subreaper: everything its children ever forked stays its descendant. `marked` is for
//! what has fallen to nobody of ours. It must not know of nodes.

mod marked;

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal, waitpid},
};

pub use marked::{abandoned, kill_marked};

/// What was found and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleanup {
    /// Processes that were killed.
    pub killed: u32,
    /// Processes that still run: they belong to another user, or the kernel does not let go of them.
    pub survivors: Vec<u32>,
}

/// How long to wait for the kernel to end what was killed. Only a process inside a stuck system call takes this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills all descendants of this process except `spared` ones and theirs; returns when they are gone.
///
/// Descendants that fork while they are being killed are caught in the next round, because their children become ours.
pub fn kill_descendants(spared: &[u32]) -> Cleanup {
    kill_all(|| descendants(spared))
}

/// Kills whatever a look finds, until it finds nothing.
fn kill_all(look: impl Fn() -> Found) -> Cleanup {
    let deadline = Instant::now() + PATIENCE;
    let mut cleanup = Cleanup::default();
    let mut counted = HashSet::new();
    loop {
        let Found { living, mut has_changed } = look();
        let mut dying = Vec::new();
        let mut unkillable = Vec::new();
        for process in living {
            match process.kill() {
                Killed::Yes(pidfd) => {
                    cleanup.killed += u32::from(counted.insert((process.pid, process.started)));
                    dying.push((process.pid, pidfd));
                }
                Killed::GoneAlready => has_changed = true,
                Killed::No => unkillable.push(process.pid.as_raw_pid().unsigned_abs()),
            }
        }
        // Processes are read one after the other. If one has ended meanwhile, its children, who are ours now, may have been
        // read as those of somebody else: only a look in which nothing happened has seen all.
        let all_dead = wait_until_dead(&dying, deadline);
        let is_quiet = dying.is_empty() && !has_changed;
        if !all_dead || is_quiet || Instant::now() >= deadline {
            if !all_dead {
                unkillable.extend(dying.iter().map(|(pid, _)| pid.as_raw_pid().unsigned_abs()));
            }
            cleanup.survivors = unkillable;
            return cleanup;
        }
    }
}

/// A process as `/proc` shows it.
struct Process {
    pid: Pid,
    parent: i32,
    /// Tells it from a later process with the same number.
    started: u64,
    /// It has ended and its parent has not asked how. One of which only the first thread has ended lives.
    zombie: bool,
}

enum Killed {
    Yes(OwnedFd),
    GoneAlready,
    No,
}

impl Process {
    /// Reads `/proc/PID/stat`; `None` if it is gone.
    fn read(pid: Pid) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        // The second field is the command in parentheses, which may itself contain anything.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
        let threads: u32 = fields.nth(15)?.parse().ok()?;
        let started = fields.nth(1)?.parse().ok()?;
        Some(Process { pid, parent, started, zombie: matches!(state, "Z" | "X") && threads <= 1 })
    }
    fn kill(&self) -> Killed {
        let Ok(pidfd) = pidfd_open(self.pid, PidfdFlags::empty()) else { return Killed::GoneAlready };
        // The pidfd may already be that of a later process; a look at its start time tells.
        match Process::read(self.pid) {
            Some(now) if now.started == self.started && !now.zombie => match pidfd_send_signal(&pidfd, Signal::KILL) {
                Ok(()) => Killed::Yes(pidfd),
                Err(_) => Killed::No,
            },
            _ => Killed::GoneAlready,
        }
    }
}

/// What one look at all processes has found.
struct Found {
    living: Vec<Process>,
    /// One of them had ended.
    has_changed: bool,
}

/// The numbers of all processes.
fn numbers() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
}

/// All living descendants of this process, without the spared ones and theirs. Those that have ended are reaped.
fn descendants(spared: &[u32]) -> Found {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for pid in numbers() {
        if let Some(process) = Process::read(pid) {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let (mut living, mut has_changed) = (Vec::new(), false);
    let mut parents = vec![getpid().as_raw_pid()];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).into_iter().flatten() {
            let number = child.pid.as_raw_pid();
            match (spared.contains(&number.unsigned_abs()), child.zombie) {
                (true, _) => {}
                // An error means that it is the child of another process, which reaps it.
                (false, true) => has_changed |= matches!(waitpid(Some(child.pid), WaitOptions::NOHANG), Ok(Some(_))),
                (false, false) => {
                    parents.push(number);
                    living.push(child);
                }
            }
        }
    }
    Found { living, has_changed }
}

/// Waits until all are dead and reaps those that are our children. False: the deadline has come.
fn wait_until_dead(dying: &[(Pid, OwnedFd)], deadline: Instant) -> bool {
    for (pid, pidfd) in dying {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => return false,
                Ok(_) => break,
                Err(_) => {}
            }
        }
        // An error means that it is the child of another process, which reaps it.
        let _ = waitpid(Some(*pid), WaitOptions::NOHANG);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_cannot_confuse_the_parser() {
        let own = Process::read(getpid()).unwrap();
        assert_eq!(Some(own.parent), rustix::process::getppid().map(Pid::as_raw_pid));
        assert!(own.started > 0);
    }
}
