//! What the coordinator must remember when it is started again: every dataflow with its descriptor, name, state, result
//! and causes, in one file.
//!
//! ```
//! use chrono::DateTime;
//! use dora_gateways::{DataflowId, DataflowState, Submission};
//! use dora_store::{DataflowRecord, Store};
//! use uuid::Uuid;
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("coordinator.redb");
//! # let submission = Submission {
//! #     descriptor: "nodes: []".to_owned(), name: Some("camera".to_owned()), ..Submission::default()
//! # };
//! let store = Store::open(&path)?;
//! let epoch = store.epoch();
//! let record = DataflowRecord::new(DataflowId(Uuid::from_u128(7)), DateTime::UNIX_EPOCH, submission);
//! store.submit(&record)?;
//! // From here on it is remembered, whatever is killed: only now may the client be answered.
//! store.update(record.id, |dataflow| dataflow.state = DataflowState::Running)?;
//! drop(store);
//!
//! let again = Store::open(&path)?;
//! assert_eq!(again.named("camera")?.map(|dataflow| dataflow.state), Some(DataflowState::Running));
//! assert!(again.epoch() > epoch);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! - What a call has returned `Ok` for is on the disk. A process that is killed in the middle of a call leaves either all
//!   of it or nothing.
//! - One process at a time: another one is told that the file is in use.
//! - Each opening, and each [`Store::succeed`], begins a new epoch. A handle of an older one is refused: a leader that does
//!   not know yet that its time is over cannot write.
//! - A new store begins with a later epoch than one that was put aside, as long as the clock was not set back.
//! - While the disk is full, what cannot be written is refused, and nothing of it counts later. With room it works again.
//! - A file that is damaged, cut short, no store at all, or of a newer version is refused and left as it is.
//! - Calls block; an endpoint makes them by `MainThread::blocking`.
//!
//! The file is redb's. Records are JSON within it, so a later version reads what an older one wrote by the same rules as
//! messages: fields are added with a default.
//!
//! Beside it: [`Artifacts`], the files that travel with dataflows. Coordinators and daemons have such a directory.

mod artifacts;
mod error;
mod file;
mod record;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use artifacts::{ArtifactError, Artifacts, LARGEST_ARTIFACT};
pub use error::{StoreError, SubmitError};
pub use record::{DataflowRecord, PlacedNode};
pub use store::Store;
