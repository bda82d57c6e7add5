//! The end of everything: dataflows, daemons, coordinator.

use std::time::Duration;

use dora_gateways::{
    DispatcherError, MachineId, NodeExecutorCall, NodeExecutorGateway, ResourceManagerGateway, StopOptions, Urgency,
};
use dora_rpc::{Gateway, MainThread, Reply};
use tokio::{task::JoinSet, time::timeout};

use super::{Dispatcher, Running, stop::stopped};
use crate::shared::Shared;

/// So long nodes have to end in order: the usual grace, half of it more, and a little.
const ORDERLY_STOP: Duration = Duration::from_secs(16);
/// So long dataflows are waited for after that. What a daemon still runs then ends with it.
const LAST_STOP: Duration = Duration::from_secs(5);

impl Dispatcher {
    /// Ends all daemons, and says that the coordinator has ended. Once begun it is finished, whatever its caller does.
    pub(super) fn destroy(&mut self, main: &mut MainThread<Self>, force: bool, reply: Reply<(), DispatcherError>) {
        let running: Vec<_> = self.running.values().cloned().collect();
        if !running.is_empty() && !force {
            return reply
                .err(DispatcherError::StillRunning { running: running.iter().map(Running::summary).collect() });
        }
        self.closing = true;
        main.then(end_all(self.shared.clone(), running), |dispatcher: &mut Self, _, ()| {
            reply.ok(());
            dispatcher.ended.send_replace(true);
        });
    }
}

impl Running {
    /// Whether any of these machines has nodes of it, or it has no nodes yet.
    fn is_on_any_of(&self, machines: &[(MachineId, Gateway<NodeExecutorCall>)]) -> bool {
        let has = &self.progress.borrow().sources;
        has.is_empty() || machines.iter().any(|(machine, _)| has.contains_key(machine))
    }
}

async fn end_all(shared: Shared, running: Vec<Running>) {
    let there = shared.resources.executors().await.unwrap_or_default();
    let mut stops = JoinSet::new();
    for running in running {
        // Nobody hears an order to stop in order where no daemon is.
        let is_heard = running.is_on_any_of(&there);
        stops.spawn(async move {
            if !is_heard || timeout(ORDERLY_STOP, stopped(&running, StopOptions::default())).await.is_err() {
                let kill = StopOptions { urgency: Urgency::Kill, ..StopOptions::default() };
                let _ = timeout(LAST_STOP, stopped(&running, kill)).await;
            }
        });
    }
    stops.join_all().await;
    let mut daemons = JoinSet::new();
    for (machine, executor) in there {
        let leader = shared.leader;
        daemons.spawn(async move {
            if let Err(error) = executor.shut_down(leader, StopOptions::default()).await {
                tracing::warn!(%machine, %error, "a daemon does not say that it ends");
            }
        });
    }
    daemons.join_all().await;
}
