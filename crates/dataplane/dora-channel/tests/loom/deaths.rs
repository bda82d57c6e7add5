//! Consumers that leave, die, and are replaced: what they held comes back once, and not too early.

use dora_channel::protocol::{
    CLOSED, CONSUMER_DEAD, CONSUMER_LEFT, CONSUMER_REPLACED, Pop, RxCursor, TxCursor, takeover,
};
use loom::thread;

use crate::{
    check, deeper, unless_full,
    world::{World, parts, world},
};

/// The consumer pops a message and dies, or leaves, with the sample in its hands and another message queued. What is
/// queued comes back at once; the sample when it is released, or when the consumer is known to be dead.
pub(crate) fn consumer_goes_with_a_sample(dies: bool) {
    let shared = world(2, 2);
    let mut tx = TxCursor::new(2);
    for chunk in [0, 1] {
        shared.write(chunk);
        shared.arm(chunk, &[0]);
        assert!(shared.push(&mut tx, chunk, chunk as u64 + 1));
    }
    let consumer = thread::spawn({
        let shared = shared.clone();
        move || {
            let Pop::Item(entry) = shared.pop(&mut RxCursor::default()) else { panic!("not a message") };
            let (chunk, _) = parts(entry);
            shared.ring.set_state(if dies { CONSUMER_DEAD } else { CONSUMER_LEFT });
            if !dies {
                shared.read(chunk);
                shared.holders[chunk].release(0);
            }
        }
    });
    while shared.ring.state() == 0 {
        thread::yield_now();
    }
    if dies {
        shared.holders.iter().for_each(|holders| holders.release(0)); // purged
    } else {
        for entry in tx.queued(&shared.ring, &shared.slots) {
            shared.holders[parts(entry).0].release(0);
        }
    }
    for chunk in [1, 0] {
        while !shared.holders[chunk].is_free(1) {
            thread::yield_now();
        }
        shared.write(chunk);
    }
    consumer.join().unwrap();
}

/// The consumer reads a payload, dies, and the keeper says so: only then may the producer clear its bit and write.
pub(crate) fn consumer_dies_reading() {
    let shared = world(1, 1);
    shared.write(0);
    shared.arm(0, &[0]);
    let keeper = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.read(0); // the consumer's last act; its pidfd orders it before the rest
            shared.ring.set_state(CONSUMER_DEAD);
        }
    });
    while shared.ring.state() & CONSUMER_DEAD == 0 {
        thread::yield_now();
    }
    shared.holders[0].release(0);
    assert!(shared.holders[0].is_free(1));
    shared.write(0);
    keeper.join().unwrap();
}

/// What a producer does before it writes an entry, and when it has nothing to send; `chunk`: that of the message.
fn settle(shared: &World, chunk: Option<usize>) {
    if shared.ring.state() & CONSUMER_REPLACED != 0 {
        let chunk_of = |entry: &[u64; 2]| Some(parts(*entry).0 as u32);
        let in_hand = chunk.map(|chunk| chunk as u32);
        takeover::settle(&shared.ring, &shared.slots, &shared.holders, 0, in_hand, chunk_of);
    }
}

/// A consumer process dies with a sample in its hands, and another one goes on with the queue, while the producer sends.
/// The producer releases what the dead one held, and nothing that the living one holds or will get.
pub(crate) fn consumer_is_replaced(evicts: bool, messages: usize) {
    let shared = world(1, messages);
    let mut tx = TxCursor::new(1);
    shared.write(0);
    shared.arm(0, &[0]);
    assert!(shared.push(&mut tx, 0, 1));
    let consumers = thread::spawn({
        let shared = shared.clone();
        move || {
            let (mut first, mut lost) = (RxCursor::default(), 0);
            if let Pop::Item(entry) = shared.pop(&mut first) {
                shared.read(parts(entry).0); // its last act
                lost = 1;
            }
            shared.ring.replace_consumer(true);
            let (mut second, mut got) = (RxCursor::default(), 0);
            loop {
                match shared.pop(&mut second) {
                    Pop::Item(entry) => {
                        let (chunk, _) = parts(entry);
                        shared.read(chunk);
                        assert!(shared.holders[chunk].is_held_by(0), "somebody else has released it");
                        shared.holders[chunk].release(0);
                        got += 1;
                    }
                    Pop::Empty => thread::yield_now(),
                    Pop::Closed => return (lost, got),
                    Pop::Broken => panic!("broken"),
                }
            }
        }
    });
    for chunk in 1..messages {
        shared.write(chunk);
        shared.arm(chunk, &[0]);
        loop {
            let is_full = tx.is_full(&shared.ring);
            settle(&shared, Some(chunk));
            if !is_full && shared.push(&mut tx, chunk, chunk as u64 + 1) {
                break;
            }
            match evicts {
                true => {
                    if let Some(oldest) = tx.evict(&shared.ring, &shared.slots) {
                        shared.holders[parts(oldest).0].release(0);
                    }
                }
                false => thread::yield_now(),
            }
        }
    }
    shared.ring.set_state(CLOSED);
    let (lost, got) = consumers.join().unwrap();
    settle(&shared, None);
    assert_eq!(shared.ring.lost(), lost, "what the dead one held is lost, and nothing else");
    assert_eq!(lost + got + shared.ring.dropped(), messages as u64);
    assert!(shared.holders.iter().all(|holders| holders.is_free(1)), "a chunk stays held");
}

#[test]
fn samples_outlive_their_edge() {
    check("consumer leaves with a sample", None, || consumer_goes_with_a_sample(false));
    check("consumer dies with a sample", None, || consumer_goes_with_a_sample(true));
    check("consumer dies reading", None, consumer_dies_reading);
}

#[test]
fn another_process_goes_on_with_the_queue_of_a_dead_one() {
    check("consumer replaced, lossless, 2 messages", None, || consumer_is_replaced(false, 2));
    check("consumer replaced, lossless, 4 messages", unless_full(4), || consumer_is_replaced(false, 4));
    check("consumer replaced, drop_oldest, 3 messages", deeper(3), || consumer_is_replaced(true, 3));
}
