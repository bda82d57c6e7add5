//! The file, opened again after it could not be written.
//!
//! The database writes no more once the system has refused a read or a write, as it does while the disk is full: it has to
//! be opened again. This is done by whoever needs it next, so the store works again as soon as there is room.
//! What the tables are is not known here.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use dora_gateways::DataflowId;
use redb::{Database, DatabaseError};

use crate::StoreError;

/// Opens the database, again and again with the same content.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

pub(crate) struct File {
    path: PathBuf,
    open: Opener,
    /// None after a failure, until it is opened again.
    database: RwLock<Option<Arc<Database>>>,
    /// Dataflows whose submission failed while it was written. The caller was told so; whether they are in the file is not
    /// known, so they do not count, and the next write takes them out.
    doubtful: RwLock<Vec<DataflowId>>,
}

impl File {
    pub fn open(path: &Path, open: Opener) -> Result<Self, StoreError> {
        let database = RwLock::new(None);
        let file = Self { path: path.to_owned(), open, database, doubtful: RwLock::default() };
        file.database()?;
        Ok(file)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something with the database.
    pub fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database()?;
        let result = work(&database);
        if let Err(StoreError::Io { .. }) = &result {
            let mut current = self.database.write().unwrap_or_else(PoisonError::into_inner);
            current.take_if(|current| Arc::ptr_eq(current, &database));
        }
        result
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(database.clone());
        }
        let mut current = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &*current {
            return Ok(database.clone());
        }
        let database = (self.open)().map_err(|error| StoreError::opening(&self.path, error))?;
        Ok(current.insert(Arc::new(database)).clone())
    }

    /// The submission of a dataflow failed, for this reason.
    pub fn doubt(&self, id: DataflowId, error: &StoreError) {
        if let StoreError::Io { .. } = error {
            self.doubtful.write().unwrap_or_else(PoisonError::into_inner).push(id);
        }
    }

    /// The dataflows that do not count.
    pub fn doubtful(&self) -> Vec<DataflowId> {
        self.doubtful.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// They are not in the file any more.
    pub fn settled(&self, ids: &[DataflowId]) {
        if !ids.is_empty() {
            self.doubtful.write().unwrap_or_else(PoisonError::into_inner).retain(|id| !ids.contains(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use dora_gateways::{DataflowState, Submission};
    use uuid::Uuid;

    use super::*;
    use crate::{DataflowRecord, SubmitError, testing::Disk};

    fn record(number: u128) -> DataflowRecord {
        let submission = Submission { name: Some(format!("n{number}")), ..Submission::default() };
        DataflowRecord::new(DataflowId(Uuid::from_u128(number)), DateTime::UNIX_EPOCH, submission)
    }

    #[test]
    fn a_full_disk_is_said_and_what_was_acknowledged_is_there_when_it_has_room_again() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let store = disk.open(&directory.path().join("store")).unwrap();
        store.submit(&record(1)).unwrap();
        for round in 0..3 {
            disk.fill(true);
            for _ in 0..2 {
                let refused = store.submit(&record(2)).unwrap_err();
                assert!(matches!(refused, SubmitError::Store(StoreError::Io { .. })), "{refused}");
                let refused = store.update(record(1).id, |record| record.nodes = 100).unwrap_err();
                assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
            }
            disk.fill(false);
            let ids: Vec<_> = store.all().unwrap().iter().map(|record| record.id).collect();
            assert_eq!(ids, [record(1).id], "what was refused is not there");
            assert_eq!(store.named("n2").unwrap(), None);
            store.update(record(1).id, |record| record.nodes = round).unwrap();
            assert_eq!(store.get(record(1).id).unwrap().unwrap().nodes, round);
        }
        // The same submission again.
        store.submit(&record(2)).unwrap();
        store.update(record(2).id, |record| record.state = DataflowState::Finished).unwrap();
        assert_eq!(store.all().unwrap().len(), 2);
    }
}
