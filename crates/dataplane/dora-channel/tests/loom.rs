//! Models of the lock-free core: every interleaving, and every stale value that the memory model allows.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --target-dir target-loom -p dora-channel --test loom
//! ```
//!
//! `DORA_TEST_FULL=1` looks deeper. Payload is a loom cell: loom reports any two accesses that nothing orders. A lost
//! wake-up is a deadlock. The last test weakens each ordering of the protocol alone and wants a model to fail.
#![cfg(loom)]
#![allow(unsafe_code, clippy::unwrap_used)]

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use dora_channel::protocol::{
    Bell, CLOSED, CONSUMER_DEAD, CONSUMER_LEFT, CONSUMER_REPLACED, EdgeSet, Holders, Pop, RingHeader, RxCursor,
    SleepOn, Slot, TxCursor,
    order::{Site, mutate},
    takeover,
};
use loom::{
    cell::UnsafeCell,
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// What one producer shares with its consumers, and the part of the kernel that they use.
#[derive(Default)]
struct World {
    ring: RingHeader,
    slots: Vec<Slot>,
    holders: Vec<Holders>,
    payload: Vec<UnsafeCell<()>>,
    bell: Bell,
    memory: Bell,
    kernel: Mutex<()>,
    sleepers: Condvar,
}

// SAFETY: loom checks the accesses to the cells; that is what the models are for.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

fn world(slots: usize, chunks: usize) -> Arc<World> {
    Arc::new(World {
        slots: (0..slots).map(|_| Slot::default()).collect(),
        holders: (0..chunks).map(|_| Holders::default()).collect(),
        payload: (0..chunks).map(|_| UnsafeCell::new(())).collect(),
        ..World::default()
    })
}

impl World {
    /// The futex: compare under the lock of the hash bucket, then sleep.
    fn futex_wait(&self, bell: &Bell, while_equal: u32) {
        let bucket = self.kernel.lock().unwrap();
        if bell.word().load(Relaxed) == while_equal {
            drop(self.sleepers.wait(bucket).unwrap());
        }
    }
    fn futex_wake(&self) {
        let _bucket = self.kernel.lock().unwrap();
        self.sleepers.notify_all();
    }
    /// A wait as every waiter of the product does it.
    fn wait(&self, bell: &Bell, is_ready: impl FnOnce() -> bool) {
        let sleep = bell.prepare(SleepOn::Futex);
        if !is_ready() {
            self.futex_wait(bell, sleep.word);
        }
        bell.cancel();
    }
    fn wake(&self, bell: &Bell, last: &mut u32) {
        if bell.notify(last).is_some() {
            self.futex_wake();
        }
    }
    /// What the keeper does after a death: nobody may be relied upon, so it wakes in any case.
    fn wake_in_any_case(&self, bell: &Bell) {
        let _ = bell.notify(&mut 0);
        self.futex_wake();
    }

    fn arm(&self, chunk: usize, edges: &[usize]) {
        let mut set = EdgeSet::default();
        edges.iter().for_each(|bit| set.insert(*bit));
        self.holders[chunk].arm(&set);
    }
    fn free_chunk(&self) -> Option<usize> {
        self.holders.iter().position(|holders| holders.is_free(1))
    }
    fn read(&self, chunk: usize) {
        self.payload[chunk].with(|_| ());
    }
    fn write(&self, chunk: usize) {
        self.payload[chunk].with_mut(|_| ());
    }
    fn pop(&self, rx: &mut RxCursor) -> Pop {
        rx.pop(&self.ring, &self.slots)
    }
    fn push(&self, tx: &mut TxCursor, chunk: usize, message: u64) -> bool {
        tx.try_push(&self.ring, &self.slots, &words(chunk, message))
    }
}

fn words(chunk: usize, message: u64) -> [u64; 2] {
    [message << 8 | chunk as u64, message]
}

/// Chunk and message of an entry; a torn one does not pass.
fn parts(words: [u64; 2]) -> (usize, u64) {
    assert_eq!(words[0] >> 8, words[1], "torn descriptor");
    ((words[0] & 0xff) as usize, words[1])
}

/// One producer over a queue that drops the oldest; a chunk is written again as soon as nobody holds it.
fn drop_oldest(capacity: u64, slots: usize, chunks: usize, messages: u64) {
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
fn two_holders() {
    let shared = world(1, 1);
    shared.write(0);
    shared.arm(0, &[0, 1]);
    let consumers = [0, 1].map(|bit| {
        let shared = shared.clone();
        thread::spawn(move || {
            shared.read(0);
            shared.holders[0].release(bit);
        })
    });
    while shared.free_chunk().is_none() {
        thread::yield_now();
    }
    shared.write(0);
    consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
}

/// A consumer of several producers sleeps on its one bell. `dying`: the first producer dies between its decision to wake
/// and its system call; whoever else sends must still get through.
fn doorbell(producers: usize, each: u64, dying: bool) {
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
fn drain_asleep(shared: &World) -> u64 {
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

/// The end is seen after the last message, and a sleeping consumer hears of it.
fn end_of_stream(asleep: bool) {
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

/// A lossless sender sleeps while the queue is full; the consumer wakes it once `enough` slots are free. With `enough` at
/// 1 the consumer stops early, so that only a wake-up that was not lost ends this; otherwise it has to drain the queue.
fn blocked_sender(capacity: u64, enough: u64, messages: u64) {
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
fn sender_waits_for_memory() {
    let shared = world(1, 1);
    shared.write(0);
    shared.arm(0, &[0, 1]);
    let consumers = [0, 1].map(|bit| {
        let shared = shared.clone();
        thread::spawn(move || {
            shared.read(0);
            shared.holders[0].release(bit);
            shared.wake(&shared.memory, &mut 0);
        })
    });
    while shared.free_chunk().is_none() {
        shared.wait(&shared.memory, || shared.free_chunk().is_some());
    }
    shared.write(0);
    consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
}

/// The consumer pops a message and dies, or leaves, with the sample in its hands and another message queued. What is
/// queued comes back at once; the sample when it is released, or when the consumer is known to be dead.
fn consumer_goes_with_a_sample(dies: bool) {
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
fn consumer_dies_reading() {
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
fn consumer_is_replaced(evicts: bool, messages: usize) {
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

fn full() -> bool {
    std::env::var_os("DORA_TEST_FULL").is_some()
}

/// Checks a model completely, or up to a number of preemptions.
fn check(name: &str, preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = executions.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 100_000;
    let start = std::time::Instant::now();
    builder.check(move || {
        counter.fetch_add(1, SeqCst);
        model();
    });
    let seconds = start.elapsed().as_secs_f32();
    eprintln!("{name}: {} executions, at most {preemptions:?} preemptions, {seconds:.1} s", executions.load(SeqCst));
}

/// How many preemptions: some in the ordinary run, no limit in the full one.
fn unless_full(ordinary: usize) -> Option<usize> {
    (!full()).then_some(ordinary)
}

/// One more preemption in the full run, for models that are too large to be checked completely.
fn deeper(ordinary: usize) -> Option<usize> {
    Some(ordinary + usize::from(full()))
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
fn end_comes_after_the_last_message() {
    check("end of stream, polled", None, || end_of_stream(false));
    check("end of stream, asleep", unless_full(4), || end_of_stream(true));
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

/// The models that catch each ordering when it is weakened.
fn catching(site: Site) -> Vec<fn()> {
    match site {
        Site::TailPublish | Site::TailSeen => vec![|| drop_oldest(1, 1, 2, 2)],
        Site::HeadPop | Site::FullSeesPop => vec![|| blocked_sender(1, 1, 2), || consumer_is_replaced(false, 3)],
        Site::HeadEvict | Site::PopSeesEvict => vec![|| drop_oldest(1, 1, 2, 3)],
        Site::StateSet | Site::StateSeen => {
            vec![|| end_of_stream(false), || consumer_goes_with_a_sample(false), consumer_dies_reading, || {
                consumer_is_replaced(false, 2)
            }]
        }
        Site::HolderRelease | Site::HolderFree => vec![two_holders, || drop_oldest(1, 1, 2, 2)],
        Site::BellSleepFence | Site::BellWakeFence => vec![|| doorbell(1, 1, false), sender_waits_for_memory],
        Site::RoomFence => vec![|| blocked_sender(1, 1, 2)],
    }
}

/// What a model says when it fails; `None` if it passes. On a thread of its own: the mutation belongs to the thread.
fn failure(site: Option<Site>, model: fn()) -> Option<String> {
    let checked = std::thread::spawn(move || {
        mutate(site);
        check("mutated", Some(3), model);
    });
    let panic = checked.join().err()?;
    let message = panic.downcast_ref::<String>().cloned();
    Some(message.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default())
}

#[test]
fn each_weakened_ordering_is_caught() {
    for site in Site::ALL {
        for (number, model) in catching(site).into_iter().enumerate() {
            let message = failure(Some(site), model);
            let message = message.unwrap_or_else(|| panic!("{site:?} weakened, and model {number} passes"));
            eprintln!("{site:?}, model {number}: {}", message.lines().next().unwrap_or_default());
            assert!(!message.contains("number of branches"), "{site:?}: the model did not end, which proves nothing");
            assert_eq!(failure(None, model), None, "model {number} of {site:?} fails although nothing is weakened");
        }
    }
}
