//! The receiving half of a node.
//!
//! - `scheduler`: which event comes next; `inputs` and `timer` are what it looks at.
//! - `payload`: from shared memory to an Arrow array.
//! - `sleep`: how to wait, in a thread or in any async runtime (`reactor`).
//! - `correlate`: waiting for one reply among other events.
//! - [`merged`], [`input_tracker`]: helpers for users.
//!
//! It must not know how a message is sent.

mod correlate;
mod event;
pub mod extensions;
pub mod input_tracker;
mod inputs;
pub mod merged;
mod payload;
mod reactor;
mod scheduler;
mod sleep;
mod timer;

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dora_channel::{Waiter, os::clock::monotonic_ns};
use dora_message::id::DataId;
use futures::Stream;

pub use event::{Event, StopCause};
pub use scheduler::EventScheduler;

use crate::{
    connection::Connection,
    fork::{self, ProcessBound},
    integration_testing::Recorder,
};
use scheduler::Next;
use sleep::Sleeper;

/// The events of a node: its inputs, the ticks of its timers, and what the keeper says.
///
/// ```no_run
/// # fn main() -> Result<(), dora_node::NodeError> {
/// use dora_node::{DoraNode, Event};
///
/// let (_node, mut events) = DoraNode::init_from_env()?;
/// while let Some(event) = events.recv() {
///     match event {
///         Event::Input { id, data, .. } => println!("{id}: {} values", data.len()),
///         Event::Stop(_) => break,
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// [`Event`](Event#order) tells in which order events come. After [`Stop`](Event::Stop) with `Manual` the stream goes
/// on with the inputs that are queued, and ends when the queues are empty. It ends after `Stop` with `AllInputsClosed`.
/// A node without inputs from other nodes gets no `AllInputsClosed`; nor does one with a timer, unless the dataflow sets
/// `exit_when_nodes_finish`.
///
/// Every way to receive gives the same events in the same order, and they may be mixed: blocking, with a timeout, async
/// in any executor, and as a [`Stream`]. Waiting costs nothing: one wake-up per message that finds the node asleep.
/// Dropping the stream tells the senders that nobody reads any more.
#[derive(Debug)]
pub struct EventStream {
    scheduler: ProcessBound<EventScheduler>,
    sleeper: ProcessBound<Sleeper>,
    /// Events that were passed over by a wait for a reply.
    stash: VecDeque<Event>,
    recorder: Option<Recorder>,
    told_forked: bool,
    /// Keeps the connection open as long as either half lives.
    _connection: ProcessBound<Option<Arc<Connection>>>,
}

/// What waiting for an event gave.
#[derive(Debug)]
enum Waited {
    Event(Event),
    Timeout,
    Over,
}

impl Waited {
    /// As the calls with a timeout tell it.
    fn into_event(self) -> Option<Event> {
        match self {
            Waited::Event(event) => Some(event),
            Waited::Timeout => Some(Event::Error("Timeout event stream error: no event within the time given".into())),
            Waited::Over => None,
        }
    }
}

/// Why [`EventStream::try_recv`] gave no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TryRecvError {
    /// There is none now.
    #[error("no event is available now")]
    Empty,
    /// The stream has ended.
    #[error("the event stream has ended")]
    Closed,
}

fn deadline_in(duration: Duration) -> u64 {
    monotonic_ns().saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

impl EventStream {
    pub(crate) fn new(
        scheduler: EventScheduler,
        waiter: Waiter,
        recorder: Option<Recorder>,
        connection: Option<Arc<Connection>>,
    ) -> Self {
        EventStream {
            scheduler: ProcessBound::new(scheduler),
            sleeper: ProcessBound::new(Sleeper::new(waiter)),
            stash: VecDeque::new(),
            recorder,
            told_forked: false,
            _connection: ProcessBound::new(connection),
        }
    }

    /// Waits for the next event. `None`: the stream has ended.
    pub fn recv(&mut self) -> Option<Event> {
        self.recv_until(None).into_event()
    }

    /// Waits for the next event, at most for this time. After that it gives an [`Event::Error`] that starts with
    /// `Timeout event stream error`. `None`: the stream has ended.
    pub fn recv_timeout(&mut self, dur: Duration) -> Option<Event> {
        self.recv_until(Some(deadline_in(dur))).into_event()
    }

    /// Waits for the next event without blocking the thread. `None`: the stream has ended.
    ///
    /// Works in every executor. Inside a tokio runtime with I/O enabled it uses that runtime, elsewhere the reactor of
    /// the `async-io` crate. The future may be dropped at any time without losing an event.
    pub async fn recv_async(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_recv(cx, None)).await.into_event()
    }

    /// As [`Self::recv_async`], with the timeout of [`Self::recv_timeout`].
    pub async fn recv_async_timeout(&mut self, dur: Duration) -> Option<Event> {
        let deadline = Some(deadline_in(dur));
        poll_fn(|cx| self.poll_recv(cx, deadline)).await.into_event()
    }

    /// The next event if there is one now. Never waits.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if there is none, [`TryRecvError::Closed`] if the stream has ended.
    pub fn try_recv(&mut self) -> Result<Event, TryRecvError> {
        match self.next() {
            Next::Event(event) => Ok(event),
            Next::Nothing => Err(TryRecvError::Empty),
            Next::Over => Err(TryRecvError::Closed),
        }
    }

    /// All events that are there now, perhaps none. `None`: the stream has ended. Never waits.
    pub fn drain(&mut self) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            match self.try_recv() {
                Ok(event) => events.push(event),
                Err(TryRecvError::Closed) if events.is_empty() => return None,
                Err(_) => return Some(events),
            }
        }
    }

    /// Whether [`Self::try_recv`] would find nothing now.
    pub fn is_empty(&self) -> bool {
        self.stash.is_empty() && (fork::check().is_err() || !self.scheduler.has_event())
    }

    /// How many messages were dropped since the last call, by input; inputs without drops are left out. Messages are
    /// dropped where the queue of an input is full and its policy is to drop, or where shared memory is spent.
    pub fn drain_drop_counts(&mut self) -> HashMap<DataId, u64> {
        if fork::check().is_err() {
            return HashMap::new();
        }
        self.scheduler.drain_drop_counts()
    }

    #[inline]
    fn next(&mut self) -> Next {
        match self.stash.pop_front() {
            Some(event) => Next::Event(event),
            None => self.next_unseen(),
        }
    }

    /// The next event that nobody has seen.
    #[inline]
    fn next_unseen(&mut self) -> Next {
        if let Err(forked) = fork::check() {
            let first = !std::mem::replace(&mut self.told_forked, true);
            return if first { Next::Event(Event::Error(forked.to_string())) } else { Next::Over };
        }
        let next = self.scheduler.next();
        if let (Some(recorder), Next::Event(event)) = (&mut self.recorder, &next) {
            recorder.note(event);
        }
        next
    }

    fn recv_until(&mut self, deadline: Option<u64>) -> Waited {
        loop {
            match self.next() {
                Next::Event(event) => return Waited::Event(event),
                Next::Over => return Waited::Over,
                Next::Nothing if is_past(deadline) => return Waited::Timeout,
                Next::Nothing => {
                    let deadline = earlier(deadline, self.scheduler.deadline_ns());
                    self.sleeper.block(|| self.scheduler.is_ready(), deadline);
                }
            }
        }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, deadline: Option<u64>) -> Poll<Waited> {
        match self.stash.pop_front() {
            Some(event) => Poll::Ready(Waited::Event(event)),
            None => self.poll_unseen(cx, deadline),
        }
    }

    fn poll_unseen(&mut self, cx: &mut Context<'_>, deadline: Option<u64>) -> Poll<Waited> {
        loop {
            match self.next_unseen() {
                Next::Event(event) => return Poll::Ready(Waited::Event(event)),
                Next::Over => return Poll::Ready(Waited::Over),
                Next::Nothing if is_past(deadline) => return Poll::Ready(Waited::Timeout),
                Next::Nothing => {
                    let deadline = earlier(deadline, self.scheduler.deadline_ns());
                    if self.sleeper.poll(cx, || self.scheduler.is_ready(), deadline).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

fn is_past(deadline: Option<u64>) -> bool {
    deadline.is_some_and(|deadline| deadline <= monotonic_ns())
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_recv(cx, None).map(Waited::into_event)
    }
}
