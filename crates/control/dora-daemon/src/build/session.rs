//! Which commit of a repository a node was built from, remembered between commands, so that what was built runs
//! without a network and does not change by itself.
//!
//! The file is JSON, which is YAML as well; it is written by us only.

use std::{collections::BTreeMap, fs};

use dora_descriptor::model::GitSource;
use dora_message::id::NodeId;
use serde::{Deserialize, Serialize};

use super::{
    BuildError,
    job::Fetched,
    output::{OutDir, replace},
};

/// What is remembered of a dataflow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    git_sources: BTreeMap<NodeId, Built>,
    /// Programs that a lock file has prescribed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    url_sources: BTreeMap<NodeId, Prescribed>,
}

/// A program behind a URL, as a lock file had it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Prescribed {
    url: String,
    sha256: String,
}

/// A repository and the commit of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Built {
    #[serde(flatten)]
    source: GitSource,
    commit: String,
}

impl Built {
    pub(super) fn new(source: &GitSource, commit: &str) -> Self {
        Built { source: source.clone(), commit: commit.to_owned() }
    }
    /// The commit, if this is what was asked for.
    pub(super) fn commit_of(&self, source: &GitSource) -> Option<String> {
        (self.source == *source).then(|| self.commit.clone())
    }
}

impl Session {
    /// What is remembered; nothing if the file is not there or not ours.
    pub(super) fn read(out: &OutDir) -> Self {
        let text = fs::read(out.session_file()).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// The commit that a node was built from, if its source is still the same.
    pub(super) fn commit(&self, node: &NodeId, source: &GitSource) -> Option<String> {
        self.git_sources.get(node).and_then(|built| built.commit_of(source))
    }

    /// The hash that a lock file has prescribed for the program of a node, if its URL is still the same.
    pub(super) fn sha256(&self, node: &NodeId, url: &str) -> Option<&str> {
        self.url_sources.get(node).filter(|built| built.url == url).map(|built| built.sha256.as_str())
    }

    /// Remembers what a node was built from; `prescribed` is the hash that a lock file has for its program.
    pub(super) fn note(&mut self, node: &NodeId, fetched: &Fetched, prescribed: Option<&String>) {
        match (fetched, prescribed) {
            (Fetched::Nothing, _) => {}
            (Fetched::Checkout { source, commit, .. }, _) => self.remember(node, source, commit),
            (Fetched::Program { url, .. }, Some(sha256)) => {
                let prescribed = Prescribed { url: url.clone(), sha256: sha256.clone() };
                self.url_sources.insert(node.clone(), prescribed);
            }
            (Fetched::Program { .. }, None) => drop(self.url_sources.remove(node)),
        }
    }

    fn remember(&mut self, node: &NodeId, source: &GitSource, commit: &str) {
        self.git_sources.insert(node.clone(), Built::new(source, commit));
    }

    /// Writes it, if it is not what was `read` before.
    pub(super) fn write(&self, out: &OutDir, read: &Self) -> Result<(), BuildError> {
        if self == read {
            return Ok(());
        }
        let path = out.session_file();
        let write = || {
            out.create()?;
            replace(&path, &serde_json::to_vec_pretty(self)?)
        };
        write().map_err(|source| BuildError::Session { path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use dora_descriptor::model::GitRevision;

    use super::*;

    #[test]
    fn a_commit_is_remembered_for_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let out = OutDir::new(dir.path(), "x/robot.yml".as_ref());
        let source = GitSource {
            url: "https://example.org/a".to_owned(),
            revision: Some(GitRevision::Branch("main".to_owned())),
        };
        let node = NodeId::from("a");
        let mut session = Session::read(&out);
        session.remember(&node, &source, "c0ffee");
        session.write(&out, &Session::default()).unwrap();
        assert!(dir.path().join("out/robot.dora-session.yaml").exists());
        let again = Session::read(&out);
        assert_eq!(again, session);
        assert_eq!(again.commit(&node, &source).as_deref(), Some("c0ffee"));
        assert_eq!(again.commit(&node, &GitSource { revision: None, ..source }), None);
        fs::write(out.session_file(), "damaged").unwrap();
        assert_eq!(Session::read(&out), Session::default());
    }
}
