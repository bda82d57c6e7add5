//! Nothing that a producer writes may harm its consumers.

use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::*;
use crate::{
    broker::{BrokeredEdge, NodeChannels},
    protocol::{TxCursor, Words},
};

const LIMIT: u64 = 1 << 20;
const CAPACITY: u32 = 4;

/// A consumer, and its ring as a producer without scruples sees it.
struct Hostile {
    edge: BrokeredEdge,
    ring: RingMemory,
    consumer: Consumer,
    /// Address range of the payload as the consumer maps it.
    payload: std::ops::Range<usize>,
}

fn hostile() -> Hostile {
    let channels = NodeChannels::create("hostile", LIMIT).unwrap();
    let edge = BrokeredEdge::create(CAPACITY).unwrap();
    let dup = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
    let ring = RingMemory::map(edge.ring().unwrap(), CAPACITY).unwrap();
    let peer = PeerArena::open(dup(channels.arena_read_only()), dup(channels.holders())).unwrap();
    let start = peer.data.at(0).addr();
    let payload = start..start + peer.data.len();
    let mut consumer = Consumer::new(0);
    let rings = dup(edge.ring().unwrap());
    consumer.add_edge(InEdge::open(1, rings, CAPACITY, Policy::Backpressure, 0, peer).unwrap());
    Hostile { edge, ring, consumer, payload }
}

impl Hostile {
    /// The first words of the ring: `tail` at 0, `head` at 16.
    fn words(&self) -> Mapping {
        Mapping::new(self.edge.ring().unwrap(), 4096, Access::Write, OnFork::Omit).unwrap()
    }
}

fn store(mapping: &Mapping, word: usize, value: u64) {
    // SAFETY: the ring is made of atomics.
    unsafe { &mapping.slice_of::<AtomicU64>(0, 512)[word] }.store(value, Relaxed);
}

/// Words that are random, small, or close to a limit.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..70_000_u64,
        (0..64_u32, -2..3_i64).prop_map(|(bits, off)| (1_u64 << bits).wrapping_add_signed(off)),
        (0..3_u64).prop_map(|off| u64::MAX - off),
        (0..3_u64).prop_map(|off| u64::from(u32::MAX) - off),
        (0..5_u64).prop_map(|n| (n * 256) << 20),
    ]
}

proptest! {
    #[test]
    fn any_descriptor_is_a_message_inside_the_payload_or_a_broken_edge(words in prop::array::uniform8(word())) {
        let mut hostile = hostile();
        let mut tx = TxCursor::new(u64::from(CAPACITY));
        let words: Words = words;
        prop_assert!(tx.try_push(hostile.ring.header(), hostile.ring.slots(), &words));
        match hostile.consumer.poll() {
            Polled::Message { message, .. } => {
                let (payload, header) = (message.payload(), message.header());
                if message.is_inline() {
                    prop_assert!(payload.len() <= INLINE_LEN && header.is_empty());
                } else {
                    for bytes in [payload, header] {
                        let range = bytes.as_ptr_range();
                        prop_assert!(hostile.payload.start <= range.start.addr());
                        prop_assert!(range.end.addr() <= hostile.payload.end);
                        let _ = (bytes.first().copied(), bytes.last().copied());
                    }
                    prop_assert_eq!(payload.as_ptr().addr() % 256, 0);
                }
                drop(message);
                prop_assert!(matches!(hostile.consumer.poll(), Polled::Empty));
            }
            Polled::Broken { input } => {
                prop_assert_eq!(input, 1);
                prop_assert_eq!(hostile.consumer.open_edges(), 0);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn any_positions_are_survived(tail in word(), head in word(), rest in word()) {
        let mut hostile = hostile();
        let words = hostile.words();
        (0..96).for_each(|at| store(&words, at, rest));
        store(&words, 0, tail);
        store(&words, 16, head);
        store(&words, 32, 0); // state and space bell
        hostile.ring.header().flush_to(0);
        let ready = hostile.consumer.is_ready();
        let polled = hostile.consumer.poll();
        prop_assert_eq!(ready, !matches!(polled, Polled::Empty), "{:?}", polled);
        if head > tail {
            let is_broken = matches!(polled, Polled::Broken { .. });
            prop_assert!(is_broken);
        }
        drop(polled);
        let _ = hostile.edge.counters();
        let _ = hostile.consumer.poll();
    }
}

#[test]
fn a_producer_that_withdraws_without_end_holds_nobody_up() {
    let mut hostile = hostile();
    store(&hostile.words(), 0, u64::MAX); // as many messages as there are numbers
    hostile.ring.header().flush_to(u64::MAX);
    assert!(matches!(hostile.consumer.poll(), Polled::Empty));
    assert!(hostile.ring.header().dropped() <= u64::from(CAPACITY) + 1);
}

#[test]
fn memory_that_is_too_small_is_an_error() {
    let edge = BrokeredEdge::create(4).unwrap();
    let fd = || edge.ring().unwrap();
    assert!(RingMemory::map(fd(), 4).is_ok());
    assert!(RingMemory::map(fd(), 1 << 16).is_err());
    assert!(HoldersMemory::map(fd()).is_err());
}

#[test]
fn broken_edge_does_not_stop_the_others() {
    let mut broken = hostile();
    store(&broken.words(), 16, 5);
    let good = hostile();
    let mut tx = TxCursor::new(u64::from(CAPACITY));
    let descriptor =
        Descriptor { tag: 0, place: Place::Inline([9; 3]), len: 24, header_len: 0, sequence: 0, stamp_ns: 0 };
    assert!(tx.try_push(good.ring.header(), good.ring.slots(), &descriptor.to_words()));
    broken.consumer.edges.extend(good.consumer.edges);
    assert!(matches!(broken.consumer.poll(), Polled::Broken { input: 1 }));
    assert!(matches!(broken.consumer.poll(), Polled::Message { .. }));
    assert!(matches!(broken.consumer.poll(), Polled::Empty));
}
