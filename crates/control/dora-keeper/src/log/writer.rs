//! The thread that writes the log files, so that a disk that takes its time holds up neither the keeper's loop nor a node.
//!
//! The loop hands lines over and goes on ([`Writer::write`]). A node that prints faster than the disk takes is held up
//! ([`Writer::holds_up`]): it waits in its own full pipe, and loses nothing. Once the disk has taken nothing for
//! [`STALL`], its lines are left out and counted instead, until the disk takes some again: a robot may lose lines, not
//! time. The thread sleeps until there are lines, and wakes the loop only where the loop waits for it.

mod progress;

use std::{
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use dora_message::{id::NodeId, supervision::NodePlan};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::file::{LogFile, Notice, line_count};
use progress::{Progress, STALL, Shared, look};

/// Time that the disk has at the end, when everything else is over.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the thread needs of a stack.
const STACK: usize = 256 * 1024;

/// Whole lines of one node.
struct Lines {
    node: usize,
    text: Vec<u8>,
    /// Lines that were left out just before them.
    left_out: u64,
    now: DateTime<Utc>,
}

/// What the loop knows of one file.
#[derive(Debug)]
struct Feed {
    id: NodeId,
    path: PathBuf,
    /// Lines that were left out since the last that were handed over.
    left_out: u64,
    /// Lines that were left out, in all.
    lost: u64,
}

/// The loop's end of the thread.
pub(super) struct Writer {
    /// `None` once nothing more will be handed over.
    jobs: Option<Sender<Lines>>,
    shared: Shared,
    /// `None` for nodes without a log file.
    feeds: Vec<Option<Feed>>,
    notices: Receiver<Notice>,
    /// Says that there is room again, or something to tell; ends when all is written.
    wakes: PipeReader,
    is_written: bool,
    /// At the end: until when the disk is waited for.
    patience: Option<Instant>,
}

impl Writer {
    /// Starts the thread. `None`: no node has a log file.
    pub(super) fn start(nodes: &[NodePlan]) -> io::Result<Option<Self>> {
        let feed = |node: &NodePlan| {
            let path = node.log.file.clone()?;
            Some(Feed { id: node.id.clone(), path, left_out: 0, lost: 0 })
        };
        let feeds: Vec<_> = nodes.iter().map(feed).collect();
        if feeds.iter().all(Option::is_none) {
            return Ok(None);
        }
        let shared = Progress::none(feeds.len());
        let (wakes, wake) = io::pipe()?;
        rustix::io::ioctl_fionbio(&wakes, true)?;
        rustix::io::ioctl_fionbio(&wake, true)?;
        let ((jobs, orders), (tell, notices)) = (mpsc::channel(), mpsc::channel());
        let files = nodes.iter().map(LogFile::of).collect();
        let pen = Pen { files, shared: Arc::clone(&shared), tell, wake };
        thread::Builder::new().name("log-writer".to_owned()).stack_size(STACK).spawn(move || pen.write_all(orders))?;
        Ok(Some(Writer { jobs: Some(jobs), shared, feeds, notices, wakes, is_written: false, patience: None }))
    }

    /// Becomes readable when [`Self::woken`] has something to do.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wakes.as_fd()
    }

    /// Hands over whole lines of a node. Tells of it when they are the first to be left out.
    pub(super) fn write(&mut self, node: usize, text: Vec<u8>, now: DateTime<Utc>) -> Option<Notice> {
        // After the end nobody waits for what is printed.
        let jobs = self.jobs.as_ref()?;
        let feed = self.feeds[node].as_mut()?;
        let (bytes, lines) = (text.len(), line_count(&text));
        let mut progress = look(&self.shared);
        if progress.is_full(node) && progress.is_stalled() {
            feed.lost += lines;
            let is_first = feed.left_out == 0;
            feed.left_out += lines;
            let error = format!("a write has taken longer than {} s", STALL.as_secs());
            return is_first.then(|| Notice::Broken { path: feed.path.clone(), error });
        }
        let left_out = std::mem::take(&mut feed.left_out);
        progress.begin(node, bytes, lines);
        drop(progress);
        // The thread ends only when this end is dropped.
        let _ = jobs.send(Lines { node, text, left_out, now });
        None
    }

    /// Whether a node has to wait for the disk.
    pub(super) fn holds_up(&self, node: usize) -> bool {
        let progress = look(&self.shared);
        progress.is_full(node) && !progress.is_stalled()
    }

    /// When to look again although the thread has said nothing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let progress = look(&self.shared);
        let waits = !progress.is_stalled() && (0..self.feeds.len()).any(|node| progress.is_full(node));
        let stalls_at = progress.stalls_at().filter(|_| waits);
        stalls_at.into_iter().chain(self.patience.filter(|_| !self.is_written)).min()
    }

    /// Takes what the thread has said. False: it is done, and nothing will be said any more.
    pub(super) fn woken(&mut self) -> bool {
        let mut bytes = [0; 64];
        loop {
            match self.wakes.read(&mut bytes) {
                Ok(0) => {
                    self.is_written = true;
                    return false;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
    }

    /// What the user should know of the files.
    pub(super) fn notices(&self) -> impl Iterator<Item = Notice> {
        self.notices.try_iter()
    }

    /// No more lines will come. Whether all are written, or the disk has had its time.
    pub(super) fn is_finished(&mut self, now: Instant) -> bool {
        self.jobs = None;
        let patience = *self.patience.get_or_insert(now + PATIENCE);
        self.is_written || patience <= now
    }

    /// The end is not to wait for the disk any longer.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        if let Some(patience) = &mut self.patience {
            *patience = now;
        }
    }

    /// Waits until all is written, this long at most.
    pub(super) fn settle(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        while !self.is_finished(deadline) && self.woken() {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let ready = poll(&mut [PollFd::new(&self.wakes, PollFlags::IN)], Some(&timeout));
            if ready == Ok(0) {
                return;
            }
        }
    }

    /// Lines that are missing in log files, by node.
    pub(super) fn unwritten(&self) -> Vec<(&NodeId, u64)> {
        let progress = look(&self.shared);
        let feeds = self.feeds.iter().zip(&progress.queues).filter_map(|(feed, queue)| Some((feed.as_ref()?, queue)));
        let missing = feeds.map(|(feed, queue)| (&feed.id, feed.lost + queue.lost + queue.lines));
        missing.filter(|(_, lines)| *lines > 0).collect()
    }
}

/// The thread.
struct Pen {
    files: Vec<Option<LogFile>>,
    shared: Shared,
    tell: Sender<Notice>,
    wake: PipeWriter,
}

impl Pen {
    fn write_all(mut self, orders: Receiver<Lines>) {
        for lines in orders {
            let Some(file) = &mut self.files[lines.node] else { continue };
            let notice = file.write(&lines.text, lines.left_out, lines.now);
            let (bytes, count) = (lines.text.len(), line_count(&lines.text));
            let has_room_now = look(&self.shared).end(lines.node, bytes, count, file.lost());
            if notice.is_some_and(|notice| self.tell.send(notice).is_ok()) || has_room_now {
                // A pipe that is full of bytes wakes as well.
                let _ = self.wake.write(&[0]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
