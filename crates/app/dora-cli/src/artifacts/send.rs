//! Brings to the coordinator what it does not have: each content once, in pieces, however many files have it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use dora_gateways::{ArtifactHash, DispatcherError, DispatcherGateway};
use dora_rpc::{StreamSender, stream};

use super::Announced;

/// Bytes of a piece: far below the limit of a message, so that other calls are not held up.
const PIECE: usize = 256 << 10;
/// Pieces under way.
const WINDOW: usize = 4;

/// Why files were not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
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
/// The gateway's calls must not have a deadline: a file takes as long as it takes.
pub(super) async fn send(
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use dora_gateways::{Artifact, DispatcherCall};
    use dora_rpc::{RpcStream, Streamed};

    use super::*;
    use crate::scripted;

    fn file(path: &Path, hash: u8, size: u64) -> Announced {
        let artifact = Artifact { hash: ArtifactHash([hash; 32]), size, path: "x".to_owned(), executable: false };
        Announced { artifact, path: path.to_owned() }
    }

    type Received = Arc<Mutex<Vec<(ArtifactHash, usize)>>>;

    /// Has the file `1`, and takes all others that are as long as they were said to be.
    async fn taker(received: Received) -> (dora_rpc::RpcService, dora_rpc::Gateway<DispatcherCall>) {
        scripted::dispatcher(move |call| match call {
            DispatcherCall::MissingArtifacts { hashes, reply } => {
                reply.ok(hashes.into_iter().filter(|hash| hash.0[0] != 1).collect());
            }
            DispatcherCall::UploadArtifact { hash, size, content, reply } => {
                let received = received.clone();
                tokio::spawn(async move {
                    let count = count(content).await;
                    received.lock().expect("not poisoned").push((hash, count));
                    let reason = "another size".to_owned();
                    let taken = count as u64 == size;
                    reply.send(if taken { Ok(()) } else { Err(DispatcherError::Artifact { hash, reason }) });
                });
            }
            other => panic!("not in the script: {other:?}"),
        })
        .await
    }

    async fn count(mut content: RpcStream<Vec<u8>>) -> usize {
        let mut count = 0;
        while let Ok(Some(Streamed::Item(piece))) = content.next().await {
            count += piece.len();
        }
        count
    }

    #[tokio::test]
    async fn each_content_is_sent_once_and_only_if_it_is_missing() {
        let place = tempfile::tempdir().expect("a directory");
        let (small, large, empty) = (place.path().join("a"), place.path().join("b"), place.path().join("c"));
        let size = PIECE * 3 + 5;
        std::fs::write(&small, "abc").expect("written");
        std::fs::write(&large, vec![7; size]).expect("written");
        std::fs::write(&empty, "").expect("written");
        let received = Received::default();
        let (_service, dispatcher) = taker(received.clone()).await;
        let files =
            [file(&small, 1, 3), file(&large, 2, size as u64), file(&large, 2, size as u64), file(&empty, 3, 0)];
        let mut told = (0, 0);
        send(&dispatcher, &files, |sent, all| told = (sent, all)).await.expect("taken");
        let received = received.lock().expect("not poisoned").clone();
        assert_eq!(received, [(ArtifactHash([2; 32]), size), (ArtifactHash([3; 32]), 0)]);
        assert_eq!(told, (size as u64, size as u64));
    }

    #[tokio::test]
    async fn a_file_that_changes_meanwhile_is_named() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("a");
        std::fs::write(&path, "longer than it was").expect("written");
        let (_service, dispatcher) = taker(Received::default()).await;
        let error = send(&dispatcher, &[file(&path, 2, 3)], |_, _| {}).await.expect_err("refused");
        assert_eq!(error.to_string(), format!("`{}` has changed while it was sent", path.display()));
        let gone = place.path().join("gone");
        let error = send(&dispatcher, &[file(&gone, 2, 3)], |_, _| {}).await.expect_err("refused");
        assert!(matches!(error, SendError::Unreadable { .. }), "{error}");
    }
}
