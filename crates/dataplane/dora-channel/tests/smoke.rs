//! Two ends in one process, as a reader's first look at how the parts go together.
#![cfg(not(loom))]

use dora_channel::{broker::*, os::clock::monotonic_ns, *};
use std::sync::Arc;

#[test]
fn two_ends_in_one_process() {
    let budget = Budget::create(64 << 20, 1).unwrap();
    let (a, b) =
        (NodeChannels::create("a", budget.limit()).unwrap(), NodeChannels::create("b", budget.limit()).unwrap());
    let edge = BrokeredEdge::create(4).unwrap();
    let dup = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
    let arena = Arena::open(dup(a.arena()), dup(a.holders()), BudgetMemory::map(budget.fd()).unwrap(), 0).unwrap();
    let waker = Arc::new(Waker::open(dup(b.bell()), dup(b.eventfd())).unwrap());
    let mut producer = Producer::new(arena, 1);
    producer.add_edge(0, OutEdge::open(dup(edge.ring().unwrap()), 4, Policy::Backpressure, 0, waker).unwrap());
    let peer = PeerArena::open(dup(a.arena_read_only()), dup(a.holders())).unwrap();
    let mut consumer = Consumer::new(0);
    consumer.add_edge(InEdge::open(9, dup(edge.ring().unwrap()), 4, Policy::Backpressure, 0, peer).unwrap());
    let mut waiter = Waiter::open(dup(b.bell()), dup(b.eventfd())).unwrap();
    let n = 100_000u64;
    let t = std::thread::spawn(move || {
        for i in 0..n {
            let payload = if i % 2 == 0 {
                let mut bytes = [0; 24];
                bytes[..8].copy_from_slice(&i.to_ne_bytes());
                Payload::Inline { bytes, len: 8 }
            } else {
                let mut chunk = producer.allocate(4096).unwrap();
                chunk[..8].copy_from_slice(&i.to_ne_bytes());
                Payload::Chunk { chunk, len: 4096, header_len: 0 }
            };
            producer.send(0, Outgoing { tag: 1, stamp_ns: monotonic_ns(), payload }).unwrap();
        }
    });
    let mut next = 0;
    loop {
        match consumer.poll() {
            Polled::Message { message, .. } => {
                assert_eq!(u64::from_ne_bytes(message.payload()[..8].try_into().unwrap()), next);
                next += 1;
            }
            Polled::Closed { input } => {
                assert_eq!(input, 9);
                break;
            }
            Polled::Broken { .. } => panic!(),
            Polled::Empty => _ = waiter.wait(|| consumer.is_ready(), None),
        }
    }
    t.join().unwrap();
    assert_eq!(next, n);
    let c = edge.counters();
    assert_eq!((c.sent, c.received, c.dropped, c.queued), (n, n, 0, 0));
}
