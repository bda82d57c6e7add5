//! Streams over a connection. The reader gives credit, the writer spends it: so what is under way is bounded, and the task
//! that reads the connection always has a place for an item at once.

use std::sync::Arc;

use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::{Connection, Shared, failure_body, scope};
use crate::{
    Message, RpcError, Streamed, codec,
    frame::{Frame, Violation},
    stream::Queue,
};

/// Items of a stream that may be under way.
const WINDOW: u32 = 256;

/// A stream that we write: the reader's credit, and how its writer learns that the reader is gone.
pub(super) struct Outlet {
    credit: Arc<Semaphore>,
    abandon: Box<dyn FnOnce() + Send>,
}

impl Outlet {
    pub(super) fn abandon(self) {
        self.credit.close();
        (self.abandon)();
    }
}

/// A stream that we read, without its type.
pub(super) trait Inlet: Send + Sync {
    fn item(&self, body: &[u8]) -> Result<(), Violation>;
    fn end(&self, result: Result<(), RpcError>);
}

impl<T: Message> Inlet for mpsc::Sender<Result<Streamed<T>, RpcError>> {
    fn item(&self, body: &[u8]) -> Result<(), Violation> {
        if self.capacity() <= 1 {
            // The last place is for the reason why the stream ends.
            return Err(Violation::Protocol("more items of a stream than its reader gave credit for"));
        }
        let _ = self.try_send(codec::decode("stream", body));
        Ok(())
    }

    fn end(&self, result: Result<(), RpcError>) {
        if let Err(error) = result {
            let _ = self.try_send(Err(error));
        }
    }
}

impl Shared {
    /// Writes a stream of ours to the peer, in a task of its own; the stream's number.
    pub(crate) fn send_stream<T: Message>(self: &Arc<Self>, queue: Arc<Queue<T>>) -> u64 {
        let credit = Arc::new(Semaphore::new(0));
        let abandon = {
            let queue = queue.clone();
            Box::new(move || queue.abandon())
        };
        let outlet = Outlet { credit: credit.clone(), abandon };
        let number = {
            let mut tables = self.tables();
            let number = tables.number();
            if tables.closed.is_none() {
                tables.sources.insert(number, outlet);
            } else {
                outlet.abandon();
            }
            number
        };
        tokio::spawn(pump(self.clone(), number, queue, credit));
        number
    }

    /// Begins to read a stream of the peer.
    pub(crate) fn receive_stream<T: Message>(self: &Arc<Self>, stream: u64) -> Result<IncomingStream<T>, RpcError> {
        let connection = self.holder()?;
        let (sink, items) = mpsc::channel(WINDOW as usize + 1);
        {
            let mut tables = self.tables();
            if let Some(reason) = tables.closed.clone() {
                return Err(reason);
            }
            tables.sinks.insert(stream, Arc::new(sink));
        }
        self.send(Frame::Credit { stream, items: WINDOW });
        Ok(IncomingStream { connection, stream, items, taken: 0 })
    }

    /// An item of a stream has come. One of a stream that we have abandoned is dropped.
    pub(super) fn item(self: &Arc<Self>, stream: u64, body: &[u8]) -> Result<(), Violation> {
        let sink = self.tables().sinks.get(&stream).cloned();
        sink.map_or(Ok(()), |sink| scope::enter(self, || sink.item(body)))
    }

    pub(super) fn end(&self, stream: u64, result: Result<(), RpcError>) -> Result<(), Violation> {
        let sink = self.tables().sinks.remove(&stream);
        if let Some(sink) = sink {
            sink.end(result);
        }
        Ok(())
    }

    pub(super) fn credit(&self, stream: u64, items: u32) -> Result<(), Violation> {
        let tables = self.tables();
        let Some(outlet) = tables.sources.get(&stream) else { return Ok(()) };
        if outlet.credit.available_permits() + items as usize > WINDOW as usize {
            return Err(Violation::Protocol("more credit for a stream than a reader has places"));
        }
        outlet.credit.add_permits(items as usize);
        Ok(())
    }
}

/// Writes the entries of a stream as the reader gives credit for them.
async fn pump<T: Message>(shared: Arc<Shared>, stream: u64, queue: Arc<Queue<T>>, credit: Arc<Semaphore>) {
    // A message that was never read, because its caller was gone, leaves a stream without a reader.
    let mut turn = timeout(shared.limits.deadline, credit.acquire()).await.ok().and_then(Result::ok);
    let mut end = Vec::new();
    while let Some(permit) = turn.take() {
        permit.forget();
        let Some(entry) = queue.next().await else { break };
        match scope::enter(&shared, || codec::encode("stream", &entry, shared.limits.message)) {
            Ok(body) => shared.send_item(stream, body).await,
            Err(error) => {
                end = failure_body(&error);
                break;
            }
        }
        turn = credit.acquire().await.ok();
    }
    let outlet = shared.tables().sources.remove(&stream);
    if let Some(outlet) = outlet {
        outlet.abandon();
        shared.send(Frame::End { stream, body: end });
    }
}

/// The reading end of a stream that comes over a connection.
pub(crate) struct IncomingStream<T> {
    connection: Connection,
    stream: u64,
    items: mpsc::Receiver<Result<Streamed<T>, RpcError>>,
    taken: u32,
}

impl<T> IncomingStream<T> {
    pub(crate) async fn next(&mut self) -> Result<Option<Streamed<T>>, RpcError> {
        let entry = self.items.recv().await.transpose()?;
        self.taken += 1;
        if self.taken == WINDOW / 2 {
            self.connection.shared().send(Frame::Credit { stream: self.stream, items: self.taken });
            self.taken = 0;
        }
        Ok(entry)
    }
}

impl<T> Drop for IncomingStream<T> {
    fn drop(&mut self) {
        let shared = self.connection.shared();
        let unfinished = shared.tables().sinks.remove(&self.stream);
        if unfinished.is_some() {
            shared.send(Frame::Abandon { stream: self.stream });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering::Relaxed, time::Duration};

    use super::{super::ITEMS_BACKLOG, super::Limits, *};

    /// What the peer does not take yet waits in its stream, where it may be left out, and not in the way of calls.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_items_leaves_room_for_calls() {
        let (socket, _unread) = tokio::io::duplex(1024);
        let limits = Limits { message: 1 << 20, backlog: 64 << 20, deadline: Duration::from_secs(10) };
        let connection = Connection::start(socket, None, limits);
        let shared = connection.shared();
        let (sender, items) = crate::stream(1000);
        (0..1000).for_each(|_| sender.push("x".repeat(16 << 10)).unwrap());
        let body = scope::enter(shared, || codec::encode("test", &items, 100)).unwrap();
        shared.credit(codec::decode("test", &body).unwrap(), WINDOW).unwrap();
        // The clock is paused: it goes on when nobody has anything left to do.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let waits = shared.backlog.load(Relaxed);
        assert!(waits > ITEMS_BACKLOG / 2 && waits <= ITEMS_BACKLOG, "{waits} bytes wait");
    }
}
