//! `$DORA_HOME`: where this user's coordinators, daemons and contexts keep what outlives a command.
//!
//! ```text
//! $DORA_HOME (default ~/.dora)
//!   contexts.json             which coordinators this user knows: see `client::contexts`
//!   coordinators/PORT/        one coordinator each: socket, instance, store.redb, key.pem, cert.pem, token, log
//!   daemons/PORT/MACHINE/     the daemon of this host for the coordinator with that port: instance, log, dataflows
//!   daemons/HOST:PORT/...     and those for coordinators elsewhere
//!   artifacts/  work/         files of dataflows from elsewhere, and where they run
//! ```
//!
//! Nobody else may look into it: directories have mode 0700, secrets 0600. It must not know what the files mean.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    client::Place,
    error::{CommandError, file_error},
};

/// Names another directory than `~/.dora`.
pub(crate) const VARIABLE: &str = "DORA_HOME";

/// The directory of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The one that the environment names. Nothing is made yet.
    pub(crate) fn find() -> Result<Self, CommandError> {
        Self::of(env::var_os(VARIABLE).map(PathBuf::from), env::var_os("HOME").map(PathBuf::from))
    }

    fn of(given: Option<PathBuf>, home: Option<PathBuf>) -> Result<Self, CommandError> {
        let named = |path: &PathBuf| !path.as_os_str().is_empty();
        let default = home.filter(named).map(|home| home.join(".dora"));
        let path = given.filter(named).or(default).ok_or_else(|| {
            CommandError::failed(format!("neither {VARIABLE} nor HOME is set, so there is no place for dora's files"))
                .with_hint(format!("set {VARIABLE} to a directory of yours"))
        })?;
        // Processes that we start may have another working directory.
        std::path::absolute(&path).map(Self).map_err(|error| file_error("find", &path, &error))
    }

    /// The directory of the coordinator with this port.
    pub(crate) fn coordinator(&self, port: u16) -> PathBuf {
        self.0.join("coordinators").join(port.to_string())
    }

    /// Where this host's daemons for a coordinator have their directories.
    pub(crate) fn daemons(&self, coordinator: &Place) -> PathBuf {
        let name = match coordinator {
            Place::Here { port } => port.to_string(),
            elsewhere => elsewhere.to_string(),
        };
        self.0.join("daemons").join(name)
    }

    /// The directory of one of them; `machine` must be able to stand in a path.
    pub(crate) fn daemon(&self, coordinator: &Place, machine: &str) -> PathBuf {
        self.daemons(coordinator).join(machine)
    }

    /// The ports of all coordinators that ever ran here.
    pub(crate) fn coordinators(&self) -> Vec<u16> {
        let entries = fs::read_dir(self.0.join("coordinators")).into_iter().flatten().flatten();
        let mut ports: Vec<u16> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        ports.sort_unstable();
        ports
    }

    /// The socket on which a coordinator with this port is reached by its user.
    pub(crate) fn socket(&self, port: u16) -> PathBuf {
        self.coordinator(port).join("socket")
    }

    /// Contents of files that travel with dataflows.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.0.join("artifacts")
    }

    /// A directory, for tests.
    #[cfg(test)]
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The coordinators that this user knows.
    pub(crate) fn contexts(&self) -> PathBuf {
        self.0.join("contexts.json")
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// Makes a directory, and those above it that are missing, for this user alone.
pub(crate) fn make_private(directory: &Path) -> Result<(), CommandError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        file_error("make the directory", directory, &error)
            .with_hint(format!("dora keeps its files there; set {VARIABLE} to a directory in which you may write"))
    })
}

/// Writes a file that nobody else may read. Readers see what was there before, or all of it.
pub(crate) fn write_secret(path: &Path, content: &[u8]) -> Result<(), CommandError> {
    if let Some(directory) = path.parent() {
        make_private(directory)?;
    }
    replace(path, content).map_err(|error| {
        file_error("write", path, &error).with_hint(format!("the directory of {VARIABLE} must be writable"))
    })
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_added_extension(format!("draft-{}", std::process::id()));
    let written =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&draft, path)
        });
    written.inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// The text of a file; none if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, CommandError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error("read", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_variable_wins_and_without_any_there_is_advice() {
        let of = |given: Option<&str>, home: Option<&str>| Home::of(given.map(PathBuf::from), home.map(PathBuf::from));
        let path = |given, home| of(given, home).map(|home| home.0.display().to_string()).ok();
        assert_eq!(path(Some("/a"), Some("/b")).as_deref(), Some("/a"));
        assert_eq!(path(Some(""), Some("/b")).as_deref(), Some("/b/.dora"));
        assert!(path(Some("a"), None).is_some_and(|path| path.starts_with('/') && path.ends_with("/a")));
        let error = of(None, Some("")).expect_err("no place");
        assert!(
            matches!(&error, CommandError::Failed { hint: Some(hint), .. } if hint.contains(VARIABLE)),
            "{error:?}"
        );
    }

    #[test]
    fn directories_and_secrets_are_private() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("a/b/token");
        for content in ["one", "two"] {
            write_secret(&path, content.as_bytes()).expect("our own file");
            assert_eq!(read(&path).expect("our own file").as_deref(), Some(content));
        }
        let mode = |path: &Path| fs::metadata(path).map(|file| file.permissions().mode() & 0o777).ok();
        let modes = [place.path().join("a"), place.path().join("a/b"), path.clone()].map(|path| mode(&path));
        assert_eq!(modes, [Some(0o700), Some(0o700), Some(0o600)]);
        assert_eq!(fs::read_dir(place.path().join("a/b")).map(Iterator::count).ok(), Some(1));
    }

    #[test]
    fn what_cannot_be_written_is_told_with_advice() {
        let error = write_secret(Path::new("/proc/nothing/token"), b"").expect_err("nobody may");
        assert!(
            matches!(&error, CommandError::Failed { hint: Some(hint), .. } if hint.contains(VARIABLE)),
            "{error:?}"
        );
        assert_eq!(read(Path::new("/proc/nothing")).ok(), Some(None));
    }
}
