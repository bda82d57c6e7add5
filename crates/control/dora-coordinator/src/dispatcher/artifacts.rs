//! Files that clients send before the dataflows that name them.

use std::time::Duration;

use dora_gateways::{ArtifactHash, DispatcherError, NodeExecutorGateway, Origin, ResourceManagerGateway};
use dora_rpc::{MainThread, Reply, RpcStream};
use tokio::task::JoinSet;

use super::{Dispatcher, not_served, refusal::resources_refused};

/// A machine that takes longer to look for a file is sent it: that is never wrong.
const A_LOOK: Duration = Duration::from_secs(2);

impl Dispatcher {
    /// Whether all machines that give signs of life find a file in its place.
    pub(super) fn sees(&mut self, main: &mut MainThread<Self>, file: Origin, reply: Reply<bool, DispatcherError>) {
        let resources = self.shared.resources.clone();
        main.reply(reply, async move {
            let mut looks = JoinSet::new();
            for (_, executor) in resources.executors().await.map_err(resources_refused)? {
                let file = file.clone();
                looks.spawn(async move { executor.within(A_LOOK).sees(file).await == Ok(true) });
            }
            Ok(looks.join_all().await.into_iter().all(|sees| sees))
        });
    }

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
