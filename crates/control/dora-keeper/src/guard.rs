//! A second process between the supervisor and the keeper, for the moment at which both are killed together.
//!
//! A keeper that dies takes its nodes with it, and what they had left behind falls to the next subreaper above: to the
//! supervisor, which kills it. If that dies in the same moment it would fall to init, and a process that had left its
//! session would live on. So the keeper splits in two before it does anything: the guard stays above the keeper, waits
//! for its end, and then kills whatever fell to it. It holds nothing of the keeper's, and shares all its memory with it.
//!
//! A keeper that is stopped (SIGSTOP) cannot see that its supervisor is gone. The guard sees it too, and kills a keeper
//! that has not ended some time after.
//!
//! A keeper whose guard is killed dies with it, and the supervisor cleans up: only who kills supervisor and guard in one
//! moment leaves something behind. A keeper that may outlive its supervisor is different in two ways: its guard watches
//! nobody but the keeper, and when the guard is killed the keeper goes on, because nodes must not notice. Who kills
//! both leaves something behind then, which the supervisor finds by its environment ([`crate::cleanup`]). Neither bears the name of `dora`, so that `pkill -9 dora` hits the supervisor alone.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::OwnedFd,
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, set_child_subreaper,
        set_parent_process_death_signal, waitpid,
    },
    thread::set_name,
};

use crate::{
    cleanup::kill_descendants,
    signals::Signals,
    start::{Bond, watch_parent},
};

/// Time that a keeper has to end when its supervisor is gone: more than it takes for its last lines.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// Which of the two this process is.
pub(crate) enum Role {
    /// The one that runs the nodes.
    Keeper,
    /// The one that waits for it.
    Guard(Guard),
}

/// The guard of a keeper.
pub(crate) struct Guard {
    keeper: Pid,
    supervisor: Option<Pid>,
}

/// Splits this process, which must have one thread, in two. The keeper ends some time after `supervisor`.
pub(crate) fn split(supervisor: Option<Pid>, bond: &Bond) -> io::Result<Role> {
    set_child_subreaper(Some(Pid::INIT))?;
    let guard = getpid();
    // SAFETY: there is one thread, so the child is a complete copy and may do whatever it wants.
    match unsafe { libc::fork() } {
        0 => {
            if !bond.is_lasting() {
                set_parent_process_death_signal(Some(Signal::KILL))?;
            }
            // A guard that died before the call sends no signal.
            match getppid() == Some(guard) {
                true => set_name(c"keeper").map(|()| Role::Keeper).map_err(Into::into),
                false => Err(io::ErrorKind::Interrupted.into()),
            }
        }
        child => match Pid::from_raw(child.max(0)) {
            Some(keeper) => Ok(Role::Guard(Guard { keeper, supervisor })),
            None => Err(io::Error::last_os_error()),
        },
    }
}

impl Guard {
    /// Waits for the end of the keeper, and ends as it did. Whoever wants the keeper to end may tell the guard.
    pub(crate) fn stand(self) -> ExitCode {
        // SAFETY: closes what this process inherited; nothing of it is used here again. What the keeper holds must end
        // with the keeper: its supervisor reads from the end of their socket that it is gone.
        unsafe { libc::syscall(libc::SYS_close_range, 0_u64, u64::from(u32::MAX), 0_u64) };
        let _ = set_name(c"keeper-guard");
        let status = self.wait();
        // An orderly end leaves nothing.
        if status.is_some_and(|status| status.exit_status() == Some(0)) {
            return ExitCode::SUCCESS;
        }
        kill_descendants(&[]);
        if status.is_some_and(|status| status.terminating_signal() == Some(libc::SIGKILL)) {
            let _ = kill_process(getpid(), Signal::KILL);
        }
        ExitCode::FAILURE
    }

    /// Its status; `None` if the system does not tell.
    fn wait(&self) -> Option<WaitStatus> {
        let Ok(signals) = Signals::new() else { return self.status(WaitOptions::empty()) };
        let supervisor = self.supervisor.and_then(watch_parent);
        let mut supervision = supervisor.map_or(Supervision::Unknown, Supervision::By);
        loop {
            if let Some(status) = self.status(WaitOptions::NOHANG) {
                return Some(status);
            }
            let must_end = supervision.wait(&signals);
            if signals.take().terminate {
                let _ = kill_process(self.keeper, Signal::TERM);
            }
            if must_end {
                let _ = kill_process(self.keeper, Signal::KILL);
            }
        }
    }

    fn status(&self, options: WaitOptions) -> Option<WaitStatus> {
        waitpid(Some(self.keeper), options).ok().flatten().map(|(_, status)| status)
    }
}

/// Whether anybody still supervises the keeper.
enum Supervision {
    /// This process does.
    By(OwnedFd),
    /// Nobody any more; until then the keeper may end by itself.
    Until(Instant),
    /// Nobody who can be watched: only the keeper's end is waited for.
    Unknown,
}

impl Supervision {
    /// Waits for a signal, or for whatever comes next here. Whether the keeper must be killed now.
    fn wait(&mut self, signals: &Signals) -> bool {
        let signalled = PollFd::from_borrowed_fd(signals.fd(), PollFlags::IN);
        match self {
            Self::By(supervisor) => {
                let mut polled = [signalled, PollFd::new(supervisor, PollFlags::IN)];
                if poll(&mut polled, None).is_ok() && polled[1].revents().contains(PollFlags::IN) {
                    *self = Self::Until(Instant::now() + LAST_CHANCE);
                }
                false
            }
            Self::Until(at) => {
                let left = at.saturating_duration_since(Instant::now());
                let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
                let _ = poll(&mut [signalled], Some(&left));
                let is_over = Instant::now() >= *at;
                if is_over {
                    *self = Self::Unknown;
                }
                is_over
            }
            Self::Unknown => {
                let _ = poll(&mut [signalled], None);
                false
            }
        }
    }
}
