//! One connection between two processes: calls and streams of both directions, multiplexed. It knows frames and bytes, but
//! no gateway and no socket.
//!
//! Both ends are alike: whoever dialled may be called back, since a gateway that is sent in a message is called over the
//! connection on which it came. That is how a coordinator reaches a daemon behind a NAT.
//!
//! Neither answering a call nor reading a frame ever waits. What may pile up is bounded all the same: calls by
//! [`MAX_CALLS`] in each direction, items of a stream by the credit of its reader, and what waits to be written by
//! [`Limits::backlog`]: beyond half of it we make no calls of our own, and a peer that asks beyond it without reading the
//! answers is cut off. Of streams, [`ITEMS_BACKLOG`] may wait to be written: a call or its answer, and so a heartbeat, is
//! never far behind a flood of items.

mod calls;
mod io;
pub(crate) mod scope;
mod streams;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
};

pub(crate) use calls::{CallGuard, Completion};
pub use calls::{IncomingCall, Outbound};
pub(crate) use streams::IncomingStream;

use crate::{
    FencingToken, Role, RpcError, codec,
    frame::{Frame, Violation},
};

/// Calls that may be under way on a connection, in each direction. A caller waits for its turn; a peer that sends more is
/// told that we are overloaded.
pub(crate) const MAX_CALLS: usize = 1024;

/// Bytes of items of all streams that may wait to be written: some milliseconds' worth, on a slow network or processor too.
const ITEMS_BACKLOG: usize = 256 << 10;

/// The endpoint that every connection has: it opens the others.
const DOOR: u64 = 0;

/// What a connection can call: the mailbox of an endpoint, without its type.
pub(crate) trait Exported: Send + Sync {
    /// The name of the gateway.
    fn gateway(&self) -> &'static str;
    /// Puts a call into the mailbox, or answers why not. Never waits.
    fn deliver(&self, method: &str, body: &[u8], call: IncomingCall);
    /// Whether the endpoint has ended.
    fn is_closed(&self) -> bool;
    /// Whether both lead to the same mailbox.
    fn is_same(&self, other: &dyn Exported) -> bool;
    /// For finding out the type again.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// Where the peer's wish for an endpoint is granted or refused.
pub(crate) trait Directory: Send + Sync {
    fn open(&self, wish: &Wish, role: Role) -> Result<Arc<dyn Exported>, RpcError>;
}

/// Where a connection that was let in finds endpoints, and the role of who was let in.
pub(crate) struct Entrance {
    pub directory: Arc<dyn Directory>,
    pub role: Role,
}

/// The wish for an endpoint, as it crosses the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub name: String,
    pub gateway: String,
    #[serde(default)]
    pub token: Option<FencingToken>,
}

/// What a connection allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a message.
    pub message: usize,
    /// Bytes that may wait to be written.
    pub backlog: usize,
    /// How long a call of a gateway that came over it may take, and a stream waits for its reader to appear.
    pub deadline: Duration,
}

/// A connection, for as long as somebody holds it. It is closed in good order when the last one lets go.
#[derive(Clone)]
pub(crate) struct Connection {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.send(Frame::Goodbye);
    }
}

/// What the holders of a connection and its two tasks share.
pub(crate) struct Shared {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    /// Bytes that wait in `outgoing`.
    backlog: AtomicUsize,
    /// Told when they are more than they may be.
    overrun: Notify,
    /// Bytes of items that may be queued besides those that are.
    items_room: Arc<Semaphore>,
    tables: Mutex<Tables>,
    closed: watch::Sender<Option<RpcError>>,
    turns: Arc<Semaphore>,
    entrance: Option<Entrance>,
    handle: OnceLock<Weak<Handle>>,
    pub(crate) limits: Limits,
}

/// A frame that waits to be written.
struct Outgoing {
    frame: Frame,
    /// What it takes of [`Shared::items_room`], if it is an item; given back when it is written or dropped.
    _room: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct Tables {
    last_number: u64,
    /// Why the connection is closed: nothing is entered any more.
    closed: Option<RpcError>,
    /// Our calls that wait for an answer.
    asked: HashMap<u64, Completion>,
    /// The peer's calls that we work on; dropping the entry tells the worker that the caller is gone.
    serving: HashMap<u64, oneshot::Receiver<()>>,
    /// What the peer may call.
    exports: HashMap<u64, Arc<dyn Exported>>,
    /// Streams that we write.
    sources: HashMap<u64, streams::Outlet>,
    /// Streams that we read.
    sinks: HashMap<u64, Arc<dyn streams::Inlet>>,
}

impl Connection {
    /// Starts the two tasks of a connection over a byte stream on which the greetings have been exchanged.
    pub(crate) fn start(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        entrance: Option<Entrance>,
        limits: Limits,
    ) -> Self {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            outgoing,
            backlog: AtomicUsize::new(0),
            overrun: Notify::new(),
            items_room: Arc::new(Semaphore::new(ITEMS_BACKLOG)),
            tables: Mutex::default(),
            closed: watch::Sender::new(None),
            turns: Arc::new(Semaphore::new(MAX_CALLS)),
            entrance,
            handle: OnceLock::new(),
            limits,
        });
        let handle = Arc::new(Handle { shared: shared.clone() });
        let _ = shared.handle.set(Arc::downgrade(&handle));
        io::spawn(stream, queue, shared);
        Self { handle }
    }

    /// Opens an endpoint of the peer by its name; the number under which it is called.
    pub(crate) async fn open(&self, wish: &Wish) -> Result<u64, RpcError> {
        let (opened, answer) = oneshot::channel();
        let body = codec::encode(&wish.name, wish, self.shared().limits.message)?;
        let complete: Completion = Box::new(move |result| {
            let _ = opened.send(result.and_then(|body| codec::decode("open", &body)));
        });
        let _guard = self.ask(DOOR, Outbound { method: "open", body, complete }).await;
        answer.await.unwrap_or_else(|_| Err(RpcError::Unanswered { method: "open".to_owned() }))
    }

    /// Completes when the connection is closed.
    pub(crate) async fn closed(&self) -> RpcError {
        let mut closed = self.shared().closed.subscribe();
        let reason = closed.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| disconnected("it was dropped"))
    }

    /// Says goodbye once everything that waits has been sent.
    pub(crate) fn goodbye(&self) {
        self.shared().send(Frame::Goodbye);
    }

    /// Ends the connection although not everything has been sent.
    pub(crate) fn abort(&self) {
        self.shared().close(disconnected("it was closed here"));
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl Shared {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame. One that comes too late is dropped: closing has told everybody.
    fn send(&self, frame: Frame) {
        self.queue(Outgoing { frame, _room: None });
    }

    /// Queues an item of a stream as soon as there is room for it.
    async fn send_item(&self, stream: u64, body: Vec<u8>) {
        let frame = Frame::Item { stream, body };
        // One that is larger than all the room waits until it has all of it.
        let size = u32::try_from(frame.size().min(ITEMS_BACKLOG)).unwrap_or(u32::MAX);
        let room = self.items_room.clone().acquire_many_owned(size).await.ok();
        self.queue(Outgoing { frame, _room: room });
    }

    fn queue(&self, outgoing: Outgoing) {
        let size = outgoing.frame.size();
        if self.backlog.fetch_add(size, Relaxed) + size > self.limits.backlog {
            self.overrun.notify_one();
        }
        let _ = self.outgoing.send(outgoing);
    }

    /// Whether so much waits to be written that we make no calls of our own.
    fn is_crowded(&self) -> bool {
        self.backlog.load(Relaxed) > self.limits.backlog / 2
    }

    /// A holder of this connection, if it still has one.
    pub(crate) fn holder(&self) -> Result<Connection, RpcError> {
        let handle = self.handle.get().and_then(Weak::upgrade);
        handle.map(|handle| Connection { handle }).ok_or_else(|| disconnected("nobody holds it any longer"))
    }

    /// The number under which the peer calls what is exported.
    pub(crate) fn export(&self, exported: Arc<dyn Exported>) -> u64 {
        let mut tables = self.tables();
        if let Some((number, _)) = tables.exports.iter().find(|(_, known)| known.is_same(&*exported)) {
            return *number;
        }
        tables.exports.retain(|_, known| !known.is_closed());
        let number = tables.number();
        tables.exports.insert(number, exported);
        number
    }

    /// Ends the connection: every call of ours fails, every call of the peer is cancelled, every stream ends.
    fn close(&self, reason: RpcError) {
        let (asked, sinks, sources) = {
            let mut tables = self.tables();
            if tables.closed.is_some() {
                return;
            }
            tables.closed = Some(reason.clone());
            tables.serving.clear();
            tables.exports.clear();
            let sources = std::mem::take(&mut tables.sources);
            (std::mem::take(&mut tables.asked), std::mem::take(&mut tables.sinks), sources)
        };
        asked.into_values().for_each(|complete| complete(Err(reason.clone())));
        sinks.into_values().for_each(|sink| sink.end(Err(reason.clone())));
        sources.into_values().for_each(streams::Outlet::abandon);
        self.turns.close();
        self.closed.send_replace(Some(reason));
    }

    /// Does what a frame of the peer says.
    fn receive(self: &Arc<Self>, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Call { call, endpoint, method, body } => self.serve(call, endpoint, method, &body),
            Frame::Cancel { call } => {
                self.tables().serving.remove(&call);
                Ok(())
            }
            Frame::Answer { call, body } => self.conclude(call, Ok(body)),
            Frame::Failure { call, body } => self.conclude(call, Err(failure(&body))),
            Frame::Item { stream, body } => self.item(stream, &body),
            Frame::Credit { stream, items } => self.credit(stream, items),
            Frame::End { stream, body } => self.end(stream, if body.is_empty() { Ok(()) } else { Err(failure(&body)) }),
            Frame::Abandon { stream } => {
                let source = self.tables().sources.remove(&stream);
                source.into_iter().for_each(streams::Outlet::abandon);
                Ok(())
            }
            Frame::Goodbye => {
                self.close(disconnected("the other side closed it"));
                Ok(())
            }
        }
    }
}

impl Tables {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

fn disconnected(reason: impl ToString) -> RpcError {
    RpcError::Disconnected { reason: reason.to_string() }
}

/// The error that a frame carries.
fn failure(body: &[u8]) -> RpcError {
    codec::decode("error", body).unwrap_or_else(|unknown| unknown)
}

/// The bytes of an error. They are few, so no limit applies.
fn failure_body(error: &RpcError) -> Vec<u8> {
    codec::encode("error", error, usize::MAX).unwrap_or_default()
}
