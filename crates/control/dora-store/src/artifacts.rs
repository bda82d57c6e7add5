//! Files that travel with dataflows, named by their content, so that each is sent and kept once.
//!
//! A file has its name only when all of it is there and is what its hash says. It must not know who sends or wants it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use dora_gateways::ArtifactHash;
use dora_rpc::{RpcError, RpcStream, StreamSender, Streamed, stream};
use ring::digest::{Context, SHA256};
use tokio::{runtime::Handle, task::spawn_blocking};
use uuid::Uuid;

/// Bytes of a file at most.
pub const LARGEST_ARTIFACT: u64 = 2 << 30;
/// Bytes that are sent at a time.
const CHUNK: usize = 256 << 10;
/// Chunks that are on their way.
const ON_THE_WAY: usize = 8;

/// The directory that holds them. It is made when the first file comes.
///
/// ```
/// use dora_gateways::ArtifactHash;
/// use dora_rpc::stream;
/// use dora_store::Artifacts;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let directory = tempfile::tempdir()?;
/// let artifacts = Artifacts::new(directory.path());
/// # let digest = ring::digest::digest(&ring::digest::SHA256, b"print()");
/// # let hash = ArtifactHash(digest.as_ref().try_into()?);
/// assert_eq!(artifacts.missing(vec![hash]), [hash]);
/// let (sender, content) = stream(1);
/// sender.send(b"print()".to_vec()).await?;
/// drop(sender);
/// artifacts.take(hash, 7, content).await?;
/// assert!(artifacts.missing(vec![hash]).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifacts {
    directory: PathBuf,
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is larger than any that is taken.
    #[error("it has {size} bytes, more than the {LARGEST_ARTIFACT} that a file may have")]
    TooLarge {
        /// Its bytes, as announced.
        size: u64,
    },
    /// More or fewer bytes came than were announced.
    #[error("{received} bytes came, {announced} were announced")]
    Size {
        /// Bytes that came until it was clear.
        received: u64,
        /// Bytes that were announced.
        announced: u64,
    },
    /// It has another content.
    #[error("its content has the hash {0}")]
    Content(ArtifactHash),
    /// It broke off.
    #[error("it broke off: {0}")]
    BrokenOff(#[from] RpcError),
    /// It cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// Where it was to be.
        path: PathBuf,
        /// What the system says: that the disk is full, say.
        source: io::Error,
    },
    /// This process has no thread for it.
    #[error("the process ends")]
    Ending,
}

impl Artifacts {
    /// Files in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Artifacts { directory: directory.into() }
    }

    /// Where a file is, if it is there.
    pub fn path(&self, hash: ArtifactHash) -> PathBuf {
        self.directory.join(hash.to_string())
    }

    /// Which of these are not there. Looks into the directory.
    pub fn missing(&self, mut hashes: Vec<ArtifactHash>) -> Vec<ArtifactHash> {
        hashes.retain(|hash| !self.path(*hash).is_file());
        hashes
    }

    /// Takes the content of a file.
    ///
    /// # Errors
    /// [`ArtifactError`]. Nothing of it is kept then.
    pub async fn take(&self, hash: ArtifactHash, size: u64, content: RpcStream<Vec<u8>>) -> Result<(), ArtifactError> {
        if size > LARGEST_ARTIFACT {
            return Err(ArtifactError::TooLarge { size });
        }
        let (path, runtime) = (self.path(hash), Handle::current());
        let written = spawn_blocking(move || write(&path, hash, size, content, &runtime)).await;
        written.unwrap_or(Err(ArtifactError::Ending))
    }

    /// The content of a file, and how many bytes it has.
    ///
    /// # Errors
    /// What the system says: that it is not there, say.
    pub async fn read(&self, hash: ArtifactHash) -> io::Result<(u64, RpcStream<Vec<u8>>)> {
        let (path, runtime) = (self.path(hash), Handle::current());
        let opened = spawn_blocking(move || File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)))).await;
        let (size, file) = opened.map_err(io::Error::other)??;
        let (sender, content) = stream(ON_THE_WAY);
        spawn_blocking(move || send(file, &sender, &runtime));
        Ok((size, content))
    }
}

fn write(
    path: &Path,
    hash: ArtifactHash,
    announced: u64,
    mut content: RpcStream<Vec<u8>>,
    runtime: &Handle,
) -> Result<(), ArtifactError> {
    let failed = |source| ArtifactError::Write { path: path.to_owned(), source };
    let mut part = Part::create(path).map_err(failed)?;
    let (mut received, mut digest) = (0, Context::new(&SHA256));
    loop {
        // Nothing is ever dropped from such a stream; if it were, the content would be another one.
        let chunk = match runtime.block_on(content.next())? {
            Some(Streamed::Item(chunk)) => chunk,
            Some(Streamed::Dropped(_)) => continue,
            None => break,
        };
        received += chunk.len() as u64;
        if received > announced {
            return Err(ArtifactError::Size { received, announced });
        }
        digest.update(&chunk);
        part.file.write_all(&chunk).map_err(failed)?;
    }
    if received != announced {
        return Err(ArtifactError::Size { received, announced });
    }
    let found = hash_of(digest);
    if found != hash {
        return Err(ArtifactError::Content(found));
    }
    part.keep(path).map_err(failed)
}

fn send(mut file: File, sender: &StreamSender<Vec<u8>>, runtime: &Handle) {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        // What cannot be read any more is missing at the other side, which notices.
        let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk);
        if !read.is_ok_and(|count| count > 0) || runtime.block_on(sender.send(chunk)).is_err() {
            return;
        }
    }
}

fn hash_of(digest: Context) -> ArtifactHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.finish().as_ref());
    ArtifactHash(hash)
}

/// A file that is not complete yet: gone when it is dropped.
struct Part {
    file: File,
    path: Option<PathBuf>,
}

impl Part {
    fn create(of: &Path) -> io::Result<Self> {
        // Several may send the same file at once.
        let path = of.with_extension(format!("{}.part", Uuid::now_v7()));
        if let Some(directory) = of.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(Part { file: File::create_new(&path)?, path: Some(path) })
    }

    fn keep(mut self, to: &Path) -> io::Result<()> {
        // A name must not be on the disk before what it names.
        self.file.sync_all()?;
        if let Some(path) = self.path.take() {
            fs::rename(&path, to).inspect_err(|_| drop(fs::remove_file(&path)))?;
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(content: &[u8]) -> ArtifactHash {
        let mut digest = Context::new(&SHA256);
        digest.update(content);
        hash_of(digest)
    }

    /// Sends these chunks.
    async fn take(artifacts: &Artifacts, hash: ArtifactHash, size: u64, chunks: &[&[u8]]) -> Result<(), ArtifactError> {
        let (sender, content) = stream(chunks.len());
        for chunk in chunks {
            sender.send(chunk.to_vec()).await.unwrap();
        }
        drop(sender);
        artifacts.take(hash, size, content).await
    }

    #[tokio::test]
    async fn a_file_is_there_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(directory.path().join("artifacts"));
        let hash = sha256(b"one two");
        let chunks: [&[u8]; 2] = [b"one ", b"two"];
        let size = |result| match result {
            Err(ArtifactError::Size { received, .. }) => received,
            other => panic!("{other:?}"),
        };
        assert_eq!(size(take(&artifacts, hash, 7, &chunks[..1]).await), 4);
        assert_eq!(size(take(&artifacts, hash, 3, &chunks).await), 4);
        let other = take(&artifacts, ArtifactHash([1; 32]), 7, &chunks).await;
        assert!(matches!(other, Err(ArtifactError::Content(found)) if found == hash));
        let large = take(&artifacts, hash, LARGEST_ARTIFACT + 1, &[]).await;
        assert!(matches!(large, Err(ArtifactError::TooLarge { .. })));
        assert_eq!(artifacts.missing(vec![hash]), [hash]);
        assert_eq!(fs::read_dir(directory.path().join("artifacts")).unwrap().count(), 0);
        take(&artifacts, hash, 7, &chunks).await.unwrap();
        take(&artifacts, hash, 7, &chunks).await.unwrap();
        assert!(artifacts.missing(vec![hash]).is_empty());
        assert_eq!(fs::read(artifacts.path(hash)).unwrap(), b"one two");
    }

    #[tokio::test]
    async fn what_was_taken_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(directory.path());
        let long = vec![7; CHUNK * 10 + 1];
        let hash = sha256(&long);
        take(&artifacts, hash, long.len() as u64, &long.chunks(1000).collect::<Vec<_>>()).await.unwrap();
        let (size, mut content) = artifacts.read(hash).await.unwrap();
        let mut read = Vec::new();
        while let Some(Streamed::Item(chunk)) = content.next().await.unwrap() {
            read.extend(chunk);
        }
        assert_eq!((size, read), (long.len() as u64, long));
        assert!(artifacts.read(ArtifactHash([1; 32])).await.is_err());
    }

    #[tokio::test]
    async fn what_cannot_be_written_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let in_the_way = directory.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        let refused = take(&Artifacts::new(in_the_way), ArtifactHash([1; 32]), 0, &[]).await;
        assert!(matches!(refused, Err(ArtifactError::Write { .. })), "{refused:?}");
    }
}
