//! A disk that is full when a test says so. Only for tests.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use redb::{Builder, StorageBackend, backends::FileBackend};

use crate::{Store, StoreError};

/// A disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    full: Arc<AtomicBool>,
}

impl Disk {
    /// A store on this disk.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open(&self, path: &Path) -> Result<Store, StoreError> {
        let (disk, file) = (self.clone(), path.to_owned());
        let open = move || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&file)?;
            let backend = FileOnDisk { file: FileBackend::new(file)?, disk: disk.clone() };
            Builder::new().create_with_backend(backend)
        };
        Store::begin(path, Box::new(open))
    }

    /// From now on it is full, or has room again.
    pub fn fill(&self, full: bool) {
        self.full.store(full, Relaxed);
    }

    fn room(&self) -> io::Result<()> {
        if self.full.load(Relaxed) { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct FileOnDisk {
    file: FileBackend,
    disk: Disk,
}

impl StorageBackend for FileOnDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.room()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.room()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
