//! How a node waits: on its bell, or in an async runtime on the eventfd of its bell.

use std::task::{Context, Poll};

use dora_channel::Waiter;

use super::reactor::Reactor;

/// What the receiving half sleeps on.
#[derive(Debug)]
pub(super) struct Sleeper {
    waiter: Waiter,
    reactor: Option<Reactor>,
    /// An async sleep was announced and not ended: the future that did it is waiting, or was dropped.
    announced: bool,
}

impl Sleeper {
    pub(super) fn new(waiter: Waiter) -> Self {
        Sleeper { waiter, reactor: None, announced: false }
    }

    /// Blocks until something may be ready or the deadline has come.
    pub(super) fn block(&mut self, is_ready: impl FnOnce() -> bool, deadline_ns: Option<u64>) {
        self.end_async();
        self.waiter.wait(is_ready, deadline_ns);
    }

    /// Ready: look again. Pending: the task will be woken when something may be ready or the deadline has come.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        is_ready: impl Fn() -> bool,
        deadline_ns: Option<u64>,
    ) -> Poll<()> {
        self.end_async();
        if self.reactor.as_ref().is_none_or(|reactor| !reactor.is_at_home()) {
            self.reactor = Reactor::register(self.waiter.eventfd()).ok();
        }
        let Some(reactor) = &mut self.reactor else {
            // Without a descriptor to spare there is no other way to wait than to block.
            self.waiter.wait(is_ready, deadline_ns);
            return Poll::Ready(());
        };
        if !self.waiter.begin_async(is_ready) {
            return Poll::Ready(());
        }
        self.announced = true;
        match reactor.poll(cx, deadline_ns) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => {
                self.end_async();
                Poll::Ready(())
            }
            Err(_) => {
                // The runtime is going away, or its reactor is broken: another one next time.
                self.end_async();
                self.reactor = Reactor::register_elsewhere(self.waiter.eventfd()).ok();
                Poll::Ready(())
            }
        }
    }

    /// Ends an announced sleep, so that the bell is at rest before the next one.
    fn end_async(&mut self) {
        if std::mem::take(&mut self.announced) {
            match &self.reactor {
                Some(reactor) => reactor.settle(|| self.waiter.end_async()),
                None => self.waiter.end_async(),
            }
        }
    }
}
