//! A chunk in the hands of a writer.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use super::Arena;

/// Memory for one message, written in place and then sent. Dropped unsent, it returns to its arena.
pub struct Chunk {
    arena: Arc<Arena>,
    id: u32,
    offset: u64,
    len: usize,
    lent: bool,
}

impl Chunk {
    pub(super) fn lend(arena: Arc<Arena>, id: u32, offset: u64, len: usize) -> Self {
        Chunk { arena, id, offset, len, lent: true }
    }
    /// Ends the loan without giving the chunk back: it is about to be published.
    pub(super) fn into_published(mut self) -> (u32, u64) {
        self.lent = false;
        (self.id, self.offset)
    }
    /// Whether this chunk comes from that arena.
    pub fn is_from(&self, arena: &Arc<Arena>) -> bool {
        Arc::ptr_eq(&self.arena, arena)
    }
}

impl Deref for Chunk {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the slab gave `offset..offset + len` to this chunk alone: it lies inside the mapping, its pages are
        // present, no holder bit is set, and it is in no list until we drop or publish it.
        unsafe { std::slice::from_raw_parts(self.arena.mapping.at(self.offset as usize), self.len) }
    }
}

impl DerefMut for Chunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes it the only access in this process, and consumers do not read a
        // chunk before it is published.
        unsafe { std::slice::from_raw_parts_mut(self.arena.mapping.at(self.offset as usize), self.len) }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.lent {
            self.arena.take_back(self.id);
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("id", &self.id).field("len", &self.len).finish_non_exhaustive()
    }
}
