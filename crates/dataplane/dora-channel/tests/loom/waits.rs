//! Who sleeps is woken: consumers on their bell, senders for room in a queue and for memory.

use dora_channel::protocol::{CLOSED, CONSUMER_DEAD, Pop, RxCursor, TxCursor};
use loom::thread;

use crate::{
    check, deeper, unless_full,
    world::{World, parts, read_by_two, world},
};

/// A consumer of several producers sleeps on its one bell. `dying`: the first producer dies between its decision to wake
/// and its system call; whoever else sends must still get through.
pub(crate) fn doorbell(producers: usize, each: u64, dying: bool) {
    let inputs: Vec<_> = (0..producers).map(|_| world(2, 1)).collect();
    let node = inputs[0].clone();
    let threads: Vec<_> = (0..producers)
        .map(|number| {
            let (input, node) = (inputs[number].clone(), node.clone());
            thread::spawn(move || {
                let (mut tx, mut last) = (TxCursor::new(2), 0);
                for message in 1..=each {
                    assert!(input.push(&mut tx, 0, message));
                    let owes = node.bell.notify(&mut last).is_some();
                    if owes && !(dying && number == 0) {
                        node.futex_wake();
                    }
                }
            })
        })
        .collect();
    let mut cursors: Vec<_> = inputs.iter().map(|_| RxCursor::default()).collect();
    let mut missing = vec![each; producers];
    if dying {
        missing[0] = 0;
    }
    while missing.iter().any(|n| *n > 0) {
        let mut found = false;
        for (number, (input, rx)) in inputs.iter().zip(&mut cursors).enumerate() {
            if let Pop::Item(_) = input.pop(rx) {
                missing[number] = missing[number].saturating_sub(1);
                found = true;
            }
        }
        if !found {
            node.wait(&node.bell, || inputs.iter().any(|input| input.ring.is_ready()));
        }
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// The only producer takes the announcement, dies before its system call, and the keeper closes the edge.
fn producer_dies_owing_the_wake() {
    let shared = world(2, 1);
    let keeper = thread::spawn({
        let shared = shared.clone();
        move || {
            let producer = thread::spawn({
                let shared = shared.clone();
                move || {
                    assert!(shared.push(&mut TxCursor::new(2), 0, 1));
                    let _ = shared.bell.notify(&mut 0); // and dies
                }
            });
            producer.join().unwrap(); // its pidfd
            shared.ring.set_state(CLOSED);
            shared.wake_in_any_case(&shared.bell);
        }
    });
    assert_eq!(drain_asleep(&shared), 1);
    keeper.join().unwrap();
}

/// Pops until the end, asleep while there is nothing: how many came.
pub(crate) fn drain_asleep(shared: &World) -> u64 {
    let (mut rx, mut got) = (RxCursor::default(), 0);
    loop {
        match shared.pop(&mut rx) {
            Pop::Item(_) => got += 1,
            Pop::Closed => return got,
            Pop::Empty => shared.wait(&shared.bell, || shared.ring.is_ready()),
            Pop::Broken => panic!("broken"),
        }
    }
}

/// A lossless sender sleeps while the queue is full; the consumer wakes it once `enough` slots are free. With `enough` at
/// 1 the consumer stops early, so that only a wake-up that was not lost ends this; otherwise it has to drain the queue.
pub(crate) fn blocked_sender(capacity: u64, enough: u64, messages: u64) {
    let shared = world(capacity.next_power_of_two() as usize, 1);
    let pops = if enough == 1 { messages - capacity } else { messages };
    let consumer = thread::spawn({
        let shared = shared.clone();
        move || {
            let (mut rx, mut next, mut last) = (RxCursor::default(), 1, 0);
            while next <= pops {
                match shared.pop(&mut rx) {
                    Pop::Item(entry) => {
                        assert_eq!(parts(entry).1, next);
                        next += 1;
                        if shared.ring.owes_room(capacity, enough) {
                            shared.wake(shared.ring.space(), &mut last);
                        }
                    }
                    Pop::Empty => thread::yield_now(),
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    let mut tx = TxCursor::new(capacity);
    for message in 1..=messages {
        while !shared.push(&mut tx, 0, message) {
            shared.wait(shared.ring.space(), || !tx.is_full(&shared.ring));
        }
    }
    consumer.join().unwrap();
}

/// A lossless sender sleeps on a full queue, and its consumer is gone.
fn blocked_sender_consumer_dies() {
    let shared = world(1, 1);
    let keeper = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.ring.set_state(CONSUMER_DEAD);
            shared.wake_in_any_case(shared.ring.space());
        }
    });
    let mut tx = TxCursor::new(1);
    assert!(shared.push(&mut tx, 0, 1));
    while shared.ring.state() & CONSUMER_DEAD == 0 {
        assert!(!shared.push(&mut tx, 0, 2));
        shared.wait(shared.ring.space(), || shared.ring.state() & CONSUMER_DEAD != 0 || !tx.is_full(&shared.ring));
    }
    keeper.join().unwrap();
}

/// A sender without memory sleeps until one of two consumers releases the chunk.
pub(crate) fn sender_waits_for_memory() {
    let shared = world(1, 1);
    let consumers = read_by_two(&shared, |shared| shared.wake(&shared.memory, &mut 0));
    while shared.free_chunk().is_none() {
        shared.wait(&shared.memory, || shared.free_chunk().is_some());
    }
    shared.write(0);
    consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
}

#[test]
fn bell_with_one_producer() {
    check("bell, 1 producer, 1 message", None, || doorbell(1, 1, false));
    check("bell, 1 producer, 2 messages", unless_full(4), || doorbell(1, 2, false));
}

#[test]
fn bell_with_two_producers() {
    check("bell, 2 producers", deeper(3), || doorbell(2, 1, false));
}

#[test]
fn bell_with_a_dying_waker() {
    check("bell, 2 producers, one dies", deeper(3), || doorbell(2, 1, true));
}

#[test]
fn keeper_closes_for_a_producer_that_owes_the_wake() {
    check("producer dies owing the wake", unless_full(4), producer_dies_owing_the_wake);
}

#[test]
fn blocked_sender_gets_room() {
    check("blocked sender, capacity 1", None, || blocked_sender(1, 1, 2));
    check("blocked sender, capacity 2, woken for 1", unless_full(3), || blocked_sender(2, 1, 3));
    check("blocked sender, capacity 2, woken for 2", unless_full(3), || blocked_sender(2, 2, 3));
}

#[test]
fn blocked_sender_hears_of_a_death() {
    check("blocked sender, consumer dies", None, blocked_sender_consumer_dies);
}

#[test]
fn waiting_for_memory_ends() {
    check("waiting for memory", deeper(3), sender_waits_for_memory);
}
