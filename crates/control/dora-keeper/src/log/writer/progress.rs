//! How far the thread of the log files has come with what it was given.
//!
//! Loop and thread look at it in turn, each for a moment. It must not know what is written.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Bytes of one node on their way to the disk before the node has to wait.
pub(super) const MOST_QUEUED: usize = 512 * 1024;
/// A write that takes longer is not waited for.
pub(super) const STALL: Duration = Duration::from_secs(1);

/// What is on its way to one file, and what never arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    bytes: usize,
    pub(super) lines: u64,
    /// Lines that could not be written.
    pub(super) lost: u64,
}

/// What loop and thread both know.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) queues: Vec<Queue>,
    /// Pieces of work that are not done.
    jobs: usize,
    /// When the last one was done, or the first of these was handed over.
    since: Instant,
}

impl Progress {
    /// Nothing is on its way to any of these files.
    pub(super) fn none(files: usize) -> Shared {
        Arc::new(Mutex::new(Progress { queues: vec![Queue::default(); files], jobs: 0, since: Instant::now() }))
    }
    /// Whether as much of a node is on its way as may be.
    pub(super) fn is_full(&self, node: usize) -> bool {
        self.queues[node].bytes >= MOST_QUEUED
    }
    /// When the disk counts as stalled, unless it has taken something by then.
    pub(super) fn stalls_at(&self) -> Option<Instant> {
        (self.jobs > 0).then(|| self.since + STALL)
    }
    /// Whether the disk has taken too long for what it has to do.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalls_at().is_some_and(|at| at <= Instant::now())
    }
    /// Lines of a node were handed over.
    pub(super) fn begin(&mut self, node: usize, bytes: usize, lines: u64) {
        if self.jobs == 0 {
            self.since = Instant::now();
        }
        self.jobs += 1;
        self.queues[node].bytes += bytes;
        self.queues[node].lines += lines;
    }
    /// They are written, or lost. Whether the node was held up and is not any more.
    pub(super) fn end(&mut self, node: usize, bytes: usize, lines: u64, lost: u64) -> bool {
        let was_full = self.is_full(node);
        self.jobs -= 1;
        self.since = Instant::now();
        let queue = &mut self.queues[node];
        queue.bytes -= bytes;
        queue.lines -= lines;
        queue.lost = lost;
        was_full && !self.is_full(node)
    }
}

/// Progress, for loop and thread.
pub(super) type Shared = Arc<Mutex<Progress>>;

/// A look at it, which keeps the other one waiting.
pub(super) fn look(shared: &Shared) -> MutexGuard<'_, Progress> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
