//! How a node sleeps, and how its own threads and its producers wake it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use crate::{
    layout::BellMemory,
    os::sleep::{eventfd_clear, eventfd_wake, futex_wait, futex_wake},
    protocol::SleepOn,
    pulse::Pulse,
};

/// The end of a bell that wakes. Each waker has its own.
#[derive(Debug)]
pub struct Waker {
    shared: Arc<Shared>,
    last: AtomicU32,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) memory: BellMemory,
    eventfd: OwnedFd,
}

impl Waker {
    /// A waker of the node whose bell and eventfd these are.
    pub fn open(bell: OwnedFd, eventfd: OwnedFd) -> io::Result<Self> {
        let shared = Arc::new(Shared { memory: BellMemory::map(&bell)?, eventfd });
        Ok(Waker { shared, last: AtomicU32::new(0) })
    }
    /// Wakes the node if it sleeps. Call it after making something true that the node waits for.
    #[inline]
    pub fn wake(&self) {
        let mut last = self.last.load(Relaxed);
        if let Some(on) = self.shared.memory.bell().notify(&mut last) {
            self.last.store(last, Relaxed);
            match on {
                SleepOn::Futex => futex_wake(self.shared.memory.bell().word()),
                SleepOn::EventFd => eventfd_wake(self.shared.eventfd.as_fd()),
            }
        }
    }
}

/// The end of a bell that sleeps. There is one per node, used by one thread at a time.
#[derive(Debug)]
pub struct Waiter {
    shared: Arc<Shared>,
}

impl Waiter {
    /// The node's own bell.
    pub fn open(bell: OwnedFd, eventfd: OwnedFd) -> io::Result<Self> {
        Ok(Waiter { shared: Arc::new(Shared { memory: BellMemory::map(&bell)?, eventfd }) })
    }
    /// A waker for another thread of this process.
    pub fn waker(&self) -> Waker {
        Waker { shared: self.shared.clone(), last: AtomicU32::new(0) }
    }
    /// How the node shows that it is alive.
    pub fn pulse(&self) -> Pulse {
        Pulse::new(self.shared.clone())
    }
    /// Blocks until something may be ready or the deadline has come. The caller looks again.
    pub fn wait(&self, is_ready: impl FnOnce() -> bool, deadline_ns: Option<u64>) {
        let bell = self.shared.memory.bell();
        let sleep = bell.prepare(SleepOn::Futex);
        if !is_ready() {
            futex_wait(bell.word(), sleep.word, deadline_ns);
        }
        bell.cancel();
    }
    /// Announces a sleep on the eventfd. False: something is ready already, and no sleep is announced. After true, wait
    /// until [`Self::eventfd`] is readable (or for something else), then call [`Self::end_async`].
    pub fn begin_async(&self, is_ready: impl FnOnce() -> bool) -> bool {
        let bell = self.shared.memory.bell();
        let _ = bell.prepare(SleepOn::EventFd);
        if is_ready() {
            bell.cancel();
            return false;
        }
        true
    }
    /// Ends an announced sleep.
    pub fn end_async(&self) {
        self.shared.memory.bell().cancel();
        eventfd_clear(self.shared.eventfd.as_fd());
    }
    /// What to poll between [`Self::begin_async`] and [`Self::end_async`].
    pub fn eventfd(&self) -> BorrowedFd<'_> {
        self.shared.eventfd.as_fd()
    }
}
