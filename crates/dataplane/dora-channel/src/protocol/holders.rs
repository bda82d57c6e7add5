//! Which consumers still hold a chunk.
//!
//! One bit per consumer edge of the producer. Only the producer sets bits, before the chunk is published; a consumer
//! clears its own bit when it drops the sample; the producer clears the bit of an evicted message, of a refused push and
//! of a dead consumer. A chunk without bits may be written again.

use std::sync::atomic::Ordering::Relaxed;

use super::{AtomicU64, order::Site};

/// Words of one set of edges: 8, a cache line; 1 under loom, where every atomic costs states.
pub const EDGE_WORDS: usize = if cfg!(loom) { 1 } else { 8 };

/// The most consumer edges one producer can have.
pub const MAX_EDGES: usize = EDGE_WORDS * 64;

/// A set of consumer edges of one producer, by bit number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EdgeSet(pub [u64; EDGE_WORDS]);

impl EdgeSet {
    /// Adds an edge. `bit` is below [`MAX_EDGES`].
    pub fn insert(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }
    /// Whether an edge is in it.
    pub fn contains(&self, bit: usize) -> bool {
        self.0[bit / 64] & 1 << (bit % 64) != 0
    }
    /// Removes an edge.
    pub fn remove(&mut self, bit: usize) {
        self.0[bit / 64] &= !(1 << (bit % 64));
    }
}

/// The holders of one chunk.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Holders([AtomicU64; EDGE_WORDS]);

impl Default for Holders {
    fn default() -> Self {
        Holders(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Holders {
    /// Producer: these edges may read the chunk. Published by the ring's `tail`, so no ordering of its own.
    ///
    /// Words that are empty in `edges` stay untouched, so a producer with at most 64 edges writes one word. They are zero
    /// already: a chunk is armed only after it was seen free in all words that its producer's edges used until then, no
    /// edge of a later word was in any set armed before, and bits are only cleared after that.
    #[inline]
    pub fn arm(&self, edges: &EdgeSet) {
        for (word, bits) in self.0.iter().zip(edges.0) {
            if bits != 0 {
                word.store(bits, Relaxed);
            }
        }
    }
    /// One edge is done with the chunk.
    #[inline]
    pub fn release(&self, bit: usize) {
        self.0[bit / 64].fetch_and(!(1 << (bit % 64)), Site::HolderRelease.ordering());
    }
    /// Whether this edge holds the chunk.
    pub fn is_held_by(&self, bit: usize) -> bool {
        self.0[bit / 64].load(Relaxed) & 1 << (bit % 64) != 0
    }
    /// Producer: nobody holds the chunk, and all their reads are over. `words`: how many words its edges use.
    #[inline]
    pub fn is_free(&self, words: usize) -> bool {
        self.0[..words].iter().all(|word| word.load(Site::HolderFree.ordering()) == 0)
    }
}
