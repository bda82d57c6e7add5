//! Waiting for events where neither a blocked thread nor a Rust future will do: under an interpreter that wants to look
//! at its signals, or in an event loop of another language.
//!
//! ```no_run
//! # fn main() -> Result<(), dora_node::NodeError> {
//! use dora_node::{DoraNode, TryRecvError};
//!
//! let (_node, mut events) = DoraNode::init_from_env()?;
//! let event = loop {
//!     match events.try_recv() {
//!         Err(TryRecvError::Empty) => events.wait(None, || false), // then: signals, other sources of events
//!         found => break found,
//!     }
//! };
//! # Ok(())
//! # }
//! ```
//!
//! None of these calls takes an event; whoever waited looks with [`EventStream::try_recv`].

use std::{os::fd::BorrowedFd, time::Duration};

use dora_channel::os::clock::monotonic_ns;

use super::{EventStream, deadline_in, earlier};
use crate::fork;

impl EventStream {
    /// Blocks until an event may be there, the time is over, a signal was handled, or the [waker](Self::waker) was
    /// called; at once if one of these is so already or `or` is true.
    ///
    /// `or` is asked after the sleep was announced: what it looks at may be changed by another thread that calls the
    /// waker afterwards, and the change is not missed.
    pub fn wait(&mut self, timeout: Option<Duration>, or: impl Fn() -> bool) {
        if self.stash.is_empty() && fork::check().is_ok() {
            let _in_call = self.enter();
            let deadline = earlier(timeout.map(deadline_in), self.scheduler.deadline_ns());
            if self.sleeper.block(|| self.scheduler.is_ready() || or(), deadline) {
                self.prefetch();
            }
        }
    }

    /// Ends a wait of this stream from another thread.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static + use<> {
        let waker = self.sleeper.waker();
        move || waker.wake()
    }

    /// Announces a wait on [`Self::descriptor`], and tells how long until a timer is due. `None`: there is something to
    /// look at now, and nothing was announced. `or` is that of [`Self::wait`].
    ///
    /// End the wait with [`Self::end_wait`], also when it is given up.
    pub fn begin_wait(&mut self, or: impl Fn() -> bool) -> Option<Announced> {
        if !self.stash.is_empty() || fork::check().is_err() {
            return None;
        }
        let due = self.scheduler.deadline_ns();
        if due.is_some_and(|due| due <= monotonic_ns()) {
            return None;
        }
        let announced = self.sleeper.announce(|| self.scheduler.is_ready() || or());
        self.in_stream = self.pulse.enter();
        announced.then(|| Announced { timer: due.map(|due| Duration::from_nanos(due.saturating_sub(monotonic_ns()))) })
    }

    /// Ends what [`Self::begin_wait`] announced.
    pub fn end_wait(&mut self) {
        if fork::check().is_ok() {
            self.in_stream = None;
            self.prefetch();
            self.sleeper.end_async();
        }
    }

    /// Readable between [`Self::begin_wait`] and [`Self::end_wait`] when there may be an event. Only to be polled.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.sleeper.descriptor()
    }
}

/// A wait that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Time until a timer of the node is due, which the descriptor does not tell. `None`: there is none.
    pub timer: Option<Duration>,
}
