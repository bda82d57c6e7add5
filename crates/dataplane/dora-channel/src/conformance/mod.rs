//! The suite that every implementation of the channel runs through.
//!
//! An implementation gives a [`Harness`] (and a [`BudgetHarness`] if it has a memory budget) and names it in
//! [`conformance_suite!`](crate::conformance_suite): each check becomes a test. Checks fail by panicking.
//!
//! ```text
//! dora_channel::conformance_suite!(local, LocalHarness);
//! ```
#![allow(clippy::unwrap_used, missing_docs)] // checks are tests, and their names say what they check

pub mod budget;
pub mod flow;
pub mod lifetime;
pub mod policy;

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

use crate::{Counters, Policy};

/// Far more than anything here takes; who waits longer hangs.
pub const LONG: Duration = Duration::from_secs(20);

/// What an edge is asked to be.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    /// Queue length.
    pub capacity: u32,
    /// What happens when it is full.
    pub policy: Policy,
}

/// Short for tables of edges.
pub fn edge(capacity: u32, policy: Policy) -> Edge {
    Edge { capacity, policy }
}

/// One implementation of the channel.
pub trait Harness {
    /// Its sending end.
    type Sender: Sender;
    /// Its receiving end.
    type Receiver: Receiver;
    /// A sender with one output, and a receiver for each edge.
    fn fan_out(&self, edges: &[Edge]) -> (Self::Sender, Vec<Self::Receiver>);
    /// A sender for each edge, and one receiver whose inputs they are, numbered in order.
    fn fan_in(&self, edges: &[Edge]) -> (Vec<Self::Sender>, Self::Receiver);
}

/// An implementation whose senders share a memory budget.
pub trait BudgetHarness: Harness {
    /// Senders that share `limit` bytes, each with a receiver for each of its edges.
    fn with_budget(&self, limit: u64, senders: &[&[Edge]]) -> Vec<(Self::Sender, Vec<Self::Receiver>)>;
    /// Bytes that this sender uses.
    fn used(sender: &Self::Sender) -> u64;
    /// Gives back what this sender does not need now.
    fn trim(sender: &Self::Sender);
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The sender was stopped while it waited.
    Stopping,
    /// There was no memory; the text that users get.
    NoMemory(String),
}

/// Releases a sender.
pub type Stop = Box<dyn FnOnce() + Send>;

/// What became of a send, and the sender.
pub type Attempt<H> = (Result<usize, Refused>, <H as Harness>::Sender);

/// A sender with one output.
pub trait Sender: Send + 'static {
    /// Sends to all consumers: how many got it.
    fn send(&mut self, payload: &[u8], header: &[u8]) -> Result<usize, Refused>;
    /// Ends the output.
    fn close(&mut self);
    /// What another thread calls to release this sender.
    fn stopper(&self) -> Stop;
    /// Reads the counters of an edge, from any thread.
    fn probe(&self, edge: usize) -> Box<dyn Fn() -> Counters + Send>;
    /// Payloads outside of messages themselves that a queue or a consumer still holds.
    fn held(&self) -> usize;
}

/// A receiver. Dropping it is leaving.
pub trait Receiver: Send + 'static {
    /// A message in its hands.
    type Sample: Sample;
    /// The next message, waiting at most this long.
    fn receive(&mut self, wait: Duration) -> Received<Self::Sample>;
}

/// What a receiver got.
#[derive(Debug)]
pub enum Received<S> {
    /// A message of an input.
    Message {
        /// Which input.
        input: u32,
        /// The message.
        sample: S,
    },
    /// The end of an input.
    Closed {
        /// Which input.
        input: u32,
    },
    /// Nothing in that time.
    Nothing,
}

/// A received message. Dropping it is releasing.
pub trait Sample: Send + std::fmt::Debug + 'static {
    /// Its payload.
    fn payload(&self) -> &[u8];
    /// Its header.
    fn header(&self) -> &[u8];
    /// Its number on its output.
    fn sequence(&self) -> u64;
}

impl<S: Sample> Received<S> {
    /// The message.
    #[track_caller]
    pub fn sample(self) -> S {
        match self {
            Received::Message { sample, .. } => sample,
            other => panic!("a message was expected, not {other:?}"),
        }
    }
    /// Whether it is the end of this input.
    pub fn is_end_of(&self, expected: u32) -> bool {
        matches!(self, Received::Closed { input } if *input == expected)
    }
}

/// A payload whose every byte depends on `number`.
pub fn stamped(len: usize, number: u64) -> Vec<u8> {
    let mut bytes = vec![number as u8; len];
    let head = len.min(8);
    bytes[..head].copy_from_slice(&number.to_ne_bytes()[..head]);
    bytes
}

/// Whether a message carries [`stamped`] and its number.
#[track_caller]
pub fn check_stamp(sample: &impl Sample, len: usize, number: u64) {
    assert_eq!(sample.sequence(), number);
    assert!(sample.payload() == stamped(len, number), "payload of message {number} differs");
}

/// Waits for something that other threads bring about.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "{what}: not after {LONG:?}");
        std::thread::yield_now();
    }
}

/// Runs on a thread of its own; the returned call waits for the result and panics if it hangs.
pub fn in_background<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> impl FnOnce() -> R {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        let _ = sender.send(work());
    });
    move || match receiver.recv_timeout(LONG) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => panic!("no result"),
        },
    }
}

/// `sent == received + dropped + queued`, and each received message is in the histogram.
#[track_caller]
pub fn check_sums(counters: &Counters) {
    let Counters { sent, received, dropped, queued, latency, .. } = counters;
    assert_eq!(*sent, received + dropped + queued, "{counters:?}");
    assert_eq!(latency.iter().sum::<u64>(), *received, "{counters:?}");
}

/// Makes a module `$name` with a test for each check of the suite. `$harness` is an expression; with `budget` before it,
/// the checks of the memory budget are included.
#[macro_export]
macro_rules! conformance_suite {
    ($name:ident, budget $harness:expr) => {
        $crate::conformance_suite!($name, $harness, {
            budget: spent_budget_evicts_the_oldest, spent_budget_waits_under_backpressure,
                spent_budget_is_an_error_with_sizes, message_beyond_the_budget_evicts_nothing,
                pages_come_back_under_pressure, held_sample_keeps_its_own_memory_only,
                leaving_gives_queued_memory_back, leaving_releases_a_sender_that_waits_for_memory,
                hoarder_does_not_keep_a_sender_waiting, stop_releases_a_sender_that_waits_for_memory,
                small_messages_survive_a_spent_budget;
        });
    };
    ($name:ident, $harness:expr) => { $crate::conformance_suite!($name, $harness, {}); };
    ($name:ident, $harness:expr, { $($more:tt)* }) => {
        mod $name {
            use super::*;
            $crate::conformance_suite!(@tests $harness,
                flow: order_is_kept, lossless_to_four, payloads_of_all_sizes, inputs_take_turns, a_hundred_consumers,
                    three_hundred_consumers, nothing_within_the_deadline, sleeping_receiver_is_woken;
                policy: drop_oldest_keeps_the_newest, drop_newest_keeps_the_oldest, capacity_one, racing_counts_add_up,
                    never_reading_consumer_delays_nobody;
                lifetime: end_comes_after_the_last_message, end_wakes_a_sleeper, leaving_releases_a_blocked_sender,
                    leaving_gives_queued_samples_back, sample_outlives_its_receiver, stop_releases_a_blocked_sender,
                    held_samples_keep_their_content, sample_outlives_its_sender, late_leaving_is_no_loss;
                $($more)*
            );
        }
    };
    (@tests $harness:expr, $($module:ident: $($check:ident),*;)*) => {
        $($(
            #[test]
            fn $check() {
                $crate::conformance::$module::$check(&$harness);
            }
        )*)*
    };
}
