//! Files that came with dataflows, named by their content.

use std::path::PathBuf;

use dora_gateways::ArtifactHash;

use super::options::Home;

/// The files that are kept.
#[derive(Debug, Clone)]
pub(super) struct Artifacts {
    dir: PathBuf,
}

impl Artifacts {
    pub(super) fn of(home: &Home) -> Self {
        Artifacts { dir: home.shared.join("artifacts") }
    }

    /// Where a file is, if it is there.
    pub(super) fn path(&self, hash: ArtifactHash) -> PathBuf {
        self.dir.join(hash.to_string())
    }
}
