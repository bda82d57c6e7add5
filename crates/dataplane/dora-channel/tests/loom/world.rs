//! What the models are made of: memory that a producer shares with its consumers, and a kernel.

use std::sync::atomic::Ordering::Relaxed;

use dora_channel::protocol::{Bell, EdgeSet, Holders, Pop, RingHeader, RxCursor, SleepOn, Slot, TxCursor};
use loom::{
    cell::UnsafeCell,
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
};

/// What one producer shares with its consumers, and the part of the kernel that they use.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) ring: RingHeader,
    pub(crate) slots: Vec<Slot>,
    pub(crate) holders: Vec<Holders>,
    pub(crate) payload: Vec<UnsafeCell<()>>,
    pub(crate) bell: Bell,
    pub(crate) memory: Bell,
    pub(crate) kernel: Mutex<()>,
    pub(crate) sleepers: Condvar,
}

// SAFETY: loom checks the accesses to the cells; that is what the models are for.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

pub(crate) fn world(slots: usize, chunks: usize) -> Arc<World> {
    Arc::new(World {
        slots: (0..slots).map(|_| Slot::default()).collect(),
        holders: (0..chunks).map(|_| Holders::default()).collect(),
        payload: (0..chunks).map(|_| UnsafeCell::new(())).collect(),
        ..World::default()
    })
}

/// Chunk 0 is written for two consumers; each reads it, releases it, and then does this.
pub(crate) fn read_by_two(shared: &Arc<World>, then: fn(&World)) -> [JoinHandle<()>; 2] {
    shared.write(0);
    shared.arm(0, &[0, 1]);
    [0, 1].map(|bit| {
        let shared = shared.clone();
        thread::spawn(move || {
            shared.read(0);
            shared.holders[0].release(bit);
            then(&shared);
        })
    })
}

impl World {
    /// The futex: compare under the lock of the hash bucket, then sleep.
    pub(crate) fn futex_wait(&self, bell: &Bell, while_equal: u32) {
        let bucket = self.kernel.lock().unwrap();
        if bell.word().load(Relaxed) == while_equal {
            drop(self.sleepers.wait(bucket).unwrap());
        }
    }
    pub(crate) fn futex_wake(&self) {
        let _bucket = self.kernel.lock().unwrap();
        self.sleepers.notify_all();
    }
    /// A wait as every waiter of the product does it.
    pub(crate) fn wait(&self, bell: &Bell, is_ready: impl FnOnce() -> bool) {
        let sleep = bell.prepare(SleepOn::Futex);
        if !is_ready() {
            self.futex_wait(bell, sleep.word);
        }
        bell.cancel();
    }
    pub(crate) fn wake(&self, bell: &Bell, last: &mut u32) {
        if bell.notify(last).is_some() {
            self.futex_wake();
        }
    }
    /// What the keeper does after a death: nobody may be relied upon, so it wakes in any case.
    pub(crate) fn wake_in_any_case(&self, bell: &Bell) {
        let _ = bell.notify(&mut 0);
        self.futex_wake();
    }

    pub(crate) fn arm(&self, chunk: usize, edges: &[usize]) {
        let mut set = EdgeSet::default();
        edges.iter().for_each(|bit| set.insert(*bit));
        self.holders[chunk].arm(&set);
    }
    pub(crate) fn free_chunk(&self) -> Option<usize> {
        self.holders.iter().position(|holders| holders.is_free(1))
    }
    pub(crate) fn read(&self, chunk: usize) {
        self.payload[chunk].with(|_| ());
    }
    pub(crate) fn write(&self, chunk: usize) {
        self.payload[chunk].with_mut(|_| ());
    }
    pub(crate) fn pop(&self, rx: &mut RxCursor) -> Pop {
        rx.pop(&self.ring, &self.slots)
    }
    pub(crate) fn push(&self, tx: &mut TxCursor, chunk: usize, message: u64) -> bool {
        tx.try_push(&self.ring, &self.slots, &words(chunk, message))
    }
}

fn words(chunk: usize, message: u64) -> [u64; 2] {
    [message << 8 | chunk as u64, message]
}

/// Chunk and message of an entry; a torn one does not pass.
pub(crate) fn parts(words: [u64; 2]) -> (usize, u64) {
    assert_eq!(words[0] >> 8, words[1], "torn descriptor");
    ((words[0] & 0xff) as usize, words[1])
}
