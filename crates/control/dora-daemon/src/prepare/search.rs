//! Looks for programs by name, and for names that are nearly right.

use std::{
    env::split_paths,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf, absolute},
};

use rustix::fs::{Access, access};

/// The program `name` in the directories of a search path such as `PATH`. Absolute, symbolic links kept.
pub(crate) fn find(name: impl AsRef<Path>, path: Option<&OsStr>) -> Option<PathBuf> {
    let found = split_paths(path?).map(|dir| dir.join(&name)).find(|candidate| is_program(candidate))?;
    Some(absolute(&found).unwrap_or(found))
}

/// Whether this is a file that may be executed.
pub(super) fn is_program(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

/// The name in a directory that `name` was probably meant to be.
pub(super) fn nearest_in(dir: &Path, name: &str) -> Option<String> {
    nearest(name, names(dir).collect())
}

/// The program on a search path that `name` was probably meant to be.
pub(crate) fn nearest_program(name: &str, path: Option<&OsStr>) -> Option<String> {
    nearest(name, split_paths(path?).flat_map(|dir| names(&dir)).collect())
}

fn nearest(name: &str, mut candidates: Vec<String>) -> Option<String> {
    // The order of a directory is by chance, that of the answer should not be.
    candidates.sort();
    let lacks_extension = |candidate: &&String| Path::new(candidate).file_stem() == Some(OsStr::new(name));
    if let Some(candidate) = candidates.iter().find(lacks_extension) {
        return Some(candidate.clone());
    }
    dora_descriptor::nearest(name, candidates.iter().map(String::as_str)).map(str::to_owned)
}

fn names(dir: &Path) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_and_text_is_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("text"), "").unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", dir.path().join("shell")).unwrap();
        let path = dir.path().as_os_str();
        assert_eq!(find("shell", Some(path)), Some(dir.path().join("shell")));
        assert_eq!((find("text", Some(path)), find("folder", Some(path)), find("shell", None)), (None, None, None));
        assert_eq!(nearest_in(dir.path(), "shel.").as_deref(), Some("shell"));
        assert_eq!(nearest_program("sheel", Some(path)).as_deref(), Some("shell"));
        assert_eq!(nearest_in(&dir.path().join("nowhere"), "shell"), None);
    }
}
