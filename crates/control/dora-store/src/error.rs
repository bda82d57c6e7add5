//! Why the store did not do it, for the operator: what is wrong with which file, and what to do.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use dora_gateways::DataflowId;
use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{} is in use by another process: stop the other coordinator, or give this one another DORA_HOME", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is no store, or is damaged or cut short.
    #[error("{} is damaged or is no store of dora: {reason}. Move it away to begin with an empty one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer version wrote it.
    #[error(
        "{} has format {found}, this version knows up to {known}: use the version of dora that wrote it, or move it away",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format that this version knows.
        known: u64,
    },
    /// The system refuses.
    #[error("{} cannot be read or written: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Somebody else leads now.
    #[error("epoch {ours} is over: epoch {current} writes now")]
    Stale {
        /// The epoch of this handle.
        ours: u64,
        /// The epoch that counts.
        current: u64,
    },
    /// No such dataflow is remembered.
    #[error("dataflow {0} is not in the store")]
    Unknown(DataflowId),
}

/// Why a dataflow was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Another dataflow that has not ended has the name.
    #[error("dataflow {0} has this name")]
    NameTaken(DataflowId),
    /// A dataflow with this id is there already.
    #[error("dataflow {0} is in the store already")]
    IdTaken(DataflowId),
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoreError {
    pub(crate) fn opening(path: &Path, error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::InUse { path: path.to_owned() }
            }
            DatabaseError::Storage(error) => Self::storage(path, error),
            other => Self::damaged(path, other.to_string()),
        }
    }

    pub(crate) fn damaged(path: &Path, reason: String) -> Self {
        Self::Damaged { path: path.to_owned(), reason }
    }

    pub(crate) fn storage(path: &Path, error: StorageError) -> Self {
        match error {
            StorageError::Corrupted(reason) => Self::damaged(path, reason),
            StorageError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::damaged(path, "it is cut short".to_owned())
            }
            StorageError::Io(error) if error.kind() == ErrorKind::InvalidData => Self::damaged(path, error.to_string()),
            other => Self::Io { path: path.to_owned(), reason: other.to_string() },
        }
    }

    pub(crate) fn table(path: &Path, error: TableError) -> Self {
        match error {
            TableError::Storage(error) => Self::storage(path, error),
            other => Self::damaged(path, other.to_string()),
        }
    }

    pub(crate) fn transaction(path: &Path, error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(error) => Self::storage(path, error),
            other => Self::Io { path: path.to_owned(), reason: other.to_string() },
        }
    }

    pub(crate) fn commit(path: &Path, error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => Self::storage(path, error),
            other => Self::Io { path: path.to_owned(), reason: other.to_string() },
        }
    }
}
