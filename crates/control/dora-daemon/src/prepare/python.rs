//! Which interpreter runs a node that is a Python file.

use std::{ffi::OsStr, path::PathBuf};

use super::search;

/// `python`, unless that is Python 2; then `python3`. The first on the search path, so an active environment wins.
pub(super) fn interpreter(path: Option<&OsStr>) -> Option<PathBuf> {
    search::find("python", path).filter(|file| !is_python_2(file)).or_else(|| search::find("python3", path))
}

/// Told from the name of the file behind the links, because asking the interpreter would delay every start.
fn is_python_2(file: &std::path::Path) -> bool {
    let target = file.canonicalize().unwrap_or_default();
    target.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("python2"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn python_2_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let found = || interpreter(Some(dir.path().as_os_str()));
        assert_eq!(found(), None);
        for name in ["python2.7", "python3"] {
            std::fs::write(file(name), "").unwrap();
            std::fs::set_permissions(file(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink("python2.7", file("python")).unwrap();
        assert_eq!(found(), Some(file("python3")));
        std::fs::remove_file(file("python")).unwrap();
        symlink("python3", file("python")).unwrap();
        assert_eq!(found(), Some(file("python")), "the link is what runs, so that a virtual environment is one");
    }
}
