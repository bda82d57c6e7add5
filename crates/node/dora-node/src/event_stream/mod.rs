//! The receiving half of a node.
//!
//! - `scheduler`: which event comes next; `inputs`, `timer` and `silence` are what it looks at.
//! - `succession`: nodes that were started again.
//! - `payload`: from shared memory to an Arrow array.
//! - `prefetch`: what a node that slept loads before it needs it.
//! - `sleep`: how to wait, in a thread or in any async runtime (`reactor`, `deputy`).
//! - `correlate`: waiting for one reply among other events.
//! - `foreign`: how other languages wait.
//! - [`merged`], [`input_tracker`]: helpers for users.
//!
//! It must not know how a message is sent.

mod correlate;
mod deputy;
mod event;
pub mod extensions;
mod foreign;
pub mod input_tracker;
mod inputs;
pub mod merged;
mod payload;
mod prefetch;
mod reactor;
mod scheduler;
mod silence;
mod sleep;
mod succession;
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
pub use foreign::Announced;
pub use scheduler::EventScheduler;

use crate::{
    connection::Connection,
    fork::{self, Forked, ProcessBound},
    integration_testing::Recorder,
    pulse::{InCall, Pulse},
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
    pulse: Pulse,
    /// Kept while a task waits for the [`Stream`], which is no call that ends.
    in_stream: InCall,
    /// Keeps the connection open as long as either half lives.
    _connection: ProcessBound<Option<Arc<Connection>>>,
}

/// As the calls that wait tell it: nothing means that the time was over.
#[inline]
fn waited(next: Next) -> Option<Event> {
    match next {
        Next::Event(event) => Some(event),
        Next::Nothing => Some(Event::Error("Timeout event stream error: no event within the time given".to_owned())),
        Next::Over => None,
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
        pulse: Pulse,
        connection: Option<Arc<Connection>>,
    ) -> Self {
        EventStream {
            scheduler: ProcessBound::new(scheduler),
            sleeper: ProcessBound::new(Sleeper::new(waiter)),
            stash: VecDeque::new(),
            recorder,
            told_forked: false,
            pulse,
            in_stream: None,
            _connection: ProcessBound::new(connection),
        }
    }

    /// Waits for the next event. `None`: the stream has ended.
    pub fn recv(&mut self) -> Option<Event> {
        waited(self.recv_until(None))
    }

    /// Waits for the next event, at most for this time. After that it gives an [`Event::Error`] that starts with
    /// `Timeout event stream error`. `None`: the stream has ended.
    pub fn recv_timeout(&mut self, dur: Duration) -> Option<Event> {
        waited(self.recv_until(Some(deadline_in(dur))))
    }

    /// Waits for the next event without blocking the thread. `None`: the stream has ended.
    ///
    /// Works in every executor. Inside a tokio runtime with I/O enabled it uses that runtime, elsewhere a thread of its
    /// own. The future may be dropped at any time without losing an event.
    pub async fn recv_async(&mut self) -> Option<Event> {
        let _in_call = self.enter();
        waited(poll_fn(|cx| self.poll_recv(cx, None)).await)
    }

    /// As [`Self::recv_async`], with the timeout of [`Self::recv_timeout`].
    pub async fn recv_async_timeout(&mut self, dur: Duration) -> Option<Event> {
        let _in_call = self.enter();
        let deadline = Some(deadline_in(dur));
        waited(poll_fn(|cx| self.poll_recv(cx, deadline)).await)
    }

    /// The next event if there is one now. Never waits.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if there is none, [`TryRecvError::Closed`] if the stream has ended.
    pub fn try_recv(&mut self) -> Result<Event, TryRecvError> {
        let _in_call = self.enter();
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

    /// A call begins that may take long; see [`Pulse`].
    #[inline]
    fn enter(&mut self) -> InCall {
        self.in_stream = None;
        self.pulse.enter()
    }

    #[inline]
    fn next(&mut self) -> Next {
        if self.stash.is_empty() {
            return self.next_unseen();
        }
        self.stash.pop_front().map_or(Next::Nothing, Next::Event)
    }

    /// The next event that nobody has seen.
    #[inline(never)] // so that `prefetch` knows where the code that runs is
    fn next_unseen(&mut self) -> Next {
        if let Err(forked) = fork::check() {
            return self.next_in_child(forked);
        }
        let next = self.scheduler.next();
        if let Some(recorder) = &mut self.recorder
            && let Next::Event(event) = &next
        {
            recorder.note(event);
        }
        next
    }

    #[cold]
    fn next_in_child(&mut self, forked: Forked) -> Next {
        let first = !std::mem::replace(&mut self.told_forked, true);
        if first { Next::Event(Event::Error(forked.to_string())) } else { Next::Over }
    }

    /// The next event; `Nothing`: the deadline came first.
    #[inline]
    fn recv_until(&mut self, deadline: Option<u64>) -> Next {
        let _in_call = self.enter();
        loop {
            let next = self.next();
            if !matches!(next, Next::Nothing) || is_past(deadline) {
                return next;
            }
            let deadline = earlier(deadline, self.scheduler.deadline_ns());
            if self.sleeper.block(|| self.scheduler.is_ready(), deadline) {
                self.prefetch();
            }
        }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, deadline: Option<u64>) -> Poll<Next> {
        match self.stash.pop_front() {
            Some(event) => Poll::Ready(Next::Event(event)),
            None => self.poll_unseen(cx, deadline),
        }
    }

    fn poll_unseen(&mut self, cx: &mut Context<'_>, deadline: Option<u64>) -> Poll<Next> {
        if self.sleeper.slept_async() {
            self.prefetch();
        }
        loop {
            let next = self.next_unseen();
            if !matches!(next, Next::Nothing) || is_past(deadline) {
                return Poll::Ready(next);
            }
            let deadline = earlier(deadline, self.scheduler.deadline_ns());
            if self.sleeper.poll(cx, || self.scheduler.is_ready(), deadline).is_pending() {
                return Poll::Pending;
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
        self.in_stream = self.pulse.enter();
        let polled = self.poll_recv(cx, None).map(waited);
        if polled.is_ready() {
            self.in_stream = None;
        }
        polled
    }
}
