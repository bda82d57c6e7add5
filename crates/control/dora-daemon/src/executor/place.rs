//! Where a dataflow is at home on this machine: the directory that its relative paths start from.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
};

use dora_gateways::{Artifact, DataflowId, FileIdentity, Origin, Submission};
use dora_store::Artifacts;

use super::options::Home;

/// The name of a dataflow file whose name nobody knows.
const UNNAMED: &str = "dataflow.yml";

/// Where a dataflow works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its file, which need not be there: what is kept beside it has its name.
    pub(super) file: PathBuf,
    /// What relative paths start from.
    pub(super) base: PathBuf,
}

/// Why there is no place.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    /// A path that leads out of the directory.
    #[error(
        "file `{0}` of the dataflow does not lie below its directory; a dataflow that is sent to another machine needs all its files there"
    )]
    Outside(String),
    /// A file was not sent.
    #[error("file `{path}` of the dataflow has not been sent to this machine: {source}")]
    Artifact {
        /// Its path, as the dataflow has it.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// A directory cannot be made.
    #[error("cannot make the directory `{}`: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What tells a file or a directory of this machine from all others, on all machines; `None` if it is not there.
pub fn file_identity(path: &Path) -> Option<FileIdentity> {
    let found = fs::metadata(path).ok()?;
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(FileIdentity { boot_id: boot_id.trim_end().to_owned(), device: found.dev(), inode: found.ino() })
}

/// Where the dataflow is, if its file is on this machine.
pub(super) fn in_place(origin: &Origin, home: Option<&Home>) -> Option<Place> {
    let is_same = || origin.identity.is_some() && origin.identity == file_identity(&origin.path);
    (home.is_none() || is_same()).then(|| {
        let beside = origin.path.parent().unwrap_or(Path::new(""));
        let base = origin.working_dir.as_ref().map_or_else(|| beside.to_owned(), |dir| beside.join(dir));
        Place { file: origin.path.clone(), base }
    })
}

/// The directory of a dataflow that came from elsewhere.
pub(super) fn work_dir(home: &Home, dataflow: DataflowId) -> PathBuf {
    home.shared.join("work").join(dataflow.to_string())
}

/// Makes the directory of a dataflow that came from elsewhere, with the files that came with it.
pub(super) fn fill(home: &Home, dataflow: DataflowId, submission: &Submission) -> Result<Place, PlaceError> {
    let base = work_dir(home, dataflow);
    let store = home.artifacts();
    make(&base)?;
    for artifact in &submission.artifacts {
        put(&store, artifact, &base)?;
    }
    let name = submission.origin.path.file_name().unwrap_or(UNNAMED.as_ref());
    Ok(Place { file: base.join(name), base })
}

fn put(store: &Artifacts, artifact: &Artifact, base: &Path) -> Result<(), PlaceError> {
    let relative = Path::new(&artifact.path);
    let leads_down = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !leads_down || relative.file_name().is_none() {
        return Err(PlaceError::Outside(artifact.path.clone()));
    }
    let to = base.join(relative);
    make(to.parent().unwrap_or(base))?;
    // A copy of its own: nodes may write into their directory.
    let mode = if artifact.executable { 0o755 } else { 0o644 };
    let copied = fs::copy(store.path(artifact.hash), &to)
        .and_then(|_| fs::set_permissions(&to, fs::Permissions::from_mode(mode)));
    copied.map_err(|source| PlaceError::Artifact { path: artifact.path.clone(), source })
}

fn make(dir: &Path) -> Result<(), PlaceError> {
    fs::create_dir_all(dir).map_err(|source| PlaceError::Directory { path: dir.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use dora_gateways::ArtifactHash;

    use super::*;

    fn home(dir: &Path) -> Home {
        Home { shared: dir.join("home"), own: dir.join("home/daemon") }
    }

    #[test]
    fn the_same_file_is_used_where_it_is_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (path, home) = (dir.path().join("a.yml"), home(dir.path()));
        fs::write(&path, "nodes: []").unwrap();
        let origin = |identity, working_dir| Origin { path: path.clone(), working_dir, identity };
        let here = file_identity(&path);
        assert!(here.is_some());
        let place = in_place(&origin(here.clone(), None), Some(&home)).unwrap();
        assert_eq!(place, Place { file: path.clone(), base: dir.path().to_owned() });
        let elsewhere = in_place(&origin(here.clone(), Some("sub".into())), Some(&home)).unwrap();
        assert_eq!(elsewhere.base, dir.path().join("sub"));
        let other = here.map(|here| FileIdentity { boot_id: "another kernel".to_owned(), ..here });
        assert_eq!(in_place(&origin(other.clone(), None), Some(&home)), None);
        assert_eq!(in_place(&origin(None, None), Some(&home)), None);
        assert!(in_place(&origin(other, None), None).is_some());
    }

    #[test]
    fn files_are_laid_out_as_they_were_and_never_outside() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let hash = ArtifactHash([7; 32]);
        let kept = home.artifacts().path(hash);
        fs::create_dir_all(kept.parent().unwrap()).unwrap();
        fs::write(&kept, "print()").unwrap();
        let fill = |path: &str| {
            let artifact = Artifact { hash, size: 7, path: path.to_owned(), executable: true };
            let submission = Submission { artifacts: vec![artifact], ..Submission::default() };
            fill(&home, DataflowId(uuid::Uuid::nil()), &submission)
        };
        let place = fill("nodes/a.py").unwrap();
        let copied = place.base.join("nodes/a.py");
        assert_eq!(fs::read_to_string(&copied).unwrap(), "print()");
        assert_eq!(fs::metadata(&copied).unwrap().permissions().mode() & 0o777, 0o755);
        for outside in ["../a.py", "/tmp/a.py", "", "a/../../b"] {
            assert!(matches!(fill(outside), Err(PlaceError::Outside(_))), "{outside}");
        }
    }
}
