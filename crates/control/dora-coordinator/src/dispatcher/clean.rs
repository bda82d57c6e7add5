//! Forgetting dataflows that have ended, with what they left on machines.

use std::collections::{BTreeMap, BTreeSet};

use dora_gateways::{
    DataflowId, DataflowSummary, DispatcherError, ListFilter, MachineId, NodeExecutorError, NodeExecutorGateway,
    ResourceManagerGateway,
};
use dora_rpc::{MainThread, Reply};
use dora_store::PlacedNode;
use tokio::task::JoinSet;

use super::{Dispatcher, reading::matches, refusal::store_failed};
use crate::shared::Shared;

impl Dispatcher {
    /// Forgets what has ended and is meant. Once begun it is finished, although its caller may be gone.
    pub(super) fn clean(
        &mut self,
        main: &mut MainThread<Self>,
        filter: ListFilter,
        reply: Reply<Vec<DataflowSummary>, DispatcherError>,
    ) {
        let store = self.shared.store.clone();
        let ended = move || {
            store.select(|record| {
                let summary = record.summary();
                (record.state.is_final() && matches(&filter, &summary)).then_some((summary, record.placed))
            })
        };
        main.blocking(ended, |dispatcher: &mut Self, main, ended| match ended {
            Ok(ended) => dispatcher.forget(main, ended, reply),
            Err(error) => reply.err(store_failed(&error)),
        });
    }

    fn forget(
        &mut self,
        main: &mut MainThread<Self>,
        ended: Vec<(DataflowSummary, Vec<PlacedNode>)>,
        reply: Reply<Vec<DataflowSummary>, DispatcherError>,
    ) {
        let mut machines = BTreeMap::<MachineId, BTreeSet<DataflowId>>::new();
        let mut summaries = Vec::with_capacity(ended.len());
        for (summary, placed) in ended {
            for place in placed {
                machines.entry(place.machine).or_default().insert(summary.id);
            }
            summaries.push(summary);
        }
        main.then(clean_machines(self.shared.clone(), machines), move |dispatcher: &mut Self, main, ()| {
            let store = dispatcher.shared.store.clone();
            let ids: Vec<_> = summaries.iter().map(|summary| summary.id).collect();
            main.blocking(
                move || store.remove(&ids),
                move |_, _, removed| reply.send(removed.map(|()| summaries).map_err(|error| store_failed(&error))),
            );
        });
    }
}

/// Tells the machines side by side. One that cannot be reached keeps what it has.
async fn clean_machines(shared: Shared, machines: BTreeMap<MachineId, BTreeSet<DataflowId>>) {
    let executors = shared.resources.executors().await.unwrap_or_default();
    let mut cleaning = JoinSet::new();
    for (machine, executor) in executors {
        let Some(dataflows) = machines.get(&machine).cloned() else { continue };
        let leader = shared.leader;
        cleaning.spawn(async move {
            for dataflow in dataflows {
                if let Err(error) = executor.clean(leader, dataflow).await {
                    tracing::warn!(%machine, %dataflow, %error, "what a dataflow left is not removed");
                    if let NodeExecutorError::Rpc(_) = error {
                        break;
                    }
                }
            }
        });
    }
    cleaning.join_all().await;
}
