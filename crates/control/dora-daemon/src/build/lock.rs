//! Keeps two builds, of this process or another, from changing the same directory at once.
//!
//! The kernel takes the lock back when a process ends, however it ends.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use super::{BuildProblem, Progress, job::Tools};

/// Makes the directory, and holds its lock until it is dropped.
pub(super) fn hold(tools: &Tools<'_>, dir: &Path) -> Result<File, BuildProblem> {
    fs::create_dir_all(dir).map_err(|error| BuildProblem::file("make the directory", dir, error))?;
    let path = dir.join(".lock");
    let failed = |error| BuildProblem::file("lock", &path, error);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    (tools.say)(Progress::Waiting(dir.to_owned()));
    let locked = tools.crew.control.aside(None, move |_| file.lock().map(|()| file))?;
    locked.unwrap_or_else(|| Err(std::io::ErrorKind::BrokenPipe.into())).map_err(failed)
}
