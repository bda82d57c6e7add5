//! The metric query service: asks all daemons at once and puts together what they say in time.

use std::time::Duration;

use chrono::Utc;
use dora_gateways::{
    MachineId, MetricQuery, MetricQueryServiceCall, MetricsError, MetricsSnapshot, NodeExecutorCall, NodeExecutorError,
    NodeExecutorGateway, ResourceManagerCall, ResourceManagerError, ResourceManagerGateway,
};
use dora_rpc::{Gateway, MainThread, RpcEndpoint, RpcError};
use tokio::task::JoinSet;

/// A daemon that does not answer for so long is left out, by name.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers questions about figures. It has no state: what was, the asker remembers.
pub(crate) struct MetricQueryService {
    pub resources: Gateway<ResourceManagerCall>,
}

impl RpcEndpoint for MetricQueryService {
    type Call = MetricQueryServiceCall;

    fn handle(&mut self, main: &mut MainThread<Self>, call: MetricQueryServiceCall) {
        let MetricQueryServiceCall::Snapshot { query, reply } = call;
        main.reply(reply, snapshot(self.resources.clone(), query));
    }
}

async fn snapshot(
    resources: Gateway<ResourceManagerCall>,
    query: MetricQuery,
) -> Result<MetricsSnapshot, MetricsError> {
    let failed = |error| match error {
        ResourceManagerError::Rpc(error) => error,
        other => RpcError::Malformed { what: "machines".to_owned(), reason: other.to_string() },
    };
    let machines = resources.machines().await.map_err(failed)?;
    let mut asked = JoinSet::new();
    for (machine, executor) in resources.executors().await.map_err(failed)? {
        asked.spawn(ask(machine, executor, query.clone()));
    }
    let unreachable = machines.into_iter().filter(|machine| !machine.reachable).map(|machine| machine.machine);
    let mut all = MetricsSnapshot {
        taken: Utc::now(),
        machines: Vec::new(),
        nodes: Vec::new(),
        edges: Vec::new(),
        missing: unreachable.collect(),
    };
    let mut known = query.dataflow.is_none();
    for (machine, answer) in asked.join_all().await {
        match answer {
            Ok(figures) => {
                known = true;
                all.machines.extend(figures.machines);
                all.nodes.extend(figures.nodes);
                all.edges.extend(figures.edges);
            }
            Err(NodeExecutorError::UnknownDataflow { .. }) => {}
            Err(_) => all.missing.push(machine),
        }
    }
    all.machines.sort_by(|one, other| one.machine.cmp(&other.machine));
    all.missing.sort();
    match query.dataflow.filter(|_| !known && all.missing.is_empty()) {
        Some(dataflow) => Err(MetricsError::UnknownDataflow { dataflow }),
        None => Ok(all),
    }
}

async fn ask(
    machine: MachineId,
    executor: Gateway<NodeExecutorCall>,
    query: MetricQuery,
) -> (MachineId, Result<MetricsSnapshot, NodeExecutorError>) {
    let answer = executor.within(PATIENCE).metrics(query).await;
    (machine, answer)
}
