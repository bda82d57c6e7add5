//! The rings of one edge: one per process of the producer whose messages are not all taken yet.

use std::{collections::VecDeque, rc::Rc};

use dora_channel::broker::{BrokerError, BrokeredEdge, NodeChannels};
use dora_message::keeper::EdgeCounters;

/// Rings that a consumer was not told of and that are kept for it, besides the present one. A producer that is started
/// again and again while its consumer stands still loses the oldest, counted as dropped.
const MOST_WAITING: usize = 4;

/// The ring between one process of the producer and the consumer.
pub(super) struct Link {
    pub(super) ring: BrokeredEdge,
    /// The memory of that process; `None` once nobody can ask for it any more.
    pub(super) memory: Option<Rc<NodeChannels>>,
    pub(super) mapped_by_producer: bool,
    /// Messages that were queued for a process of a dynamic node that has left.
    discarded: u64,
}

impl Link {
    pub(super) fn create(capacity: u32, memory: &Rc<NodeChannels>) -> Result<Self, BrokerError> {
        Ok(Link {
            ring: BrokeredEdge::create(capacity)?,
            memory: Some(Rc::clone(memory)),
            mapped_by_producer: false,
            discarded: 0,
        })
    }

    /// The process that sent on it is gone: what it would have settled is settled. Best effort: what fails is that some
    /// messages count as received that were lost.
    pub(super) fn settle(&self, bit: u16) {
        if let Some(memory) = &self.memory {
            let _ = self.ring.settle(memory.holders(), bit.into());
        }
    }

    /// Whether somebody reads from now on. What is queued nobody will read: best effort, for lack of memory it stays.
    pub(super) fn set_attended(&mut self, attended: bool, bit: u16) {
        let Some(memory) = &self.memory else { return };
        if !attended {
            self.ring.set_consumer_present(false, memory);
        }
        self.discarded += self.ring.discard_queued(memory.holders(), bit.into()).unwrap_or(0);
        if attended {
            self.ring.set_consumer_present(true, memory);
        }
    }

    fn counters(&self) -> EdgeCounters {
        let counted = self.ring.counters();
        EdgeCounters {
            sent: counted.sent,
            received: counted.received.saturating_sub(self.discarded),
            lost_in_crash: counted.lost_in_crash,
            dropped: counted.dropped,
            unattended: counted.unattended,
            undelivered: counted.queued + self.discarded,
            bytes: counted.bytes,
            latency: counted.latency.to_vec(),
        }
    }
}

/// All rings of an edge, the oldest first; the last one is that of the producer's present process.
pub(super) struct Links {
    links: VecDeque<Link>,
    /// What rings that are gone have counted.
    past: EdgeCounters,
}

impl Links {
    pub(super) fn new(first: Link) -> Self {
        Links { links: [first].into(), past: EdgeCounters::default() }
    }
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Link> {
        self.links.iter()
    }
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut()
    }
    /// The one that the consumer reads, or reads first.
    pub(super) fn oldest(&self) -> Option<&Link> {
        self.links.front()
    }
    /// The one that the consumer reads after the oldest.
    pub(super) fn next(&self) -> Option<&Link> {
        self.links.get(1)
    }
    /// The one that the producer writes.
    pub(super) fn present(&self) -> Option<&Link> {
        self.links.back()
    }
    pub(super) fn present_mut(&mut self) -> Option<&mut Link> {
        self.links.back_mut()
    }
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }
    /// Whether the rings behind these are more than may wait for the consumer.
    pub(super) fn are_too_many(&self, known: usize) -> bool {
        self.links.len() > known + MOST_WAITING
    }
    pub(super) fn push(&mut self, link: Link) {
        self.links.push_back(link);
    }
    /// Takes a ring out. What is queued in it nobody will read: it counts as dropped.
    pub(super) fn remove(&mut self, at: usize) {
        if let Some(link) = self.links.remove(at) {
            let mut counted = link.counters();
            counted.dropped += counted.undelivered - link.discarded;
            counted.undelivered = link.discarded;
            self.past += &counted;
        }
    }
    /// What the edge has counted, over all processes of its ends.
    pub(super) fn counters(&self) -> EdgeCounters {
        self.counters_and_queued().0
    }
    /// The same, and how many of those that count as undelivered lie in a queue.
    pub(super) fn counters_and_queued(&self) -> (EdgeCounters, u64) {
        let (mut all, mut queued) = (self.past.clone(), 0);
        for link in &self.links {
            let counted = link.counters();
            queued += counted.undelivered - link.discarded;
            all += &counted;
        }
        (all, queued)
    }
}
