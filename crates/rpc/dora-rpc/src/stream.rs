//! Streams: results that are too many for one message, such as lines of a log or the bytes of an artifact.
//!
//! A stream is a value: it is made by [`stream`], may stand in any argument or result, and is read where it arrives. The
//! queue between the ends is bounded. The writer either never waits, and the oldest items are dropped and counted
//! ([`StreamSender::push`]: logs), or waits for room ([`StreamSender::send`]: artifacts). A slow reader costs its own
//! stream and nothing else: not the endpoint that writes, nor the connection, nor another stream.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::Notify;

use crate::{
    Message, RpcError,
    connection::{IncomingStream, scope},
};

/// What the reader of a stream gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Streamed<T> {
    /// The next item.
    Item(T),
    /// Here so many items were dropped because the reader was too slow.
    Dropped(u64),
}

/// A new stream whose queue holds up to `capacity` items (at least one).
///
/// ```
/// use dora_rpc::{Streamed, stream};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (sender, mut lines) = stream(2);
/// for line in ["first", "second", "third"] {
///     sender.push(line.to_owned())?;
/// }
/// drop(sender);
/// assert_eq!(lines.next().await, Ok(Some(Streamed::Dropped(1))));
/// assert_eq!(lines.next().await, Ok(Some(Streamed::Item("second".to_owned()))));
/// assert_eq!(lines.next().await, Ok(Some(Streamed::Item("third".to_owned()))));
/// assert_eq!(lines.next().await, Ok(None));
/// # Ok::<(), dora_rpc::ReaderGone>(()) }).unwrap();
/// ```
pub fn stream<T>(capacity: usize) -> (StreamSender<T>, RpcStream<T>) {
    let queue = Arc::new(Queue {
        state: Mutex::new(State { items: VecDeque::new(), dropped: 0, ended: false, abandoned: false }),
        capacity: capacity.max(1),
        readable: Notify::new(),
        writable: Notify::new(),
        gone: Notify::new(),
    });
    let reader = RpcStream { source: Source::Here(queue.clone()), handed_over: AtomicBool::new(false) };
    (StreamSender { queue }, reader)
}

/// The reader of the stream is gone: nothing that is sent will be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the stream is gone")]
pub struct ReaderGone;

/// The writing end of a stream. The stream ends when it is dropped.
pub struct StreamSender<T> {
    queue: Arc<Queue<T>>,
}

impl<T> StreamSender<T> {
    /// Appends an item at once. If the queue is full the oldest item is dropped, and the reader is told how many were.
    ///
    /// # Errors
    /// [`ReaderGone`].
    pub fn push(&self, item: T) -> Result<(), ReaderGone> {
        let mut state = self.queue.lock();
        if state.abandoned {
            return Err(ReaderGone);
        }
        if state.items.len() == self.queue.capacity {
            state.items.pop_front();
            state.dropped += 1;
        }
        state.items.push_back(item);
        drop(state);
        self.queue.readable.notify_one();
        Ok(())
    }

    /// Appends an item as soon as there is room for it. Nothing is dropped.
    ///
    /// # Errors
    /// [`ReaderGone`].
    pub async fn send(&self, item: T) -> Result<(), ReaderGone> {
        loop {
            let room = self.queue.writable.notified();
            {
                let mut state = self.queue.lock();
                if state.abandoned {
                    return Err(ReaderGone);
                }
                if state.items.len() < self.queue.capacity {
                    state.items.push_back(item);
                    break;
                }
            }
            room.await;
        }
        self.queue.readable.notify_one();
        Ok(())
    }

    /// Whether nobody reads any longer.
    pub fn is_abandoned(&self) -> bool {
        self.queue.lock().abandoned
    }

    /// Completes when nobody reads any longer.
    pub async fn abandoned(&self) {
        loop {
            let gone = self.queue.gone.notified();
            if self.is_abandoned() {
                return;
            }
            gone.await;
        }
    }
}

impl<T> Drop for StreamSender<T> {
    fn drop(&mut self) {
        self.queue.lock().ended = true;
        self.queue.readable.notify_one();
    }
}

/// The reading end of a stream. The writer notices when it is dropped.
pub struct RpcStream<T> {
    source: Source<T>,
    /// Set when this end was written into a message: from then on the queue is read for the other side.
    handed_over: AtomicBool,
}

enum Source<T> {
    Here(Arc<Queue<T>>),
    There(IncomingStream<T>),
}

impl<T> RpcStream<T> {
    /// The next item, a gap, or `None` at the end.
    ///
    /// # Errors
    /// [`RpcError::Disconnected`] if the connection ended before the stream did; what made an item impossible to send.
    pub async fn next(&mut self) -> Result<Option<Streamed<T>>, RpcError> {
        match &mut self.source {
            Source::Here(queue) => Ok(queue.next().await),
            Source::There(incoming) => incoming.next().await,
        }
    }
}

impl<T> Drop for RpcStream<T> {
    fn drop(&mut self) {
        if let (Source::Here(queue), false) = (&self.source, *self.handed_over.get_mut()) {
            queue.abandon();
        }
    }
}

/// What writer and reader share.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    readable: Notify,
    writable: Notify,
    gone: Notify,
}

struct State<T> {
    items: VecDeque<T>,
    dropped: u64,
    ended: bool,
    abandoned: bool,
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next entry, or `None` at the end. To be called by one reader.
    pub(crate) async fn next(&self) -> Option<Streamed<T>> {
        loop {
            let more = self.readable.notified();
            {
                let mut state = self.lock();
                if state.dropped > 0 {
                    return Some(Streamed::Dropped(std::mem::take(&mut state.dropped)));
                }
                if let Some(item) = state.items.pop_front() {
                    drop(state);
                    self.writable.notify_one();
                    return Some(Streamed::Item(item));
                }
                if state.ended {
                    return None;
                }
            }
            more.await;
        }
    }

    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        (state.abandoned, state.ended, state.dropped) = (true, true, 0);
        state.items.clear();
        drop(state);
        self.writable.notify_waiters();
        self.readable.notify_one();
        self.gone.notify_waiters();
    }
}

impl<T: Message> Serialize for RpcStream<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Source::Here(queue) = &self.source else {
            return Err(serde::ser::Error::custom("a stream that came over a connection cannot be passed on"));
        };
        if self.handed_over.swap(true, Relaxed) {
            return Err(serde::ser::Error::custom("a stream can be sent once"));
        }
        let number = scope::current().map_err(serde::ser::Error::custom)?.send_stream(queue.clone());
        serializer.serialize_u64(number)
    }
}

impl<'de, T: Message> Deserialize<'de> for RpcStream<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        let connection = scope::current().map_err(serde::de::Error::custom)?;
        let incoming = connection.receive_stream(number).map_err(serde::de::Error::custom)?;
        Ok(Self { source: Source::There(incoming), handed_over: AtomicBool::new(false) })
    }
}

impl<T> fmt::Debug for StreamSender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StreamSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for RpcStream<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RpcStream").finish_non_exhaustive()
    }
}
