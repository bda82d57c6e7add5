//! The file and its tables.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dora_gateways::DataflowId;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::{DataflowRecord, StoreError, SubmitError};

/// The format that this version writes. Older ones are brought up to it when they are opened.
const FORMAT: u64 = 1;

/// Pages that are kept in memory. Few: the store is small and seldom read.
const CACHE: usize = 1 << 20;

/// Numbers about the file itself.
const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("dora");

/// Records by the id of the dataflow. Ids are ordered by time, so the records are.
const DATAFLOWS: TableDefinition<u128, &[u8]> = TableDefinition::new("dataflows");

type About<'t> = Table<'t, &'static str, u64>;
type Dataflows<'t> = Table<'t, u128, &'static [u8]>;

/// What is remembered, for the leader of one epoch.
pub struct Store {
    file: Arc<File>,
    epoch: u64,
}

struct File {
    database: Database,
    path: PathBuf,
}

impl Store {
    /// Opens the store in this file, which is made if it is not there, and begins an epoch.
    ///
    /// # Errors
    /// [`StoreError`]: the file is in use, damaged, of a newer version, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut builder = Builder::new();
        let database = builder.set_cache_size(CACHE).set_check_integrity_on_open(true).create(path);
        let database = database.map_err(|error| StoreError::opening(path, error))?;
        let file = Arc::new(File { database, path: path.to_owned() });
        let epoch = file.write(|about, _| {
            let found = number(&file.path, about, "format")?;
            if found > FORMAT {
                return Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT });
            }
            file.set(about, "format", FORMAT)?;
            file.next_epoch(about)
        })?;
        Ok(Self { file, epoch })
    }

    /// The epoch of this handle.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A handle of a new epoch. This one, and all others of older epochs, are refused from now on.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if this handle is of an older epoch itself; what the file says.
    pub fn succeed(&self) -> Result<Self, StoreError> {
        let epoch = self.write(|about, _| self.file.next_epoch(about))?;
        Ok(Self { file: self.file.clone(), epoch })
    }

    /// Remembers a new dataflow, if no other one that has not ended has its name.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(&self, record: &DataflowRecord) -> Result<(), SubmitError> {
        self.write(|_, dataflows| {
            for other in self.file.records(dataflows)? {
                let other = other?;
                if other.id == record.id {
                    return Ok(Err(SubmitError::IdTaken(other.id)));
                }
                if other.name().is_some() && other.name() == record.name() && !other.state.is_final() {
                    return Ok(Err(SubmitError::NameTaken(other.id)));
                }
            }
            self.file.put(dataflows, record).map(Ok)
        })?
    }

    /// Changes what is remembered of a dataflow; what it is now.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if it is not remembered; [`StoreError::Stale`]; what the file says.
    pub fn update(
        &self,
        id: DataflowId,
        change: impl FnOnce(&mut DataflowRecord),
    ) -> Result<DataflowRecord, StoreError> {
        self.write(|_, dataflows| {
            let record = dataflows.get(id.0.as_u128()).map_err(|error| self.file.storage(error))?;
            let record = record.map(|bytes| self.file.decode(bytes.value())).transpose()?;
            let mut record = record.ok_or(StoreError::Unknown(id))?;
            change(&mut record);
            self.file.put(dataflows, &record)?;
            Ok(record)
        })
    }

    /// Forgets dataflows. One that is not remembered is none too many.
    ///
    /// # Errors
    /// [`StoreError::Stale`]; what the file says.
    pub fn remove(&self, ids: &[DataflowId]) -> Result<(), StoreError> {
        self.write(|_, dataflows| {
            for id in ids {
                dataflows.remove(id.0.as_u128()).map_err(|error| self.file.storage(error))?;
            }
            Ok(())
        })
    }

    /// One dataflow.
    ///
    /// # Errors
    /// What the file says.
    pub fn get(&self, id: DataflowId) -> Result<Option<DataflowRecord>, StoreError> {
        Ok(self.all()?.into_iter().find(|record| record.id == id))
    }

    /// The dataflow with this name: the one that has not ended, or else the last one.
    ///
    /// # Errors
    /// What the file says.
    pub fn named(&self, name: &str) -> Result<Option<DataflowRecord>, StoreError> {
        let mut of_name: Vec<_> = self.all()?.into_iter().filter(|record| record.name() == Some(name)).collect();
        let running = of_name.iter().position(|record| !record.state.is_final());
        Ok(if of_name.is_empty() { None } else { Some(of_name.swap_remove(running.unwrap_or(0))) })
    }

    /// All dataflows, the latest first.
    ///
    /// # Errors
    /// What the file says.
    pub fn all(&self) -> Result<Vec<DataflowRecord>, StoreError> {
        let file = &self.file;
        let transaction = file.database.begin_read().map_err(|error| StoreError::transaction(&file.path, error))?;
        let dataflows = transaction.open_table(DATAFLOWS).map_err(|error| StoreError::table(&file.path, error))?;
        let mut records = file.records(&dataflows)?.collect::<Result<Vec<_>, _>>()?;
        records.sort_by_key(|record| std::cmp::Reverse((record.submitted, record.id)));
        Ok(records)
    }

    /// Writes if this handle is of the epoch that counts.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut About<'_>, &mut Dataflows<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.file.write(|about, dataflows| {
            let current = number(&self.file.path, about, "epoch")?;
            if current != self.epoch {
                return Err(StoreError::Stale { ours: self.epoch, current });
            }
            work(about, dataflows)
        })
    }
}

impl File {
    /// Does all of it and puts it on the disk, or nothing.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut About<'_>, &mut Dataflows<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self.database.begin_write().map_err(|error| StoreError::transaction(&self.path, error))?;
        let value = self.within(&transaction, work)?;
        transaction.commit().map_err(|error| StoreError::commit(&self.path, error))?;
        Ok(value)
    }

    fn within<T>(
        &self,
        transaction: &WriteTransaction,
        work: impl FnOnce(&mut About<'_>, &mut Dataflows<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut about = transaction.open_table(ABOUT).map_err(|error| StoreError::table(&self.path, error))?;
        let mut dataflows = transaction.open_table(DATAFLOWS).map_err(|error| StoreError::table(&self.path, error))?;
        work(&mut about, &mut dataflows)
    }

    fn next_epoch(&self, about: &mut About<'_>) -> Result<u64, StoreError> {
        let epoch = number(&self.path, about, "epoch")? + 1;
        self.set(about, "epoch", epoch)?;
        Ok(epoch)
    }

    fn set(&self, about: &mut About<'_>, key: &str, value: u64) -> Result<(), StoreError> {
        about.insert(key, value).map_err(|error| self.storage(error))?;
        Ok(())
    }

    fn put(&self, dataflows: &mut Dataflows<'_>, record: &DataflowRecord) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(record).map_err(|error| self.storage(io::Error::from(error).into()))?;
        dataflows.insert(record.id.0.as_u128(), bytes.as_slice()).map_err(|error| self.storage(error))?;
        Ok(())
    }

    fn records(
        &self,
        dataflows: &impl ReadableTable<u128, &'static [u8]>,
    ) -> Result<impl Iterator<Item = Result<DataflowRecord, StoreError>>, StoreError> {
        let entries = dataflows.iter().map_err(|error| self.storage(error))?;
        Ok(entries.map(|entry| {
            let (_, bytes) = entry.map_err(|error| self.storage(error))?;
            self.decode(bytes.value())
        }))
    }

    fn decode(&self, bytes: &[u8]) -> Result<DataflowRecord, StoreError> {
        serde_json::from_slice(bytes).map_err(|error| StoreError::damaged(&self.path, error.to_string()))
    }

    fn storage(&self, error: redb::StorageError) -> StoreError {
        StoreError::storage(&self.path, error)
    }
}

/// A number about the file; 0 if it has never been written.
fn number(path: &Path, about: &About<'_>, key: &str) -> Result<u64, StoreError> {
    let value = about.get(key).map_err(|error| StoreError::storage(path, error))?;
    Ok(value.map_or(0, |value| value.value()))
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("path", &self.file.path).field("epoch", &self.epoch).finish()
    }
}
