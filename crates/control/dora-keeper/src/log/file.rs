//! The log file of one node: one JSON object per line, rotated by size.
//!
//! A disk that is full, or a directory that cannot be written, costs lines and nothing else: they are counted, and the
//! file itself says how many are missing when it can be written again. No line is ever torn.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use dora_message::{id::NodeId, log::rotated, supervision::NodePlan};

mod gap;

/// Time between two attempts to write a file that could not be written. Nobody is woken for it: the next line tries.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Why lines are missing that nobody has tried to write.
const TOO_SLOW: &str = "the disk was too slow";

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
    node: NodeId,
    path: PathBuf,
    max_size: Option<u64>,
    max_rotated: u32,
    open: Option<Open>,
    failure: Option<Failure>,
    /// Lines that could not be written, in all.
    lost: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    len: u64,
}

/// The file lacks lines.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// Lines that the file lacks and does not say so yet.
    lost: u64,
    retry_at: Instant,
    told: bool,
}

impl LogFile {
    /// The file of a node, if it is to have one.
    pub(super) fn of(plan: &NodePlan) -> Option<Self> {
        Some(LogFile {
            node: plan.id.clone(),
            path: plan.log.file.clone()?,
            max_size: plan.log.max_size,
            max_rotated: plan.log.max_rotated_files,
            open: None,
            failure: None,
            lost: 0,
        })
    }

    /// Lines that could not be written, in all.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes whole lines; so many were left out before them. Tells when writing begins to fail, and when it works again.
    pub(super) fn write(&mut self, lines: &[u8], left_out: u64, now: DateTime<Utc>) -> Option<Notice> {
        if left_out > 0 {
            self.lack(left_out);
        }
        let missing = self.failure.as_ref().map(|failure| failure.lost);
        let mut rest = lines;
        while !rest.is_empty() {
            let (fitting, after) = rest.split_at(self.fitting(rest));
            match fitting.is_empty() {
                true => self.rotate(),
                false => self.write_fitting(fitting, now),
            }
            rest = after;
        }
        match (&mut self.failure, missing) {
            (None, Some(lost)) => Some(Notice::Mended { path: self.path.clone(), lost }),
            (Some(failure), _) if !failure.told => {
                failure.told = true;
                Some(Notice::Broken { path: self.path.clone(), error: failure.reason.clone() })
            }
            _ => None,
        }
    }

    /// Lines that nobody has tried to write are missing here; whoever left them out has told so.
    fn lack(&mut self, lines: u64) {
        let now = Instant::now();
        let late = || Failure { reason: TOO_SLOW.to_owned(), lost: 0, retry_at: now, told: true };
        self.failure.get_or_insert_with(late).lost += lines;
    }

    /// Bytes of the whole lines that the file has room for. A file has at least one line.
    fn fitting(&self, lines: &[u8]) -> usize {
        let Some(max_size) = self.max_size.filter(|_| self.failure.is_none()) else { return lines.len() };
        // A file of an earlier process of the node may be there.
        let len = self.open.as_ref().map_or_else(|| fs::metadata(&self.path).map_or(0, |found| found.len()), |o| o.len);
        let room = usize::try_from(max_size.saturating_sub(len)).unwrap_or(usize::MAX);
        let end_of_line = match lines.get(..room) {
            None => return lines.len(),
            Some(beginning) => memchr::memrchr(b'\n', beginning),
        };
        let first_line = || if len == 0 { memchr::memchr(b'\n', lines) } else { None };
        end_of_line.or_else(first_line).map_or(0, |newline| newline + 1)
    }

    fn write_fitting(&mut self, lines: &[u8], now: DateTime<Utc>) {
        let waits = self.failure.as_ref().is_some_and(|failure| Instant::now() < failure.retry_at);
        let outcome = if waits { None } else { Some(self.try_write(lines, now)) };
        let missed = line_count(&lines[outcome.as_ref().map_or(0, |(written, _)| *written)..]);
        self.lost += missed;
        match outcome {
            Some((_, Ok(()))) => self.failure = None,
            Some((_, Err(error))) => self.fail(missed, &error),
            None => self.failure.iter_mut().for_each(|failure| failure.lost += missed),
        }
    }

    /// Appends lines, after one about those that are missing: how many bytes are in the file now, in whole lines.
    fn try_write(&mut self, lines: &[u8], now: DateTime<Utc>) -> (usize, io::Result<()>) {
        let open = match self.open.take().map_or_else(|| Open::at(&self.path), Ok) {
            Ok(open) => self.open.insert(open),
            Err(error) => return (0, Err(error)),
        };
        if let Some(failure) = self.failure.as_mut().filter(|failure| failure.lost > 0) {
            let (written, result) = open.append(&gap::line(&self.node, now, failure.lost, &failure.reason));
            if written == 0 {
                return (0, result);
            }
            failure.lost = 0;
        }
        open.append(lines)
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

    fn rotated(&self, number: u32) -> PathBuf {
        rotated(&self.path, number)
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

/// How many lines there are.
pub(super) fn line_count(bytes: &[u8]) -> u64 {
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
