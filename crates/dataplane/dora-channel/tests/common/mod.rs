//! Plays the keeper for the tests: creates what nodes share and opens both ends in this process.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use dora_channel::{
    AllocateError, Arena, BudgetMemory, Consumer, Counters, InEdge, Message, OutEdge, Outgoing, Payload, PeerArena,
    Polled, Producer, SendError, SleepOn, Waiter, Waker,
    broker::{BrokeredEdge, Budget, NodeChannels},
    chunk_layout,
    conformance::{BudgetHarness, Edge, Harness, Received, Receiver, Refused, Sample, Sender, Stop},
    os::clock::{monotonic_ns, timespec},
};
use rustix::event::{PollFd, PollFlags, poll};

pub fn dup(fd: BorrowedFd<'_>) -> OwnedFd {
    fd.try_clone_to_owned().unwrap()
}

/// How receivers sleep.
#[derive(Debug, Clone, Copy)]
pub enum Asleep {
    OnFutex,
    OnEventFd,
}

/// The channel over shared memory.
pub struct SharedMemory(pub Asleep);

pub struct ShmSender {
    pub producer: Producer,
    pub edges: Vec<Arc<BrokeredEdge>>,
    pub channels: NodeChannels,
}

pub struct ShmReceiver {
    pub consumer: Consumer,
    pub waiter: Waiter,
    asleep: Asleep,
}

pub const BUDGET: u64 = 256 << 20;

pub fn open_producer(budget: &Budget, slot: usize, channels: &NodeChannels) -> Producer {
    let budget = BudgetMemory::map(budget.fd()).unwrap();
    let arena = Arena::open(dup(channels.arena()), dup(channels.holders()), budget, slot).unwrap();
    Producer::new(arena, 1)
}

fn sender(budget: &Budget, slot: usize) -> ShmSender {
    let channels = NodeChannels::create("sender", budget.limit()).unwrap();
    ShmSender { producer: open_producer(budget, slot, &channels), edges: Vec::new(), channels }
}

fn receiver(channels: &NodeChannels, asleep: Asleep) -> ShmReceiver {
    let waiter = Waiter::open(dup(channels.bell()), dup(channels.eventfd())).unwrap();
    ShmReceiver { consumer: Consumer::new(0), waiter, asleep }
}

/// Connects output 0 of a sender to an input.
fn connect(sender: &mut ShmSender, receiver: &mut ShmReceiver, receiving: &NodeChannels, input: u32, edge: Edge) {
    let Edge { capacity, policy } = edge;
    let mut ring = BrokeredEdge::create(capacity).unwrap();
    let bit = sender.edges.len();
    let waker = Arc::new(Waker::open(dup(receiving.bell()), dup(receiving.eventfd())).unwrap());
    sender.producer.add_edge(0, OutEdge::open(dup(ring.ring().unwrap()), capacity, policy, bit, waker).unwrap());
    let peer = PeerArena::open(dup(sender.channels.arena_read_only()), dup(sender.channels.holders())).unwrap();
    receiver.consumer.add_edge(InEdge::open(input, dup(ring.ring().unwrap()), capacity, policy, bit, peer).unwrap());
    ring.close_fd();
    sender.edges.push(Arc::new(ring));
}

impl Harness for SharedMemory {
    type Sender = ShmSender;
    type Receiver = ShmReceiver;
    fn fan_out(&self, edges: &[Edge]) -> (ShmSender, Vec<ShmReceiver>) {
        self.with_budget(BUDGET, &[edges]).remove(0)
    }
    fn fan_in(&self, edges: &[Edge]) -> (Vec<ShmSender>, ShmReceiver) {
        let budget = Budget::create(BUDGET, edges.len()).unwrap();
        let receiving = NodeChannels::create("receiver", BUDGET).unwrap();
        let mut receiver = receiver(&receiving, self.0);
        let mut open = |(number, edge): (usize, &Edge)| {
            let mut sender = sender(&budget, number);
            connect(&mut sender, &mut receiver, &receiving, number as u32, *edge);
            sender
        };
        (edges.iter().enumerate().map(&mut open).collect(), receiver)
    }
}

impl BudgetHarness for SharedMemory {
    fn with_budget(&self, limit: u64, senders: &[&[Edge]]) -> Vec<(ShmSender, Vec<ShmReceiver>)> {
        let budget = Budget::create(limit, senders.len()).unwrap();
        let open = |(slot, edges): (usize, &&[Edge])| {
            let mut sender = sender(&budget, slot);
            let connected = edges.iter().map(|edge| {
                let receiving = NodeChannels::create("receiver", limit).unwrap();
                let mut receiver = receiver(&receiving, self.0);
                connect(&mut sender, &mut receiver, &receiving, 0, *edge);
                receiver
            });
            let receivers = connected.collect();
            (sender, receivers)
        };
        senders.iter().enumerate().map(open).collect()
    }
    fn used(sender: &ShmSender) -> u64 {
        sender.producer.arena().used()
    }
    fn trim(sender: &ShmSender) {
        sender.producer.arena().trim();
    }
}

/// Sends these bytes on output 0.
pub fn send(producer: &mut Producer, payload: &[u8], header: &[u8]) -> Result<usize, SendError> {
    let stamp_ns = monotonic_ns();
    let payload = if payload.len() <= 24 && header.is_empty() {
        let mut bytes = [0; 24];
        bytes[..payload.len()].copy_from_slice(payload);
        Payload::Inline { bytes, len: payload.len() as u8 }
    } else {
        let (len, header_at) = chunk_layout(payload.len(), header.len()).unwrap();
        let mut chunk = producer.allocate(len)?;
        chunk[..payload.len()].copy_from_slice(payload);
        if !header.is_empty() {
            chunk[header_at..].copy_from_slice(header);
        }
        Payload::Chunk { chunk, len: payload.len(), header_len: header.len() }
    };
    producer.send(0, Outgoing { tag: 0, stamp_ns, payload })
}

impl Sender for ShmSender {
    fn send(&mut self, payload: &[u8], header: &[u8]) -> Result<usize, Refused> {
        send(&mut self.producer, payload, header).map_err(|error| match error {
            SendError::Stopping => Refused::Stopping,
            SendError::Allocate(AllocateError::Budget { .. }) => Refused::NoMemory(error.to_string()),
            other => panic!("{other}"),
        })
    }
    fn close(&mut self) {
        self.producer.close();
    }
    fn stopper(&self) -> Stop {
        let control = self.producer.control();
        Box::new(move || control.stop())
    }
    fn probe(&self, edge: usize) -> Box<dyn Fn() -> Counters + Send> {
        let edge = self.edges[edge].clone();
        Box::new(move || edge.counters())
    }
    fn held(&self) -> usize {
        self.producer.arena().held()
    }
}

impl Receiver for ShmReceiver {
    type Sample = ShmSample;
    fn receive(&mut self, wait: Duration) -> Received<ShmSample> {
        let deadline = monotonic_ns() + wait.as_nanos() as u64;
        loop {
            match self.consumer.poll() {
                Polled::Message { input, message } => return Received::Message { input, sample: ShmSample(message) },
                Polled::Closed { input } => return Received::Closed { input },
                Polled::Broken { input } => panic!("input {input} is broken"),
                Polled::Empty if monotonic_ns() >= deadline => return Received::Nothing,
                Polled::Empty => self.sleep(deadline),
            }
        }
    }
}

impl ShmReceiver {
    fn sleep(&mut self, deadline_ns: u64) {
        let consumer = &self.consumer;
        match self.asleep {
            Asleep::OnFutex => _ = self.waiter.wait(|| consumer.is_ready(), Some(deadline_ns)),
            Asleep::OnEventFd => {
                if self.waiter.begin_async(SleepOn::EventFd, || consumer.is_ready()) {
                    let left = timespec(deadline_ns.saturating_sub(monotonic_ns()));
                    poll(&mut [PollFd::new(&self.waiter.eventfd(), PollFlags::IN)], Some(&left)).unwrap();
                    self.waiter.end_async(SleepOn::EventFd);
                }
            }
        }
    }
}

#[derive(Debug)]
pub struct ShmSample(pub Message);

impl Sample for ShmSample {
    fn payload(&self) -> &[u8] {
        self.0.payload()
    }
    fn header(&self) -> &[u8] {
        self.0.header()
    }
    fn sequence(&self) -> u64 {
        self.0.sequence()
    }
}

/// The memory behind a descriptor that really occupies pages.
pub fn allocated(fd: impl AsFd) -> u64 {
    dora_channel::os::memory::allocated(fd.as_fd()).unwrap()
}
