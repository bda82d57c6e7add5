//! The keeper's side: creates what nodes share, and says what becomes of it when one of them dies.
//!
//! ```no_run
//! use dora_channel::broker::{BrokeredEdge, Budget, NodeChannels};
//!
//! let budget = Budget::create(1 << 30, 2)?;
//! let camera = NodeChannels::create("camera", budget.limit())?;
//! let viewer = NodeChannels::create("viewer", budget.limit())?;
//! let edge = BrokeredEdge::create(10)?;
//! // ... hand the descriptors out; later, when the camera's pidfd fires:
//! edge.producer_gone(&viewer);
//! # Ok::<(), dora_channel::broker::BrokerError>(())
//! ```
//!
//! It must not know of processes, dataflow files or sockets: the keeper does.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crate::{
    budget::BudgetMemory,
    counters::Counters,
    layout::{BELL_BYTES, BellMemory, HOLDERS_BYTES, HoldersMemory, MAX_CAPACITY, RingMemory},
    os::{
        memory::{allocate, allocated, memfd, reopen_read_only},
        sleep::{eventfd_wake, futex_wake, new_eventfd},
    },
    protocol::{Bell, CLOSED, CONSUMER_ABSENT, CONSUMER_DEAD, CONSUMER_LEFT, CONSUMER_REPLACED, Pop, RxCursor},
    pulse::Sign,
    takeover,
};

/// Why something could not be created.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The system refused.
    #[error("cannot create {what}: {source}")]
    System {
        /// What was to be created.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The queue is longer than [`MAX_CAPACITY`].
    #[error("a queue of {capacity} messages is longer than the limit of {MAX_CAPACITY}")]
    QueueTooLong {
        /// The length asked for.
        capacity: u32,
    },
}

impl BrokerError {
    /// Whether the process, or the machine, may have no further descriptor.
    pub fn is_for_want_of_descriptors(&self) -> bool {
        use rustix::io::Errno;
        let BrokerError::System { source, .. } = self else { return false };
        [Errno::MFILE, Errno::NFILE].iter().any(|errno| source.raw_os_error() == Some(errno.raw_os_error()))
    }
}

fn creating<T>(what: &'static str, result: io::Result<T>) -> Result<T, BrokerError> {
    result.map_err(|source| BrokerError::System { what, source })
}

/// Wakes whoever sleeps on a futex word, whatever the bell says: a dead waker may owe the wake-up.
fn wake_in_any_case(bell: &Bell) {
    let _ = bell.notify(&mut 0); // moves the word: who is about to sleep does not
    futex_wake(bell.word());
}

/// The holders of a producer for a moment, and how many chunks it has.
fn view(holders: BorrowedFd<'_>) -> Result<(HoldersMemory, usize), BrokerError> {
    let count = HoldersMemory::chunks_within(creating("a view of holders", allocated(holders))?);
    Ok((creating("a view of holders", HoldersMemory::map(holders))?, count))
}

/// The memory budget of a dataflow.
#[derive(Debug)]
pub struct Budget {
    fd: OwnedFd,
    memory: BudgetMemory,
}

impl Budget {
    /// A budget of this many bytes for this many producers.
    pub fn create(limit_bytes: u64, producers: usize) -> Result<Self, BrokerError> {
        let len = BudgetMemory::bytes(producers) as u64;
        let fd = creating("the memory budget", memfd("dora-budget", len))?;
        creating("the memory budget", allocate(fd.as_fd(), 0, len))?;
        let memory = creating("the memory budget", BudgetMemory::map(&fd))?;
        memory.set_limit(limit_bytes);
        Ok(Budget { fd, memory })
    }
    /// To hand out.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
    /// Bytes that all producers may use together.
    pub fn limit(&self) -> u64 {
        self.memory.limit()
    }
    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.memory.used()
    }
    /// Bytes in use by the producer with this slot: a look at one word, of which the producer does not learn.
    pub fn used_by(&self, slot: usize) -> u64 {
        self.memory.used_by(slot)
    }
    /// The producer with this slot is gone.
    pub fn release_slot(&self, slot: usize) {
        self.memory.clear(slot);
    }
}

/// What belongs to one attempt of one node: its bell as a consumer, its arena and holders as a producer.
#[derive(Debug)]
pub struct NodeChannels {
    bell_fd: OwnedFd,
    eventfd: OwnedFd,
    arena: OwnedFd,
    arena_read_only: OwnedFd,
    holders: OwnedFd,
    bell: BellMemory,
    memory_bell: HoldersMemory,
}

impl NodeChannels {
    /// Everything for one node; `name` shows in `/proc/PID/maps`. No memory is used before the first message.
    pub fn create(name: &str, budget_limit: u64) -> Result<Self, BrokerError> {
        let bell_fd = creating("a bell", memfd("dora-bell", BELL_BYTES as u64))?;
        creating("a bell", allocate(bell_fd.as_fd(), 0, BELL_BYTES as u64))?;
        Self::with_bell(bell_fd, creating("an eventfd", new_eventfd())?, name, budget_limit)
    }
    /// For the next process of the same node: the bell stays, because its producers know it; the memory for messages is
    /// new.
    pub fn next(&self, name: &str, budget_limit: u64) -> Result<Self, BrokerError> {
        let bell_fd = creating("a bell", self.bell_fd.try_clone())?;
        Self::with_bell(bell_fd, creating("an eventfd", self.eventfd.try_clone())?, name, budget_limit)
    }

    fn with_bell(bell_fd: OwnedFd, eventfd: OwnedFd, name: &str, budget_limit: u64) -> Result<Self, BrokerError> {
        let holders = creating("the holders", memfd("dora-holders", HOLDERS_BYTES as u64))?;
        creating("the holders", allocate(holders.as_fd(), 0, BELL_BYTES as u64))?;
        let name: String = format!("dora-arena-{name}").chars().take(200).collect();
        let arena = creating("an arena", memfd(&name, crate::arena::virtual_len(budget_limit)))?;
        Ok(NodeChannels {
            bell: creating("a bell", BellMemory::map(&bell_fd))?,
            memory_bell: creating("the holders", HoldersMemory::map_bell(&holders))?,
            eventfd,
            arena_read_only: creating("an arena", reopen_read_only(arena.as_fd()))?,
            bell_fd,
            arena,
            holders,
        })
    }
    /// The bell page.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell_fd.as_fd()
    }
    /// The eventfd of the bell.
    pub fn eventfd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
    /// The payload memory, for its producer.
    pub fn arena(&self) -> BorrowedFd<'_> {
        self.arena.as_fd()
    }
    /// The payload memory, for consumers.
    pub fn arena_read_only(&self) -> BorrowedFd<'_> {
        self.arena_read_only.as_fd()
    }
    /// The holders of the payload memory.
    pub fn holders(&self) -> BorrowedFd<'_> {
        self.holders.as_fd()
    }
    /// What the node shows of being alive.
    pub fn sign(&self) -> Sign {
        self.bell.pulse().look()
    }
    /// Forgets what a process of the node has shown.
    pub fn forget_sign(&self) {
        self.bell.pulse().reset();
    }
    /// Wakes the node, whatever it waits for.
    pub fn wake(&self) {
        wake_in_any_case(self.bell.bell());
        eventfd_wake(self.eventfd.as_fd());
        wake_in_any_case(self.memory_bell.memory_bell());
    }
}

/// One edge, as the keeper holds it: a mapping, and the descriptor until both ends have mapped it.
#[derive(Debug)]
pub struct BrokeredEdge {
    fd: Option<OwnedFd>,
    memory: RingMemory,
}

impl BrokeredEdge {
    /// An empty edge. `capacity` 0 counts as 1. The policy is not stored: the producer is told.
    pub fn create(capacity: u32) -> Result<Self, BrokerError> {
        if capacity > MAX_CAPACITY {
            return Err(BrokerError::QueueTooLong { capacity });
        }
        let len = RingMemory::bytes(capacity) as u64;
        let fd = creating("an edge", memfd("dora-edge", len))?;
        // All at once: a push must never meet a page that the machine cannot give.
        creating("an edge", allocate(fd.as_fd(), 0, len))?;
        let memory = creating("an edge", RingMemory::map(&fd, capacity))?;
        Ok(BrokeredEdge { fd: Some(fd), memory })
    }
    /// To hand out; `None` after [`close_fd`](Self::close_fd).
    pub fn ring(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }
    /// Both ends have mapped it: the edge costs no descriptor any more.
    pub fn close_fd(&mut self) {
        self.fd = None;
    }
    /// The producer will never push again. The queue drains first; then the consumer reads the end.
    pub fn producer_gone(&self, consumer: &NodeChannels) {
        self.memory.header().set_state(CLOSED);
        consumer.wake();
    }
    /// The consumer process is gone. Releases a sender that waits for it; flag first, wake-ups after.
    pub fn consumer_gone(&self, producer: &NodeChannels) {
        self.memory.header().set_state(CONSUMER_DEAD);
        wake_in_any_case(self.memory.header().space());
        producer.wake();
    }
    /// The consumer process is gone, and another one will go on with the queue; senders that wait for room go on waiting.
    pub fn consumer_replaced(&self, producer: &NodeChannels, crashed: bool) {
        self.memory.header().replace_consumer(crashed);
        producer.wake(); // it may wait for memory that the dead process held
    }
    /// Whether a consumer reads, now and for some time to come. Without one messages are given up; a sender that waits for
    /// room is released.
    pub fn set_consumer_present(&self, present: bool, producer: &NodeChannels) {
        if present {
            self.memory.header().clear_state(CONSUMER_ABSENT);
            return;
        }
        self.memory.header().set_state(CONSUMER_ABSENT);
        wake_in_any_case(self.memory.header().space());
        producer.wake();
    }
    /// Takes out what is queued and releases it, while no process reads: how many messages that were. A producer that
    /// lives may queue one more meanwhile. `bit` and `holders` are those of this edge and of the producer.
    pub fn discard_queued(&self, holders: BorrowedFd<'_>, bit: usize) -> Result<u64, BrokerError> {
        if self.is_drained() {
            return Ok(0);
        }
        let (memory, count) = view(holders)?;
        let (ring, slots) = (self.memory.header(), self.memory.slots());
        let mut consumer = RxCursor::default();
        let mut discarded = 0;
        while discarded < slots.len() as u64
            && let Pop::Item(words) = consumer.pop(ring, slots)
        {
            discarded += 1;
            // Nonsense from a producer harms only itself.
            let chunk = takeover::chunk_of(&words).and_then(|chunk| memory.chunks()[..count].get(chunk as usize));
            if let Some(holders) = chunk {
                holders.release(bit);
            }
        }
        Ok(discarded)
    }
    /// Once the producer process is gone: settles what it would have settled after [`Self::consumer_replaced`]. `bit` and
    /// `holders` are those of this edge and of the producer.
    pub fn settle(&self, holders: BorrowedFd<'_>, bit: usize) -> Result<(), BrokerError> {
        if self.memory.header().state() & CONSUMER_REPLACED != 0 {
            let (memory, count) = view(holders)?;
            takeover::settle(&self.memory, &memory.chunks()[..count], bit, None);
        }
        Ok(())
    }
    /// Whether the queue is empty.
    pub fn is_drained(&self) -> bool {
        self.memory.header().is_empty()
    }
    /// Whether the consumer has said that it reads no more.
    pub fn has_left(&self) -> bool {
        self.memory.header().state() & CONSUMER_LEFT != 0
    }
    /// Whether the consumer has said that it reads no more, while messages may still come: nobody can go on with the queue.
    pub fn is_abandoned(&self) -> bool {
        self.memory.header().state() & (CONSUMER_LEFT | CLOSED) == CONSUMER_LEFT
    }
    /// Whether the producer has sent its last message, and the consumer has taken it.
    pub fn is_over(&self) -> bool {
        self.memory.header().state() & CLOSED != 0 && self.is_drained()
    }
    /// What it has counted.
    pub fn counters(&self) -> Counters {
        self.memory.counters()
    }
}
