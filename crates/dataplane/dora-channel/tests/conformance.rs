//! Runs the conformance suite on both implementations, the shared-memory one in both of its ways to sleep.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use common::{Asleep, SharedMemory};
use dora_channel::{
    Counters,
    conformance::{Edge, Harness, Received, Receiver, Refused, Sample, Sender, Stop},
    local::{self, Polled},
    os::clock::monotonic_ns,
};

dora_channel::conformance_suite!(futex, budget SharedMemory(Asleep::OnFutex));
dora_channel::conformance_suite!(eventfd, budget SharedMemory(Asleep::OnEventFd));
dora_channel::conformance_suite!(in_process, Local);

struct Local;

#[derive(Debug)]
struct Bytes {
    payload: Vec<u8>,
    header: Vec<u8>,
}

struct LocalSender {
    producer: local::Producer<Arc<Bytes>>,
    counters: Vec<Arc<local::EdgeCounters<Arc<Bytes>>>>,
    sent: Mutex<Vec<Weak<Bytes>>>,
}

struct LocalReceiver(local::Consumer<Arc<Bytes>>);

#[derive(Debug)]
struct LocalSample(local::Message<Arc<Bytes>>);

fn connect(sender: &mut LocalSender, receiver: &LocalReceiver, input: u32, edge: Edge) {
    let counters = sender.producer.connect(0, &receiver.0, input, edge.capacity, edge.policy).unwrap();
    sender.counters.push(Arc::new(counters));
}

fn sender() -> LocalSender {
    LocalSender { producer: local::Producer::new(1), counters: Vec::new(), sent: Mutex::default() }
}

impl Harness for Local {
    type Sender = LocalSender;
    type Receiver = LocalReceiver;
    fn fan_out(&self, edges: &[Edge]) -> (LocalSender, Vec<LocalReceiver>) {
        let mut sender = sender();
        let mut open = |edge: &Edge| {
            let receiver = LocalReceiver(local::Consumer::new(0));
            connect(&mut sender, &receiver, 0, *edge);
            receiver
        };
        let receivers = edges.iter().map(&mut open).collect();
        (sender, receivers)
    }
    fn fan_in(&self, edges: &[Edge]) -> (Vec<LocalSender>, LocalReceiver) {
        let receiver = LocalReceiver(local::Consumer::new(0));
        let open = |(number, edge): (usize, &Edge)| {
            let mut sender = sender();
            connect(&mut sender, &receiver, number as u32, *edge);
            sender
        };
        (edges.iter().enumerate().map(open).collect(), receiver)
    }
}

impl Sender for LocalSender {
    fn send(&mut self, payload: &[u8], header: &[u8]) -> Result<usize, Refused> {
        let bytes = payload.len() as u64;
        let payload = Arc::new(Bytes { payload: payload.to_vec(), header: header.to_vec() });
        self.sent.lock().unwrap().push(Arc::downgrade(&payload));
        let message = local::Outgoing { payload, bytes, stamp_ns: monotonic_ns() };
        self.producer.send(0, message).map_err(|local::Stopping| Refused::Stopping)
    }
    fn close(&mut self) {
        self.producer.close();
    }
    fn stopper(&self) -> Stop {
        let control = self.producer.control();
        Box::new(move || control.stop())
    }
    fn probe(&self, edge: usize) -> Box<dyn Fn() -> Counters + Send> {
        let counters = self.counters[edge].clone();
        Box::new(move || counters.read())
    }
    fn held(&self) -> usize {
        let mut sent = self.sent.lock().unwrap();
        sent.retain(|sample| sample.strong_count() > 0);
        sent.len()
    }
}

impl Receiver for LocalReceiver {
    type Sample = LocalSample;
    fn receive(&mut self, wait: Duration) -> Received<LocalSample> {
        match self.0.receive(Some(monotonic_ns() + wait.as_nanos() as u64)) {
            Polled::Message { input, message } => Received::Message { input, sample: LocalSample(message) },
            Polled::Closed { input } => Received::Closed { input },
            Polled::Empty => Received::Nothing,
        }
    }
}

impl Sample for LocalSample {
    fn payload(&self) -> &[u8] {
        &self.0.payload.payload
    }
    fn header(&self) -> &[u8] {
        &self.0.payload.header
    }
    fn sequence(&self) -> u64 {
        self.0.sequence
    }
}
