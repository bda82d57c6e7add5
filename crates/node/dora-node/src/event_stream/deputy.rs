//! A thread that sleeps in place of a task, for executors that cannot wait for a descriptor.
//!
//! A general reactor (epoll, timers, registrations) would do; for one word and one deadline it costs several times the
//! wake-up itself, and a dozen crates.

use std::{
    io,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::Waker,
    thread,
};

use dora_channel::{Lookout, os::clock::monotonic_ns};
use futures::task::AtomicWaker;

/// The deadline of who has none.
const NEVER: u64 = u64::MAX;

/// The thread; it ends after [`Deputy::dismiss`].
#[derive(Debug)]
pub(super) struct Deputy(Arc<Orders>);

#[derive(Debug)]
struct Orders {
    waker: AtomicWaker,
    deadline_ns: AtomicU64,
    dismissed: AtomicBool,
}

impl Deputy {
    pub(super) fn start(lookout: Lookout) -> io::Result<Self> {
        let orders = Arc::new(Orders {
            waker: AtomicWaker::new(),
            deadline_ns: AtomicU64::new(NEVER),
            dismissed: AtomicBool::new(false),
        });
        let for_thread = orders.clone();
        thread::Builder::new().name("dora-deputy".to_owned()).spawn(move || for_thread.execute(lookout))?;
        Ok(Deputy(orders))
    }

    /// Whom to wake, and when at the latest. True: the thread must be disturbed, because it would sleep for too long.
    pub(super) fn register(&self, waker: &Waker, deadline_ns: Option<u64>) -> bool {
        self.0.waker.register(waker);
        let deadline = deadline_ns.unwrap_or(NEVER);
        deadline < self.0.deadline_ns.swap(deadline, Release)
    }

    /// The thread is to end; it must be disturbed.
    pub(super) fn dismiss(&self) {
        self.0.dismissed.store(true, Release);
    }
}

impl Orders {
    fn execute(&self, mut lookout: Lookout) {
        while !self.dismissed.load(Acquire) {
            let deadline = self.deadline_ns.load(Acquire);
            let woken = lookout.wait((deadline != NEVER).then_some(deadline));
            if woken || self.is_due() {
                self.waker.wake();
            }
        }
    }

    /// Whether the deadline has come; then there is none until the next is given.
    fn is_due(&self) -> bool {
        let deadline = self.deadline_ns.load(Acquire);
        let due = deadline <= monotonic_ns();
        due && self.deadline_ns.compare_exchange(deadline, NEVER, Relaxed, Relaxed).is_ok()
    }
}
