//! Waiting for two descriptors in an async runtime: the eventfd of the node's bell, and a timer on absolute deadlines.
//!
//! In tokio they are registered with the runtime at hand, once; anywhere else with the reactor of `async-io`, which has
//! a thread of its own. A tokio runtime without I/O cannot be recognised beforehand: registering panics, which is caught
//! here, and `async-io` is used.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use async_io::Async;
use dora_channel::os::clock::timespec;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::{Handle, Id},
};

/// A registration with one runtime.
#[derive(Debug)]
pub(super) struct Reactor {
    home: Option<Id>,
    bell: Registered,
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    fd: Registered,
    armed_ns: Option<u64>,
}

#[derive(Debug)]
enum Registered {
    Tokio(AsyncFd<OwnedFd>),
    AsyncIo(Async<OwnedFd>),
}

/// The tokio runtime that this thread is in.
fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

/// Registers with the tokio runtime of this thread, which must have I/O enabled.
fn with_tokio(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the registration owns the descriptor, which therefore stays open and the same as long as it exists.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? })
}

impl Reactor {
    /// Registers with the runtime of this thread.
    pub(super) fn register(eventfd: BorrowedFd<'_>) -> io::Result<Self> {
        let home = runtime();
        let in_tokio = home.and_then(|_| {
            let fd = eventfd.try_clone_to_owned().ok()?;
            catch_unwind(AssertUnwindSafe(|| with_tokio(fd))).ok()?.ok()
        });
        match in_tokio {
            Some(fd) => Ok(Reactor { home, bell: Registered::Tokio(fd), timer: None }),
            None => Self::register_elsewhere(eventfd),
        }
    }

    /// Registers with `async-io`, whatever runtime this thread is in.
    pub(super) fn register_elsewhere(eventfd: BorrowedFd<'_>) -> io::Result<Self> {
        let fd = Async::new_nonblocking(eventfd.try_clone_to_owned()?)?;
        Ok(Reactor { home: runtime(), bell: Registered::AsyncIo(fd), timer: None })
    }

    /// Whether this thread is in the runtime of the registration. Another runtime may not be running.
    pub(super) fn is_at_home(&self) -> bool {
        self.home == runtime()
    }

    /// Ready: the bell rang or the deadline came, perhaps some time ago.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline_ns: Option<u64>) -> io::Result<Poll<()>> {
        self.arm(deadline_ns)?;
        if self.bell.poll_readable(cx)?.is_ready() {
            return Ok(Poll::Ready(()));
        }
        match &self.timer {
            Some(timer) if timer.armed_ns.is_some() => timer.fd.poll_readable(cx),
            _ => Ok(Poll::Pending),
        }
    }

    /// Forgets what was ready before. `clear` makes the eventfd unreadable.
    pub(super) fn settle(&self, clear: impl FnOnce()) {
        self.bell.settle(clear);
        if let Some(timer) = &self.timer {
            timer.fd.settle(|| {}); // setting it makes it unreadable
        }
    }

    fn arm(&mut self, deadline_ns: Option<u64>) -> io::Result<()> {
        let timer = match (&mut self.timer, deadline_ns) {
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
                let fd = match &self.bell {
                    Registered::Tokio(_) => Registered::Tokio(with_tokio(fd)?),
                    Registered::AsyncIo(_) => Registered::AsyncIo(Async::new_nonblocking(fd)?),
                };
                self.timer.insert(Timer { fd, armed_ns: None })
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

impl Registered {
    fn get_ref(&self) -> &OwnedFd {
        match self {
            Registered::Tokio(fd) => fd.get_ref(),
            Registered::AsyncIo(fd) => fd.get_ref(),
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let readable = match self {
            // Dropping the guard keeps the readiness; `settle` clears it.
            Registered::Tokio(fd) => fd.poll_read_ready(cx).map_ok(drop),
            Registered::AsyncIo(fd) => fd.poll_readable(cx),
        };
        match readable {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn settle(&self, clear: impl FnOnce()) {
        let mut clear = Some(clear);
        if let Registered::Tokio(fd) = self {
            // Tokio remembers readiness until a read would block. Clearing inside keeps a later one.
            let _ = fd.try_io(Interest::READABLE, |_| {
                if let Some(clear) = clear.take() {
                    clear();
                }
                Err::<(), _>(io::ErrorKind::WouldBlock.into())
            });
        }
        if let Some(clear) = clear {
            clear();
        }
    }
}
