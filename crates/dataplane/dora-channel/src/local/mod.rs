//! The same channel inside one process: an `Arc` takes the place of the chunk.
//!
//! For operators, which share a process with their node, and for tests. Policies, counters, end of stream and release of
//! blocked senders are those of the shared-memory channel; the suite in `conformance` holds both to it. There is no
//! memory budget: a payload lives until its last clone is dropped.
//!
//! ```
//! use dora_channel::{Policy, local};
//!
//! let mut consumer = local::Consumer::new(0);
//! let mut producer = local::Producer::new(1);
//! producer.connect(0, &consumer, 7, 10, Policy::DropOldest);
//! producer.send(0, local::Outgoing { payload: "hello", bytes: 5, stamp_ns: 0 })?;
//! let local::Polled::Message { input: 7, message } = consumer.receive(None) else { panic!() };
//! assert_eq!(message.payload, "hello");
//! # Ok::<(), local::Stopping>(())
//! ```

mod consumer;
mod inbox;
mod producer;

pub use consumer::Consumer;
pub use inbox::EdgeCounters;
pub use producer::{Producer, SenderControl};

/// A message that is about to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing<T> {
    /// What is sent; each consumer gets a clone, so usually an `Arc`.
    pub payload: T,
    /// How many bytes it counts as.
    pub bytes: u64,
    /// When it is sent, in nanoseconds of the clock that sender and receiver share.
    pub stamp_ns: u64,
}

/// A received message.
#[derive(Debug, Clone)]
pub struct Message<T> {
    /// What was sent.
    pub payload: T,
    /// Number of the message on its output. Gaps are messages that a policy gave up.
    pub sequence: u64,
    /// When it was sent.
    pub stamp_ns: u64,
}

/// What a consumer found.
#[derive(Debug)]
pub enum Polled<T> {
    /// The next message of an input.
    Message {
        /// The key under which the edge was connected.
        input: u32,
        /// The message.
        message: Message<T>,
    },
    /// The last message of this edge has been taken and its producer sends no more. Reported once.
    Closed {
        /// The key under which the edge was connected.
        input: u32,
    },
    /// Nothing now.
    Empty,
}

/// A send would have waited, but the dataflow is stopping. On the edge that is full the message counts as dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the dataflow is stopping and the queue of a consumer is full")]
pub struct Stopping;

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        task::{Context, Poll, Wake, Waker},
    };

    use super::*;
    use crate::Policy;

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_task_is_woken_once_for_what_it_waits_for() {
        let mut consumer = Consumer::new(0);
        let mut producer = Producer::new(1);
        producer.connect(0, &consumer, 3, 2, Policy::DropOldest);
        let wakes = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        assert!(consumer.poll_receive(&mut context).is_pending());
        for payload in 0..2 {
            producer.send(0, Outgoing { payload, bytes: 4, stamp_ns: 0 }).unwrap();
        }
        assert_eq!(wakes.0.load(SeqCst), 1);
        for expected in 0..2 {
            let Poll::Ready(Polled::Message { input: 3, message }) = consumer.poll_receive(&mut context) else {
                panic!("no message")
            };
            assert_eq!(message.payload, expected);
        }
        assert!(consumer.poll_receive(&mut context).is_pending());
        drop(producer);
        assert_eq!(wakes.0.load(SeqCst), 2);
        assert!(matches!(consumer.poll_receive(&mut context), Poll::Ready(Polled::Closed { input: 3 })));
    }
}
