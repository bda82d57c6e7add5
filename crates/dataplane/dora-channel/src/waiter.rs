//! How a node sleeps, and how its own threads and its producers wake it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{
            AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
            fence,
        },
    },
};

use crate::{
    layout::BellMemory,
    os::sleep::{eventfd_clear, eventfd_wake, futex_wait, futex_wake},
    protocol::{Bell, SleepOn},
    pulse::Pulse,
    spin::Spin,
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
    /// Whether the node has announced a sleep and nobody wakes it yet. A hint.
    #[inline]
    pub fn is_needed(&self) -> bool {
        self.shared.memory.bell().is_announced()
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

/// Sees when a node is woken, in a thread of its own: for tasks of executors that cannot wait for a descriptor.
///
/// It sleeps on the same word as the node would, whether or not a sleep is announced, so that nobody has to tell it of the
/// next one: a message costs one wake-up of its thread, and the task's.
#[derive(Debug)]
pub struct Lookout {
    shared: Arc<Shared>,
    /// The word that was reported last.
    told: u32,
}

impl Lookout {
    /// Blocks until the node is woken out of an announced sleep (true), or until the deadline has come or somebody called
    /// [`Waiter::disturb`] (false). May return false early.
    pub fn wait(&mut self, deadline_ns: Option<u64>) -> bool {
        match self.look() {
            Ok(()) => true,
            Err(word) => {
                futex_wait(self.shared.memory.bell().word(), word, deadline_ns);
                self.look().is_ok()
            }
        }
    }
    /// Whether a sleep has ended that was not reported yet, else the word.
    fn look(&mut self) -> Result<(), u32> {
        let word = self.shared.memory.bell().observe();
        fence(Acquire);
        if Bell::says_woken(word) && word != self.told {
            self.told = word;
            return Ok(());
        }
        Err(word)
    }
}

/// The end of a bell that sleeps. There is one per node, used by one thread at a time.
#[derive(Debug)]
pub struct Waiter {
    shared: Arc<Shared>,
    spin: Spin,
}

impl Waiter {
    /// The node's own bell.
    pub fn open(bell: OwnedFd, eventfd: OwnedFd) -> io::Result<Self> {
        Ok(Waiter { shared: Arc::new(Shared { memory: BellMemory::map(&bell)?, eventfd }), spin: Spin::new() })
    }
    /// A waker for another thread of this process.
    pub fn waker(&self) -> Waker {
        Waker { shared: self.shared.clone(), last: AtomicU32::new(0) }
    }
    /// How the node shows that it is alive.
    pub fn pulse(&self) -> Pulse {
        Pulse::new(self.shared.clone())
    }
    /// Blocks until something may be ready or the deadline has come. The caller looks again. While messages follow each
    /// other closely it looks for some microseconds itself before it sleeps. True: it slept.
    pub fn wait(&mut self, is_ready: impl Fn() -> bool, deadline_ns: Option<u64>) -> bool {
        if self.spin.until(&is_ready) {
            return false;
        }
        let bell = self.shared.memory.bell();
        let sleep = bell.prepare(SleepOn::Futex);
        let slept = !is_ready();
        if slept {
            futex_wait(bell.word(), sleep.word, deadline_ns);
        }
        bell.cancel();
        slept
    }
    /// Announces a sleep that blocks no thread. False: something is ready already, and no sleep is announced. After true,
    /// wait until [`Self::eventfd`] is readable, or until the [`Lookout`] says so where it is the futex that is slept on;
    /// then call [`Self::end_async`]. Whoever is to be woken must have been registered before.
    pub fn begin_async(&self, on: SleepOn, is_ready: impl FnOnce() -> bool) -> bool {
        let bell = self.shared.memory.bell();
        fence(Release); // whom a lookout is to wake is known before it can see the announcement
        let _ = bell.prepare(on);
        if is_ready() {
            bell.cancel();
            return false;
        }
        true
    }
    /// Ends an announced sleep.
    pub fn end_async(&self, on: SleepOn) {
        self.shared.memory.bell().cancel();
        if on == SleepOn::EventFd {
            eventfd_clear(self.shared.eventfd.as_fd());
        }
    }
    /// For a thread that blocks in place of a task.
    pub fn lookout(&self) -> Lookout {
        Lookout { shared: self.shared.clone(), told: 0 }
    }
    /// Makes [`Lookout::wait`] return. Not between [`Self::begin_async`] and [`Self::end_async`].
    pub fn disturb(&self) {
        let bell = self.shared.memory.bell();
        let _ = bell.prepare(SleepOn::Futex); // a lookout that is about to block finds another word, and does not
        bell.cancel();
        futex_wake(bell.word());
    }
    /// What to poll between [`Self::begin_async`] and [`Self::end_async`].
    pub fn eventfd(&self) -> BorrowedFd<'_> {
        self.shared.eventfd.as_fd()
    }
}
