//! Where things lie in shared memory. Both ends of every object use these types, so they cannot disagree.
#![allow(unsafe_code)]

use std::{io, os::fd::AsFd};

use crate::{
    counters::{Counters, LatencyHistogram},
    os::memory::{Access, Mapping, OnFork, PAGE, page_up},
    prefetch,
    protocol::{Bell, Holders, Padded, RingHeader, Slot},
    pulse::PulseWords,
};

/// The longest queue of an edge. 64 MiB of slots; longer queues hide a consumer that is too slow.
pub const MAX_CAPACITY: u32 = 1 << 20;
/// Chunks are this many bytes times a power of two, and aligned to it.
pub const SMALLEST_CHUNK: u64 = 256;
/// The most chunks one producer has.
pub const MAX_CHUNKS: usize = 1 << 16;

const HISTOGRAM_AT: usize = size_of::<RingHeader>();
const SLOTS_AT: usize = HISTOGRAM_AT + size_of::<LatencyHistogram>();
const HOLDERS_AT: usize = PAGE as usize;
const PULSE_AT: usize = size_of::<Padded<Bell>>();

/// One edge: ring header, latency histogram, slots. Mapped by producer, consumer and keeper.
#[derive(Debug)]
pub struct RingMemory {
    mapping: Mapping,
    slots: usize,
}

impl RingMemory {
    /// Bytes for a queue of this length, whole pages.
    pub fn bytes(capacity: u32) -> usize {
        page_up((SLOTS_AT + slots_of(capacity) * size_of::<Slot>()) as u64) as usize
    }
    /// Maps the ring behind a descriptor. A capacity beyond [`MAX_CAPACITY`], or one that the memory is too small for, is
    /// an error.
    pub fn map(fd: impl AsFd, capacity: u32) -> io::Result<Self> {
        if capacity > MAX_CAPACITY {
            let message = format!("a queue of {capacity} messages is longer than the limit of {MAX_CAPACITY}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mapping = Mapping::new(fd, Self::bytes(capacity), Access::Write, OnFork::Omit)?;
        Ok(RingMemory { mapping, slots: slots_of(capacity) })
    }
    /// Whether this process has it mapped; a forked child has not.
    pub fn is_here(&self) -> bool {
        self.mapping.is_here()
    }
    /// Its header.
    #[inline]
    pub fn header(&self) -> &RingHeader {
        // SAFETY: a header is made of atomics, for which any bits are valid.
        unsafe { &self.mapping.slice_of::<RingHeader>(0, 1)[0] }
    }
    /// Its latency histogram.
    #[inline]
    pub fn latency(&self) -> &LatencyHistogram {
        // SAFETY: a histogram is made of atomics.
        unsafe { &self.mapping.slice_of::<LatencyHistogram>(HISTOGRAM_AT, 1)[0] }
    }
    /// Its slots, a power of two.
    #[inline]
    pub fn slots(&self) -> &[Slot] {
        // SAFETY: slots are made of atomics.
        unsafe { self.mapping.slice_of::<Slot>(SLOTS_AT, self.slots) }
    }
    /// Asks the CPU to load the header and the slot of this position.
    pub fn prefetch(&self, position: u64) {
        prefetch::value(self.header());
        prefetch::value(&self.slots()[position as usize & (self.slots - 1)]);
    }
    /// What the edge has counted so far.
    pub fn counters(&self) -> Counters {
        let ring = self.header();
        Counters {
            sent: ring.sent(),
            received: ring.popped().saturating_sub(ring.lost()),
            lost_in_crash: ring.lost(),
            dropped: ring.dropped(),
            unattended: ring.unattended(),
            queued: ring.len(),
            bytes: ring.bytes(),
            latency: self.latency().read(),
        }
    }
}

fn slots_of(capacity: u32) -> usize {
    capacity.clamp(1, MAX_CAPACITY).next_power_of_two() as usize
}

/// Bytes of a node's bell.
pub const BELL_BYTES: usize = PAGE as usize;

/// The bell of one node, and beside it the node's pulse. Mapped by the node, its producers and the keeper.
#[derive(Debug)]
pub struct BellMemory(Mapping);

impl BellMemory {
    /// Maps the bell behind a descriptor.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        Ok(BellMemory(Mapping::new(fd, BELL_BYTES, Access::Write, OnFork::Omit)?))
    }
    /// The bell.
    #[inline]
    pub fn bell(&self) -> &Bell {
        // SAFETY: a bell is one atomic word.
        unsafe { &self.0.slice_of::<Padded<Bell>>(0, 1)[0].0 }
    }
    /// The pulse of the node.
    pub fn pulse(&self) -> &PulseWords {
        // SAFETY: a pulse is made of atomics.
        unsafe { &self.0.slice_of::<Padded<PulseWords>>(PULSE_AT, 1)[0].0 }
    }
}

/// Bytes of a producer's holders.
pub const HOLDERS_BYTES: usize = HOLDERS_AT + MAX_CHUNKS * size_of::<Holders>();

/// The holders of all chunks of one producer, and the bell on which it waits for memory. Mapped by the producer and its
/// consumers; the keeper maps the first page.
#[derive(Debug)]
pub struct HoldersMemory(Mapping);

impl HoldersMemory {
    /// Maps the holders behind a descriptor.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        Ok(HoldersMemory(Mapping::new(fd, HOLDERS_BYTES, Access::Write, OnFork::Omit)?))
    }
    /// Maps the first page only: enough for [`Self::memory_bell`].
    pub fn map_bell(fd: impl AsFd) -> io::Result<Self> {
        Ok(HoldersMemory(Mapping::new(fd, HOLDERS_AT, Access::Write, OnFork::Omit)?))
    }
    /// Whether this process has it mapped; a forked child has not.
    #[inline]
    pub fn is_here(&self) -> bool {
        self.0.is_here()
    }
    /// Where the producer waits until a chunk is released.
    #[inline]
    pub fn memory_bell(&self) -> &Bell {
        // SAFETY: a bell is one atomic word.
        unsafe { &self.0.slice_of::<Padded<Bell>>(0, 1)[0].0 }
    }
    /// The holders of each chunk.
    #[inline]
    pub fn chunks(&self) -> &[Holders] {
        // SAFETY: holders are made of atomics.
        unsafe { self.0.slice_of::<Holders>(HOLDERS_AT, MAX_CHUNKS) }
    }
    /// How many chunks the first bytes of the memory have holders for.
    pub fn chunks_within(bytes: u64) -> usize {
        (bytes.saturating_sub(HOLDERS_AT as u64) as usize / size_of::<Holders>()).min(MAX_CHUNKS)
    }
    /// The byte range that the holders of these chunks occupy, rounded to pages.
    pub fn range_of(first: usize, count: usize) -> (u64, u64) {
        let at = |chunk: usize| (HOLDERS_AT + chunk * size_of::<Holders>()) as u64;
        let start = at(first) & !(PAGE - 1);
        (start, page_up(at(first + count)) - start)
    }
}
