//! Which chunks there are and which of them are free. Bookkeeping only: it does not touch payload.
//!
//! Chunk sizes are 256 B * 2^k. Chunks under 64 KiB come in groups of 64 KiB whose pages are made present together;
//! larger ones are aligned to a page, from 2 MiB on to 2 MiB, and only the pages that a message needs are present.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
};

use super::AllocateError;
use crate::{
    budget::BudgetMemory,
    layout::{HoldersMemory, MAX_CHUNKS, SMALLEST_CHUNK},
    os::memory::{allocate, give_back, page_up},
    prefetch,
};

const GROUP: u64 = 64 << 10;
const HUGE: u64 = 2 << 20;
const CLASSES: usize = 29; // up to 64 GiB
/// Busy chunks that each step of the fast path looks at before it takes the slow one: constant time.
const QUICK_LOOKS: usize = 8;

#[derive(Debug)]
struct ChunkInfo {
    offset: u64,
    class: usize,
    /// Bytes from its start whose pages are present.
    present: u64,
}

#[derive(Debug)]
pub(super) struct Slab {
    fd: OwnedFd,
    holders_fd: OwnedFd,
    budget: BudgetMemory,
    slot: usize,
    len: u64,
    next: u64,
    used: u64,
    pressure_seen: u64,
    chunks: Vec<ChunkInfo>,
    free: [Vec<u32>; CLASSES],
    busy: [VecDeque<u32>; CLASSES],
}

fn class_of(len: usize) -> usize {
    ((len as u64).max(SMALLEST_CHUNK).next_power_of_two() / SMALLEST_CHUNK).trailing_zeros() as usize
}

fn class_size(class: usize) -> u64 {
    SMALLEST_CHUNK << class
}

impl Slab {
    pub(super) fn new(fd: OwnedFd, holders_fd: OwnedFd, len: u64, budget: BudgetMemory, slot: usize) -> Self {
        Slab {
            fd,
            holders_fd,
            len,
            slot,
            next: 0,
            used: 0,
            pressure_seen: budget.pressure(),
            budget,
            chunks: Vec::new(),
            free: std::array::from_fn(|_| Vec::new()),
            busy: std::array::from_fn(|_| VecDeque::new()),
        }
    }

    pub(super) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Asks the CPU to load the usual way of [`Self::allocate`].
    pub(super) fn prefetch_code() {
        type Allocate = fn(&mut Slab, usize, &dyn Fn(u32) -> bool, &dyn Fn(u64, u64)) -> Allocated;
        type TryAllocate = fn(&mut Slab, usize, u64, &dyn Fn(u32) -> bool, &dyn Fn(u64, u64)) -> Allocated;
        type Allocated = Result<(u32, u64), AllocateError>;
        prefetch::code(Self::allocate as Allocate as *const (), 448);
        prefetch::code(Self::try_allocate as TryAllocate as *const (), 384);
    }

    pub(super) fn published(&mut self, id: u32) {
        let class = self.chunks[id as usize].class;
        self.busy[class].push_back(id);
    }

    pub(super) fn take_back(&mut self, id: u32) {
        let class = self.chunks[id as usize].class;
        self.free[class].push(id);
    }

    /// A chunk of at least `len` bytes with its pages present: number and offset.
    pub(super) fn allocate(
        &mut self,
        len: usize,
        is_free: &dyn Fn(u32) -> bool,
        populate: &dyn Fn(u64, u64),
    ) -> Result<(u32, u64), AllocateError> {
        let too_large = AllocateError::TooLarge { len, max: self.len };
        if len as u64 > self.len {
            return Err(too_large);
        }
        let class = class_of(len);
        if class >= CLASSES {
            return Err(too_large);
        }
        self.heed_pressure(is_free);
        match self.try_allocate(class, len as u64, is_free, populate) {
            Err(AllocateError::Budget { .. } | AllocateError::System(_)) => {
                // Our own free chunks of other sizes are the first to go; other producers trim when they next allocate.
                self.budget.press();
                self.heed_pressure(is_free);
                self.try_allocate(class, len as u64, is_free, populate)
            }
            result => result,
        }
    }

    fn try_allocate(
        &mut self,
        class: usize,
        len: u64,
        is_free: &dyn Fn(u32) -> bool,
        populate: &dyn Fn(u64, u64),
    ) -> Result<(u32, u64), AllocateError> {
        let id = self.free_chunk(class, is_free)?;
        match self.make_present(id, len, populate) {
            Ok(()) => Ok((id, self.chunks[id as usize].offset)),
            Err(error) => {
                self.take_back(id);
                Err(error)
            }
        }
    }

    fn free_chunk(&mut self, class: usize, is_free: &dyn Fn(u32) -> bool) -> Result<u32, AllocateError> {
        self.reclaim(class, is_free);
        if let Some(id) = self.free[class].pop() {
            return Ok(id);
        }
        self.sweep(class, QUICK_LOOKS, is_free);
        if self.free[class].is_empty() {
            self.sweep(class, usize::MAX, is_free);
        }
        if self.free[class].is_empty() {
            match self.grow(class) {
                // Addresses or numbers are spent: a larger chunk does as well.
                Err(AllocateError::TooLarge { .. } | AllocateError::TooManyChunks) => {
                    return self.larger_free_chunk(class, is_free);
                }
                result => result?,
            }
        }
        self.free[class].pop().ok_or(AllocateError::TooManyChunks)
    }

    /// Puts what was released since onto the stack of free chunks, so that the next message gets the chunk that was used
    /// last: a sender whose consumers keep up writes the same two again and again, and the caches still hold them.
    fn reclaim(&mut self, class: usize, is_free: &dyn Fn(u32) -> bool) {
        for _ in 0..QUICK_LOOKS {
            match self.busy[class].pop_front_if(|id| is_free(*id)) {
                Some(id) => self.free[class].push(id),
                None => return,
            }
        }
    }

    fn larger_free_chunk(&mut self, class: usize, is_free: &dyn Fn(u32) -> bool) -> Result<u32, AllocateError> {
        for larger in class + 1..CLASSES {
            self.sweep(larger, usize::MAX, is_free);
            if let Some(id) = self.free[larger].pop() {
                return Ok(id);
            }
        }
        Err(AllocateError::TooManyChunks)
    }

    /// Moves chunks that nobody holds any more to the free stack, oldest first; what is still held goes to the back.
    fn sweep(&mut self, class: usize, looks: usize, is_free: &dyn Fn(u32) -> bool) {
        for _ in 0..looks.min(self.busy[class].len()) {
            let Some(id) = self.busy[class].pop_front() else { return };
            if is_free(id) {
                self.free[class].push(id);
            } else {
                self.busy[class].push_back(id);
            }
        }
    }

    /// Numbers a new chunk, or a group of small ones.
    fn grow(&mut self, class: usize) -> Result<(), AllocateError> {
        let size = class_size(class);
        let count = (GROUP / size).max(1);
        let start = self.next.next_multiple_of(size.clamp(GROUP, HUGE));
        let end = start.saturating_add(count * size);
        if end > self.len {
            return Err(AllocateError::TooLarge { len: size as usize, max: self.len });
        }
        let first = self.chunks.len();
        if first + count as usize > MAX_CHUNKS {
            return Err(AllocateError::TooManyChunks);
        }
        let (at, len) = HoldersMemory::range_of(first, count as usize);
        allocate(self.holders_fd.as_fd(), at, len)?;
        let mut present = 0;
        if count > 1 {
            self.take(start, count * size)?;
            present = size;
        }
        for i in 0..count {
            self.chunks.push(ChunkInfo { offset: start + i * size, class, present });
        }
        // Reversed, so that the stack hands out ascending addresses.
        self.free[class].extend((first as u32..first as u32 + count as u32).rev());
        self.next = end;
        Ok(())
    }

    fn make_present(&mut self, id: u32, len: u64, populate: &dyn Fn(u64, u64)) -> Result<(), AllocateError> {
        let (offset, present) = (self.chunks[id as usize].offset, self.chunks[id as usize].present);
        let wanted = page_up(len);
        if present >= wanted || present == class_size(self.chunks[id as usize].class) {
            return Ok(());
        }
        self.take(offset + present, wanted - present)?;
        self.chunks[id as usize].present = wanted;
        populate(offset + present, wanted - present);
        Ok(())
    }

    /// Makes pages present, within the budget.
    fn take(&mut self, offset: u64, len: u64) -> Result<(), AllocateError> {
        if !self.budget.take(self.slot, len) {
            return Err(AllocateError::Budget { wanted: len, limit: self.budget.limit(), used: self.budget.used() });
        }
        allocate(self.fd.as_fd(), offset, len).inspect_err(|_| self.budget.give(self.slot, len))?;
        self.used += len;
        Ok(())
    }

    fn heed_pressure(&mut self, is_free: &dyn Fn(u32) -> bool) {
        let pressure = self.budget.pressure();
        if pressure != self.pressure_seen {
            self.pressure_seen = pressure;
            self.trim(is_free);
        }
    }

    /// Gives back the pages of free chunks. Groups of small chunks keep theirs: they are few and soon used again.
    pub(super) fn trim(&mut self, is_free: &dyn Fn(u32) -> bool) {
        for class in class_of(GROUP as usize)..CLASSES {
            self.sweep(class, usize::MAX, is_free);
            for i in 0..self.free[class].len() {
                let id = self.free[class][i] as usize;
                if self.give_chunk_back(id).is_err() {
                    return; // best effort: the pages stay ours and counted
                }
            }
        }
    }

    fn give_chunk_back(&mut self, id: usize) -> io::Result<()> {
        let chunk = &mut self.chunks[id];
        if chunk.present > 0 {
            give_back(self.fd.as_fd(), chunk.offset, chunk.present)?;
            self.budget.give(self.slot, chunk.present);
            self.used -= chunk.present;
            chunk.present = 0;
        }
        Ok(())
    }
}
