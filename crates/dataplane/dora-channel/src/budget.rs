//! The memory that all producers of a dataflow on one machine may use together.
//!
//! One page: the limit, a pressure counter and one word per producer. A producer adds to its own word first and then
//! looks at the sum, so the limit is never exceeded; two that race at the limit may both be refused, and ask again after
//! giving something up. Each word has one writer, so nothing is lost when a producer dies between two steps: the keeper
//! sets its word to zero.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::AsFd,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use crate::os::memory::{Access, Mapping, OnFork, page_up};

const WORDS_BEFORE_SLOTS: usize = 8;

/// The budget page as producers and keeper see it.
#[derive(Debug)]
pub struct BudgetMemory {
    mapping: Mapping,
}

impl BudgetMemory {
    /// Bytes for this many producers.
    pub fn bytes(producers: usize) -> usize {
        page_up(((WORDS_BEFORE_SLOTS + producers) * size_of::<AtomicU64>()) as u64) as usize
    }
    /// Maps the budget behind a descriptor.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        let len = rustix::fs::fstat(&fd)?.st_size as usize;
        Ok(BudgetMemory { mapping: Mapping::new(fd, len, Access::Write, OnFork::Omit)? })
    }
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the page holds atomics only.
        unsafe { self.mapping.slice_of::<AtomicU64>(0, self.mapping.len() / size_of::<AtomicU64>()) }
    }
    fn slots(&self) -> &[AtomicU64] {
        &self.words()[WORDS_BEFORE_SLOTS..]
    }
    /// Sets the limit. Keeper only, before any producer starts.
    pub fn set_limit(&self, bytes: u64) {
        self.words()[0].store(bytes, SeqCst);
    }
    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.words()[0].load(SeqCst)
    }
    /// Bytes in use by all producers.
    pub fn used(&self) -> u64 {
        self.slots().iter().map(|slot| slot.load(SeqCst)).fold(0, u64::saturating_add)
    }
    /// Bytes in use by one producer; 0 if it is gone, or if there is none with this slot.
    pub fn used_by(&self, slot: usize) -> u64 {
        self.slots().get(slot).map_or(0, |used| used.load(SeqCst))
    }
    /// How often a producer has met the limit. Others give unused chunks back when they see it change.
    pub fn pressure(&self) -> u64 {
        self.words()[1].load(SeqCst)
    }
    /// Tells the other producers that memory is short.
    pub fn press(&self) {
        self.words()[1].fetch_add(1, SeqCst);
    }
    /// Takes bytes for a producer; false if the limit does not allow it.
    pub fn take(&self, slot: usize, bytes: u64) -> bool {
        let Some(own) = self.slots().get(slot) else { return false };
        own.fetch_add(bytes, SeqCst);
        if self.used() > self.limit() {
            own.fetch_sub(bytes, SeqCst);
            return false;
        }
        true
    }
    /// Gives bytes back. After the keeper has cleared the slot there is nothing to give.
    pub fn give(&self, slot: usize, bytes: u64) {
        if let Some(own) = self.slots().get(slot) {
            let _ = own.fetch_update(SeqCst, SeqCst, |used| Some(used.saturating_sub(bytes)));
        }
    }
    /// A producer is gone. Keeper only.
    pub fn clear(&self, slot: usize) {
        if let Some(own) = self.slots().get(slot) {
            own.store(0, SeqCst);
        }
    }
}
