//! The file and its tables.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dora_gateways::DataflowId;
use redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition,
    WriteTransaction, backends::InMemoryBackend,
};
use uuid::Uuid;

use crate::{DataflowRecord, StoreError, SubmitError};

/// The format that this version writes. Older ones are brought up to it when they are opened.
const FORMAT: u64 = 1;

/// Pages that are kept in memory. Few: the store is small and seldom read.
const CACHE: usize = 1 << 20;

/// Numbers about the file itself.
const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("dora");

/// Records by the id of the dataflow. Ids are ordered by time, so the records are.
const DATAFLOWS: TableDefinition<u128, &[u8]> = TableDefinition::new("dataflows");

/// Names of the dataflows that have not ended, so that a new one is checked against few; "" for one without.
const OPEN: TableDefinition<u128, &str> = TableDefinition::new("open");

/// What a transaction writes to.
struct Tables<'t> {
    about: Table<'t, &'static str, u64>,
    dataflows: Table<'t, u128, &'static [u8]>,
    open: Table<'t, u128, &'static str>,
}

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
        Self::begin(path, database)
    }

    /// A store that is forgotten with its last handle: for a coordinator that lives as long as one dataflow.
    ///
    /// # Errors
    /// None that is known; the signature is that of the tables.
    pub fn in_memory() -> Result<Self, StoreError> {
        let database = Builder::new().set_cache_size(CACHE).create_with_backend(InMemoryBackend::new());
        Self::begin(Path::new("(memory)"), database)
    }

    /// Begins an epoch.
    fn begin(path: &Path, database: Result<Database, DatabaseError>) -> Result<Self, StoreError> {
        let database = database.map_err(|error| StoreError::opening(path, error))?;
        let file = Arc::new(File { database, path: path.to_owned() });
        let epoch = file.write(|tables| {
            let found = file.number(tables, "format")?;
            if found > FORMAT {
                return Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT });
            }
            file.set(tables, "format", FORMAT)?;
            file.next_epoch(tables)
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
        let epoch = self.write(|tables| self.file.next_epoch(tables))?;
        Ok(Self { file: self.file.clone(), epoch })
    }

    /// Remembers a new dataflow, if no other one that has not ended has its name.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(&self, record: &DataflowRecord) -> Result<(), SubmitError> {
        let file = &self.file;
        self.write(|tables| {
            if tables.dataflows.get(record.id.0.as_u128()).map_err(|error| file.storage(error))?.is_some() {
                return Ok(Err(SubmitError::IdTaken(record.id)));
            }
            if let Some(name) = record.name() {
                for entry in tables.open.iter().map_err(|error| file.storage(error))? {
                    let (id, taken) = entry.map_err(|error| file.storage(error))?;
                    if taken.value() == name {
                        return Ok(Err(SubmitError::NameTaken(DataflowId(Uuid::from_u128(id.value())))));
                    }
                }
            }
            file.put(tables, record).map(Ok)
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
        self.write(|tables| {
            let mut record = self.file.record(&tables.dataflows, id)?.ok_or(StoreError::Unknown(id))?;
            change(&mut record);
            self.file.put(tables, &record)?;
            Ok(record)
        })
    }

    /// Forgets dataflows. One that is not remembered is none too many.
    ///
    /// # Errors
    /// [`StoreError::Stale`]; what the file says.
    pub fn remove(&self, ids: &[DataflowId]) -> Result<(), StoreError> {
        self.write(|tables| {
            for id in ids.iter().map(|id| id.0.as_u128()) {
                tables.dataflows.remove(id).map_err(|error| self.file.storage(error))?;
                tables.open.remove(id).map_err(|error| self.file.storage(error))?;
            }
            Ok(())
        })
    }

    /// One dataflow.
    ///
    /// # Errors
    /// What the file says.
    pub fn get(&self, id: DataflowId) -> Result<Option<DataflowRecord>, StoreError> {
        self.file.record(&self.file.read()?, id)
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
        let mut records = self.file.records(&self.file.read()?)?.collect::<Result<Vec<_>, _>>()?;
        records.sort_by_key(|record| std::cmp::Reverse((record.submitted, record.id)));
        Ok(records)
    }

    /// Writes if this handle is of the epoch that counts.
    fn write<T>(&self, work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.file.write(|tables| {
            let current = self.file.number(tables, "epoch")?;
            if current != self.epoch {
                return Err(StoreError::Stale { ours: self.epoch, current });
            }
            work(tables)
        })
    }
}

impl File {
    /// The records, to be read.
    fn read(&self) -> Result<ReadOnlyTable<u128, &'static [u8]>, StoreError> {
        let transaction = self.database.begin_read().map_err(|error| StoreError::transaction(&self.path, error))?;
        transaction.open_table(DATAFLOWS).map_err(|error| StoreError::table(&self.path, error))
    }

    /// Does all of it and puts it on the disk, or nothing.
    fn write<T>(&self, work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.database.begin_write().map_err(|error| StoreError::transaction(&self.path, error))?;
        let value = self.within(&transaction, work)?;
        transaction.commit().map_err(|error| StoreError::commit(&self.path, error))?;
        Ok(value)
    }

    fn within<T>(
        &self,
        transaction: &WriteTransaction,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let broken = |error| StoreError::table(&self.path, error);
        work(&mut Tables {
            about: transaction.open_table(ABOUT).map_err(broken)?,
            dataflows: transaction.open_table(DATAFLOWS).map_err(broken)?,
            open: transaction.open_table(OPEN).map_err(broken)?,
        })
    }

    fn next_epoch(&self, tables: &mut Tables<'_>) -> Result<u64, StoreError> {
        let epoch = self.number(tables, "epoch")? + 1;
        self.set(tables, "epoch", epoch)?;
        Ok(epoch)
    }

    /// A number about the file; 0 if it has never been written.
    fn number(&self, tables: &Tables<'_>, key: &str) -> Result<u64, StoreError> {
        let value = tables.about.get(key).map_err(|error| self.storage(error))?;
        Ok(value.map_or(0, |value| value.value()))
    }

    fn set(&self, tables: &mut Tables<'_>, key: &str, value: u64) -> Result<(), StoreError> {
        tables.about.insert(key, value).map_err(|error| self.storage(error))?;
        Ok(())
    }

    fn put(&self, tables: &mut Tables<'_>, record: &DataflowRecord) -> Result<(), StoreError> {
        let id = record.id.0.as_u128();
        let bytes = serde_json::to_vec(record).map_err(|error| self.storage(io::Error::from(error).into()))?;
        tables.dataflows.insert(id, bytes.as_slice()).map_err(|error| self.storage(error))?;
        match record.state.is_final() {
            true => tables.open.remove(id).map(|_| ()),
            false => tables.open.insert(id, record.name().unwrap_or_default()).map(|_| ()),
        }
        .map_err(|error| self.storage(error))
    }

    fn record(
        &self,
        dataflows: &impl ReadableTable<u128, &'static [u8]>,
        id: DataflowId,
    ) -> Result<Option<DataflowRecord>, StoreError> {
        let bytes = dataflows.get(id.0.as_u128()).map_err(|error| self.storage(error))?;
        bytes.map(|bytes| self.decode(bytes.value())).transpose()
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

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("path", &self.file.path).field("epoch", &self.epoch).finish()
    }
}
