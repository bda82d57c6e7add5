//! A bounded queue from one producer to one consumer.
//!
//! Positions are 64 bits wide and only grow, so no position comes twice. The consumer pops by reading the slot and then
//! moving `head` by CAS; the producer may take the oldest entry back by the same CAS. A slot that was overwritten while
//! it was read means that `head` moved: the CAS fails and the copy is thrown away.

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use super::{
    AtomicU32, AtomicU64, Bell, Padded,
    order::{closed_seen, closed_set, head_evict, head_pop, tail_publish, tail_seen},
};

/// Words of one slot: 8, a cache line; 2 under loom, enough to see a torn read.
pub const WORDS: usize = if cfg!(loom) { 2 } else { 8 };
/// Content of one slot.
pub type Words = [u64; WORDS];

/// Nothing is pushed after this: set by the producer, or by the keeper once it is dead.
pub const CLOSED: u32 = 1;
/// The consumer process is gone; its bits may be cleared by the producer. Set by the keeper.
pub const CONSUMER_DEAD: u32 = 2;
/// The consumer reads no more but may still hold samples. Set by the consumer.
pub const CONSUMER_LEFT: u32 = 4;

/// Head of a ring; the slots follow it in memory.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RingHeader {
    /// Written by the producer only.
    tail: Padded<ProducerLine>,
    /// Moved by the consumer (pop) and, where the policy drops the oldest, by the producer (evict).
    head: Padded<AtomicU64>,
    cold: Padded<Cold>,
}

/// What the producer writes with each push; one line, so that counting costs no extra one.
#[derive(Debug, Default)]
#[repr(C)]
struct ProducerLine {
    tail: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(C)]
struct Cold {
    state: AtomicU32,
    space: Bell,
}

/// One entry of a ring.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Slot([AtomicU64; WORDS]);

impl Default for Slot {
    fn default() -> Self {
        Slot(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Slot {
    #[inline]
    fn read(&self) -> Words {
        std::array::from_fn(|i| self.0[i].load(Relaxed))
    }
    #[inline]
    fn write(&self, words: &Words) {
        for (slot, word) in self.0.iter().zip(words) {
            slot.store(*word, Relaxed);
        }
    }
}

/// Adds to a counter that only the caller writes: no locked instruction needed.
#[inline]
fn count(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

impl RingHeader {
    /// The state bits.
    #[inline]
    pub fn state(&self) -> u32 {
        self.cold.0.state.load(closed_seen())
    }
    /// Sets state bits; everything the caller did before is visible to who sees them.
    pub fn set_state(&self, bits: u32) {
        self.cold.0.state.fetch_or(bits, closed_set());
    }
    /// Where a sender waits for room.
    #[inline]
    pub fn space(&self) -> &Bell {
        &self.cold.0.space
    }
    /// Entries in the queue at some moment during the call.
    #[inline]
    pub fn len(&self) -> u64 {
        let head = self.head.0.load(Relaxed);
        self.tail.0.tail.load(Acquire).saturating_sub(head)
    }
    /// Whether the queue is empty at some moment during the call.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether [`RxCursor::pop`] would return something other than `Empty`. The order of the loads matters to nobody:
    /// the waiter asks between two fences.
    #[inline]
    pub fn is_ready(&self) -> bool {
        !self.is_empty() || self.state() & CLOSED != 0
    }
    /// Messages given up by the queue policy: evicted or refused.
    pub fn dropped(&self) -> u64 {
        self.tail.0.dropped.load(Relaxed) + self.tail.0.refused.load(Relaxed)
    }
    /// Messages that the producer put on this edge, given up ones included.
    pub fn sent(&self) -> u64 {
        self.tail.0.tail.load(Acquire) + self.tail.0.refused.load(Relaxed)
    }
    /// Messages that left the queue to the consumer.
    pub fn popped(&self) -> u64 {
        let evicted = self.tail.0.dropped.load(Relaxed);
        self.head.0.load(Acquire).saturating_sub(evicted)
    }
    /// Payload bytes sent.
    pub fn bytes(&self) -> u64 {
        self.tail.0.bytes.load(Relaxed)
    }
    /// Producer: a message was not queued.
    pub fn count_refused(&self) {
        count(&self.tail.0.refused, 1);
    }
    /// Producer: payload bytes of a message.
    #[inline]
    pub fn count_bytes(&self, n: u64) {
        count(&self.tail.0.bytes, n);
    }
}

/// The producer's place in a ring.
#[derive(Debug)]
pub struct TxCursor {
    tail: u64,
    head_seen: u64,
    capacity: u64,
}

impl TxCursor {
    /// For a ring that nobody has used. `capacity` is at most the number of slots.
    pub fn new(capacity: u64) -> Self {
        TxCursor { tail: 0, head_seen: 0, capacity }
    }
    /// Whether the queue is full.
    #[inline]
    pub fn is_full(&mut self, ring: &RingHeader) -> bool {
        if self.tail.saturating_sub(self.head_seen) < self.capacity {
            return false;
        }
        // Acquire pairs with the consumer's CAS: its read of the slot is over before we write it again. No model can
        // catch its absence: a copy torn by an early write is thrown away, because `head` has moved and the CAS fails.
        // It stays, because a payload chunk is reused on the strength of the holders, not of this load.
        self.head_seen = ring.head.0.load(Acquire);
        self.tail.saturating_sub(self.head_seen) >= self.capacity
    }
    /// Queues an entry; false if the queue is full.
    #[inline]
    pub fn try_push(&mut self, ring: &RingHeader, slots: &[Slot], words: &Words) -> bool {
        if self.is_full(ring) {
            return false;
        }
        slots[self.tail as usize & (slots.len() - 1)].write(words);
        self.tail += 1;
        ring.tail.0.tail.store(self.tail, tail_publish());
        true
    }
    /// Takes the oldest entry back from a full queue. `None`: the consumer was faster and made room.
    pub fn evict(&mut self, ring: &RingHeader, slots: &[Slot]) -> Option<Words> {
        if self.is_full(ring) { self.take_oldest(ring, slots) } else { None }
    }
    /// Takes the oldest entry back, full or not. `None`: the queue is empty, or the consumer was faster.
    pub fn take_oldest(&mut self, ring: &RingHeader, slots: &[Slot]) -> Option<Words> {
        let head = ring.head.0.load(Acquire);
        if head >= self.tail {
            return None;
        }
        let words = slots[head as usize & (slots.len() - 1)].read(); // our own earlier write
        match ring.head.0.compare_exchange(head, head + 1, head_evict(), Acquire) {
            Ok(_) => {
                self.head_seen = head + 1;
                count(&ring.tail.0.dropped, 1);
                Some(words)
            }
            Err(now) => {
                self.head_seen = now;
                None
            }
        }
    }
}

impl TxCursor {
    /// The entries that are queued now. For a consumer that pops no more: otherwise they may be gone already.
    pub fn queued<'a>(&self, ring: &RingHeader, slots: &'a [Slot]) -> impl Iterator<Item = Words> + use<'a> {
        let head = ring.head.0.load(Acquire).max(self.tail.saturating_sub(slots.len() as u64));
        (head..self.tail).map(move |at| slots[at as usize & (slots.len() - 1)].read())
    }
}

/// What a pop gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pop {
    /// The oldest entry.
    Item(Words),
    /// Nothing now.
    Empty,
    /// Nothing now or ever.
    Closed,
    /// The positions contradict each other: whoever wrote them is not to be believed.
    Broken,
}

/// The consumer's place in a ring.
#[derive(Debug, Default)]
pub struct RxCursor {
    tail_seen: u64,
}

impl RxCursor {
    #[inline]
    fn try_pop(&mut self, ring: &RingHeader, slots: &[Slot]) -> Pop {
        let mut head = ring.head.0.load(Acquire);
        loop {
            if head >= self.tail_seen {
                self.tail_seen = ring.tail.0.tail.load(tail_seen());
                if head == self.tail_seen {
                    return Pop::Empty;
                }
                if head > self.tail_seen {
                    return Pop::Broken;
                }
            }
            // May be overwritten while we read: then the CAS fails.
            let words = slots[head as usize & (slots.len() - 1)].read();
            match ring.head.0.compare_exchange(head, head + 1, head_pop(), Acquire) {
                Ok(_) => return Pop::Item(words),
                Err(now) => head = now,
            }
        }
    }
    /// Takes the oldest entry. After `CLOSED` is seen `tail` is final, so one more look decides.
    #[inline]
    pub fn pop(&mut self, ring: &RingHeader, slots: &[Slot]) -> Pop {
        match self.try_pop(ring, slots) {
            Pop::Empty if ring.state() & CLOSED != 0 => match self.try_pop(ring, slots) {
                Pop::Empty => Pop::Closed,
                other => other,
            },
            other => other,
        }
    }
}
