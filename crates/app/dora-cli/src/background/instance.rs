//! The file that says that a process runs: it holds a lock on it for as long as it lives, however it ends.
//!
//! Whoever looks asks the kernel for the holder of the lock, and takes no lock itself, so that looking never keeps a
//! process from starting.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
    process::{Flock, FlockOffsetType, FlockType, Pid, PidfdFlags, Signal, fcntl_getlk, pidfd_open, pidfd_send_signal},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{CommandError, file_error},
    home,
    processes::Process,
};

/// The name of the file.
pub(super) const INSTANCE: &str = "instance";

/// What stands in it from when the process has begun to end.
const ENDING: &str = "ending";

/// This process, as the only one that runs in a directory.
#[derive(Debug)]
pub(crate) struct Instance {
    file: File,
    path: PathBuf,
}

/// A process that runs in a directory.
#[derive(Debug)]
pub(crate) struct Running {
    pid: Pid,
    process: OwnedFd,
    path: PathBuf,
}

impl Instance {
    /// Becomes the one in this directory, which is made if it is not there; or who is it already.
    pub(crate) fn take(directory: &Path) -> Result<Result<Self, Running>, CommandError> {
        home::make_private(directory)?;
        let path = path_in(directory);
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        loop {
            let file = open().map_err(|error| file_error("write", &path, &error))?;
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    // What the one before told is not true of this one.
                    file.set_len(0).map_err(|error| file_error("write", &path, &error))?;
                    return Ok(Ok(Self { file, path }));
                }
                Err(Errno::AGAIN | Errno::ACCESS) => {}
                Err(error) => return Err(file_error("lock", &path, &error.into())),
            }
            // One that has ended meanwhile is in nobody's way.
            if let Some(running) = Running::in_directory(directory)? {
                return Ok(Err(running));
            }
        }
    }

    /// Tells others that this process has begun to end: who wants one that stays must wait, and start another.
    pub(crate) fn ends(&self) {
        // Who cannot read it finds out a little later.
        let _ = self.tell(&ENDING);
    }

    /// Tells others something about this process.
    pub(crate) fn tell(&self, about: &impl Serialize) -> Result<(), CommandError> {
        let text = serde_json::to_vec(about).map_err(|error| CommandError::failed(error.to_string()))?;
        let write = || {
            self.file.write_all_at(&text, 0)?;
            self.file.set_len(text.len() as u64)
        };
        write().map_err(|error| file_error("write", &self.path, &error))
    }
}

impl Running {
    pub(super) fn new(pid: Pid, process: OwnedFd, path: PathBuf) -> Self {
        Self { pid, process, path }
    }

    /// Who runs in this directory.
    pub(crate) fn in_directory(directory: &Path) -> Result<Option<Self>, CommandError> {
        let path = path_in(directory);
        loop {
            let Some(pid) = holder(&path).map_err(|error| file_error("read", &path, &error))? else { return Ok(None) };
            let process = match pidfd_open(pid, PidfdFlags::empty()) {
                Ok(process) => process,
                Err(Errno::SRCH) => continue,
                Err(error) => return Err(CommandError::failed(format!("cannot watch process {pid}: {error}"))),
            };
            // The number may have been given to another process before it was opened.
            if holder(&path).is_ok_and(|now| now == Some(pid)) {
                return Ok(Some(Self { pid, process, path }));
            }
        }
    }

    /// All that run in the directories of this one.
    pub(crate) fn all_in(directory: &Path) -> Result<Vec<Self>, CommandError> {
        let directories = std::fs::read_dir(directory).into_iter().flatten().flatten();
        directories.filter_map(|directory| Self::in_directory(&directory.path()).transpose()).collect()
    }

    /// Its number.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// The directory in which it runs.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// The same process, with all that the kernel tells of it.
    pub(crate) fn process(&self) -> Process {
        Process::numbered(self.pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// What it tells about itself, once it has.
    pub(crate) fn about<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()
    }

    /// Whether it has begun to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.about::<String>().is_some_and(|word| word == ENDING)
    }

    /// Ends it at once, whatever it does.
    pub(crate) fn kill(&self) {
        // One that is gone needs no killing.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Asks it to end, and what it runs with it.
    pub(crate) fn interrupt(&self) {
        // One that is gone has nothing to be asked.
        let _ = pidfd_send_signal(&self.process, Signal::INT);
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        // One that is gone has nothing to be asked.
        let _ = pidfd_send_signal(&self.process, Signal::TERM);
    }

    /// Waits for its end; whether it came in time.
    pub(crate) fn await_end(&self, limit: Duration) -> bool {
        await_readable(&self.process, limit)
    }
}

fn path_in(directory: &Path) -> PathBuf {
    directory.join(INSTANCE)
}

/// Who holds the lock of this file.
fn holder(path: &Path) -> io::Result<Option<Pid>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let whole = Flock { start: 0, length: 0, pid: None, typ: FlockType::WriteLock, offset_type: FlockOffsetType::Set };
    Ok(fcntl_getlk(&file, &whole)?.and_then(|lock| lock.pid))
}

/// Waits until a descriptor can be read; whether that was in time.
pub(super) fn await_readable(descriptor: &impl std::os::fd::AsFd, limit: Duration) -> bool {
    let deadline = std::time::Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_runs_where_nobody_has_been() {
        let place = tempfile::tempdir().expect("a directory");
        assert!(Running::in_directory(&place.path().join("a")).expect("readable").is_none());
        let instance = Instance::take(&place.path().join("a")).expect("writable").expect("nobody else");
        instance.tell(&[1, 2, 3]).expect("our own file");
        instance.tell(&[4]).expect("our own file");
        assert_eq!(std::fs::read(&instance.path).ok().as_deref(), Some(&b"[4]"[..]));
        instance.ends();
        assert_eq!(std::fs::read(&instance.path).ok().as_deref(), Some(&b"\"ending\""[..]));
        drop(instance);
        let next = Instance::take(&place.path().join("a")).expect("writable").expect("nobody else");
        assert_eq!(std::fs::read(&next.path).ok().as_deref(), Some(&b""[..]));
        drop(next);
        assert!(Running::in_directory(&place.path().join("a")).expect("readable").is_none());
    }
}
