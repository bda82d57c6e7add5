//! The processes of a keeper, the keeper itself and its guard, as a supervisor sees them who is not always their parent.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use dora_keeper::cleanup::{Cleanup, kill_marked};
use dora_message::id::DataflowId;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid},
};

use crate::adoption;

/// Time that a keeper which has closed its connection has to end, if that is what it is doing.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// Time that a guard has to kill what its keeper has left behind.
const CLEANUP: Duration = Duration::from_secs(6);

/// The processes of one keeper.
#[derive(Debug)]
pub(super) enum Processes {
    /// The guard of a keeper that ends with us, and with the guard.
    Tied(Child),
    /// Those of a keeper that may outlive us.
    Lasting(Lasting),
}

/// A keeper that may outlive us.
#[derive(Debug)]
pub(super) struct Lasting {
    /// The guard, if this process has started it.
    child: Option<Child>,
    dataflow: DataflowId,
    pid: u32,
    guard_pid: Option<u32>,
    keeper: OwnedFd,
    /// `None`: it is gone.
    guard: Option<OwnedFd>,
}

impl Lasting {
    /// `pidfds`: what came with the first packet of the keeper. `None`: that of the keeper was not among them.
    pub(super) fn new(
        child: Option<Child>,
        dataflow: DataflowId,
        pid: u32,
        guard_pid: Option<u32>,
        pidfds: Vec<OwnedFd>,
    ) -> Option<Self> {
        let mut pidfds = pidfds.into_iter();
        let lasting = Lasting { child, dataflow, pid, guard_pid, keeper: pidfds.next()?, guard: pidfds.next() };
        lasting.pids().for_each(adoption::register);
        Some(lasting)
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        [self.pid].into_iter().chain(self.guard_pid)
    }

    /// Takes the status of those that are children of this process. Their end must be near.
    fn reap(&mut self) -> Option<ExitStatus> {
        if let Some(guard) = &self.guard {
            ends_within(guard, CLEANUP);
        }
        // Of an orphan whose guard was killed. An error means that it is the child of another process.
        let keeper = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let _ = keeper.map(|pid| waitpid(Some(pid), WaitOptions::NOHANG));
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }
}

impl Processes {
    /// Process id of the one that is above the nodes and their keeper.
    pub(super) fn pid(&self) -> u32 {
        match self {
            Processes::Tied(child) => child.id(),
            Processes::Lasting(lasting) => lasting.guard_pid.unwrap_or(lasting.pid),
        }
    }

    /// Kills the keeper, and so its nodes.
    pub(super) fn kill(&mut self) {
        let _ = match self {
            Processes::Tied(child) => child.kill(),
            Processes::Lasting(lasting) => pidfd_send_signal(&lasting.keeper, Signal::KILL).map_err(io::Error::from),
        };
    }

    /// The keeper has nothing left to do, whether it can end by itself or not: it ends within this time.
    pub(super) fn end(&mut self, within: Duration) {
        match self {
            Processes::Tied(child) => {
                let _ = child.kill();
                let _ = child.wait();
                adoption::forget(child.id());
            }
            Processes::Lasting(lasting) => {
                if !ends_within(&lasting.keeper, within) {
                    let _ = pidfd_send_signal(&lasting.keeper, Signal::KILL);
                    ends_within(&lasting.keeper, LAST_MOMENT);
                }
                lasting.reap();
                lasting.pids().for_each(adoption::forget);
            }
        }
    }

    /// Waits until a keeper ends by itself that will.
    pub(super) fn wait(&mut self) {
        match self {
            Processes::Tied(child) => {
                let _ = child.wait();
                adoption::forget(child.id());
            }
            Processes::Lasting(_) => self.end(LAST_MOMENT),
        }
    }

    /// The keeper has closed its connection. How it has ended and what was killed of what it has left; `None`: it lives,
    /// and supervision is not ours any more.
    pub(super) fn lost(&mut self) -> Option<(Option<ExitStatus>, Cleanup)> {
        match self {
            Processes::Tied(child) => {
                // It closes its socket only when it ends, unless something is very wrong with it.
                let _ = child.kill();
                let status = child.wait().ok();
                Some((status, adoption::inherit(&[child.id()])))
            }
            Processes::Lasting(lasting) => {
                if !ends_within(&lasting.keeper, LAST_MOMENT) {
                    return None;
                }
                let status = lasting.reap();
                let pids: Vec<u32> = lasting.pids().collect();
                let inherited = adoption::inherit(&pids);
                // What an adopted one has left was for its guard to kill; without a guard it has fallen to init.
                let marked = kill_marked(&lasting.dataflow);
                let survivors = [inherited.survivors, marked.survivors].concat();
                Some((status, Cleanup { killed: inherited.killed + marked.killed, survivors }))
            }
        }
    }
}

fn ends_within(pidfd: impl AsFd, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
