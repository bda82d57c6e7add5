//! Real processes that are killed, half of the time while they are stopped. The test plays the keeper.
//!
//! `DORA_TEST_FULL=1` does 200 rounds of each kind instead of 10.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
};

use common::{allocated, open_producer, send};
use dora_channel::{
    Arena, BudgetMemory, Consumer, InEdge, Message, OutEdge, PeerArena, Policy, Polled, Producer, SleepOn, Waiter,
    Waker,
    broker::{BrokeredEdge, Budget, NodeChannels},
    conformance::{LONG, eventually, stamped},
    os::{
        clock::timespec,
        packet::{self, Blocking},
    },
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Signal, kill_process},
};

const ROLE: &str = "DORA_CHANNEL_TEST_ROLE";
const LIMIT: u64 = 64 << 20;
const LEN: usize = 4096;
/// Samples that a consumer has in its hands.
const HELD: usize = 3;

fn rounds() -> usize {
    if std::env::var_os("DORA_TEST_FULL").is_some() { 200 } else { 10 }
}

/// The tests count their own descriptors, so they must not run side by side.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

// --- packets between the keeper and its nodes -----------------------------------------------------------------------

const CONNECT: u64 = 1;
const CENSUS: u64 = 2;

type Words = [u64; 6];

fn tell(socket: BorrowedFd<'_>, words: Words, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    packet::send(socket, &words.map(u64::to_ne_bytes).concat(), fds, Blocking::Yes)
}

/// `None`: the other end is gone, or nothing has come.
fn hear(socket: BorrowedFd<'_>, blocking: Blocking) -> Option<(Words, Vec<OwnedFd>)> {
    let mut buffer = [0; size_of::<Words>()];
    match packet::receive(socket, &mut buffer, blocking) {
        Ok((0, _)) => None,
        Ok((_, fds)) => {
            let word = |i: usize| u64::from_ne_bytes(buffer[i * 8..][..8].try_into().unwrap());
            Some((std::array::from_fn(word), fds))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

fn has_mail(socket: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&timespec(0))).unwrap() > 0
}

fn policy_of(round: usize) -> Policy {
    if round % 4 < 2 { Policy::Backpressure } else { Policy::DropOldest }
}

fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").unwrap().count() as u64
}

fn shared_mappings() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("memfd:dora")).count() as u64
}

// --- what runs in the child processes -------------------------------------------------------------------------------

/// Not a test of its own: the other tests run this binary again, as a node.
#[test]
fn peer_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let keeper = common::dup(io::stdin().as_fd());
    let (_, fds) = hear(keeper.as_fd(), Blocking::Yes).unwrap();
    match role.as_str() {
        "producer" => be_producer(keeper.as_fd(), fds),
        "consumer" => be_consumer(keeper.as_fd(), fds),
        _ => panic!("{role}"),
    }
}

fn be_producer(keeper: BorrowedFd<'_>, fds: Vec<OwnedFd>) {
    let [arena, holders, budget] = fds.try_into().unwrap();
    let arena = Arena::open(arena, holders, BudgetMemory::map(&budget).unwrap(), 0).unwrap();
    drop(budget);
    let mut producer = Producer::new(arena, 1);
    let mut number = 0;
    loop {
        // While there is a consumer, mail is looked at between sends; otherwise there is only mail.
        let blocking = if producer.has_consumers(0) { Blocking::No } else { Blocking::Yes };
        match hear(keeper, blocking) {
            Some((words, fds)) if words[0] == CONNECT => {
                let [ring, bell, eventfd] = fds.try_into().unwrap();
                let waker = Arc::new(Waker::open(bell, eventfd).unwrap());
                let policy = policy_of(words[1] as usize);
                let edge = OutEdge::open(ring, words[2] as u32, policy, words[3] as usize, waker).unwrap();
                producer.add_edge(0, edge);
            }
            Some(_) => {
                let held = producer.arena().held() as u64;
                tell(keeper, [CENSUS, open_descriptors(), shared_mappings(), held, number, 0], &[]).unwrap();
            }
            None if blocking == Blocking::Yes => return,
            None => {
                let len = if number % 8 == 7 { 24 } else { LEN };
                send(&mut producer, &stamped(len, number), &[]).unwrap();
                number += 1;
            }
        }
    }
}

struct Reader {
    consumer: Consumer,
    held: VecDeque<Message>,
    received: u64,
    bad: u64,
}

impl Reader {
    fn take(&mut self, message: Message) {
        self.received += 1;
        self.held.push_back(message);
        while self.held.len() > HELD {
            self.check_and_release();
        }
    }
    /// Checks it late: whoever wrote into a held sample is found out.
    fn check_and_release(&mut self) {
        if let Some(message) = self.held.pop_front() {
            let payload = message.payload();
            let number = u64::from_ne_bytes(payload[..8].try_into().unwrap());
            self.bad += u64::from(payload != stamped(payload.len(), number));
        }
    }
}

fn be_consumer(keeper: BorrowedFd<'_>, fds: Vec<OwnedFd>) {
    let [bell, eventfd] = fds.try_into().unwrap();
    let mut waiter = Waiter::open(bell, eventfd).unwrap();
    let mut sleeps = 0;
    let mut reader = Reader { consumer: Consumer::new(0), held: VecDeque::new(), received: 0, bad: 0 };
    loop {
        match reader.consumer.poll() {
            Polled::Message { message, .. } => reader.take(message),
            Polled::Closed { input } => {
                while !reader.held.is_empty() {
                    reader.check_and_release();
                }
                let (received, bad) = (reader.received, reader.bad);
                let census = [u64::from(input), received, bad, open_descriptors(), shared_mappings(), 0];
                tell(keeper, census, &[]).unwrap();
                (reader.received, reader.bad) = (0, 0);
            }
            Polled::Broken { .. } => panic!("broken"),
            Polled::Empty if has_mail(keeper) => {
                let Some((words, fds)) = hear(keeper, Blocking::Yes) else { return };
                let [ring, arena, holders] = fds.try_into().unwrap();
                let peer = PeerArena::open(arena, holders).unwrap();
                let (round, capacity, bit) = (words[1], words[2] as u32, words[3] as usize);
                let edge = InEdge::open(round as u32, ring, capacity, policy_of(round as usize), bit, peer);
                reader.consumer.add_edge(edge.unwrap());
            }
            Polled::Empty => {
                // Both ways to sleep in turn.
                sleeps += 1;
                let is_ready = || reader.consumer.is_ready() || has_mail(keeper);
                if sleeps % 2 == 0 {
                    waiter.wait(is_ready, None);
                } else if waiter.begin_async(SleepOn::EventFd, is_ready) {
                    let fds = [waiter.eventfd(), keeper];
                    poll(&mut fds.each_ref().map(|fd| PollFd::new(fd, PollFlags::IN)), None).unwrap();
                    waiter.end_async(SleepOn::EventFd);
                }
            }
        }
    }
}

// --- the keeper -----------------------------------------------------------------------------------------------------

struct Node {
    process: std::process::Child,
    socket: OwnedFd,
    channels: NodeChannels,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Node {
    fn spawn(role: &str, budget: &Budget) -> Node {
        let (socket, theirs) = packet::pair().unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["peer_process", "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let channels = NodeChannels::create(role, budget.limit()).unwrap();
        let fds = match role {
            "producer" => vec![channels.arena(), channels.holders(), budget.fd()],
            _ => vec![channels.bell(), channels.eventfd()],
        };
        tell(socket.as_fd(), [0; 6], &fds).unwrap();
        Node { process, socket, channels }
    }
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
    /// `SIGKILL`, and gone when it returns.
    fn kill(&mut self) {
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
    fn ask(&self, words: Words, fds: &[BorrowedFd<'_>]) {
        tell(self.socket.as_fd(), words, fds).unwrap();
        self.channels.wake();
    }
    #[track_caller]
    fn answer(&self) -> Words {
        let limit = timespec(LONG.as_nanos() as u64);
        let came = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&limit)).unwrap();
        assert_eq!(came, 1, "a node hangs");
        hear(self.socket.as_fd(), Blocking::No).expect("the node is alive").0
    }
}

/// The edge of a round.
fn connect(producer: &Node, consumer: &Node, round: usize) -> (BrokeredEdge, u32) {
    let capacity = [64, 10, 2, 1][round / 4 % 4];
    let mut edge = BrokeredEdge::create(capacity).unwrap();
    let words = [CONNECT, round as u64, u64::from(capacity), (round % 3 * 50) as u64, 0, 0];
    let (tx, rx) = (&producer.channels, &consumer.channels);
    consumer.ask(words, &[edge.ring().unwrap(), tx.arena_read_only(), tx.holders()]);
    producer.ask(words, &[edge.ring().unwrap(), rx.bell(), rx.eventfd()]);
    edge.close_fd();
    (edge, capacity)
}

fn flows(edge: &BrokeredEdge) {
    let before = edge.counters().received;
    eventually("messages flow", || edge.counters().received >= before + 20);
}

/// A sender that sleeps is woken once a quarter of the queue is free, and a consumer may be stopped between its pop and
/// its wake-up.
fn is_nearly_full(edge: &BrokeredEdge, capacity: u32) -> bool {
    edge.counters().queued + u64::from((capacity / 4).max(1)) >= u64::from(capacity)
}

/// In every second round the victim is stopped before it is killed, and its peer has run into that.
fn maybe_stop(round: usize, victim: &Node, peer_noticed: impl FnMut() -> bool) {
    if round % 2 == 1 {
        victim.signal(Signal::STOP);
        eventually("the peer goes as far as it can", peer_noticed);
    }
}

/// Nothing grows from round to round.
#[derive(Default)]
struct Census(Option<Vec<u64>>);

impl Census {
    #[track_caller]
    fn check(&mut self, round: usize, values: &[u64]) {
        match &self.0 {
            // The first rounds meet each number of an edge for the first time.
            Some(first) if round > 3 => assert_eq!(first, values, "round {round}"),
            _ => self.0 = Some(values.to_vec()),
        }
    }
}

#[test]
fn consumer_is_killed_while_it_holds_samples() {
    let _alone = alone();
    let budget = Budget::create(LIMIT, 1).unwrap();
    let producer = Node::spawn("producer", &budget);
    let (mut census, mut own, mut most) = (Census::default(), Census::default(), 0);
    for round in 0..rounds() {
        let mut consumer = Node::spawn("consumer", &budget);
        let (edge, capacity) = connect(&producer, &consumer, round);
        flows(&edge);
        maybe_stop(round, &consumer, || is_nearly_full(&edge, capacity));
        consumer.kill();
        let before = edge.counters().sent;
        if policy_of(round) == Policy::DropOldest {
            eventually("the producer does not care", || edge.counters().sent > before + 100);
        }
        edge.consumer_gone(&producer.channels);
        // A blocked sender is released, or it would not read this.
        producer.ask([CENSUS; 6], &[]);
        let _ = producer.answer();
        // It may have looked at its mail before it looked at the edge.
        let (mut descriptors, mut mappings) = (0, 0);
        eventually("the producer gives the dead consumer up", || {
            producer.ask([CENSUS; 6], &[]);
            let held;
            [_, descriptors, mappings, held, ..] = producer.answer();
            held == 0
        });
        census.check(round, &[descriptors, mappings]);
        drop((edge, consumer));
        own.check(round, &[open_descriptors(), shared_mappings()]);
        let used = allocated(producer.channels.arena());
        if round > 3 {
            assert!(used <= most, "round {round}: {used} bytes of payload memory, {most} before");
        }
        most = most.max(used);
    }
}

#[test]
fn producer_is_killed_while_it_sends() {
    let _alone = alone();
    let budget = Budget::create(LIMIT, 1).unwrap();
    let consumer = Node::spawn("consumer", &budget);
    let (mut census, mut own) = (Census::default(), Census::default());
    for round in 0..rounds() {
        let mut producer = Node::spawn("producer", &budget);
        let (edge, _) = connect(&producer, &consumer, round);
        flows(&edge);
        // One message may be there of which the consumer has not heard: stopped between its push and its wake-up.
        maybe_stop(round, &producer, || edge.counters().queued <= 1);
        producer.kill();
        edge.producer_gone(&consumer.channels);
        budget.release_slot(0);
        let [input, received, bad, descriptors, mappings, _] = consumer.answer();
        assert_eq!((input, bad), (round as u64, 0), "payload was damaged");
        let counters = edge.counters();
        assert_eq!(counters.queued, 0, "the queue drains before the end");
        // Killed between taking a message back and counting that, it leaves one that counts as received.
        assert!(counters.received - received <= 1, "{counters:?}, but {received} came");
        assert_eq!(counters.sent, counters.received + counters.dropped);
        census.check(round, &[descriptors, mappings]);
        drop((edge, producer));
        own.check(round, &[open_descriptors(), shared_mappings()]);
    }
}

#[test]
fn both_are_killed() {
    let _alone = alone();
    let mut own = Census::default();
    for round in 0..rounds() {
        let budget = Budget::create(LIMIT, 1).unwrap();
        let (mut producer, mut consumer) = (Node::spawn("producer", &budget), Node::spawn("consumer", &budget));
        let (edge, capacity) = connect(&producer, &consumer, round);
        flows(&edge);
        maybe_stop(round, &consumer, || is_nearly_full(&edge, capacity));
        if round % 4 < 2 {
            producer.kill();
            consumer.kill();
        } else {
            consumer.kill();
            producer.kill();
        }
        edge.consumer_gone(&producer.channels);
        edge.producer_gone(&consumer.channels);
        let counters = edge.counters();
        assert!(counters.queued <= u64::from(capacity));
        assert_eq!(counters.sent, counters.received + counters.dropped + counters.queued, "{counters:?}");
        drop((edge, producer, consumer, budget));
        own.check(round, &[open_descriptors(), shared_mappings()]);
    }
}

/// Whether a thread of this process waits in the kernel.
fn is_asleep(thread: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}

#[test]
fn blocked_sender_of_this_process_is_released_by_a_death() {
    let _alone = alone();
    for round in 0..if rounds() > 10 { 50 } else { 3 } {
        let budget = Budget::create(LIMIT, 1).unwrap();
        let mut consumer = Node::spawn("consumer", &budget);
        let channels = NodeChannels::create("producer", LIMIT).unwrap();
        let mut producer = open_producer(&budget, 0, &channels);
        let edge = BrokeredEdge::create(2).unwrap();
        let ring = || common::dup(edge.ring().unwrap());
        let (bell, eventfd) = (consumer.channels.bell(), consumer.channels.eventfd());
        let waker = Arc::new(Waker::open(common::dup(bell), common::dup(eventfd)).unwrap());
        producer.add_edge(0, OutEdge::open(ring(), 2, Policy::Backpressure, 0, waker).unwrap());
        let fds = [edge.ring().unwrap(), channels.arena_read_only(), channels.holders()];
        consumer.ask([CONNECT, 0, 2, 0, 0, 0], &fds);
        (0..20).for_each(|number| assert_eq!(send(&mut producer, &stamped(LEN, number), &[]).unwrap(), 1));
        consumer.signal(Signal::STOP);
        let sender = Arc::new(AtomicI32::new(0));
        let thread = sender.clone();
        let sending = dora_channel::conformance::in_background(move || {
            thread.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::SeqCst);
            let mut number = 20;
            while send(&mut producer, &stamped(LEN, number), &[]).unwrap() == 1 {
                number += 1;
            }
            producer
        });
        // Not "the queue is full": a consumer that was stopped between its pop and its wake-up leaves room of which the
        // sleeping sender does not know.
        eventually("the sender sleeps", || is_asleep(sender.load(Ordering::SeqCst)));
        consumer.kill();
        edge.consumer_gone(&channels);
        assert_eq!(sending().arena().held(), 0, "round {round}");
    }
}
