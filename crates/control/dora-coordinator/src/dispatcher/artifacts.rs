//! Files that clients send before the dataflows that name them.

use dora_gateways::{ArtifactHash, DispatcherError};
use dora_rpc::{MainThread, Reply, RpcStream};

use super::{Dispatcher, not_served};

impl Dispatcher {
    pub(super) fn missing_artifacts(
        &mut self,
        main: &mut MainThread<Self>,
        hashes: Vec<ArtifactHash>,
        reply: Reply<Vec<ArtifactHash>, DispatcherError>,
    ) {
        match self.shared.artifacts.clone() {
            Some(artifacts) => main.blocking(move || artifacts.missing(hashes), |_, _, missing| reply.ok(missing)),
            None => reply.err(not_served("a file that travels with a dataflow")),
        }
    }

    pub(super) fn upload_artifact(
        &mut self,
        main: &mut MainThread<Self>,
        hash: ArtifactHash,
        size: u64,
        content: RpcStream<Vec<u8>>,
        reply: Reply<(), DispatcherError>,
    ) {
        let Some(artifacts) = self.shared.artifacts.clone() else {
            return reply.err(not_served("a file that travels with a dataflow"));
        };
        main.reply(reply, async move {
            let taken = artifacts.take(hash, size, content).await;
            taken.map_err(|error| DispatcherError::Artifact { hash, reason: error.to_string() })
        });
    }
}
