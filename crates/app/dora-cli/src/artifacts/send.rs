//! Brings to the coordinator what it does not have: each content once, in pieces, however many files have it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use dora_gateways::{ArtifactHash, DispatcherError, DispatcherGateway};
use dora_rpc::{StreamSender, stream};

use super::Announced;

/// Bytes of a piece: far below the limit of a message, so that other calls are not held up.
const PIECE: usize = 256 << 10;
/// Pieces under way.
const WINDOW: usize = 4;

/// How long a file may take: as long as it takes. That the coordinator is gone is told by the connection.
pub(crate) const UPLOAD_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Why files were not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// A file cannot be read any more.
    #[error("cannot read `{}`: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    /// A file is not what it was a moment ago.
    #[error("`{}` has changed while it was sent", path.display())]
    Changed { path: PathBuf },
    /// The coordinator does not take it.
    #[error(transparent)]
    Refused(#[from] DispatcherError),
}

/// Sends what is missing. `told` is given how many bytes of how many have been sent.
///
/// The gateway's deadline should be [`UPLOAD_TIME`].
pub(crate) async fn send(
    dispatcher: &impl DispatcherGateway,
    files: &[Announced],
    mut told: impl FnMut(u64, u64),
) -> Result<(), SendError> {
    let contents: BTreeMap<ArtifactHash, &Announced> = files.iter().map(|file| (file.artifact.hash, file)).collect();
    if contents.is_empty() {
        return Ok(());
    }
    let missing = dispatcher.missing_artifacts(contents.keys().copied().collect()).await?;
    let missing: BTreeSet<ArtifactHash> = missing.into_iter().collect();
    let missing: Vec<&Announced> = missing.iter().filter_map(|hash| contents.get(hash).copied()).collect();
    let (all, mut sent) = (missing.iter().map(|file| file.artifact.size).sum(), 0);
    for file in missing {
        let (pieces, content) = stream(WINDOW);
        let upload = dispatcher.upload_artifact(file.artifact.hash, file.artifact.size, content);
        let feed = feed(&file.path, pieces, |count| {
            sent += count;
            told(sent, all);
        });
        let (taken, fed) = tokio::join!(upload, feed);
        // That it has changed is why the coordinator does not take it.
        if fed? != file.artifact.size {
            return Err(SendError::Changed { path: file.path.clone() });
        }
        taken.map_err(|error| match error {
            DispatcherError::Artifact { .. } => SendError::Changed { path: file.path.clone() },
            error => SendError::Refused(error),
        })?;
    }
    Ok(())
}

/// Reads a file into a stream, to its end; the bytes that it had.
async fn feed(path: &Path, pieces: StreamSender<Vec<u8>>, mut told: impl FnMut(u64)) -> Result<u64, SendError> {
    let unreadable = |error| SendError::Unreadable { path: path.to_owned(), error };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut size = 0;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        file.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(unreadable)?;
        let count = piece.len() as u64;
        // Whoever reads no more has answered, and why is in the answer.
        if count == 0 || pieces.send(piece).await.is_err() {
            return Ok(size);
        }
        size += count;
        told(count);
    }
}
