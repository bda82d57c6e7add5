//! Streams of several machines as one: events, lines, messages.
//!
//! Each subscriber has a task of its own, which no endpoint waits for. It reads from each machine as fast as its reader
//! takes it and no faster: what a daemon does when it is not read fast enough, drop and count or wait, was said when its
//! stream was opened. It follows the dataflow: a machine that joins later, or that returns, is read as well.

use std::{collections::BTreeMap, sync::Arc};

use dora_gateways::{
    DataflowEvent, DataflowId, DataflowResult, LogChunk, LogQuery, MachineId, NodeExecutorCall, NodeExecutorError,
    NodeExecutorGateway, Watching,
};
use dora_rpc::{Gateway, ReaderGone, RpcStream, StreamSender, Streamed, stream};
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
    let open = move |executor: Gateway<NodeExecutorCall>| async move { executor.events(dataflow, watching).await };
    let missed = |lines| Some(DataflowEvent::Missed { lines });
    let merge = Merge { sender: Arc::new(sender), open, missed, follow: true };
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
    let open = move |executor: Gateway<NodeExecutorCall>| {
        let query = query.clone();
        async move { executor.logs(dataflow, query).await }
    };
    let merge = Merge { sender: Arc::new(sender), open, missed: |lines| Some(LogChunk::Missed(lines)), follow };
    tokio::spawn(merge.run(progress));
    reader
}

/// Reads streams that are open until all of them have ended.
pub(crate) fn join<T: Send + 'static>(streams: Vec<RpcStream<T>>, missed: Missed<T>) -> RpcStream<T> {
    let (sender, reader) = stream(CAPACITY);
    let sender = Arc::new(sender);
    for stream in streams {
        let sender = sender.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = sender.abandoned() => {}
                _ = pump(stream, &sender, missed) => {}
            }
        });
    }
    reader
}

/// What the reader is told when a connection has dropped so many items, if there is a word for it.
type Missed<T> = fn(u64) -> Option<T>;

/// Sends on what comes from a stream, until it or its reader ends.
async fn pump<T>(mut stream: RpcStream<T>, sender: &StreamSender<T>, missed: Missed<T>) -> Result<(), ReaderGone> {
    while let Ok(Some(entry)) = stream.next().await {
        let item = match entry {
            Streamed::Item(item) => Some(item),
            Streamed::Dropped(count) => missed(count),
        };
        if let Some(item) = item {
            sender.send(item).await?;
        }
    }
    Ok(())
}

/// The stream of one reader, from all machines of a dataflow.
struct Merge<T, O> {
    sender: Arc<StreamSender<T>>,
    /// Opens the stream of a machine.
    open: O,
    missed: Missed<T>,
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
    T: Send + 'static,
    O: Fn(Gateway<NodeExecutorCall>) -> F,
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
            let known = readings.last.get(machine).is_some_and(|last| *last >= source.connection);
            if known || readings.now.contains_key(machine) {
                continue;
            }
            readings.last.insert(machine.clone(), source.connection);
            let (sender, missed, opening) = (self.sender.clone(), self.missed, (self.open)(source.executor.clone()));
            let name = machine.clone();
            let reading = readings.pumps.spawn(async move {
                if let Ok(stream) = opening.await {
                    let _ = pump(stream, &sender, missed).await;
                }
                name
            });
            readings.now.insert(machine.clone(), reading);
        }
    }
}
