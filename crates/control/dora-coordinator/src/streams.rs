//! Streams of several machines as one: events, lines, messages.
//!
//! Each subscriber has a task of its own, which no endpoint waits for. It reads from each machine as fast as its reader
//! takes it and no faster: what a daemon does when it is not read fast enough, drop and count or wait, was said when its
//! stream was opened. It follows the dataflow: a machine that joins later, or that returns, is read as well.

use std::{collections::BTreeMap, sync::Arc};

use dora_gateways::{
    DataflowEvent, DataflowId, DataflowResult, LogChunk, LogQuery, MachineId, NodeExecutorCall, NodeExecutorError,
    NodeExecutorGateway, TappedMessage, Watching,
};
use dora_rpc::{Gateway, ReaderGone, RpcError, RpcStream, StreamSender, Streamed, stream};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use crate::master::Progress;

/// Items that wait for a reader here, besides those that wait at the daemons.
const CAPACITY: usize = 256;

/// What happens in a dataflow; its end is the last event.
pub(crate) fn events(
    progress: watch::Receiver<Progress>,
    dataflow: DataflowId,
    watching: Watching,
) -> RpcStream<DataflowEvent> {
    let (sender, reader) = stream(CAPACITY);
    let open =
        move |executor: Gateway<NodeExecutorCall>, _: Opening| async move { executor.events(dataflow, watching).await };
    let merge = Merge { sender: Arc::new(sender), open, follow: true };
    tokio::spawn(async move {
        let sender = merge.sender.clone();
        if let Some(result) = merge.run(progress).await {
            let _ = sender.send(DataflowEvent::Finished(result)).await;
        }
    });
    reader
}

/// The lines that the nodes of a dataflow print.
pub(crate) fn logs(progress: watch::Receiver<Progress>, dataflow: DataflowId, query: LogQuery) -> RpcStream<LogChunk> {
    let (sender, reader) = stream(CAPACITY);
    let follow = query.follow;
    let open = move |executor: Gateway<NodeExecutorCall>, opening: Opening| {
        let mut query = query.clone();
        if opening == Opening::Again {
            // What came before was read; what came in between is told of as unread.
            query.tail = Some(0);
        }
        async move { executor.logs(dataflow, query).await }
    };
    let merge = Merge { sender: Arc::new(sender), open, follow };
    tokio::spawn(merge.run(progress));
    reader
}

/// Reads streams that are open until all of them have ended; `first` comes before that.
pub(crate) fn join<T: Item>(streams: Vec<RpcStream<T>>, first: Vec<T>) -> RpcStream<T> {
    let (sender, reader) = stream(CAPACITY + first.len());
    for item in first {
        // It has room for them.
        let _ = sender.push(item);
    }
    let sender = Arc::new(sender);
    for stream in streams {
        let sender = sender.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = sender.abandoned() => {}
                _ = pump(stream, &sender) => {}
            }
        });
    }
    reader
}

/// What streams carry, with the words for what they do not.
pub(crate) trait Item: Sized + Send + 'static {
    /// A connection has dropped so many items.
    fn missed(_count: u64) -> Option<Self> {
        None
    }

    /// What a machine has cannot be read, or no further.
    fn unread(_machine: &MachineId, _reason: String) -> Option<Self> {
        None
    }
}

impl Item for DataflowEvent {
    fn missed(lines: u64) -> Option<Self> {
        Some(Self::Missed { lines })
    }

    fn unread(machine: &MachineId, reason: String) -> Option<Self> {
        let text = format!("news of machine `{machine}` are missing here: {reason}; `dora logs` has all lines");
        Some(Self::Warning(text))
    }
}

impl Item for LogChunk {
    fn missed(lines: u64) -> Option<Self> {
        Some(Self::Missed(lines))
    }

    fn unread(machine: &MachineId, reason: String) -> Option<Self> {
        Some(Self::Unread { machine: machine.clone(), reason })
    }
}

impl Item for TappedMessage {}

/// Sends on what comes from a stream, until it or its reader ends; why it ended too early, if it did.
async fn pump<T: Item>(mut stream: RpcStream<T>, sender: &StreamSender<T>) -> Result<Option<RpcError>, ReaderGone> {
    loop {
        let item = match stream.next().await {
            Ok(Some(Streamed::Item(item))) => Some(item),
            Ok(Some(Streamed::Dropped(count))) => T::missed(count),
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error)),
        };
        if let Some(item) = item {
            sender.send(item).await?;
        }
    }
}

/// Whether the stream of a machine is opened for the first time for its reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    First,
    Again,
}

/// The stream of one reader, from all machines of a dataflow.
struct Merge<T, O> {
    sender: Arc<StreamSender<T>>,
    /// Opens the stream of a machine.
    open: O,
    /// Whether machines that join later are read as well.
    follow: bool,
}

/// The machines whose streams are read, or were.
#[derive(Default)]
struct Readings {
    /// The connection of each machine that was read last.
    last: BTreeMap<MachineId, u64>,
    now: BTreeMap<MachineId, AbortHandle>,
    pumps: JoinSet<MachineId>,
}

impl<T, O, F> Merge<T, O>
where
    T: Item,
    O: Fn(Gateway<NodeExecutorCall>, Opening) -> F,
    F: Future<Output = Result<RpcStream<T>, NodeExecutorError>> + Send + 'static,
{
    /// Reads until the dataflow has ended and everything was read; its result. `None` if the reader is gone, if the
    /// coordinator ends, or if nothing is to be followed.
    async fn run(self, mut progress: watch::Receiver<Progress>) -> Option<DataflowResult> {
        let mut readings = Readings::default();
        loop {
            let over = {
                let progress = progress.borrow_and_update();
                self.attach(&mut readings, &progress);
                progress.result.clone()
            };
            let is_over = over.is_some();
            if readings.pumps.is_empty() && (is_over || !self.follow) {
                return over;
            }
            tokio::select! {
                Some(done) = readings.pumps.join_next() => {
                    if let Ok(machine) = done {
                        readings.now.remove(&machine);
                    }
                }
                changed = progress.changed(), if self.follow && !is_over => changed.ok()?,
                () = self.sender.abandoned() => return None,
            }
        }
    }

    /// Reads from all machines that are there, and no longer from those that are lost.
    fn attach(&self, readings: &mut Readings, progress: &Progress) {
        readings.now.retain(|machine, reading| {
            let there = progress.sources.contains_key(machine);
            if !there {
                reading.abort();
            }
            there
        });
        for (machine, source) in &progress.sources {
            let last = readings.last.get(machine).copied();
            if last.is_some_and(|last| last >= source.connection) || readings.now.contains_key(machine) {
                continue;
            }
            readings.last.insert(machine.clone(), source.connection);
            // Connection 0 is that of a daemon which has not registered yet.
            let opening = if last.is_some_and(|last| last > 0) { Opening::Again } else { Opening::First };
            let stream = source.executor.clone().map(|executor| (self.open)(executor, opening));
            let (sender, name) = (self.sender.clone(), machine.clone());
            let reading = readings.pumps.spawn(async move {
                let trouble = match stream {
                    None => Some("its daemon has not registered with this coordinator yet".to_owned()),
                    Some(stream) => match stream.await {
                        Ok(stream) => pump(stream, &sender).await.ok().flatten().map(|error| error.to_string()),
                        Err(error) => Some(error.to_string()),
                    },
                };
                if let Some(unread) = trouble.and_then(|reason| T::unread(&name, reason)) {
                    let _ = sender.send(unread).await;
                }
                name
            });
            readings.now.insert(machine.clone(), reading);
        }
    }
}
