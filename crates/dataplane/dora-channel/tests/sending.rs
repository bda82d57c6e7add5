//! What a producer refuses, and how it keeps its consumers apart.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{BUDGET, dup, open_producer, send};
use dora_channel::{
    AllocateError, Consumer, InEdge, Lease, MAX_CAPACITY, MAX_EDGES, MAX_HEADER_LEN, Message, OutEdge, Outgoing,
    Payload, PeerArena, Policy, Polled, Producer, SendError, Waker,
    broker::{BrokerError, BrokeredEdge, Budget, NodeChannels},
};

/// A producer in the hands of a test that opens its edges one by one.
struct Bench {
    channels: NodeChannels,
    consumers: NodeChannels,
    producer: Producer,
}

impl Bench {
    fn new(outputs: usize) -> Self {
        let budget = Budget::create(BUDGET, 1).unwrap();
        let channels = NodeChannels::create("producer", BUDGET).unwrap();
        let consumers = NodeChannels::create("consumer", BUDGET).unwrap();
        let producer = Producer::new(open_producer(&budget, 0, &channels).arena().clone(), outputs);
        Bench { channels, consumers, producer }
    }
    fn connect(&mut self, output: usize, bit: usize) -> (BrokeredEdge, Consumer) {
        let edge = BrokeredEdge::create(4).unwrap();
        let ring = || dup(edge.ring().unwrap());
        let waker = Arc::new(Waker::open(dup(self.consumers.bell()), dup(self.consumers.eventfd())).unwrap());
        self.producer.add_edge(output, OutEdge::open(ring(), 4, Policy::DropOldest, bit, waker).unwrap());
        let peer = PeerArena::open(dup(self.channels.arena_read_only()), dup(self.channels.holders())).unwrap();
        let mut consumer = Consumer::new(0);
        consumer.add_edge(InEdge::open(0, ring(), 4, Policy::DropOldest, bit, peer).unwrap());
        (edge, consumer)
    }
    fn send(&mut self, output: usize, len: usize) -> usize {
        let mut chunk = self.producer.allocate(len).unwrap();
        chunk.fill(7);
        self.producer.send(output, outgoing(Payload::Chunk { chunk, len, header_len: 0 })).unwrap()
    }
    fn held(&self) -> usize {
        self.producer.arena().held()
    }
}

fn outgoing(payload: Payload) -> Outgoing {
    Outgoing { tag: 1, stamp_ns: 0, payload }
}

fn take(consumer: &mut Consumer) -> Message {
    match consumer.poll() {
        Polled::Message { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lengths_must_fit_the_chunk() {
    let mut bench = Bench::new(1);
    let (_edge, _consumer) = bench.connect(0, 0);
    for (chunk, len, header_len) in [(100, 101, 0), (100, 100, 1), (100, 97, 1), (100, usize::MAX, 8), (0, 1, 0)] {
        let chunk = bench.producer.allocate(chunk).unwrap();
        let error = bench.producer.send(0, outgoing(Payload::Chunk { chunk, len, header_len })).unwrap_err();
        assert!(matches!(error, SendError::ChunkTooShort { .. }), "{error}");
    }
    let chunk = bench.producer.allocate(104).unwrap();
    assert_eq!(bench.producer.send(0, outgoing(Payload::Chunk { chunk, len: 95, header_len: 8 })).unwrap(), 1);
    let chunk = bench.producer.allocate(64).unwrap();
    let payload = Payload::Chunk { chunk, len: 0, header_len: MAX_HEADER_LEN + 1 };
    assert!(matches!(bench.producer.send(0, outgoing(payload)), Err(SendError::HeaderTooLong { .. })));
    assert_eq!(bench.held(), 1, "what was refused is back");
}

#[test]
fn chunks_of_another_producer_are_refused() {
    let (mut bench, mut other) = (Bench::new(1), Bench::new(1));
    let (_edge, _consumer) = bench.connect(0, 0);
    let chunk = other.producer.allocate(100).unwrap();
    let result = bench.producer.send(0, outgoing(Payload::Chunk { chunk, len: 100, header_len: 0 }));
    assert!(matches!(result, Err(SendError::ForeignChunk)));
}

#[test]
fn sizes_beyond_the_arena_are_refused() {
    let mut bench = Bench::new(1);
    for len in [1 << 40, usize::MAX] {
        assert!(matches!(bench.producer.allocate(len), Err(SendError::Allocate(AllocateError::TooLarge { .. }))));
    }
}

#[test]
fn limits_of_edges_are_errors() {
    assert!(matches!(BrokeredEdge::create(MAX_CAPACITY + 1), Err(BrokerError::QueueTooLong { .. })));
    let bench = Bench::new(1);
    let edge = BrokeredEdge::create(4).unwrap();
    let ring = || dup(edge.ring().unwrap());
    let waker = || Arc::new(Waker::open(dup(bench.consumers.bell()), dup(bench.consumers.eventfd())).unwrap());
    let open = |capacity, bit| OutEdge::open(ring(), capacity, Policy::DropOldest, bit, waker());
    assert!(open(4, MAX_EDGES - 1).is_ok());
    assert!(open(4, MAX_EDGES).is_err());
    assert!(open(100_000, 0).is_err(), "the memory is too small for that queue");
    assert!(open(MAX_CAPACITY + 1, 0).is_err());
    assert!(open(u32::MAX, 0).is_err());
}

#[test]
fn unsent_chunks_are_used_again() {
    let mut bench = Bench::new(1);
    for _ in 0..1000 {
        drop(bench.producer.allocate(1 << 20).unwrap());
    }
    assert_eq!(bench.producer.arena().used(), 1 << 20);
    assert_eq!(bench.send(0, 1 << 20), 0, "nobody is connected");
    assert_eq!((bench.held(), bench.producer.arena().used()), (0, 1 << 20));
}

#[test]
fn outputs_have_edges_of_their_own() {
    let mut bench = Bench::new(3);
    // Bits on both sides of a word, and an output whose only bit is not in the first one.
    let (_first, mut first) = bench.connect(0, 63);
    let (_second, mut second) = bench.connect(1, 64);
    let (_third, mut third) = bench.connect(1, 511);
    assert_eq!(bench.send(0, 100), 1);
    assert_eq!(bench.send(1, 100), 2);
    assert_eq!(bench.send(2, 100), 0);
    assert_eq!(bench.held(), 2);
    let held = take(&mut second);
    drop(take(&mut first));
    drop(take(&mut third));
    assert_eq!(bench.held(), 1);
    (0..200).for_each(|_| assert_eq!(bench.send(1, 100), 2));
    assert_eq!(held.payload(), [7; 100]);
    bench.producer.close_output(0);
    assert!(matches!(first.poll(), Polled::Closed { input: 0 }));
    assert!(matches!(second.poll(), Polled::Message { .. }));
    assert!(!bench.producer.has_consumers(0) && bench.producer.has_consumers(1));
}

#[test]
fn bit_of_a_dead_consumer_can_be_used_again() {
    let mut bench = Bench::new(1);
    let (dead_edge, mut dead) = bench.connect(0, 5);
    assert_eq!(bench.send(0, 100), 1);
    std::mem::forget(take(&mut dead)); // in its hands when it dies
    std::mem::forget(dead);
    assert_eq!(bench.send(0, 100), 1);
    dead_edge.consumer_gone(&bench.channels);
    assert_eq!(bench.held(), 2);
    let (_edge, mut consumer) = bench.connect(0, 5);
    assert_eq!(bench.held(), 0, "what the dead one held is free before the new one gets anything");
    assert_eq!(bench.send(0, 100), 1);
    let sample = take(&mut consumer);
    (0..100).for_each(|_| assert_eq!(bench.send(0, 100), 1));
    assert_eq!(bench.held(), 5);
    assert_eq!(sample.payload(), [7; 100]);
}

#[test]
fn bit_that_is_given_away_too_early_damages_nothing() {
    let mut bench = Bench::new(1);
    let (old_edge, mut old) = bench.connect(0, 5);
    assert_eq!(bench.send(0, 100), 1);
    let old_sample = take(&mut old);
    drop(old); // left, but alive and with a sample
    let (_edge, mut new) = bench.connect(0, 5);
    assert_eq!(bench.send(0, 100), 1);
    let new_sample = take(&mut new);
    std::mem::forget(old_sample);
    old_edge.consumer_gone(&bench.channels);
    drop(bench.connect(0, 6)); // makes the producer look at who is gone
    assert_eq!(bench.held(), 2, "both samples are still held");
    assert_eq!(new_sample.payload(), [7; 100]);
    drop((new_sample, new));
    assert_eq!(bench.send(0, 100), 0);
    assert_eq!(bench.held(), 0, "the bit is cleared once nobody else has it");
}

#[test]
fn small_messages_need_no_memory() {
    let mut bench = Bench::new(1);
    let (_edge, mut consumer) = bench.connect(0, 0);
    send(&mut bench.producer, &[1; 24], &[]).unwrap();
    assert!(take(&mut consumer).is_inline());
    assert_eq!(bench.producer.arena().used(), 0);
}

/// Another process of the consumer opens the ring that the first one had.
fn reopen(bench: &Bench, edge: &BrokeredEdge, bit: usize) -> Consumer {
    let peer = PeerArena::open(dup(bench.channels.arena_read_only()), dup(bench.channels.holders())).unwrap();
    let mut consumer = Consumer::new(0);
    let ring = dup(edge.ring().unwrap());
    consumer.add_edge(InEdge::open(0, ring, 4, Policy::DropOldest, bit, peer).unwrap().kept());
    consumer
}

#[test]
fn what_a_crashed_consumer_held_is_released_and_counted_while_the_next_one_reads() {
    let mut bench = Bench::new(1);
    let (edge, mut first) = bench.connect(0, 0);
    for len in [100, 200, 300, 400] {
        bench.send(0, len);
    }
    let in_hands = [take(&mut first), take(&mut first)];
    std::mem::forget((in_hands, first)); // it is killed: nothing is released
    edge.consumer_replaced(&bench.channels, true);
    let mut second = reopen(&bench, &edge, 0);
    let third = take(&mut second);
    // The producer learns of it with its next message; what is queued and what the living one holds stays.
    assert_eq!((bench.send(0, 500), bench.held()), (1, 3));
    assert_eq!(third.payload(), [7; 300]);
    let lengths: Vec<usize> = (0..2).map(|_| take(&mut second).payload().len()).collect();
    drop(third);
    assert_eq!((lengths, bench.held()), (vec![400, 500], 0));
    let counted = edge.counters();
    assert_eq!((counted.sent, counted.received, counted.lost_in_crash, counted.queued), (5, 3, 2, 0));
    // A process that ends well loses nothing, but what it has not released is released.
    bench.send(0, 100);
    std::mem::forget((take(&mut second), second));
    edge.consumer_replaced(&bench.channels, false);
    let mut third = reopen(&bench, &edge, 0);
    bench.send(0, 600);
    assert_eq!((bench.held(), take(&mut third).payload().len()), (1, 600));
    assert_eq!(edge.counters().lost_in_crash, 2);
}

#[test]
fn entries_that_the_next_consumer_has_taken_are_not_overwritten_before_the_look() {
    let mut bench = Bench::new(1);
    let (edge, mut first) = bench.connect(0, 0);
    bench.send(0, 100);
    std::mem::forget((take(&mut first), first));
    edge.consumer_replaced(&bench.channels, true);
    let mut second = reopen(&bench, &edge, 0);
    // More than the ring has slots, taken at once: each is held by the living process when its slot is written again.
    let mut held = Vec::new();
    for number in 0..40 {
        bench.send(0, 1000 + number);
        held.push(take(&mut second));
    }
    assert_eq!((bench.held(), edge.counters().lost_in_crash), (40, 1));
    assert!(held.iter().enumerate().all(|(number, message)| message.payload() == vec![7; 1000 + number]));
}

#[test]
fn the_keeper_settles_for_a_dead_producer() {
    let mut bench = Bench::new(1);
    let (edge, mut first) = bench.connect(0, 0);
    for _ in 0..3 {
        bench.send(0, 100);
    }
    std::mem::forget((take(&mut first), first));
    edge.consumer_replaced(&bench.channels, true);
    edge.settle(bench.channels.holders(), 0).unwrap();
    let counted = edge.counters();
    assert_eq!((bench.held(), counted.lost_in_crash, counted.received, counted.queued), (2, 1, 0, 2));
    assert!(!edge.is_drained() && !edge.is_over());
}

#[test]
fn messages_for_an_absent_consumer_are_given_up_with_a_number() {
    let mut bench = Bench::new(1);
    let (edge, first) = bench.connect(0, 0);
    std::mem::forget(first);
    edge.set_consumer_present(false, &bench.channels);
    assert_eq!((bench.send(0, 100), bench.held()), (0, 0));
    edge.set_consumer_present(true, &bench.channels);
    assert_eq!((bench.send(0, 200), bench.held()), (1, 1));
    assert_eq!(take(&mut reopen(&bench, &edge, 0)).payload().len(), 200);
    let counted = edge.counters();
    assert_eq!((counted.sent, counted.dropped, counted.received), (2, 1, 1));
}

#[test]
fn what_an_absent_consumer_had_queued_is_taken_out_and_released() {
    let mut bench = Bench::new(2);
    let (edge, mut first) = bench.connect(0, 0);
    let (other, _second) = bench.connect(1, 1);
    for len in [100, 200, 300] {
        bench.send(0, len);
    }
    bench.send(1, 50);
    // It dies with one message in its hands.
    std::mem::forget((take(&mut first), first));
    edge.set_consumer_present(false, &bench.channels);
    let holders = bench.channels.holders();
    assert_eq!(edge.discard_queued(holders, 0).unwrap(), 2);
    assert_eq!(edge.discard_queued(holders, 0).unwrap(), 0);
    assert_eq!(bench.held(), 2, "the one in its hands and that of the other edge");
    edge.consumer_replaced(&bench.channels, true);
    bench.send(0, 400);
    assert_eq!(bench.held(), 1);
    edge.set_consumer_present(true, &bench.channels);
    bench.send(0, 500);
    assert_eq!(take(&mut reopen(&bench, &edge, 0)).payload().len(), 500);
    let counted = edge.counters();
    assert_eq!((counted.sent, counted.dropped, counted.unattended, counted.lost_in_crash), (5, 1, 1, 1));
    assert_eq!(counted.received, 3, "who discards says so");
    assert_eq!(other.counters().queued, 1);
}

#[test]
fn a_lease_lives_as_long_as_a_message_is_held() {
    let mut bench = Bench::new(1);
    let (edge, first) = bench.connect(0, 0);
    std::mem::forget(first);
    let lease: Lease = Arc::new("a connection");
    let watched = Arc::downgrade(&lease);
    let (arena, holders) = (dup(bench.channels.arena_read_only()), dup(bench.channels.holders()));
    let peer = PeerArena::open_with(arena, holders, Some(lease)).unwrap();
    let mut consumer = Consumer::new(0);
    consumer.add_edge(InEdge::open(0, dup(edge.ring().unwrap()), 4, Policy::DropOldest, 0, peer).unwrap());
    bench.send(0, 100);
    let message = take(&mut consumer);
    drop(consumer);
    assert!(watched.upgrade().is_some());
    drop(message);
    assert!(watched.upgrade().is_none());
}
