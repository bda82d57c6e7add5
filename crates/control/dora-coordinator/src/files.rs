//! Files that travel with a dataflow: from the client to this coordinator, and on to the daemons that lack them.

use std::{collections::BTreeSet, time::Duration};

use dora_gateways::{Artifact, NodeExecutorCall, NodeExecutorError, NodeExecutorGateway};
use dora_rpc::Gateway;
use dora_store::Artifacts;

/// So long one file may take to a daemon.
const TRANSFER: Duration = Duration::from_secs(600);

/// Sends a daemon the files that it does not have. What is not here either, it may find on its own machine.
pub(crate) async fn hand_over(
    artifacts: Option<&Artifacts>,
    files: &[Artifact],
    executor: &Gateway<NodeExecutorCall>,
) -> Result<(), NodeExecutorError> {
    let hashes: BTreeSet<_> = files.iter().map(|file| file.hash).collect();
    let Some(artifacts) = artifacts.filter(|_| !hashes.is_empty()) else { return Ok(()) };
    for hash in executor.missing_artifacts(hashes.into_iter().collect()).await? {
        if let Ok((size, content)) = artifacts.read(hash).await {
            executor.within(TRANSFER).upload_artifact(hash, size, content).await?;
        }
    }
    Ok(())
}
