//! What other threads of the node do to a sender that waits: release it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{
        AtomicBool,
        Ordering::{Relaxed, SeqCst},
    },
};

use crate::{
    arena::Arena,
    layout::RingMemory,
    os::{
        signal,
        sleep::{futex_wait, futex_wake},
    },
    protocol::{Bell, SleepOn},
};

/// A sender that waits on backpressure sleeps on that ring (or on its memory), not on the node's bell, so it does not
/// hear mail. Whoever reads the mail tells it through this.
#[derive(Debug)]
pub struct SenderControl {
    stopping: AtomicBool,
    /// The message that is being sent waits no more.
    interrupted: AtomicBool,
    /// Before the next message there is something to do.
    news: AtomicBool,
    arena: Arc<Arena>,
    rings: Mutex<Vec<Arc<RingMemory>>>,
}

impl SenderControl {
    pub(super) fn new(arena: Arc<Arena>) -> Self {
        SenderControl {
            stopping: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            news: AtomicBool::new(false),
            arena,
            rings: Mutex::new(Vec::new()),
        }
    }

    fn rings(&self) -> std::sync::MutexGuard<'_, Vec<Arc<RingMemory>>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, ring: &Arc<RingMemory>) {
        self.rings().push(ring.clone());
    }

    pub(super) fn remove(&self, ring: &Arc<RingMemory>) {
        self.rings().retain(|other| !Arc::ptr_eq(other, ring));
    }

    /// From now on no send waits: one that would fails with [`SendError::Stopping`](super::SendError::Stopping).
    /// Releases those that wait already.
    pub fn stop(&self) {
        self.stopping.store(true, SeqCst);
        let rings = self.rings();
        let bells = rings.iter().map(|ring| ring.header().space());
        for bell in bells.chain([self.arena.holders().memory_bell()]) {
            let _ = bell.notify(&mut 0); // moves the word: a sender that is about to sleep does not
            futex_wake(bell.word());
        }
    }

    /// Whether [`Self::stop`] was called.
    #[inline]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    /// Has the sending thread look for what it was sent before its next message: see
    /// [`Producer::has_news`](super::Producer::has_news).
    pub fn bring_news(&self) {
        self.news.store(true, SeqCst);
    }

    #[inline]
    pub(super) fn has_news(&self) -> bool {
        self.news.load(Relaxed)
    }

    pub(super) fn take_news(&self) -> bool {
        self.news.swap(false, SeqCst)
    }

    /// Whether the message that is being sent is to be given up, for a [signal].
    #[inline]
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(SeqCst)
    }

    /// Whether it was. The next message waits again.
    pub(super) fn end_interruption(&self) -> bool {
        self.interrupted.swap(false, SeqCst)
    }

    /// Sleeps on a bell until it rings, unless there is no reason to.
    pub(super) fn wait_on(&self, bell: &Bell, is_ready: impl FnOnce() -> bool) {
        let sleep = bell.prepare(SleepOn::Futex);
        if !self.is_stopping() && !is_ready() && futex_wait(bell.word(), sleep.word, None) && signal::gives_up() {
            self.interrupted.store(true, SeqCst);
        }
        bell.cancel();
    }

    pub(super) fn wait_for_memory(&self, is_ready: impl FnOnce() -> bool) {
        self.wait_on(self.arena.holders().memory_bell(), is_ready);
    }
}
