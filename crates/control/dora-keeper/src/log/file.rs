//! The log file of one node: one JSON object per line, rotated by size.
//!
//! A disk that is full, or a directory that cannot be written, costs lines and nothing else: they are counted, and the
//! file itself says how many are missing when it can be written again. No line is ever torn.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use dora_message::{id::NodeId, log::LogRecord};

mod gap;

/// Time between two attempts to write a file that could not be written. Nobody is woken for it: the next line tries.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Capacity that is kept for the next lines.
const KEPT: usize = 64 * 1024;

/// What the user should know of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// It cannot be written; the reason.
    Broken { path: PathBuf, error: String },
    /// It is written again. That many lines are missing.
    Mended { path: PathBuf, lost: u64 },
}

/// A log file, opened when the first line comes.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    max_size: Option<u64>,
    max_rotated: u32,
    open: Option<Open>,
    /// Lines that will be written together.
    batch: Vec<u8>,
    failure: Option<Failure>,
    /// Lines that were not written, in all.
    lost: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    len: u64,
}

/// The file cannot be written at present.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// Lines that the file lacks and does not say so yet.
    lost: u64,
    retry_at: Instant,
    told: bool,
}

impl LogFile {
    pub(super) fn new(path: PathBuf, max_size: Option<u64>, max_rotated: u32) -> Self {
        LogFile { path, max_size, max_rotated, open: None, batch: Vec::new(), failure: None, lost: 0 }
    }

    /// Lines that were not written, in all.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Adds a line to those that [`LogFile::flush`] writes.
    pub(super) fn push(&mut self, node: &NodeId, now: DateTime<Utc>, record: &LogRecord<'_>) {
        let start = self.batch.len();
        if serde_json::to_writer(&mut self.batch, record).is_err() {
            // Our own types always have a JSON form.
            return self.batch.truncate(start);
        }
        self.batch.push(b'\n');
        if self.would_exceed(start) {
            let line = self.batch.split_off(start);
            self.write_batch(node, now);
            self.rotate();
            self.batch = line;
        }
    }

    /// Whether the last line of the batch, which starts there, would make the file too long. A file has at least one line.
    fn would_exceed(&self, start: usize) -> bool {
        let Some(max_size) = self.max_size.filter(|_| self.failure.is_none()) else { return false };
        // A file of an earlier process of the node may be there.
        let len = self.open.as_ref().map_or_else(|| fs::metadata(&self.path).map_or(0, |found| found.len()), |o| o.len);
        len + start as u64 > 0 && len + self.batch.len() as u64 > max_size
    }

    /// Writes what was pushed. Tells when that begins to fail, and when it works again.
    pub(super) fn flush(&mut self, node: &NodeId, now: DateTime<Utc>) -> Option<Notice> {
        let missing = self.failure.as_ref().map(|failure| failure.lost);
        self.write_batch(node, now);
        match (&mut self.failure, missing) {
            (None, Some(lost)) => Some(Notice::Mended { path: self.path.clone(), lost }),
            (Some(failure), _) if !failure.told => {
                failure.told = true;
                Some(Notice::Broken { path: self.path.clone(), error: failure.reason.clone() })
            }
            _ => None,
        }
    }

    fn write_batch(&mut self, node: &NodeId, now: DateTime<Utc>) {
        if self.batch.is_empty() {
            return;
        }
        let waits = self.failure.as_ref().is_some_and(|failure| Instant::now() < failure.retry_at);
        let outcome = if waits { None } else { Some(self.try_write(node, now)) };
        let missed = match &outcome {
            Some((written, _)) => lines(&self.batch[*written..]),
            None => lines(&self.batch),
        };
        self.lost += missed;
        match outcome {
            Some((_, Ok(()))) => self.failure = None,
            Some((_, Err(error))) => self.fail(missed, &error),
            None => self.failure.iter_mut().for_each(|failure| failure.lost += missed),
        }
        self.batch.clear();
        self.batch.shrink_to(KEPT);
    }

    /// Writes the batch, after a line about those that are missing: how much of it is in the file now, in whole lines.
    fn try_write(&mut self, node: &NodeId, now: DateTime<Utc>) -> (usize, io::Result<()>) {
        let open = match self.open.take().map_or_else(|| Open::at(&self.path), Ok) {
            Ok(open) => self.open.insert(open),
            Err(error) => return (0, Err(error)),
        };
        if let Some(failure) = self.failure.as_mut().filter(|failure| failure.lost > 0) {
            let (written, result) = open.append(&gap::line(node, now, failure.lost, &failure.reason));
            if written == 0 {
                return (0, result);
            }
            failure.lost = 0;
        }
        open.append(&self.batch)
    }

    fn fail(&mut self, missed: u64, error: &io::Error) {
        let told = self.failure.as_ref().is_some_and(|failure| failure.told);
        let before = self.failure.as_ref().map_or(0, |failure| failure.lost);
        let retry_at = Instant::now() + RETRY_AFTER;
        self.failure = Some(Failure { reason: describe(error), lost: before + missed, retry_at, told });
    }

    /// The current file becomes the newest of those that are kept.
    fn rotate(&mut self) {
        self.open = None;
        let moved = (1..self.max_rotated).rev().try_for_each(|n| rename(&self.rotated(n), &self.rotated(n + 1)));
        if let Err(error) = moved.and_then(|()| rename(&self.path, &self.rotated(1))) {
            // To go on in a file that cannot be rotated would fill the disk.
            self.fail(0, &error);
        }
    }

    /// `log_camera.1.jsonl` is the newest.
    fn rotated(&self, number: u32) -> PathBuf {
        let mut name = self.path.file_stem().map_or_else(OsString::new, OsString::from);
        name.push(format!(".{number}."));
        name.push(self.path.extension().unwrap_or_default());
        self.path.with_file_name(name)
    }
}

impl Open {
    /// Opens a file at its end; makes it and its directory first if they are not there.
    fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        let file = options.open(path).or_else(|error| match (error.kind(), path.parent()) {
            (io::ErrorKind::NotFound, Some(directory)) => {
                make(directory)?;
                options.open(path)
            }
            _ => Err(error),
        })?;
        let len = file.metadata()?.len();
        Ok(Open { file, len })
    }

    /// Appends lines: how many bytes are there now, in whole lines.
    fn append(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        let result = loop {
            match self.file.write(&lines[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if written == lines.len() {
                break Ok(());
            }
        };
        let whole = memchr::memrchr(b'\n', &lines[..written]).map_or(0, |end| end + 1);
        if whole < written
            && let Ok(found) = self.file.metadata()
        {
            // Relative to what is there: somebody may have emptied the file meanwhile.
            let _ = self.file.set_len(found.len().saturating_sub((written - whole) as u64));
        }
        self.len += whole as u64;
        (whole, result)
    }
}

/// Makes the directory of a run, and tells git to leave the directory of all runs alone.
fn make(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let ignore = directory
        .parent()
        .map(|all_runs| OpenOptions::new().write(true).create_new(true).open(all_runs.join(".gitignore")));
    if let Some(Ok(mut file)) = ignore {
        // Without it nothing is missing.
        let _ = file.write_all(b"*\n");
    }
    Ok(())
}

/// What is not there needs no other name.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn lines(bytes: &[u8]) -> u64 {
    // JSON holds no newline.
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// The error without the number that Rust appends.
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests;
