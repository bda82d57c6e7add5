//! What is remembered, and the tables that it lies in.

use std::{
    fmt, io,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use dora_gateways::DataflowId;
use redb::{
    Builder, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction,
    backends::InMemoryBackend,
};
use uuid::Uuid;

use crate::{
    DataflowRecord, StoreError, SubmitError,
    file::{File, Opener},
};

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

/// What is remembered, for the leader of one epoch. A clone is another handle of the same epoch.
#[derive(Clone)]
pub struct Store {
    file: Arc<File>,
    epoch: u64,
}

impl Store {
    /// Opens the store in this file, which is made if it is not there, and begins an epoch.
    ///
    /// # Errors
    /// [`StoreError`]: the file is in use, damaged, of a newer version, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = path.to_owned();
        Self::begin(
            path,
            Box::new(move || Builder::new().set_cache_size(CACHE).set_check_integrity_on_open(true).create(&file)),
        )
    }

    /// A store that is forgotten with its last handle: for a coordinator that lives as long as one dataflow.
    ///
    /// # Errors
    /// None that is known; the signature is that of the tables.
    pub fn in_memory() -> Result<Self, StoreError> {
        let open = || Builder::new().set_cache_size(CACHE).create_with_backend(InMemoryBackend::new());
        Self::begin(Path::new("(memory)"), Box::new(open))
    }

    /// Begins an epoch.
    pub(crate) fn begin(path: &Path, open: Opener) -> Result<Self, StoreError> {
        let file = Arc::new(File::open(path, open)?);
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
        })
        .inspect_err(|error| file.doubt(record.id, error))?
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
        self.write(|tables| ids.iter().try_for_each(|id| self.file.forget(tables, *id)))
    }

    /// One dataflow.
    ///
    /// # Errors
    /// What the file says.
    pub fn get(&self, id: DataflowId) -> Result<Option<DataflowRecord>, StoreError> {
        self.file.read(|dataflows| self.file.record(dataflows, id))
    }

    /// The dataflow with this name: the one that has not ended, or else the last one.
    ///
    /// # Errors
    /// What the file says.
    pub fn named(&self, name: &str) -> Result<Option<DataflowRecord>, StoreError> {
        let mut found: Option<DataflowRecord> = None;
        let rank = |record: &DataflowRecord| (!record.state.is_final(), record.submitted, record.id);
        self.each(|record| {
            if record.name() == Some(name) && found.as_ref().is_none_or(|found| rank(found) < rank(&record)) {
                found = Some(record);
            }
        })?;
        Ok(found)
    }

    /// All dataflows, the latest first.
    ///
    /// # Errors
    /// What the file says.
    pub fn all(&self) -> Result<Vec<DataflowRecord>, StoreError> {
        self.select(Some)
    }

    /// What is wanted of the dataflows that are wanted, the latest first. The rest of each is forgotten before the next one
    /// is read: what years have left costs no memory.
    ///
    /// # Errors
    /// What the file says.
    pub fn select<T>(&self, mut wanted: impl FnMut(DataflowRecord) -> Option<T>) -> Result<Vec<T>, StoreError> {
        let mut selected = Vec::new();
        self.each(|record| {
            let key = (record.submitted, record.id);
            selected.extend(wanted(record).map(|it| (key, it)));
        })?;
        selected.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
        Ok(selected.into_iter().map(|(_, it)| it).collect())
    }

    fn each(&self, mut work: impl FnMut(DataflowRecord)) -> Result<(), StoreError> {
        self.file.read(|dataflows| self.file.records(dataflows)?.try_for_each(|record| record.map(&mut work)))
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
    /// Reads the records.
    fn read<T>(
        &self,
        work: impl FnOnce(&ReadOnlyTable<u128, &'static [u8]>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with(|database| {
            let transaction = database.begin_read().map_err(|error| StoreError::transaction(self.path(), error))?;
            work(&transaction.open_table(DATAFLOWS).map_err(|error| StoreError::table(self.path(), error))?)
        })
    }

    /// Does all of it and puts it on the disk, or nothing.
    fn write<T>(&self, work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with(|database| {
            let transaction = database.begin_write().map_err(|error| StoreError::transaction(self.path(), error))?;
            let doubtful = self.doubtful();
            let value = self.within(&transaction, |tables| {
                doubtful.iter().try_for_each(|id| self.forget(tables, *id))?;
                work(tables)
            })?;
            transaction.commit().map_err(|error| StoreError::commit(self.path(), error))?;
            self.settled(&doubtful);
            Ok(value)
        })
    }

    fn within<T>(
        &self,
        transaction: &WriteTransaction,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let broken = |error| StoreError::table(self.path(), error);
        work(&mut Tables {
            about: transaction.open_table(ABOUT).map_err(broken)?,
            dataflows: transaction.open_table(DATAFLOWS).map_err(broken)?,
            open: transaction.open_table(OPEN).map_err(broken)?,
        })
    }

    /// A new file begins with the milliseconds of the clock: daemons have served the epochs of the file before it, of
    /// which there was less than one a millisecond, and refuse what is not later.
    fn next_epoch(&self, tables: &mut Tables<'_>) -> Result<u64, StoreError> {
        let begin = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let epoch = match self.number(tables, "epoch")? {
            0 => begin(),
            last => last,
        } + 1;
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

    fn forget(&self, tables: &mut Tables<'_>, id: DataflowId) -> Result<(), StoreError> {
        tables.dataflows.remove(id.0.as_u128()).map_err(|error| self.storage(error))?;
        tables.open.remove(id.0.as_u128()).map_err(|error| self.storage(error))?;
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
        bytes.filter(|_| !self.doubtful().contains(&id)).map(|bytes| self.decode(bytes.value())).transpose()
    }

    fn records(
        &self,
        dataflows: &impl ReadableTable<u128, &'static [u8]>,
    ) -> Result<impl Iterator<Item = Result<DataflowRecord, StoreError>>, StoreError> {
        let (entries, doubtful) = (dataflows.iter().map_err(|error| self.storage(error))?, self.doubtful());
        let records = entries.map(|entry| {
            let (_, bytes) = entry.map_err(|error| self.storage(error))?;
            self.decode(bytes.value())
        });
        Ok(records.filter(move |record| !record.as_ref().is_ok_and(|record| doubtful.contains(&record.id))))
    }

    fn decode(&self, bytes: &[u8]) -> Result<DataflowRecord, StoreError> {
        serde_json::from_slice(bytes).map_err(|error| StoreError::damaged(self.path(), error.to_string()))
    }

    fn storage(&self, error: redb::StorageError) -> StoreError {
        StoreError::storage(self.path(), error)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("path", &self.file.path()).field("epoch", &self.epoch).finish()
    }
}
