//! The sending half of a node: its outputs, each with its consumer edges.
//!
//! A message is given its place (a chunk, or the descriptor itself), then its descriptor is pushed to each edge of the
//! output and that consumer's bell is rung. Edges that block come last, so that they delay no other.

mod control;
mod edge;

use std::sync::Arc;

use crate::{
    arena::{AllocateError, Arena, Chunk},
    descriptor::{Descriptor, INLINE_LEN, MAX_HEADER_LEN, Place, header_offset},
    prefetch,
    protocol::EdgeSet,
    spin::Spin,
};

pub use control::SenderControl;
pub use edge::OutEdge;
use edge::Pushed;

/// A message that is about to be sent.
#[derive(Debug)]
pub struct Outgoing {
    /// What the payload is; the channel passes it on.
    pub tag: u8,
    /// When it is sent, in nanoseconds of the clock that sender and receiver share.
    pub stamp_ns: u64,
    /// Its bytes.
    pub payload: Payload,
}

/// The bytes of a message.
#[derive(Debug)]
pub enum Payload {
    /// At most 24 bytes and no header: they travel in the descriptor.
    Inline {
        /// The bytes; what is beyond `len` is ignored.
        bytes: [u8; INLINE_LEN],
        /// How many there are.
        len: u8,
    },
    /// A chunk with the payload at its start and the header behind it, at the next multiple of 8.
    Chunk {
        /// The chunk, written.
        chunk: Chunk,
        /// Payload bytes.
        len: usize,
        /// Header bytes.
        header_len: usize,
    },
}

/// How long a chunk for this payload and header must be, and where the header starts in it.
///
/// ```
/// assert_eq!(dora_channel::chunk_layout(13, 40), Some((56, 16)));
/// ```
pub fn chunk_layout(payload_len: usize, header_len: usize) -> Option<(usize, usize)> {
    let header_at = usize::try_from(header_offset(payload_len as u64)?).ok()?;
    if header_len == 0 {
        return Some((payload_len, header_at));
    }
    Some((header_at.checked_add(header_len)?, header_at))
}

/// Why a message was not sent, or not to everybody.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The dataflow is stopping and a consumer's queue is full. Other consumers may have got the message; on the edge
    /// that waited it counts as dropped.
    #[error("the dataflow is stopping and the queue of a consumer is full")]
    Stopping,
    /// A [signal](crate::os::signal) ended the wait for room in the queue of a consumer, or for memory. Consumers may have
    /// got the message all the same; on an edge that had no room it counts as dropped.
    #[error("a signal ended the wait for a consumer whose queue is full")]
    Interrupted,
    /// There is no memory for the payload.
    #[error(transparent)]
    Allocate(#[from] AllocateError),
    /// The header is too long.
    #[error("metadata of {len} bytes is more than the limit of {MAX_HEADER_LEN}")]
    HeaderTooLong {
        /// Its length.
        len: usize,
    },
    /// The chunk belongs to another producer.
    #[error("the sample was allocated by another node")]
    ForeignChunk,
    /// Payload and header do not fit into the chunk.
    #[error("a payload of {len} bytes with metadata of {header_len} bytes does not fit into a sample of {chunk} bytes")]
    ChunkTooShort {
        /// Payload length.
        len: usize,
        /// Header length.
        header_len: usize,
        /// Length of the chunk.
        chunk: usize,
    },
}

/// The outputs of a node. Outputs are known by their position.
#[derive(Debug)]
pub struct Producer {
    arena: Arc<Arena>,
    control: Arc<SenderControl>,
    outputs: Vec<Output>,
    /// Edges whose consumer has left but may still hold samples: their bits go when its process is gone.
    departed: Vec<OutEdge>,
    spin: Spin,
}

#[derive(Debug, Default)]
struct Output {
    edges: Vec<OutEdge>,
    members: EdgeSet,
    sequence: u64,
    closed: bool,
}

impl Producer {
    /// A node with this many outputs and no edges yet.
    pub fn new(arena: Arc<Arena>, outputs: usize) -> Self {
        let control = Arc::new(SenderControl::new(arena.clone()));
        let outputs = (0..outputs).map(|_| Output::default()).collect();
        Producer { arena, control, outputs, departed: Vec::new(), spin: Spin::new() }
    }

    /// The handle with which other threads release a blocked sender.
    pub fn control(&self) -> Arc<SenderControl> {
        self.control.clone()
    }

    /// The memory for payload.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Whether another thread wants something done before the next message: see [`SenderControl::bring_news`]. Costs one
    /// load from the line that every message reads anyway.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.control.has_news()
    }

    /// The same, and from now on there is none.
    pub fn take_news(&self) -> bool {
        self.control.take_news()
    }

    /// Adds a consumer to an output; it reads what is sent from now on. Its bit may have been that of a consumer that
    /// reads no more.
    pub fn add_edge(&mut self, output: usize, edge: OutEdge) {
        self.forget_gone();
        let Some(output) = self.outputs.get_mut(output) else { return };
        if output.closed {
            return edge.close();
        }
        self.arena.set_highest_bit(edge.bit());
        self.control.add(edge.ring());
        output.members.insert(edge.bit());
        output.edges.push(edge);
        output.edges.sort_by_key(OutEdge::blocks);
    }

    /// The first message of an output will have this number: earlier processes of the node have sent those before.
    pub fn resume(&mut self, output: usize, sequence: u64) {
        if let Some(output) = self.outputs.get_mut(output) {
            output.sequence = output.sequence.max(sequence);
        }
    }

    /// Whether anybody would get a message of this output.
    pub fn has_consumers(&self, output: usize) -> bool {
        self.outputs.get(output).is_some_and(|o| !o.closed && !o.edges.is_empty())
    }

    /// Asks the CPU to load what [`Self::send`] will touch, if a consumer sleeps: then some time has passed since the last
    /// message. Call it before anything else is done for a message. True: it did.
    #[inline]
    pub fn prefetch(&self) -> bool {
        let mut edges = self.outputs.iter().flat_map(|output| &output.edges).take(prefetch::EDGES);
        let cold = edges.any(OutEdge::consumer_sleeps);
        if cold {
            self.prefetch_cold();
        }
        cold
    }

    #[cold]
    fn prefetch_cold(&self) {
        prefetch::stack(1024);
        self.outputs.iter().flat_map(|output| &output.edges).take(prefetch::EDGES).for_each(OutEdge::prefetch);
        self.arena.prefetch();
        prefetch::code(Self::allocate as fn(&mut Self, usize) -> Result<Chunk, SendError> as *const (), 256);
        prefetch::code(Self::send as fn(&mut Self, usize, Outgoing) -> Result<usize, SendError> as *const (), 1536);
    }

    /// A chunk of `len` bytes. When the budget is spent, edges that drop the oldest give theirs up, edges with
    /// backpressure are waited for, and only then it is an error.
    pub fn allocate(&mut self, len: usize) -> Result<Chunk, SendError> {
        loop {
            match self.arena.allocate(len) {
                Err(error) if error.may_pass() => {}
                result => return result.map_err(Into::into),
            }
            if self.forget_gone() || self.evict_oldest() {
                continue;
            }
            if !self.will_release() {
                // The last one may have left just now, with all that it had queued, or released it.
                if self.forget_gone() {
                    continue;
                }
                return self.arena.allocate(len).map_err(Into::into);
            }
            if self.control.is_stopping() {
                return Err(SendError::Stopping);
            }
            self.control.wait_for_memory(|| !self.will_release() || self.arena.allocate(len).is_ok());
            // Even if there is memory now: whoever asked for the end of the wait is to come to its turn.
            if self.control.end_interruption() {
                return Err(SendError::Interrupted);
            }
        }
    }

    /// Whether a consumer of a backpressure edge will release something.
    fn will_release(&self) -> bool {
        self.outputs.iter().flat_map(|o| &o.edges).any(|edge| edge.will_release(&self.arena))
    }

    /// Gives up the oldest message of each edge that may drop. False: there was none.
    fn evict_oldest(&mut self) -> bool {
        let arena = &self.arena;
        let edges = self.outputs.iter_mut().flat_map(|o| &mut o.edges);
        edges.map(|edge| edge.give_up_oldest(arena)).fold(false, |any, one| any | one)
    }

    /// The next message of an output withdraws those before it: a consumer that has not taken them gives them up, as many
    /// as it does not [spare](crate::Consumer::spare). They count as dropped.
    #[cold]
    pub fn flush(&mut self, output: usize) {
        if let Some(output) = self.outputs.get(output) {
            output.edges.iter().for_each(|edge| edge.flush_to(output.sequence));
        }
    }

    /// Sends a message to all consumers of an output: how many got it.
    pub fn send(&mut self, output: usize, message: Outgoing) -> Result<usize, SendError> {
        let Some(target) = self.outputs.get_mut(output).filter(|o| !o.closed) else { return Ok(0) };
        let (place, len, header_len) = match message.payload {
            Payload::Inline { bytes, len } => {
                let words = std::array::from_fn(|i| u64::from_ne_bytes(std::array::from_fn(|b| bytes[i * 8 + b])));
                (Place::Inline(words), u64::from(len).min(INLINE_LEN as u64), 0)
            }
            Payload::Chunk { header_len, .. } if header_len > MAX_HEADER_LEN => {
                return Err(SendError::HeaderTooLong { len: header_len });
            }
            Payload::Chunk { chunk, .. } if !chunk.is_from(&self.arena) => return Err(SendError::ForeignChunk),
            Payload::Chunk { chunk, len, header_len }
                if chunk_layout(len, header_len).is_none_or(|(needed, _)| needed > chunk.len()) =>
            {
                return Err(SendError::ChunkTooShort { len, header_len, chunk: chunk.len() });
            }
            Payload::Chunk { .. } if target.edges.is_empty() => {
                target.sequence += 1;
                return Ok(0); // dropping the chunk gives it back
            }
            Payload::Chunk { chunk, len, header_len } => {
                let (chunk, offset) = self.arena.publish(chunk, &target.members);
                (Place::Chunk { chunk, offset }, len as u64, header_len as u32)
            }
        };
        let (tag, stamp_ns) = (message.tag, message.stamp_ns);
        let descriptor = Descriptor { tag, place, len, header_len, sequence: target.sequence, stamp_ns };
        target.sequence += 1;
        let (mut delivered, mut gone, mut stopped) = (0, false, false);
        for edge in &mut target.edges {
            match edge.push(&descriptor, &self.arena, &self.control, &mut self.spin) {
                Pushed::Queued => delivered += 1,
                Pushed::Dropped => {}
                Pushed::Gone => gone = true,
                Pushed::Stopping => stopped = true,
                Pushed::Interrupted => {}
            }
        }
        if gone {
            self.forget_gone();
        }
        // Also if there was room all of a sudden: nothing of it is left for the next message.
        if self.control.is_interrupted() && self.control.end_interruption() {
            return Err(SendError::Interrupted);
        }
        if stopped { Err(SendError::Stopping) } else { Ok(delivered) }
    }

    /// Ends an output: each consumer reads the end after what is queued.
    pub fn close_output(&mut self, output: usize) {
        let Some(output) = self.outputs.get_mut(output) else { return };
        if !std::mem::replace(&mut output.closed, true) {
            output.edges.iter().for_each(OutEdge::close);
        }
    }

    /// Ends all outputs.
    pub fn close(&mut self) {
        (0..self.outputs.len()).for_each(|output| self.close_output(output));
    }

    /// Dropping it from now on ends no output: the keeper does.
    pub fn leave_open(&mut self) {
        self.outputs.iter_mut().for_each(|output| output.closed = true);
    }

    /// Takes edges out whose consumer reads no more, and releases what dead processes held whose consumer goes on. True if
    /// that may have released something.
    fn forget_gone(&mut self) -> bool {
        let before = self.departed.len();
        let mut settled = false;
        for output in &mut self.outputs {
            settled |= output.edges.iter().map(|edge| edge.settle(&self.arena)).fold(false, |any, one| any | one);
            for edge in output.edges.extract_if(.., |edge| edge.is_gone()) {
                output.members.remove(edge.bit());
                self.control.remove(edge.ring());
                edge.release_queued(&self.arena);
                self.departed.push(edge);
            }
        }
        let released = self.departed.len() > before;
        self.purge_departed() || released || settled
    }

    /// Clears the bits of consumers whose process is gone, and forgets those that hold nothing. True if any was cleared.
    fn purge_departed(&mut self) -> bool {
        let (arena, outputs) = (&self.arena, &self.outputs);
        let mut purged = false;
        self.departed.retain(|edge| {
            // Another consumer may have got the bit too early: then only the old one can release what it holds.
            let is_taken = outputs.iter().any(|output| output.members.contains(edge.bit()));
            if edge.is_dead() && !is_taken {
                arena.purge(edge.bit());
                purged = true;
                return false;
            }
            arena.is_held_by(edge.bit())
        });
        purged
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.close();
    }
}
