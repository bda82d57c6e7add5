//! Which commits and contents the sources of a dataflow are pinned to: the file `<dataflow>.dora-lock.yaml`.
//!
//! Unlike the [session](super::session), which is about this machine, it is kept beside the dataflow file and shared with
//! it, so that everybody builds from the same. The file is JSON, which is YAML as well; it is written by us only.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use dora_descriptor::model::GitSource;
use dora_message::id::NodeId;
use serde::{Deserialize, Serialize};

use super::{download::hash_of_file, output::replace, session::Built};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// What the sources of a dataflow are pinned to.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("robot.dora-lock.yaml");
/// dora_daemon::Sources::default().pins()?.write(&file)?;
/// assert_eq!(dora_daemon::Pins::read(&file)?, dora_daemon::Pins::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pins {
    version: u32,
    #[serde(default)]
    git_sources: BTreeMap<NodeId, Built>,
    #[serde(default)]
    url_sources: BTreeMap<NodeId, Content>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Content {
    url: String,
    sha256: String,
}

/// Why pins cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// There is no such file, or the system refuses.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file has another content than expected.
    #[error("`{}` is not a lock file of this version: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl PinsError {
    fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| PinsError::File { doing, path, source }
    }
}

impl Default for Pins {
    fn default() -> Self {
        Pins { version: VERSION, git_sources: BTreeMap::new(), url_sources: BTreeMap::new() }
    }
}

impl Pins {
    /// Reads a lock file.
    pub fn read(path: &Path) -> Result<Self, PinsError> {
        let content = |reason| PinsError::Content { path: path.to_owned(), reason };
        let text = fs::read(path).map_err(PinsError::file("read", path))?;
        let pins: Pins = serde_json::from_slice(&text).map_err(|error| content(error.to_string()))?;
        match pins.version {
            VERSION => Ok(pins),
            other => Err(content(format!("it has version {other}, expected {VERSION}"))),
        }
    }

    /// Writes a lock file; whatever was there stays until the new one is complete.
    pub fn write(&self, path: &Path) -> Result<(), PinsError> {
        let json = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        json.and_then(|json| replace(path, &json)).map_err(PinsError::file("write", path))
    }

    /// The commit of a node's repository; none if the node has another source by now.
    pub(super) fn commit(&self, node: &NodeId, source: &GitSource) -> Option<String> {
        self.git_sources.get(node).and_then(|built| built.commit_of(source))
    }

    /// The hash of a node's program, the file asking for this one; none if the node has another source by now.
    pub(super) fn sha256(&self, node: &NodeId, url: &str, asked: Option<&str>) -> Option<String> {
        let content = self.url_sources.get(node).filter(|content| content.url == url)?;
        asked.is_none_or(|asked| asked == content.sha256).then(|| content.sha256.clone())
    }

    pub(super) fn add_commit(&mut self, node: &NodeId, source: &GitSource, commit: &str) {
        self.git_sources.insert(node.clone(), Built::new(source, commit));
    }

    /// Pins a program to what lies in this file.
    pub(super) fn add_program(&mut self, node: &NodeId, url: &str, file: &Path) -> Result<(), PinsError> {
        let sha256 = hash_of_file(file).map_err(PinsError::file("read", file))?;
        self.url_sources.insert(node.clone(), Content { url: url.to_owned(), sha256 });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_for_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let (file, program) = (dir.path().join("a.dora-lock.yaml"), dir.path().join("program"));
        fs::write(&program, "abc").unwrap();
        let (git, url) = (NodeId::from("git"), NodeId::from("url"));
        let source = GitSource { url: "https://example.org/a".to_owned(), revision: None };
        let mut pins = Pins::default();
        pins.add_commit(&git, &source, "c0ffee");
        pins.add_program(&url, "https://example.org/b", &program).unwrap();
        pins.write(&file).unwrap();
        let read = Pins::read(&file).unwrap();
        assert_eq!(read, pins);
        assert_eq!(read.commit(&git, &source).as_deref(), Some("c0ffee"));
        assert_eq!(read.commit(&url, &source), None);
        let sha256 = read.sha256(&url, "https://example.org/b", None).unwrap();
        assert!(sha256.starts_with("ba7816bf"), "{sha256}");
        assert_eq!(read.sha256(&url, "https://example.org/b", Some(&sha256)), Some(sha256));
        assert_eq!(read.sha256(&url, "https://example.org/b", Some("00")), None);
        assert_eq!(read.sha256(&url, "https://example.org/other", None), None);
    }

    #[test]
    fn another_file_is_no_lock_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.dora-lock.yaml");
        for (text, expected) in [("nodes: []", "expected"), ("{\"version\": 7}", "it has version 7, expected 1")] {
            fs::write(&file, text).unwrap();
            let error = Pins::read(&file).unwrap_err().to_string();
            assert!(error.contains("is not a lock file of this version") && error.contains(expected), "{error}");
        }
    }
}
