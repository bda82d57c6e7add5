//! Reading files: the only way by which loading a dataflow touches the world.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("no such file")]
    NotFound,
    /// The file is larger than allowed.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The file is not UTF-8.
    #[error("the file is not UTF-8 text (byte {at})")]
    NotText {
        /// Offset of the first byte that is not UTF-8.
        at: usize,
    },
    /// The system refused.
    #[error("{0}")]
    Io(String),
}

/// Gives the texts of dataflow, module and type files.
///
/// [`FsLoader`] reads them from disk, [`MemoryLoader`] from a map.
pub trait Loader {
    /// The text of `path`, refused beyond `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> Result<String, LoadError>;

    /// `path` without `.`, `..` and, where the loader knows of them, symbolic links.
    fn canonical(&self, path: &Path) -> Result<PathBuf, LoadError>;

    /// Whether `path` is a file.
    fn is_file(&self, path: &Path) -> bool;

    /// All files below `dir`, sorted, at most 8 levels deep; none if there is no such directory.
    fn files_below(&self, dir: &Path) -> Result<Vec<PathBuf>, LoadError>;
}

/// Reads from disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct FsLoader;

/// Levels of directories that [`FsLoader::files_below`] descends.
const MAX_DIR_DEPTH: u32 = 8;

impl Loader for FsLoader {
    fn read(&self, path: &Path, limit: u64) -> Result<String, LoadError> {
        // Bounding the read itself also bounds files without a length, such as devices and pipes.
        let file = std::fs::File::open(path).map_err(io_error)?;
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io_error)?;
        if bytes.len() as u64 > limit {
            return Err(LoadError::TooLarge { limit });
        }
        String::from_utf8(bytes).map_err(|error| LoadError::NotText { at: error.utf8_error().valid_up_to() })
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf, LoadError> {
        path.canonicalize().map_err(io_error)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn files_below(&self, dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
        let mut files = Vec::new();
        if dir.is_dir() {
            collect_files(dir, MAX_DIR_DEPTH, &mut files)?;
        }
        files.sort();
        Ok(files)
    }
}

fn collect_files(dir: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    if depth == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        // The type of the entry itself: a link to a directory above must not lead around in circles.
        if entry.file_type().map_err(io_error)?.is_dir() {
            collect_files(&entry.path(), depth - 1, files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn io_error(error: std::io::Error) -> LoadError {
    match error.kind() {
        std::io::ErrorKind::NotFound => LoadError::NotFound,
        _ => LoadError::Io(error.to_string()),
    }
}

/// Reads from a map of paths to texts.
#[derive(Debug, Clone, Default)]
pub struct MemoryLoader {
    files: BTreeMap<PathBuf, String>,
}

impl MemoryLoader {
    /// A loader without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    pub fn with(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.files.insert(normalize(&path.into()), text.into());
        self
    }
}

impl Loader for MemoryLoader {
    fn read(&self, path: &Path, limit: u64) -> Result<String, LoadError> {
        let text = self.files.get(&normalize(path)).ok_or(LoadError::NotFound)?;
        if text.len() as u64 > limit {
            return Err(LoadError::TooLarge { limit });
        }
        Ok(text.clone())
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf, LoadError> {
        Ok(normalize(path))
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(&normalize(path))
    }

    fn files_below(&self, dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
        let dir = normalize(dir);
        Ok(self.files.keys().filter(|path| path.starts_with(&dir)).cloned().collect())
    }
}

/// `path` without `.` and, as far as the text allows, without `..`.
pub(crate) fn normalize(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(result.components().next_back(), Some(Component::Normal(_))) => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizing_keeps_what_leads_out() {
        for (path, expected) in [("a/./b/../c", "a/c"), ("../a", "../a"), ("a/../../b", "../b"), ("/a/../b", "/b")] {
            assert_eq!(normalize(Path::new(path)), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn the_disk_is_read_within_limits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yml");
        std::fs::write(&path, "nodes: []").unwrap();
        assert_eq!(FsLoader.read(&path, 9).unwrap(), "nodes: []");
        assert_eq!(FsLoader.read(&path, 8), Err(LoadError::TooLarge { limit: 8 }));
        assert_eq!(FsLoader.read(&dir.path().join("b.yml"), 8), Err(LoadError::NotFound));
        std::fs::write(&path, [b'a', 0xff]).unwrap();
        assert_eq!(FsLoader.read(&path, 8), Err(LoadError::NotText { at: 1 }));
        assert_eq!(FsLoader.files_below(dir.path()).unwrap(), [path]);
        assert_eq!(FsLoader.files_below(&dir.path().join("none")).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn an_endless_file_is_bounded() {
        assert_eq!(FsLoader.read(Path::new("/dev/zero"), 100), Err(LoadError::TooLarge { limit: 100 }));
    }
}
