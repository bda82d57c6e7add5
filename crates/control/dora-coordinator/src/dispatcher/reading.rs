//! What is there, how it is, what happens: nothing here changes anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dora_gateways::{
    DataflowEvent, DataflowInfo, DataflowMasterGateway, DataflowSelector, DataflowSummary, DispatcherError, ListFilter,
    LogChunk, LogQuery, MachineId, MachineInfo, NodeExecutorGateway, NodeInfo, NodeState, ResourceManagerGateway,
    TapQuery, TappedMessage, Watching,
};
use dora_message::result::NodeResult;
use dora_rpc::{MainThread, Reply, RpcStream, stream};
use dora_store::DataflowRecord;

use super::{
    Dispatcher, Running,
    find::Found,
    pattern,
    refusal::{master_refused, resources_refused, store_failed, unknown_node},
};
use crate::{blueprint::Blueprint, streams};

impl Dispatcher {
    pub(super) fn list(
        &mut self,
        main: &mut MainThread<Self>,
        filter: ListFilter,
        reply: Reply<Vec<DataflowSummary>, DispatcherError>,
    ) {
        let store = self.shared.store.clone();
        main.blocking(
            move || store.select(|record| Some(record.summary())),
            move |dispatcher: &mut Self, _, remembered| {
                let now = |it: DataflowSummary| dispatcher.running.get(&it.id).map_or(it, Running::summary);
                let all = remembered.map_err(|error| store_failed(&error));
                reply.send(all.map(|all| all.into_iter().map(now).filter(|it| matches(&filter, it)).collect()));
            },
        );
    }

    pub(super) fn info(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        reply: Reply<DataflowInfo, DispatcherError>,
    ) {
        self.find(main, dataflow, reply, |dispatcher, main, found, reply| match found {
            Found::Ended(record) => reply.ok(info_of(*record)),
            Found::Running(running) => {
                let store = dispatcher.shared.store.clone();
                let info = async move { running.master.info().await.map_err(|error| (running, error)) };
                main.then(info, move |_: &mut Self, main, info| match info {
                    Ok(info) => reply.ok(info),
                    // It has ended since it was found.
                    Err((running, error)) => main.blocking(
                        move || store.get(running.id),
                        move |_, _, record| {
                            let ended = record.ok().flatten().filter(|record| record.state.is_final());
                            reply.send(ended.map(info_of).ok_or_else(|| master_refused(&running, error)));
                        },
                    ),
                });
            }
        });
    }

    pub(super) fn events(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        watching: Watching,
        reply: Reply<RpcStream<DataflowEvent>, DispatcherError>,
    ) {
        self.find(main, dataflow, reply, move |dispatcher, _, found, reply| {
            let id = match &found {
                Found::Running(running) => running.id,
                Found::Ended(record) => record.id,
            };
            let kept = dispatcher.unclaimed.remove(&id);
            reply.send(match (kept, found) {
                (Some(kept), _) => Ok(kept),
                (None, Found::Running(running)) => Ok(streams::events(running.progress, id, watching)),
                (None, Found::Ended(record)) => {
                    let end = record.result.ok_or(DispatcherError::Ended { dataflow: id });
                    end.map(|result| {
                        let (sender, events) = stream(1);
                        let _ = sender.push(DataflowEvent::Finished(result));
                        events
                    })
                }
            });
        });
    }

    pub(super) fn logs(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        query: LogQuery,
        reply: Reply<RpcStream<LogChunk>, DispatcherError>,
    ) {
        self.find(main, dataflow, reply, move |dispatcher, main, found, reply| match found {
            Found::Running(running) => match unknown_among(&running.blueprint, &query) {
                None => reply.ok(streams::logs(running.progress, running.id, query)),
                Some(unknown) => reply.err(unknown),
            },
            Found::Ended(record) => {
                // One whose file cannot be read has no nodes that could be named wrongly.
                let blueprint = Blueprint::read(&record.submission).ok();
                match blueprint.and_then(|blueprint| unknown_among(&blueprint, &query)) {
                    None => dispatcher.old_logs(main, &record, query, reply),
                    Some(unknown) => reply.err(unknown),
                }
            }
        });
    }

    /// The lines of a dataflow that has ended: the machines that had its nodes have them.
    fn old_logs(
        &mut self,
        main: &mut MainThread<Self>,
        record: &DataflowRecord,
        query: LogQuery,
        reply: Reply<RpcStream<LogChunk>, DispatcherError>,
    ) {
        let (resources, id) = (self.shared.resources.clone(), record.id);
        let had: BTreeSet<_> = record.placed.iter().map(|place| place.machine.clone()).collect();
        main.reply(reply, async move {
            let (mut logs, mut unread) = (Vec::new(), Vec::new());
            let there: BTreeMap<_, _> = resources.executors().await.map_err(resources_refused)?.into_iter().collect();
            for machine in had {
                let lines = match there.get(&machine) {
                    Some(executor) => executor.logs(id, query.clone()).await.map_err(|error| error.to_string()),
                    None => Err("its daemon is not there".to_owned()),
                };
                match lines {
                    Ok(lines) => logs.push(lines),
                    Err(reason) => unread.push(LogChunk::Unread { machine, reason }),
                }
            }
            Ok(streams::join(logs, unread))
        });
    }

    pub(super) fn tap(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        query: TapQuery,
        reply: Reply<RpcStream<TappedMessage>, DispatcherError>,
    ) {
        self.find(main, dataflow, reply, move |_, main, found, reply| match found {
            Found::Ended(record) => reply.err(DispatcherError::Ended { dataflow: record.id }),
            Found::Running(running) => main.reply(reply, async move {
                running.master.tap(query).await.map_err(|error| master_refused(&running, error))
            }),
        });
    }

    pub(super) fn machines(&mut self, main: &mut MainThread<Self>, reply: Reply<Vec<MachineInfo>, DispatcherError>) {
        let resources = self.shared.resources.clone();
        main.reply(reply, async move { resources.machines().await.map_err(resources_refused) });
    }

    pub(super) fn await_machine(
        &mut self,
        main: &mut MainThread<Self>,
        machine: MachineId,
        reply: Reply<(), DispatcherError>,
    ) {
        // The caller has its own deadline, and what nobody waits for is dropped.
        let resources = self.shared.resources.within(Duration::MAX);
        main.reply(reply, async move { resources.await_machine(machine).await.map_err(resources_refused) });
    }
}

/// The first node that is asked for and not there.
fn unknown_among(blueprint: &Blueprint, query: &LogQuery) -> Option<DispatcherError> {
    let unknown = query.nodes.iter().find(|node| !blueprint.has(node))?;
    Some(unknown_node(blueprint, unknown.clone()))
}

/// Whether a dataflow is one of those that somebody means.
pub(super) fn matches(filter: &ListFilter, dataflow: &DataflowSummary) -> bool {
    let state = filter.states.is_empty() || filter.states.contains(&dataflow.state);
    let has_it = |pattern: &String| dataflow.name.as_ref().is_some_and(|name| pattern::matches(pattern, name));
    state && filter.name.as_ref().is_none_or(has_it)
}

/// What the store knows of a dataflow that has ended.
fn info_of(record: DataflowRecord) -> DataflowInfo {
    let outcomes = record.result.as_ref().map_or(&[][..], |result| &result.outcome.nodes);
    let ids: Vec<_> = match Blueprint::read(&record.submission) {
        Ok(blueprint) => blueprint.nodes.into_iter().map(|need| need.node).collect(),
        Err(_) => outcomes.iter().map(|outcome| outcome.node.clone()).collect(),
    };
    let nodes = ids.into_iter().map(|id| {
        let place = record.placed.iter().find(|place| place.node == id);
        let result = outcomes.iter().find(|outcome| outcome.node == id).map(|outcome| outcome.result.clone());
        NodeInfo {
            machine: place.map(|place| place.machine.clone()),
            attempt: place.map(|place| place.attempt),
            state: NodeState::Ended(result.unwrap_or(NodeResult::Lost)),
            pid: None,
            restarts: 0,
            node: id,
        }
    });
    let nodes = nodes.collect();
    DataflowInfo { summary: record.summary(), descriptor: record.submission.descriptor, nodes, result: record.result }
}
