//! The payload memory of one producer: a slab of chunks in one sparse memfd.
//!
//! A chunk is free, lent to a writer ([`Chunk`]), or published (some consumer's bit may be set). Free chunks are a stack,
//! so pages stay warm. Pages are made present chunk by chunk and only as many as the message needs; when memory is
//! short, free chunks give theirs back. Consumers map the same memory through a read-only descriptor; the seal that
//! would make this enforceable (`F_SEAL_FUTURE_WRITE`) also forbids giving pages back, and memory that follows use was
//! worth more.

mod slab;

#[allow(unsafe_code)]
mod chunk;

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use crate::{
    budget::BudgetMemory,
    layout::{HoldersMemory, MAX_CHUNKS, RingMemory},
    os::memory::{Access, Mapping, OnFork},
    prefetch,
    protocol::{EDGE_WORDS, EdgeSet},
    takeover,
};

pub use chunk::Chunk;
use slab::Slab;

/// Virtual size of an arena: a small multiple of the budget, because chunks of different sizes do not share addresses,
/// and little enough for 39-bit address spaces.
pub fn virtual_len(budget_limit: u64) -> u64 {
    const MIN: u64 = 1 << 30;
    const MAX: u64 = 64 << 30;
    budget_limit.saturating_mul(4).clamp(MIN, MAX).next_multiple_of(2 << 20)
}

/// Why there is no chunk.
#[derive(Debug, thiserror::Error)]
pub enum AllocateError {
    /// All producers together have used their budget.
    #[error("{wanted} bytes more exceed the memory budget of {limit} bytes ({used} in use)")]
    Budget {
        /// Bytes asked for, whole pages.
        wanted: u64,
        /// The budget in bytes.
        limit: u64,
        /// Bytes in use by all producers.
        used: u64,
    },
    /// More than the arena can address, whatever is free.
    #[error("{len} bytes do not fit into the shared memory of one node ({max} bytes)")]
    TooLarge {
        /// Bytes asked for.
        len: usize,
        /// Size of the arena.
        max: u64,
    },
    /// Too many messages are held at once.
    #[error("{MAX_CHUNKS} messages of this node are held at once")]
    TooManyChunks,
    /// The machine has no memory left, whatever the budget says.
    #[error("no shared memory: {0}")]
    System(#[from] io::Error),
}

impl AllocateError {
    /// Whether releasing messages may help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            AllocateError::Budget { wanted, limit, .. } => wanted <= limit,
            AllocateError::TooManyChunks | AllocateError::System(_) => true,
            AllocateError::TooLarge { .. } => false,
        }
    }
}

/// The payload memory of one producer. Shared by its sender and by whoever prepares messages for it.
#[derive(Debug)]
pub struct Arena {
    mapping: Mapping,
    holders: HoldersMemory,
    slab: Mutex<Slab>,
    edge_words: AtomicUsize,
}

impl Arena {
    /// From the descriptors that the keeper hands out.
    pub fn open(arena: OwnedFd, holders: OwnedFd, budget: BudgetMemory, slot: usize) -> io::Result<Arc<Self>> {
        let len = rustix::fs::fstat(&arena)?.st_size as u64;
        Ok(Arc::new(Arena {
            mapping: Mapping::new(&arena, len as usize, Access::Write, OnFork::Inherit)?,
            holders: HoldersMemory::map(&holders)?,
            slab: Mutex::new(Slab::new(arena, holders, len, budget, slot)),
            edge_words: AtomicUsize::new(1),
        }))
    }

    /// The slab is consistent between any two of its steps, so a panic elsewhere does not spoil it.
    fn slab(&self) -> MutexGuard<'_, Slab> {
        self.slab.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only with the slab locked: whoever published the chunk locked it after it had set `edge_words`, so what is loaded
    /// here covers all bits that the chunk can have.
    fn is_free(&self, chunk: u32) -> bool {
        self.holders.chunks()[chunk as usize].is_free(self.edge_words.load(Relaxed))
    }

    /// Lends a chunk of `len` bytes. Its content is whatever an earlier message left there.
    pub fn allocate(self: &Arc<Self>, len: usize) -> Result<Chunk, AllocateError> {
        let populate = |offset: u64, len: u64| self.mapping.populate(offset as usize, len as usize);
        let (id, offset) = self.slab().allocate(len, &|chunk| self.is_free(chunk), &populate)?;
        Ok(Chunk::lend(self.clone(), id, offset, len))
    }

    /// Asks the CPU to load what the next [`Self::allocate`] and [`Self::publish`] touch.
    pub(crate) fn prefetch(&self) {
        prefetch::value(&self.slab);
        Slab::prefetch_code();
        prefetch::code(Self::allocate as fn(&Arc<Self>, usize) -> Result<Chunk, AllocateError> as *const (), 384);
        prefetch::code(Self::publish as fn(&Self, Chunk, &EdgeSet) -> (u32, u64) as *const (), 448);
    }

    /// Publishes a lent chunk to these edges: from now on it is read-only. All bits are set before the first push, so
    /// the chunk cannot look free half-way.
    pub(crate) fn publish(&self, chunk: Chunk, edges: &EdgeSet) -> (u32, u64) {
        let (id, offset) = chunk.into_published();
        self.holders.chunks()[id as usize].arm(edges);
        self.slab().published(id);
        (id, offset)
    }

    fn take_back(&self, id: u32) {
        self.slab().take_back(id);
    }

    /// Clears one edge's hold on a chunk, for a message that it will never get.
    pub(crate) fn release(&self, chunk: u32, bit: usize) {
        if let Some(holders) = self.holders.chunks().get(chunk as usize) {
            holders.release(bit);
        }
    }

    /// See [`takeover::settle`].
    pub(crate) fn settle(&self, ring: &RingMemory, bit: usize, in_hand: Option<u32>) -> bool {
        let count = self.slab().chunk_count();
        takeover::settle(ring, &self.holders.chunks()[..count], bit, in_hand)
    }

    /// Clears a dead consumer's bit everywhere.
    pub(crate) fn purge(&self, bit: usize) {
        let count = self.slab().chunk_count();
        for holders in &self.holders.chunks()[..count] {
            holders.release(bit);
        }
    }

    /// Tells how many edges the producer has, so that looking at holders reads no more than it must.
    pub(crate) fn set_highest_bit(&self, bit: usize) {
        self.edge_words.fetch_max((bit / 64 + 1).min(EDGE_WORDS), Relaxed);
    }

    pub(crate) fn holders(&self) -> &HoldersMemory {
        &self.holders
    }

    /// Chunks that some consumer holds, or that still lie in a queue.
    pub fn held(&self) -> usize {
        let slab = self.slab();
        (0..slab.chunk_count()).filter(|chunk| !self.is_free(*chunk as u32)).count()
    }

    /// Whether an edge holds any chunk, queued or received.
    pub(crate) fn is_held_by(&self, bit: usize) -> bool {
        let count = self.slab().chunk_count();
        self.holders.chunks()[..count].iter().any(|holders| holders.is_held_by(bit))
    }

    /// Bytes of memory in use.
    pub fn used(&self) -> u64 {
        self.slab().used()
    }

    /// Gives the pages of all free chunks back to the system.
    pub fn trim(&self) {
        self.slab().trim(&|chunk| self.is_free(chunk));
    }
}
