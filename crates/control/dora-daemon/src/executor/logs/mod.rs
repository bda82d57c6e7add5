//! Answers about the lines that nodes print: first what is in their log files (`history`), then, if wanted, what comes.
//!
//! Between the two is a `seam`: lines may be in both, or in the one before they are in the other. `line` is how a line is
//! understood, `filter` which ones are wanted. Files are read in a thread of their own; a reader who is slow is waited for
//! there, and costs lines, which are counted, once he follows.

mod filter;
mod history;
mod line;
mod seam;

use std::{collections::VecDeque, sync::Arc};

use dora_gateways::{DataflowEvent, DataflowId, LogChunk, LogLine, LogQuery, Watching};
use dora_rpc::{ReaderGone, RpcStream, StreamSender, stream};
use tokio::{runtime::Handle, task::spawn_blocking};

use self::{
    filter::Filter,
    history::{History, Tails},
    seam::Seam,
};
use super::{now::now, queue::Subscription, recent::Printed, record::LogFiles, run::Run};

/// Chunks that are on their way.
const ON_THE_WAY: usize = 8;
/// Lines of a chunk.
const MOST_LINES: usize = 256;
/// Bytes of a chunk; one line may be longer.
const MOST_BYTES: usize = 256 << 10;

/// A question about the lines of one dataflow.
pub(super) struct Question {
    dataflow: DataflowId,
    files: Vec<LogFiles>,
    filter: Filter,
    tail: Option<usize>,
    /// What is followed.
    run: Option<Arc<Run>>,
}

impl Question {
    /// `run`: the dataflow, while it runs.
    pub(super) fn new(dataflow: DataflowId, query: LogQuery, files: Vec<LogFiles>, run: Option<Arc<Run>>) -> Self {
        // What is still to come is younger than any time in the past.
        let run = run.filter(|_| query.follow && query.until.is_none());
        let tail = query.tail.map(|tail| usize::try_from(tail).unwrap_or(usize::MAX));
        let filter = Filter::new(query, now());
        let files = files.into_iter().filter(|files| filter.wants_node(&files.node)).collect();
        Question { dataflow, files, filter, tail, run }
    }

    /// Begins to answer.
    pub(super) fn answer(self) -> RpcStream<LogChunk> {
        let (sender, chunks) = stream(ON_THE_WAY);
        tokio::spawn(async move {
            let (question, sender, runtime) = (Arc::new(self), Arc::new(sender), Handle::current());
            let reading = {
                let (question, sender) = (question.clone(), sender.clone());
                move || question.history(&sender, &runtime)
            };
            if let (Ok(Ok(tails)), Some(run)) = (spawn_blocking(reading).await, &question.run) {
                let _ = question.follow(run, tails, &sender).await;
            }
        });
        chunks
    }

    fn history(&self, sender: &StreamSender<LogChunk>, runtime: &Handle) -> Result<Tails, ReaderGone> {
        let mut history = History::open(self.dataflow, &self.files);
        let mut wanted = std::iter::from_fn(|| history.next()).filter(|line| self.filter.wants(line));
        let send = |chunk| runtime.block_on(sender.send(chunk));
        match self.tail {
            Some(tail) => send_lines(&mut last(wanted, tail).into_iter(), send)?,
            None => send_lines(&mut wanted, send)?,
        }
        Ok(history.tails())
    }

    async fn follow(&self, run: &Run, tails: Tails, sender: &StreamSender<LogChunk>) -> Result<(), ReaderGone> {
        let (recent, events) = run.feed.follow(Watching::Loosely);
        let mut seam = Seam::new(tails, &recent);
        for printed in recent.printed() {
            if let Some(chunk) = self.printed(&mut seam, printed) {
                sender.send(chunk).await?;
            }
        }
        self.follow_events(events, seam, sender).await
    }

    async fn follow_events(
        &self,
        mut events: Subscription,
        mut seam: Seam,
        sender: &StreamSender<LogChunk>,
    ) -> Result<(), ReaderGone> {
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = sender.abandoned() => return Err(ReaderGone),
            };
            let chunk = match event {
                None => return Ok(()),
                Some(DataflowEvent::Missed { lines }) => Some(LogChunk::Missed(lines)),
                Some(DataflowEvent::Lines { node, stream, time_ns, lines }) => {
                    self.printed(&mut seam, &Printed { node, stream, time_ns, lines: lines.into() })
                }
                Some(DataflowEvent::Warning(text)) => {
                    let line = line::own(self.dataflow, now(), text);
                    self.filter.wants(&line).then(|| LogChunk::Lines(vec![line]))
                }
                Some(_) => None,
            };
            if let Some(chunk) = chunk {
                sender.send(chunk).await?;
            }
        }
    }

    /// What is wanted of lines that a node has printed and that were not in its file.
    fn printed(&self, seam: &mut Seam, printed: &Printed) -> Option<LogChunk> {
        let Printed { node, stream, time_ns, lines } = printed;
        if !self.filter.wants_node(node) {
            return None;
        }
        let new = seam.new_lines(node, lines).iter();
        let new = new.map(|text| line::printed(self.dataflow, node, *stream, *time_ns, text));
        let wanted: Vec<LogLine> = new.filter(|line| self.filter.wants(line)).collect();
        (!wanted.is_empty()).then_some(LogChunk::Lines(wanted))
    }
}

/// The last so many lines.
fn last(lines: impl Iterator<Item = LogLine>, count: usize) -> VecDeque<LogLine> {
    let mut last = VecDeque::new();
    for line in lines {
        last.push_back(line);
        if last.len() > count {
            last.pop_front();
        }
    }
    last
}

/// Sends lines in chunks.
fn send_lines(
    lines: &mut dyn Iterator<Item = LogLine>,
    send: impl Fn(LogChunk) -> Result<(), ReaderGone>,
) -> Result<(), ReaderGone> {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for line in lines {
        bytes += line.message.len();
        chunk.push(line);
        if chunk.len() == MOST_LINES || bytes >= MOST_BYTES {
            send(LogChunk::Lines(std::mem::take(&mut chunk)))?;
            bytes = 0;
        }
    }
    if chunk.is_empty() { Ok(()) } else { send(LogChunk::Lines(chunk)) }
}
