//! A bounded queue from one producer to one consumer.
//!
//! Positions are 64 bits wide and only grow, so no position comes twice. The consumer pops by reading the slot and then
//! moving `head` by CAS; the producer may take the oldest entry back by the same CAS. A slot that was overwritten while
//! it was read means that `head` moved: the CAS fails and the copy is thrown away.

use std::sync::atomic::Ordering::Relaxed;

use super::{AtomicU32, AtomicU64, Bell, Padded, order::Site, watch::Watch};

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
/// The process that read is gone and another one goes on with the queue: what the first had taken and not released is to
/// be released by the producer. Set by the keeper.
pub const CONSUMER_REPLACED: u32 = 8;
/// Comes with [`CONSUMER_REPLACED`]: the process crashed, so what it had not released is lost.
pub const CONSUMER_CRASHED: u32 = 16;
/// Nobody reads for now, perhaps never: messages are given up and not queued. Set and cleared by the keeper.
pub const CONSUMER_ABSENT: u32 = 32;

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
    lost: AtomicU64,
    unattended: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(C)]
struct Cold {
    state: AtomicU32,
    space: Bell,
    /// Where the next process of the consumer goes on; written by the keeper before `CONSUMER_REPLACED`.
    replaced_at: AtomicU64,
    /// Messages with a smaller number are not worth reading any more; written by the producer, hardly ever.
    flushed_to: AtomicU64,
    /// How many of them the consumer has taken; written by it.
    flushed: AtomicU64,
}

/// One entry of a ring.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Slot {
    words: [AtomicU64; WORDS],
    watch: Watch,
}

impl Slot {
    #[inline]
    fn read(&self) -> Words {
        std::array::from_fn(|i| self.words[i].load(Relaxed))
    }
    #[inline]
    fn write(&self, words: &Words) {
        self.watch.writes();
        for (slot, word) in self.words.iter().zip(words) {
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
        self.cold.0.state.load(Site::StateSeen.ordering())
    }
    /// Sets state bits. Everything the caller did before is visible to whoever sees them.
    pub fn set_state(&self, bits: u32) {
        self.cold.0.state.fetch_or(bits, Site::StateSet.ordering());
    }
    /// Clears state bits and gives those that were set before.
    pub fn clear_state(&self, bits: u32) -> u32 {
        self.cold.0.state.fetch_and(!bits, Site::StateSeen.ordering())
    }
    /// Keeper, once the consumer process is gone: another one will go on with the queue.
    pub fn replace_consumer(&self, crashed: bool) {
        // The producer may evict meanwhile; then this is too low, which only makes it look at more entries.
        self.cold.0.replaced_at.store(self.head.0.load(Relaxed), Relaxed);
        self.set_state(CONSUMER_REPLACED | if crashed { CONSUMER_CRASHED } else { 0 });
    }
    /// Where the process that replaced a dead one went on. After [`Self::clear_state`].
    pub fn replaced_at(&self) -> u64 {
        self.cold.0.replaced_at.load(Relaxed)
    }
    /// The entries from a position on that were not overwritten, popped or not.
    pub fn entries_from<'a>(&self, slots: &'a [Slot], from: u64) -> impl Iterator<Item = Words> + use<'a> {
        let tail = self.tail.0.tail.load(Relaxed);
        let from = from.max(tail.saturating_sub(slots.len() as u64));
        (from..tail).map(move |at| slots[at as usize & (slots.len() - 1)].read())
    }
    /// Where a sender waits for room.
    #[inline]
    pub fn space(&self) -> &Bell {
        &self.cold.0.space
    }
    /// Entries in the queue, as far as this thread knows.
    #[inline]
    pub fn len(&self) -> u64 {
        let head = self.head.0.load(Relaxed);
        self.tail.0.tail.load(Relaxed).saturating_sub(head)
    }
    /// Whether the queue is empty, as far as this thread knows.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether [`RxCursor::pop`] may return something other than `Empty`, nonsense included. The order of the loads
    /// matters to nobody: the waiter asks after a full fence.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.head.0.load(Relaxed) != self.tail.0.tail.load(Relaxed) || self.state() & CLOSED != 0
    }
    /// Consumer, after a pop: whether a sender sleeps on [`Self::space`] and there is room enough to wake it. Costs a
    /// fence; a sender that announces itself after the fence sees the pop.
    #[inline]
    pub fn owes_room(&self, capacity: u64, enough: u64) -> bool {
        Site::RoomFence.fence();
        self.space().is_announced() && capacity.saturating_sub(self.len()) >= enough
    }
    /// Producer, before it sends a message that withdraws those with a smaller number. Who sees the message sees this.
    pub fn flush_to(&self, number: u64) {
        self.cold.0.flushed_to.store(number, Relaxed);
    }
    /// Messages with a smaller number were withdrawn.
    #[inline]
    pub fn flushed_to(&self) -> u64 {
        self.cold.0.flushed_to.load(Relaxed)
    }
    /// Consumer: a message that it took was withdrawn before.
    #[cold]
    pub fn count_flushed(&self) {
        count(&self.cold.0.flushed, 1);
    }
    /// Messages given up: evicted or refused by the queue policy, or withdrawn.
    pub fn dropped(&self) -> u64 {
        let by_policy = self.tail.0.dropped.load(Relaxed).wrapping_add(self.tail.0.refused.load(Relaxed));
        by_policy.wrapping_add(self.cold.0.flushed.load(Relaxed))
    }
    /// Messages that the producer put on this edge, given up ones included.
    pub fn sent(&self) -> u64 {
        self.tail.0.tail.load(Relaxed).wrapping_add(self.tail.0.refused.load(Relaxed))
    }
    /// Messages that left the queue to the consumer and were not withdrawn.
    pub fn popped(&self) -> u64 {
        let given_up = self.tail.0.dropped.load(Relaxed).wrapping_add(self.cold.0.flushed.load(Relaxed));
        self.head.0.load(Relaxed).saturating_sub(given_up)
    }
    /// Messages that a consumer process had taken and not released when it crashed.
    pub fn lost(&self) -> u64 {
        self.tail.0.lost.load(Relaxed)
    }
    /// Producer, or the keeper once that is dead: messages were lost with a consumer process.
    pub fn count_lost(&self, n: u64) {
        count(&self.tail.0.lost, n);
    }
    /// Payload bytes sent.
    pub fn bytes(&self) -> u64 {
        self.tail.0.bytes.load(Relaxed)
    }
    /// Producer: a message was not queued.
    pub fn count_refused(&self) {
        count(&self.tail.0.refused, 1);
    }
    /// Refused messages that nobody was there to read.
    pub fn unattended(&self) -> u64 {
        self.tail.0.unattended.load(Relaxed)
    }
    /// Producer: nobody is there to read a message; [`Self::count_refused`] counts it as well.
    pub fn count_unattended(&self) {
        count(&self.tail.0.unattended, 1);
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
    /// Where the next entry goes.
    pub fn position(&self) -> u64 {
        self.tail
    }
    /// Whether the queue is full.
    #[inline]
    pub fn is_full(&mut self, ring: &RingHeader) -> bool {
        if self.tail.saturating_sub(self.head_seen) < self.capacity {
            return false;
        }
        // The consumer's copies of the slots before `head` are over.
        self.head_seen = ring.head.0.load(Site::FullSeesPop.ordering());
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
        ring.tail.0.tail.store(self.tail, Site::TailPublish.ordering());
        true
    }
    /// Takes the oldest entry back from a full queue. `None`: the consumer was faster and made room.
    pub fn evict(&mut self, ring: &RingHeader, slots: &[Slot]) -> Option<Words> {
        if self.is_full(ring) { self.take_oldest(ring, slots) } else { None }
    }
    /// Takes the oldest entry back, full or not. `None`: the queue is empty, or the consumer was faster.
    pub fn take_oldest(&mut self, ring: &RingHeader, slots: &[Slot]) -> Option<Words> {
        let head = ring.head.0.load(Relaxed);
        if head >= self.tail {
            return None;
        }
        let slot = &slots[head as usize & (slots.len() - 1)];
        let words = slot.read(); // our own earlier write
        // `head_seen` stays as it is: the next push loads `head` again, and with it the consumer's pops.
        ring.head.0.compare_exchange(head, head + 1, Site::HeadEvict.ordering(), Relaxed).ok()?;
        slot.watch.evicted();
        count(&ring.tail.0.dropped, 1);
        Some(words)
    }

    /// The entries that are queued, as far as the producer knows; a consumer that still pops may have taken them already.
    pub fn queued<'a>(&self, ring: &RingHeader, slots: &'a [Slot]) -> impl Iterator<Item = Words> + use<'a> {
        let head = ring.head.0.load(Relaxed).max(self.tail.saturating_sub(slots.len() as u64));
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
    /// Where the next entry comes if the queue was found empty.
    pub fn position(&self) -> u64 {
        self.tail_seen
    }
    #[inline]
    fn try_pop(&mut self, ring: &RingHeader, slots: &[Slot]) -> Pop {
        loop {
            let head = ring.head.0.load(Site::PopSeesEvict.ordering());
            if head >= self.tail_seen {
                self.tail_seen = ring.tail.0.tail.load(Site::TailSeen.ordering());
                if head == self.tail_seen {
                    return Pop::Empty;
                }
                if head > self.tail_seen {
                    return Pop::Broken;
                }
            }
            let slot = &slots[head as usize & (slots.len() - 1)];
            slot.watch.reads();
            let words = slot.read(); // may be overwritten meanwhile: then the CAS fails
            if ring.head.0.compare_exchange(head, head + 1, Site::HeadPop.ordering(), Relaxed).is_ok() {
                return Pop::Item(words);
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
