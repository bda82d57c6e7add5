//! Waiting for two descriptors in a tokio runtime: the eventfd of the node's bell, and a timer on absolute deadlines.
//!
//! They are registered once. A runtime without I/O cannot be recognised beforehand: registering panics, which is caught
//! here and becomes an error.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use dora_channel::os::clock::timespec;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A registration with one runtime.
#[derive(Debug)]
pub(super) struct Reactor {
    bell: AsyncFd<OwnedFd>,
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    fd: AsyncFd<OwnedFd>,
    armed_ns: Option<u64>,
}

/// Registers with the tokio runtime of this thread, which must have I/O enabled.
fn with_tokio(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the registration owns the descriptor, which therefore stays open and the same as long as it exists.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? })
}

impl Reactor {
    /// Registers with the tokio runtime of this thread.
    pub(super) fn register(eventfd: BorrowedFd<'_>) -> io::Result<Self> {
        let fd = eventfd.try_clone_to_owned()?;
        let bell = catch_unwind(AssertUnwindSafe(|| with_tokio(fd)))
            .unwrap_or_else(|_| Err(io::Error::other("the runtime has no I/O")))?;
        Ok(Reactor { bell, timer: None })
    }

    /// Ready: the bell rang or the deadline came, perhaps some time ago.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline_ns: Option<u64>) -> io::Result<Poll<()>> {
        self.arm(deadline_ns)?;
        if poll_readable(&self.bell, cx)?.is_ready() {
            return Ok(Poll::Ready(()));
        }
        match &self.timer {
            Some(timer) if timer.armed_ns.is_some() => poll_readable(&timer.fd, cx),
            _ => Ok(Poll::Pending),
        }
    }

    /// Forgets what was ready before. `clear` makes the eventfd unreadable.
    pub(super) fn settle(&self, clear: impl FnOnce()) {
        settle(&self.bell, clear);
        if let Some(timer) = &self.timer {
            settle(&timer.fd, || {}); // setting it makes it unreadable
        }
    }

    fn arm(&mut self, deadline_ns: Option<u64>) -> io::Result<()> {
        let timer = match (&mut self.timer, deadline_ns) {
            (None, None) => return Ok(()),
            (none @ None, Some(_)) => {
                let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
                none.insert(Timer { fd: with_tokio(fd)?, armed_ns: None })
            }
            (Some(timer), _) => timer,
        };
        if timer.armed_ns != deadline_ns {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            // Zero disarms; a deadline of zero is long past all the same at one nanosecond.
            let it_value = deadline_ns.map_or(zero, |ns| timespec(ns.max(1)));
            let times = Itimerspec { it_interval: zero, it_value };
            timerfd_settime(timer.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &times)?;
            timer.armed_ns = deadline_ns;
        }
        Ok(())
    }
}

fn poll_readable(fd: &AsyncFd<OwnedFd>, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
    // Dropping the guard keeps the readiness; `settle` clears it.
    match fd.poll_read_ready(cx).map_ok(drop) {
        Poll::Ready(result) => result.map(Poll::Ready),
        Poll::Pending => Ok(Poll::Pending),
    }
}

fn settle(fd: &AsyncFd<OwnedFd>, clear: impl FnOnce()) {
    let mut clear = Some(clear);
    // Tokio remembers readiness until a read would block. Clearing inside keeps a later one.
    let _ = fd.try_io(Interest::READABLE, |_| {
        if let Some(clear) = clear.take() {
            clear();
        }
        Err::<(), _>(io::ErrorKind::WouldBlock.into())
    });
    if let Some(clear) = clear {
        clear();
    }
}
