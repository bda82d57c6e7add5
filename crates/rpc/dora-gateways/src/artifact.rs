//! Files that travel with a dataflow, named by their content: each is sent once.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The SHA-256 of a file's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArtifactHash(pub [u8; 32]);

impl fmt::Display for ArtifactHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ArtifactHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A file that nodes name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its content.
    pub hash: ArtifactHash,
    /// Bytes of it.
    pub size: u64,
    /// Its path relative to the dataflow file. It does not lead out of the directory of that.
    pub path: String,
    /// Whether it may be executed.
    #[serde(default)]
    pub executable: bool,
}
