//! Files that travel with a dataflow: scripts and data that its nodes name, for daemons that do not see this machine's
//! files.
//!
//! `bring` does it all: `named` reads in the dataflow what nodes name, `walk` finds the files, `digest` makes artifacts of
//! them, `send` gives the coordinator what it does not have. What lies outside of the directory of the dataflow file never travels,
//! whatever a path or a symbolic link says.

mod bring;
mod digest;
mod named;
mod send;
mod walk;

use std::{io, path::PathBuf};

use dora_gateways::Artifact;

pub(crate) use bring::{all, needed};
use digest::announce;
use send::{SendError, send};
use walk::find;

/// Bytes of one file at most, and of all files of a dataflow together.
const MOST_BYTES: u64 = 1 << 30;
/// Files of a dataflow at most.
const MOST_FILES: usize = 10_000;

/// A file of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LocalFile {
    /// Its path relative to the dataflow file; it does not lead out of the directory of that.
    relative: String,
    /// Where it is: no symbolic link is left in it.
    path: PathBuf,
    size: u64,
    executable: bool,
}

/// What travels, and what does not although a node names it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// In the order of their paths.
    files: Vec<LocalFile>,
    /// Sentences about what is left out.
    warnings: Vec<String>,
}

/// A file with its content as it was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Announced {
    artifact: Artifact,
    path: PathBuf,
}

/// Why files cannot travel.
#[derive(Debug, thiserror::Error)]
enum ArtifactError {
    /// A file or a directory cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    /// One file is too large.
    #[error("`{path}`, which node `{node}` names, has {} bytes; a file that travels may have {MOST_BYTES}", size)]
    TooLarge { node: String, path: String, size: u64 },
    /// All of them together are.
    #[error(
        "the files that nodes name are more than {MOST_FILES}, or have more than {MOST_BYTES} bytes together; the last one was `{path}`, which node `{node}` names"
    )]
    TooMany { node: String, path: String },
}

impl ArtifactError {
    /// What its user can do.
    fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check the path and its permissions",
            Self::TooLarge { .. } | Self::TooMany { .. } => {
                "copy large data to the machines once and name it by an absolute path; name single files, not directories"
            }
        }
    }
}
