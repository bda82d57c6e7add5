//! `--locked`, `--write-lockfile` and `--lockfile`: everybody builds from the same.

use std::path::{Path, PathBuf};

use dora_daemon::{Pins, Sources};

use crate::error::CommandError;

/// What becomes of the lock file of a dataflow.
#[derive(Debug)]
pub(crate) enum Lockfile {
    /// Nobody asked for one.
    Ignored,
    /// Every source must be what it says.
    Obeyed(Pins),
    /// It is written after the build.
    Written(PathBuf),
}

impl Lockfile {
    /// What the flags say about the dataflow in `file`: the lock file lies beside it unless `path` says otherwise.
    pub(crate) fn asked(locked: bool, write: bool, path: Option<&Path>, file: &Path) -> Result<Self, CommandError> {
        let named = path.is_some();
        let path = path.map_or_else(|| beside(file), Path::to_owned);
        match (locked, write) {
            (true, true) => Err(CommandError::usage(
                "`--locked` obeys the lock file, `--write-lockfile` writes it anew",
                "choose one of them",
            )),
            (true, false) => Pins::read(&path).map(Lockfile::Obeyed).map_err(|error| {
                CommandError::failed(error.to_string())
                    .with_hint("`dora build --write-lockfile FILE` writes the lock file")
            }),
            (false, true) => Ok(Lockfile::Written(path)),
            (false, false) if named => Err(CommandError::usage(
                "`--lockfile` only names the lock file",
                "add `--locked` to obey it, or `--write-lockfile` to write it",
            )),
            (false, false) => Ok(Lockfile::Ignored),
        }
    }

    /// What the sources must be.
    pub(crate) fn pins(&self) -> Option<Pins> {
        match self {
            Lockfile::Obeyed(pins) => Some(pins.clone()),
            Lockfile::Ignored | Lockfile::Written(_) => None,
        }
    }

    /// Everything is built: writes what the sources are, if that was asked for.
    pub(crate) fn keep(&self, sources: &Sources) -> Result<(), CommandError> {
        let Lockfile::Written(path) = self else { return Ok(()) };
        sources.pins().and_then(|pins| pins.write(path)).map_err(|error| CommandError::failed(error.to_string()))
    }
}

/// `<dataflow>.dora-lock.yaml`.
fn beside(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}.dora-lock.yaml"))
}
