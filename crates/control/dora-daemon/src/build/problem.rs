//! Why a build does not come to its end.

use std::{
    io,
    path::{Path, PathBuf},
};

use dora_message::id::NodeId;

use crate::keeper::KeeperError;

/// Why a build has ended early. Nothing of it runs any more.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A node could not be built.
    #[error("node `{node}`: {problem}")]
    Node {
        /// The node.
        node: NodeId,
        /// Why.
        #[source]
        problem: Box<BuildProblem>,
    },
    /// Somebody has cancelled it.
    #[error("the build was cancelled")]
    Cancelled,
    /// The system gives no threads.
    #[error("cannot start a thread for the build: {0}")]
    Thread(#[source] io::Error),
    /// What was built cannot be remembered.
    #[error("cannot write `{}`: {source}", path.display())]
    Session {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A build line that failed.
#[derive(Debug, thiserror::Error)]
#[error("`{text}`{place} {how}, in `{}`", dir.display())]
pub struct FailedLine {
    /// The line.
    pub text: String,
    /// Which of them, if there are several: " (line 2 of 3)".
    pub place: String,
    /// Where it was run.
    pub dir: PathBuf,
    /// For people: "exited with code 3".
    pub how: String,
    /// What may help.
    pub hint: Option<String>,
    /// What it printed last.
    pub last_lines: Vec<String>,
    /// The file that holds all that it printed.
    pub log: Option<PathBuf>,
}

/// Why a node could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildProblem {
    /// A build line failed.
    #[error("its build failed: {0}")]
    Line(Box<FailedLine>),
    /// There is no `git`.
    #[error("its source is in a repository, and there is no program `git` on the PATH")]
    NoGit,
    /// `git` failed.
    #[error("the repository `{url}` could not {purpose}: git {how}")]
    Git {
        /// The repository.
        url: String,
        /// For people, after "could not".
        purpose: &'static str,
        /// For people: "exited with code 128".
        how: String,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// The repository has no such branch or tag.
    #[error("the repository `{url}` has no {kind} `{name}`")]
    NoRevision {
        /// The repository.
        url: String,
        /// What was looked for.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// A program could not be downloaded.
    #[error("`{url}` could not be downloaded: {why}")]
    Download {
        /// The URL.
        url: String,
        /// The reason, for people.
        why: String,
    },
    /// What was downloaded is not what the file expects. It is not kept.
    #[error(
        "what `{url}` sends is not what `path_sha256` or the lock file says:\n  expected {expected}\n  received {found}"
    )]
    Hash {
        /// The URL.
        url: String,
        /// The hash of the file.
        expected: String,
        /// The hash of what was sent.
        found: String,
    },
    /// A file or a directory cannot be used.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No keeper could be started.
    #[error(transparent)]
    Keeper(KeeperError),
    /// The system gives no threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// Somebody has cancelled the build.
    #[error("it was not finished")]
    Cancelled,
}

impl BuildProblem {
    pub(super) fn file(doing: &'static str, path: &Path, source: io::Error) -> Self {
        BuildProblem::File { doing, path: path.to_owned(), source }
    }

    /// The key of the node that it is about.
    pub fn key(&self) -> &'static str {
        match self {
            BuildProblem::NoGit | BuildProblem::Git { .. } => "git",
            BuildProblem::NoRevision { kind: "branch", .. } => "branch",
            BuildProblem::NoRevision { kind: "tag", .. } => "tag",
            BuildProblem::NoRevision { .. } => "git",
            BuildProblem::Download { .. } => "path",
            BuildProblem::Hash { .. } => "path_sha256",
            _ => "build",
        }
    }

    /// What the program that failed printed last.
    pub fn last_lines(&self) -> &[String] {
        match self {
            BuildProblem::Line(line) => &line.last_lines,
            BuildProblem::Git { last_lines, .. } => last_lines,
            _ => &[],
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            BuildProblem::Line(line) => line.hint.clone().or_else(|| {
                let log = line.log.as_ref()?;
                Some(format!("correct it and build again; all that it printed is in `{}`", log.display()))
            }),
            BuildProblem::NoGit => Some("install git".to_owned()),
            BuildProblem::Git { .. } => {
                Some("check the URL and the network; `git ls-remote URL` tells whether git may read it".to_owned())
            }
            BuildProblem::NoRevision { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            BuildProblem::Download { .. } => Some("check the URL and the network, then build again".to_owned()),
            BuildProblem::Hash { .. } => {
                Some("if the new content is right, write the hash that was received into the dataflow file, or the lock file anew".to_owned())
            }
            _ => None,
        }
    }
}
