//! The receiving half of a node: its inputs, served in turn.
//!
//! A message is taken from the ring by moving a position; its payload stays where the producer wrote it and is released
//! when the [`Message`] is dropped. Nothing that lies in shared memory is believed: chunk, offset and length are checked
//! before they become a slice.
#![allow(unsafe_code)]

use std::{
    fmt, io,
    os::fd::OwnedFd,
    panic::RefUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use crate::{
    Policy,
    descriptor::{Descriptor, INLINE_LEN, Place},
    layout::{HoldersMemory, MAX_CHUNKS, RingMemory, SMALLEST_CHUNK},
    os::{
        clock::monotonic_ns,
        memory::{Access, Mapping, OnFork},
        sleep::futex_wake,
    },
    prefetch,
    protocol::{CONSUMER_LEFT, MAX_EDGES, Pop, RxCursor},
};

/// The payload memory of a producer, as its consumers see it.
#[derive(Debug)]
pub struct PeerArena {
    data: Mapping,
    holders: HoldersMemory,
    last_woken: AtomicU32,
    _lease: Option<Lease>,
}

/// What must live as long as any message of a producer is held.
pub type Lease = Arc<dyn fmt::Debug + Send + Sync + RefUnwindSafe>;

impl PeerArena {
    /// From what the keeper hands out.
    pub fn open(arena_read_only: OwnedFd, holders: OwnedFd) -> io::Result<Arc<Self>> {
        Self::open_with(arena_read_only, holders, None)
    }

    /// As [`Self::open`]; the lease is dropped after the last message.
    pub fn open_with(arena_read_only: OwnedFd, holders: OwnedFd, lease: Option<Lease>) -> io::Result<Arc<Self>> {
        let len = rustix::fs::fstat(&arena_read_only)?.st_size as usize;
        Ok(Arc::new(PeerArena {
            data: Mapping::new(&arena_read_only, len, Access::Read, OnFork::Inherit)?,
            holders: HoldersMemory::map(&holders)?,
            last_woken: AtomicU32::new(0),
            _lease: lease,
        }))
    }

    fn release(&self, chunk: u32, bit: usize) {
        if !self.holders.is_here() {
            return; // a copy in a forked child: the parent holds the sample, and releases it
        }
        self.holders.chunks()[chunk as usize].release(bit);
        // Whoever else holds the chunk: a producer that waits for this consumer has to learn that it need not.
        let bell = self.holders.memory_bell();
        let mut last = self.last_woken.load(Relaxed);
        if bell.notify(&mut last).is_some() {
            self.last_woken.store(last, Relaxed);
            futex_wake(bell.word());
        }
    }
}

/// A received message. Dropping it gives its memory back to the producer.
pub struct Message {
    descriptor: Descriptor,
    inline: [u8; INLINE_LEN],
    sample: Option<Sample>,
}

/// A hold on a chunk.
struct Sample {
    peer: Arc<PeerArena>,
    chunk: u32,
    bit: usize,
    offset: usize,
}

impl Drop for Sample {
    fn drop(&mut self) {
        self.peer.release(self.chunk, self.bit);
    }
}

impl Message {
    /// Checks a descriptor and takes hold of its chunk. `None`: it points where it must not.
    #[inline]
    fn new(descriptor: Descriptor, peer: &Arc<PeerArena>, bit: usize) -> Option<Message> {
        match descriptor.place {
            Place::Inline(words) => {
                let mut inline = [0; INLINE_LEN];
                for (bytes, word) in inline.chunks_exact_mut(8).zip(words) {
                    bytes.copy_from_slice(&word.to_ne_bytes());
                }
                let fits = descriptor.len <= INLINE_LEN as u64 && descriptor.header_len == 0;
                fits.then_some(Message { descriptor, inline, sample: None })
            }
            Place::Chunk { chunk, offset } => {
                let end = offset.checked_add(descriptor.span()?)?;
                let aligned = offset.is_multiple_of(SMALLEST_CHUNK);
                if chunk as usize >= MAX_CHUNKS || end > peer.data.len() as u64 || !aligned {
                    return None;
                }
                let sample = Sample { peer: peer.clone(), chunk, bit, offset: offset as usize };
                Some(Message { descriptor, inline: [0; INLINE_LEN], sample: Some(sample) })
            }
        }
    }

    /// What the payload is, as the sender said.
    pub fn tag(&self) -> u8 {
        self.descriptor.tag
    }
    /// Number of the message on its output. Gaps are messages that a policy gave up.
    pub fn sequence(&self) -> u64 {
        self.descriptor.sequence
    }
    /// When it was sent, in nanoseconds of the shared clock.
    pub fn stamp_ns(&self) -> u64 {
        self.descriptor.stamp_ns
    }
    /// Whether the payload lies in the message itself and not in shared memory.
    pub fn is_inline(&self) -> bool {
        self.sample.is_none()
    }

    /// The payload. In shared memory it starts at a multiple of 256 bytes.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        let len = self.descriptor.len as usize;
        match &self.sample {
            None => &self.inline[..len],
            Some(sample) => sample.bytes(0, len),
        }
    }

    /// The header behind the payload; empty for an inline message.
    pub fn header(&self) -> &[u8] {
        match &self.sample {
            None => &[],
            Some(sample) => {
                let at = self.descriptor.len.next_multiple_of(8) as usize;
                sample.bytes(at, self.descriptor.header_len as usize)
            }
        }
    }
}

impl Sample {
    fn bytes(&self, at: usize, len: usize) -> &[u8] {
        // SAFETY: `Message::new` checked that payload and header lie inside the mapping, which lives as long as `peer`.
        // The producer does not write a chunk while our bit is set, and we clear it only when this sample is dropped.
        unsafe { std::slice::from_raw_parts(self.peer.data.at(self.offset + at), len) }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.descriptor.fmt(f)
    }
}

/// What [`Consumer::poll`] found.
#[derive(Debug)]
pub enum Polled {
    /// The next message of an input.
    Message {
        /// The key under which the edge was added.
        input: u32,
        /// The message.
        message: Message,
    },
    /// The last message of this edge has been taken and its producer sends no more. Reported once.
    Closed {
        /// The key under which the edge was added.
        input: u32,
    },
    /// The edge contradicts itself: its producer wrote nonsense. It is given up, as if closed. Reported once.
    Broken {
        /// The key under which the edge was added.
        input: u32,
    },
    /// Nothing now.
    Empty,
}

/// One incoming edge.
#[derive(Debug)]
pub struct InEdge {
    input: u32,
    ring: RingMemory,
    rx: RxCursor,
    bit: usize,
    /// Free slots from which on a blocked sender is woken; 0 where senders do not block. Waking for a batch and not for
    /// one slot makes long queues fast; a queue that is drained always wakes.
    wake_at: u64,
    capacity: u64,
    space_woken: u32,
    /// What was given up before this process took over.
    dropped_before: u64,
    /// Another process may go on with the queue: the end of this one is told by the keeper.
    kept: bool,
    peer: Arc<PeerArena>,
}

impl InEdge {
    /// From what the keeper hands out. `input` is the caller's key for the messages of this edge.
    pub fn open(
        input: u32,
        ring: OwnedFd,
        capacity: u32,
        policy: Policy,
        bit: usize,
        peer: Arc<PeerArena>,
    ) -> io::Result<Self> {
        if bit >= MAX_EDGES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("edge number {bit} out of range")));
        }
        let ring = RingMemory::map(&ring, capacity)?;
        let capacity = u64::from(capacity.max(1));
        let wake_at = if policy == Policy::Backpressure { (capacity / 4).clamp(1, 64) } else { 0 };
        let dropped_before = ring.header().dropped();
        let rx = RxCursor::default();
        Ok(InEdge { input, ring, rx, bit, wake_at, capacity, space_woken: 0, dropped_before, kept: false, peer })
    }

    /// Dropping it tells its producer nothing: another process may go on with the queue, and the keeper knows.
    pub fn kept(mut self) -> Self {
        self.keep();
        self
    }

    /// As [`Self::kept`], for one that is open.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// The key under which its messages come.
    pub fn input(&self) -> u32 {
        self.input
    }

    fn dropped(&self) -> u64 {
        self.ring.header().dropped().saturating_sub(self.dropped_before)
    }

    fn wake_sender(&mut self) {
        let space = self.ring.header().space();
        if space.notify(&mut self.space_woken).is_some() {
            futex_wake(space.word());
        }
    }

    fn made_room(&mut self) {
        if self.ring.header().owes_room(self.capacity, self.wake_at) {
            self.wake_sender();
        }
    }
}

impl Drop for InEdge {
    fn drop(&mut self) {
        if !self.ring.is_here() || self.kept {
            return; // a copy in a forked child, or not the end
        }
        // What is still queued stays there and counts as undelivered; the producer releases its memory.
        self.ring.header().set_state(CONSUMER_LEFT);
        for bell in [self.ring.header().space(), self.peer.holders.memory_bell()] {
            let _ = bell.notify(&mut 0);
            futex_wake(bell.word());
        }
    }
}

/// The inputs of a node.
#[derive(Debug)]
pub struct Consumer {
    edges: Vec<InEdge>,
    next: usize,
    /// What edges that are gone had given up, by input.
    dropped_before: Vec<(u32, u64)>,
    /// Added to `CLOCK_MONOTONIC` to get the clock of the stamps.
    clock_offset_ns: u64,
    /// Of the messages that a later one withdrew, those that are given all the same.
    spares: fn(&Message) -> bool,
}

impl Consumer {
    /// A node without inputs yet. `clock_offset_ns` plus `CLOCK_MONOTONIC` is the clock that senders stamp with.
    pub fn new(clock_offset_ns: u64) -> Self {
        Consumer { edges: Vec::new(), next: 0, dropped_before: Vec::new(), clock_offset_ns, spares: |_| false }
    }

    /// Says which messages are given although a later one has [withdrawn](crate::Producer::flush) them; none without this.
    pub fn spare(&mut self, spares: fn(&Message) -> bool) {
        self.spares = spares;
    }

    /// Adds an incoming edge.
    pub fn add_edge(&mut self, edge: InEdge) {
        self.edges.push(edge);
    }

    /// Dropping the edges that are open tells their producers nothing: see [`InEdge::kept`].
    pub fn keep_edges(&mut self) {
        self.edges.iter_mut().for_each(InEdge::keep);
    }

    /// Edges that are still open.
    pub fn open_edges(&self) -> usize {
        self.edges.len()
    }

    /// Messages that the policy of an input gave up so far.
    pub fn dropped(&self, input: u32) -> u64 {
        let open = self.edges.iter().map(|edge| (edge.input, edge.dropped()));
        open.chain(self.dropped_before.iter().copied()).filter(|(of, _)| *of == input).map(|(_, dropped)| dropped).sum()
    }

    /// Whether something is queued in an input, its end included.
    pub fn is_queued(&self, input: u32) -> bool {
        self.edges.iter().any(|edge| edge.input == input && edge.ring.header().is_ready())
    }

    /// Takes an edge out that gives nothing more: its input.
    fn retire(&mut self, at: usize) -> u32 {
        let edge = self.edges.remove(at);
        self.dropped_before.push((edge.input, edge.dropped()));
        edge.input
    }

    /// Takes an edge out that cannot be trusted. Its producer is told in any case: nobody will make room.
    fn give_up(&mut self, at: usize) -> u32 {
        self.edges[at].kept = false;
        self.retire(at)
    }

    /// Whether nothing is queued in these inputs, not even an end.
    pub fn is_drained(&self, inputs: impl Fn(u32) -> bool) -> bool {
        !self.edges.iter().any(|edge| inputs(edge.input) && edge.ring.header().is_ready())
    }

    /// Goes on with these edges, from the next process of a producer, in place of the drained ones of the same inputs.
    pub fn replace(&mut self, edges: Vec<InEdge>) {
        for edge in edges {
            while let Some(at) = self.edges.iter().position(|old| old.input == edge.input) {
                self.retire(at);
            }
            self.edges.push(edge);
        }
    }

    /// Whether [`Self::poll`] would find something.
    pub fn is_ready(&self) -> bool {
        self.edges.iter().any(|edge| edge.ring.header().is_ready())
    }

    /// Asks the CPU to load what [`Self::poll`] touches. For a node that wakes up after a while.
    pub fn prefetch(&self) {
        const POLL: usize = 1280;
        prefetch::code(Self::poll as fn(&mut Self) -> Polled as *const (), POLL);
        for edge in self.edges.iter().take(prefetch::EDGES) {
            edge.ring.prefetch(edge.rx.position());
        }
    }

    /// The next message, taking the inputs in turn so that a busy one cannot starve the others.
    pub fn poll(&mut self) -> Polled {
        let (mut looks, mut withdrawn) = (0, 0);
        while looks < self.edges.len() {
            looks += 1;
            if self.next >= self.edges.len() {
                self.next = 0;
            }
            let at = self.next;
            let edge = &mut self.edges[at];
            match edge.rx.pop(edge.ring.header(), edge.ring.slots()) {
                Pop::Empty => self.next += 1,
                Pop::Item(words) => {
                    let descriptor = Descriptor::from_words(&words);
                    if edge.wake_at > 0 {
                        edge.made_room();
                    }
                    let Some(message) = Message::new(descriptor, &edge.peer, edge.bit) else {
                        return Polled::Broken { input: self.give_up(at) };
                    };
                    if descriptor.sequence < edge.ring.header().flushed_to() && !(self.spares)(&message) {
                        edge.ring.header().count_flushed();
                        withdrawn += 1;
                        // The same edge again, but not without end, whatever its producer writes.
                        if withdrawn <= edge.capacity {
                            looks -= 1;
                        } else {
                            self.next += 1;
                        }
                        continue;
                    }
                    self.next += 1;
                    let now = monotonic_ns().wrapping_add(self.clock_offset_ns);
                    edge.ring.latency().record(now.saturating_sub(descriptor.stamp_ns));
                    return Polled::Message { input: edge.input, message };
                }
                Pop::Closed => return Polled::Closed { input: self.retire(at) },
                Pop::Broken => return Polled::Broken { input: self.give_up(at) },
            }
        }
        Polled::Empty
    }
}

#[cfg(test)]
mod tests;
