//! How a node waits: a thread on its bell; a task on the eventfd of its bell in tokio, elsewhere by a thread that is on
//! the lookout for it.

use std::{
    io,
    os::fd::BorrowedFd,
    task::{Context, Poll},
};

use dora_channel::{SleepOn, Waiter, Waker};
use tokio::runtime;

use super::{deputy::Deputy, reactor::Reactor};

/// What the receiving half sleeps on.
#[derive(Debug)]
pub(super) struct Sleeper {
    waiter: Waiter,
    /// How tasks wait in the runtime in which the last one did.
    way: Option<(Option<runtime::Id>, Way)>,
    deputy: Option<Deputy>,
    /// A sleep of a task was announced and not ended: the future that did it is waiting, or was dropped.
    announced: Option<SleepOn>,
}

/// How a task waits.
#[derive(Debug)]
enum Way {
    /// For descriptors that are registered with its runtime.
    Registered(Reactor),
    /// Until the deputy wakes it.
    Deputy,
}

/// The tokio runtime that this thread is in.
fn runtime() -> Option<runtime::Id> {
    runtime::Handle::try_current().ok().map(|handle| handle.id())
}

impl Sleeper {
    pub(super) fn new(waiter: Waiter) -> Self {
        Sleeper { waiter, way: None, deputy: None, announced: None }
    }

    /// Blocks until something may be ready or the deadline has come. True: it slept.
    pub(super) fn block(&mut self, is_ready: impl Fn() -> bool, deadline_ns: Option<u64>) -> bool {
        self.end_async();
        self.waiter.wait(is_ready, deadline_ns)
    }

    /// Whether a task that is polled now has slept before.
    pub(super) fn slept_async(&self) -> bool {
        self.announced.is_some()
    }

    /// Ready: look again. Pending: the task will be woken when something may be ready or the deadline has come.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        is_ready: impl Fn() -> bool,
        deadline_ns: Option<u64>,
    ) -> Poll<()> {
        self.end_async();
        let Ok(registered) = self.register(cx, deadline_ns) else {
            // Without a descriptor or a thread to spare there is no other way to wait than to block.
            self.waiter.wait(is_ready, deadline_ns);
            return Poll::Ready(());
        };
        let Some(on) = registered else { return Poll::Ready(()) };
        if !self.waiter.begin_async(on, is_ready) {
            return Poll::Ready(());
        }
        self.announced = Some(on);
        Poll::Pending
    }

    /// Sees to it that the task is woken. What its sleep is to be announced on;
    /// `None`: there may be something already.
    fn register(&mut self, cx: &mut Context<'_>, deadline_ns: Option<u64>) -> io::Result<Option<SleepOn>> {
        let home = runtime();
        if self.way.as_ref().is_none_or(|(of, _)| *of != home) {
            let registered = home.and_then(|_| Reactor::register(self.waiter.eventfd()).ok());
            self.way = Some((home, registered.map_or(Way::Deputy, Way::Registered)));
        }
        if let Some((_, way)) = &mut self.way
            && let Way::Registered(reactor) = way
        {
            match reactor.poll(cx, deadline_ns) {
                Ok(Poll::Pending) => return Ok(Some(SleepOn::EventFd)),
                Ok(Poll::Ready(())) => {
                    reactor.settle(|| self.waiter.end_async(SleepOn::EventFd));
                    return Ok(None);
                }
                Err(_) => *way = Way::Deputy, // the runtime is going away, or its reactor is broken
            }
        }
        let deputy = match &mut self.deputy {
            Some(deputy) => deputy,
            none => none.insert(Deputy::start(self.waiter.lookout())?),
        };
        if deputy.register(cx.waker(), deadline_ns) {
            self.waiter.disturb();
        }
        Ok(Some(SleepOn::Futex))
    }

    /// Announces a sleep on [`Self::descriptor`]. False: something is ready already, and nothing is announced.
    pub(super) fn announce(&mut self, is_ready: impl FnOnce() -> bool) -> bool {
        self.end_async();
        self.announced = self.waiter.begin_async(SleepOn::EventFd, is_ready).then_some(SleepOn::EventFd);
        self.announced.is_some()
    }

    /// Readable when an announced sleep should end.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.waiter.eventfd()
    }

    /// Ends sleeps from other threads.
    pub(super) fn waker(&self) -> Waker {
        self.waiter.waker()
    }

    /// Ends an announced sleep, so that the bell is at rest before the next one.
    pub(super) fn end_async(&mut self) {
        let Some(on) = self.announced.take() else { return };
        match &self.way {
            Some((_, Way::Registered(reactor))) => reactor.settle(|| self.waiter.end_async(on)),
            _ => self.waiter.end_async(on),
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.end_async();
        if let Some(deputy) = &self.deputy {
            deputy.dismiss();
            self.waiter.disturb();
        }
    }
}
