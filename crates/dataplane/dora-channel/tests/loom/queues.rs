//! Queues and chunks while everybody lives: nothing torn, nothing out of order, nothing written that somebody reads.

use dora_channel::protocol::{CLOSED, Pop, RxCursor, TxCursor};
use loom::thread;

use crate::{
    check, deeper, unless_full,
    waits::drain_asleep,
    world::{parts, read_by_two, world},
};

/// One producer over a queue that drops the oldest; a chunk is written again as soon as nobody holds it.
pub(crate) fn drop_oldest(capacity: u64, slots: usize, chunks: usize, messages: u64) {
    let shared = world(slots, chunks);
    let consumer = thread::spawn({
        let shared = shared.clone();
        move || {
            let (mut rx, mut got, mut last) = (RxCursor::default(), 0, 0);
            loop {
                match shared.pop(&mut rx) {
                    Pop::Item(entry) => {
                        let (chunk, message) = parts(entry);
                        assert!(message > last, "out of order");
                        shared.read(chunk);
                        shared.holders[chunk].release(0);
                        (last, got) = (message, got + 1);
                    }
                    Pop::Empty => thread::yield_now(),
                    Pop::Closed => return (got, last),
                    Pop::Broken => panic!("broken"),
                }
            }
        }
    });
    let mut tx = TxCursor::new(capacity);
    for message in 1..=messages {
        let chunk = loop {
            match shared.free_chunk() {
                Some(chunk) => break chunk,
                None => thread::yield_now(),
            }
        };
        shared.write(chunk);
        shared.arm(chunk, &[0]);
        while !shared.push(&mut tx, chunk, message) {
            if let Some(oldest) = tx.evict(&shared.ring, &shared.slots) {
                shared.holders[parts(oldest).0].release(0);
            }
        }
    }
    shared.ring.set_state(CLOSED);
    let (got, last) = consumer.join().unwrap();
    assert_eq!(got + shared.ring.dropped(), messages, "received + dropped != sent");
    assert_eq!(got, shared.ring.popped());
    assert_eq!(last, messages, "the newest did not arrive");
    assert!(shared.holders.iter().all(|holders| holders.is_free(1)), "a chunk stays held");
}

/// One chunk, two consumers; the producer writes it again after both released it.
pub(crate) fn two_holders() {
    let shared = world(1, 1);
    let consumers = read_by_two(&shared, |_| {});
    while shared.free_chunk().is_none() {
        thread::yield_now();
    }
    shared.write(0);
    consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
}

/// The end is seen after the last message, and a sleeping consumer hears of it.
pub(crate) fn end_of_stream(asleep: bool) {
    let shared = world(2, 1);
    let producer = thread::spawn({
        let shared = shared.clone();
        move || {
            let (mut tx, mut last) = (TxCursor::new(2), 0);
            let messages = if asleep { 1 } else { 2 };
            for message in 1..=messages {
                assert!(shared.push(&mut tx, 0, message));
                if asleep {
                    shared.wake(&shared.bell, &mut last);
                }
            }
            shared.ring.set_state(CLOSED);
            if asleep {
                shared.wake(&shared.bell, &mut last);
            }
        }
    });
    if asleep {
        assert_eq!(drain_asleep(&shared), 1);
    } else {
        let (mut rx, mut got) = (RxCursor::default(), 0);
        loop {
            match shared.pop(&mut rx) {
                Pop::Item(_) => got += 1,
                Pop::Closed => break,
                Pop::Empty => thread::yield_now(),
                Pop::Broken => panic!("broken"),
            }
        }
        assert_eq!(got, 2);
    }
    producer.join().unwrap();
}

#[test]
fn drop_oldest_with_one_slot() {
    check("drop_oldest, capacity 1, 2 messages", None, || drop_oldest(1, 1, 2, 2));
    check("drop_oldest, capacity 1, 3 messages", deeper(3), || drop_oldest(1, 1, 2, 3));
}

#[test]
fn drop_oldest_with_two_slots() {
    check("drop_oldest, capacity 2, 3 messages", deeper(3), || drop_oldest(2, 2, 2, 3));
    check("drop_oldest, capacity 2, 4 messages", deeper(2), || drop_oldest(2, 2, 3, 4));
}

#[test]
fn drop_oldest_with_more_slots_than_capacity() {
    check("drop_oldest, capacity 1 of 2, 3 messages", deeper(3), || drop_oldest(1, 2, 2, 3));
}

#[test]
fn two_holders_reuse() {
    check("two holders", None, two_holders);
}

#[test]
fn end_comes_after_the_last_message() {
    check("end of stream, polled", None, || end_of_stream(false));
    check("end of stream, asleep", unless_full(4), || end_of_stream(true));
}
