//! One consumer of an output, as the producer sees it.

use std::{io, os::fd::OwnedFd, sync::Arc};

use super::SenderControl;
use crate::{
    Policy,
    arena::Arena,
    descriptor::Descriptor,
    layout::RingMemory,
    protocol::{CLOSED, CONSUMER_ABSENT, CONSUMER_DEAD, CONSUMER_LEFT, CONSUMER_REPLACED, MAX_EDGES, TxCursor, Words},
    spin::Spin,
    takeover,
    waiter::Waker,
};

/// What became of a message on one edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Queued,
    Dropped,
    Gone,
    Stopping,
    /// It was full, and a signal ended the wait.
    Interrupted,
}

/// Who reads an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Here,
    Absent,
    Gone,
}

/// One consumer edge of an output.
#[derive(Debug)]
pub struct OutEdge {
    ring: Arc<RingMemory>,
    tx: TxCursor,
    bit: usize,
    policy: Policy,
    consumer: Arc<Waker>,
}

impl OutEdge {
    /// From what the keeper hands out. `bit` is this consumer's number among all edges of the producer.
    pub fn open(ring: OwnedFd, capacity: u32, policy: Policy, bit: usize, consumer: Arc<Waker>) -> io::Result<Self> {
        if bit >= MAX_EDGES {
            let message = format!("edge number {bit}: one node has at most {MAX_EDGES} consumer edges");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let capacity = capacity.max(1);
        let ring = Arc::new(RingMemory::map(&ring, capacity)?);
        Ok(OutEdge { ring, tx: TxCursor::new(u64::from(capacity)), bit, policy, consumer })
    }

    pub(super) fn ring(&self) -> &Arc<RingMemory> {
        &self.ring
    }
    pub(super) fn bit(&self) -> usize {
        self.bit
    }
    pub(super) fn blocks(&self) -> bool {
        self.policy == Policy::Backpressure
    }
    /// The consumer reads no more.
    pub(super) fn is_gone(&self) -> bool {
        self.ring.header().state() & (CONSUMER_DEAD | CONSUMER_LEFT) != 0
    }
    /// The consumer process is gone.
    pub(super) fn is_dead(&self) -> bool {
        self.ring.header().state() & CONSUMER_DEAD != 0
    }
    /// Nobody reads for now.
    fn is_absent(&self) -> bool {
        self.ring.header().state() & CONSUMER_ABSENT != 0
    }
    /// A lossless edge whose consumer has a chunk queued or in its hands: it will release memory. Messages without a
    /// chunk do not count: nobody would hear of their end.
    pub(super) fn will_release(&self, arena: &Arena) -> bool {
        self.blocks() && !self.is_gone() && !self.is_absent() && arena.is_held_by(self.bit)
    }

    /// Whether the consumer has gone to sleep and nobody wakes it yet. A hint.
    #[inline]
    pub(super) fn consumer_sleeps(&self) -> bool {
        self.consumer.is_needed()
    }
    /// Asks the CPU to load what the next push touches.
    pub(super) fn prefetch(&self) {
        self.ring.prefetch(self.tx.position());
    }

    /// Withdraws the messages with a smaller number.
    pub(super) fn flush_to(&self, number: u64) {
        self.ring.header().flush_to(number);
    }

    pub(super) fn close(&self) {
        if !self.ring.is_here() {
            return; // a copy in a forked child
        }
        self.ring.header().set_state(CLOSED);
        self.consumer.wake();
    }

    /// Queues a message by the policy of the edge.
    #[inline]
    pub(super) fn push(
        &mut self,
        message: &Descriptor,
        arena: &Arena,
        control: &SenderControl,
        spin: &mut Spin,
    ) -> Pushed {
        let words = message.to_words();
        // Before the look at the reader, see `takeover`.
        let is_full = self.tx.is_full(self.ring.header());
        let reader = self.reader(&words, arena);
        if reader == Reader::Gone {
            self.release(&words, arena);
            return Pushed::Gone;
        }
        self.ring.header().count_bytes(message.len);
        let pushed = match reader {
            Reader::Here if !is_full && self.tx.try_push(self.ring.header(), self.ring.slots(), &words) => {
                Pushed::Queued
            }
            Reader::Here => self.push_to_full(&words, arena, control, spin),
            Reader::Absent | Reader::Gone => Pushed::Dropped,
        };
        match pushed {
            Pushed::Queued => self.consumer.wake(),
            Pushed::Dropped | Pushed::Stopping | Pushed::Interrupted => {
                self.ring.header().count_refused();
                self.release(&words, arena);
            }
            Pushed::Gone => self.release(&words, arena),
        }
        pushed
    }

    #[cold]
    fn push_to_full(&mut self, words: &Words, arena: &Arena, control: &SenderControl, spin: &mut Spin) -> Pushed {
        loop {
            match self.policy {
                Policy::DropNewest => return Pushed::Dropped,
                Policy::DropOldest => {
                    if let Some(oldest) = self.tx.evict(self.ring.header(), self.ring.slots()) {
                        self.release(&oldest, arena);
                    }
                }
                Policy::Backpressure => {
                    if let Some(end) = self.wait_for_room(control, spin) {
                        return end;
                    }
                }
            }
            let is_full = self.tx.is_full(self.ring.header());
            match self.reader(words, arena) {
                Reader::Here => {}
                Reader::Absent => return Pushed::Dropped,
                Reader::Gone => return Pushed::Gone,
            }
            if !is_full && self.tx.try_push(self.ring.header(), self.ring.slots(), words) {
                return Pushed::Queued;
            }
        }
    }

    /// Who reads now. Between a look at the positions and a write it must be asked, see [`takeover`].
    #[inline]
    fn reader(&self, in_hand: &Words, arena: &Arena) -> Reader {
        const UNUSUAL: u32 = CONSUMER_DEAD | CONSUMER_LEFT | CONSUMER_ABSENT | CONSUMER_REPLACED;
        match self.ring.header().state() & UNUSUAL {
            0 => Reader::Here,
            state => self.unusual_reader(state, in_hand, arena),
        }
    }

    #[cold]
    fn unusual_reader(&self, state: u32, in_hand: &Words, arena: &Arena) -> Reader {
        arena.settle(&self.ring, self.bit, takeover::chunk_of(in_hand));
        if state & (CONSUMER_DEAD | CONSUMER_LEFT) != 0 {
            return Reader::Gone;
        }
        if state & CONSUMER_ABSENT == 0 {
            return Reader::Here;
        }
        // Ends the push: once per message.
        self.ring.header().count_unattended();
        Reader::Absent
    }

    /// Releases what a dead process of the consumer held, while no message is being sent. True if that was anything.
    pub(super) fn settle(&self, arena: &Arena) -> bool {
        self.ring.header().state() & CONSUMER_REPLACED != 0 && arena.settle(&self.ring, self.bit, None)
    }

    /// Waits until there may be room. `Some`: there will be none.
    fn wait_for_room(&mut self, control: &SenderControl, spin: &mut Spin) -> Option<Pushed> {
        if self.is_gone() {
            return Some(Pushed::Gone);
        }
        if control.is_stopping() {
            return Some(Pushed::Stopping);
        }
        if control.is_interrupted() {
            return Some(Pushed::Interrupted);
        }
        let (tx, ring) = (&mut self.tx, self.ring.header());
        if !spin.until(|| !tx.is_full(ring)) {
            let gone = || ring.state() & (CONSUMER_DEAD | CONSUMER_LEFT | CONSUMER_ABSENT) != 0;
            control.wait_on(ring.space(), || gone() || !tx.is_full(ring));
        }
        None
    }

    /// Takes the oldest message back because memory is short. False: the policy forbids it, or it would give no memory.
    pub(super) fn give_up_oldest(&mut self, arena: &Arena) -> bool {
        let has_chunk = |words: Words| takeover::chunk_of(&words).is_some();
        if self.policy != Policy::DropOldest {
            return false;
        }
        let (ring, slots) = (self.ring.header(), self.ring.slots());
        while self.tx.queued(ring, slots).any(has_chunk) {
            if let Some(oldest) = self.tx.take_oldest(ring, slots) {
                self.release(&oldest, arena);
                return true;
            }
        }
        false
    }

    /// Releases what is queued for a consumer that reads no more. The queue itself stays as it is: it is what counts as
    /// undelivered.
    pub(super) fn release_queued(&self, arena: &Arena) {
        for words in self.tx.queued(self.ring.header(), self.ring.slots()) {
            self.release(&words, arena);
        }
    }

    fn release(&self, words: &Words, arena: &Arena) {
        if let Some(chunk) = takeover::chunk_of(words) {
            arena.release(chunk, self.bit);
        }
    }
}
