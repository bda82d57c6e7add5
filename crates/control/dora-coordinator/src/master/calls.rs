//! What a master answers, and how.

use dora_gateways::{
    DataflowInfo, DataflowMasterCall, DataflowMasterError, DataflowSummary, MachineId, NodeExecutorCall,
    NodeExecutorError, NodeExecutorGateway, NodeInfo, NodeState, StopOptions, TapQuery, TappedMessage,
};
use dora_message::id::NodeId;
use dora_rpc::{Gateway, MainThread, Reply, RpcStream};

use super::{
    DataflowMaster,
    progress::{ended, reached},
};
use crate::{MachineView, Wanted, streams};

impl DataflowMaster {
    pub(super) fn serve(&mut self, main: &mut MainThread<Self>, call: DataflowMasterCall) {
        use DataflowMasterCall as Call;
        match call {
            Call::NodesChanged { machine, updates, reply } => reply.send(self.nodes_changed(main, &machine, updates)),
            Call::MachineFinished { machine, outcome, reply } => {
                self.machine_ended(&machine, outcome);
                self.last_words.push(reply);
                self.end_if_over(main);
                if !self.state.is_final() {
                    self.record(main);
                    self.free_places(main, machine);
                    self.touch(main);
                }
            }
            Call::MachineReturned { machine, executor, observed, reply } => {
                self.machine_returned(main, machine, executor, observed);
                reply.ok(());
            }
            Call::MachineSilent { machine, reply } => {
                self.machine_silent(main, &machine);
                reply.ok(());
            }
            Call::MachineLost { machine, reply } => {
                self.machine_lost(main, &machine);
                reply.ok(());
            }
            Call::Wait { until, reply } => {
                let progress = self.progress.subscribe();
                main.reply(reply, async move { reached(progress, &until).await });
            }
            Call::Stop { options, reply } => {
                self.stop_all(main, options);
                let progress = self.progress.subscribe();
                main.reply(reply, ended(progress));
            }
            Call::StopNode { node, options, reply } => self.stop_node(main, node, options, reply),
            Call::RestartNode { node, options, reply } => self.restart_node(main, node, options, reply),
            Call::Info { reply } => reply.ok(self.info()),
            Call::Logs { query, reply } => reply.ok(streams::logs(self.progress.subscribe(), self.job.id, query)),
            Call::Events { watching, reply } => {
                reply.ok(streams::events(self.progress.subscribe(), self.job.id, watching));
            }
            Call::Tap { query, reply } => self.tap(main, query, reply),
            Call::Publish { output, message, reply } => {
                if !self.job.blueprint.has_output(&output) {
                    return reply.err(DataflowMasterError::UnknownOutput { output });
                }
                let (leader, id) = (self.shared.leader, self.job.id);
                self.ask(main, &output.node.clone(), reply, move |executor| async move {
                    executor.publish(leader, id, output, message).await
                });
            }
        }
    }

    fn stop_node(
        &mut self,
        main: &mut MainThread<Self>,
        node: NodeId,
        options: StopOptions,
        reply: Reply<(), DataflowMasterError>,
    ) {
        let (machine, executor) = match self.executor_of(&node) {
            Ok(found) => found,
            Err(error) => return reply.err(error),
        };
        let (leader, id, it) = (self.shared.leader, self.job.id, node.clone());
        let stop = async move { executor.stop_nodes(leader, id, vec![it], options).await };
        main.then(stop, move |master: &mut Self, main, stopped| {
            // What was refused changes nothing.
            if stopped.is_ok() {
                master.node_stops(&node, options);
                master.touch(main);
            }
            reply.send(stopped.map_err(|error| refused(machine, error)));
        });
    }

    /// A node was told to stop.
    fn node_stops(&mut self, node: &NodeId, options: StopOptions) {
        let intended = self.intended.nodes.get_mut(node).filter(|intended| intended.wanted != Wanted::Nothing);
        let Some(intended) = intended else { return };
        intended.wanted = Wanted::Stopped(options);
        if let Some(MachineView::Reachable(nodes)) = self.observed.get_mut(&intended.machine)
            && let Some(found) = nodes.get_mut(node).filter(|it| !matches!(it.state, NodeState::Ended(_)))
        {
            found.state = NodeState::Stopping;
        }
    }

    fn restart_node(
        &mut self,
        main: &mut MainThread<Self>,
        node: NodeId,
        options: StopOptions,
        reply: Reply<(), DataflowMasterError>,
    ) {
        if let Some(ended) = self.intended.nodes.get(&node).filter(|node| node.wanted != Wanted::Running) {
            let reason = format!("node `{node}` has ended, or is being stopped, and is not started again");
            return reply.err(DataflowMasterError::Machine { machine: ended.machine.clone(), reason });
        }
        let (leader, id) = (self.shared.leader, self.job.id);
        self.ask(main, &node.clone(), reply, move |executor| async move {
            executor.restart_nodes(leader, id, vec![node], options).await
        });
    }

    /// Passes a call on to the daemon that has a node.
    fn ask<F>(
        &mut self,
        main: &mut MainThread<Self>,
        node: &NodeId,
        reply: Reply<(), DataflowMasterError>,
        call: impl FnOnce(Gateway<NodeExecutorCall>) -> F,
    ) where
        F: Future<Output = Result<(), NodeExecutorError>> + Send + 'static,
    {
        match self.executor_of(node) {
            Ok((machine, executor)) => {
                let call = call(executor);
                main.reply(reply, async move { call.await.map_err(|error| refused(machine, error)) });
            }
            Err(error) => reply.err(error),
        }
    }

    fn executor_of(&self, node: &NodeId) -> Result<(MachineId, Gateway<NodeExecutorCall>), DataflowMasterError> {
        if !self.job.blueprint.has(node) {
            return Err(DataflowMasterError::UnknownNode { node: node.clone() });
        }
        let place = self.intended.nodes.get(node).map(|node| &node.machine);
        let place = place.and_then(|name| Some((name, self.machines.get(name)?)));
        let (name, machine) = place.ok_or(DataflowMasterError::Ended)?;
        if machine.outcome.is_some() {
            return Err(DataflowMasterError::Ended);
        }
        let refused = |reason: &str| DataflowMasterError::Machine { machine: name.clone(), reason: reason.to_owned() };
        if !machine.accepted {
            return Err(refused("it has not taken its nodes yet"));
        }
        let executor = machine.executor.clone();
        Ok((name.clone(), executor.ok_or_else(|| refused("its daemon has not registered again yet"))?))
    }

    fn tap(
        &mut self,
        main: &mut MainThread<Self>,
        query: TapQuery,
        reply: Reply<RpcStream<TappedMessage>, DataflowMasterError>,
    ) {
        if let Some(output) = query.outputs.iter().find(|output| !self.job.blueprint.has_output(output)) {
            return reply.err(DataflowMasterError::UnknownOutput { output: output.clone() });
        }
        // Each machine is asked for the outputs of its nodes; all of them for all.
        let mut queries = std::collections::BTreeMap::<MachineId, TapQuery>::new();
        for output in &query.outputs {
            let Some(node) = self.intended.nodes.get(&output.node) else {
                return reply.err(DataflowMasterError::Ended);
            };
            let some = TapQuery { outputs: Vec::new(), ..query };
            queries.entry(node.machine.clone()).or_insert(some).outputs.push(output.clone());
        }
        if query.outputs.is_empty() {
            queries = self.machines.keys().map(|machine| (machine.clone(), query.clone())).collect();
        }
        let living = |(name, query)| {
            let machine = self.machines.get(&name).filter(|machine| machine.outcome.is_none())?;
            Some((name, machine.executor.clone()?, query))
        };
        let asked: Vec<_> = queries.into_iter().filter_map(living).collect();
        let id = self.job.id;
        main.reply(reply, async move {
            let mut streams = Vec::new();
            for (machine, executor, query) in asked {
                streams.push(executor.tap(id, query).await.map_err(|error| refused(machine, error))?);
            }
            if streams.is_empty() { Err(DataflowMasterError::Ended) } else { Ok(streams::join(streams, Vec::new())) }
        });
    }

    fn info(&self) -> DataflowInfo {
        let summary = DataflowSummary {
            id: self.job.id,
            name: self.job.submission.name.clone(),
            state: self.state,
            submitted: self.job.submitted,
            nodes: self.job.blueprint.nodes.len() as u32,
        };
        let nodes = self.job.blueprint.nodes.iter().map(|need| self.node_info(&need.node)).collect();
        DataflowInfo { summary, descriptor: self.job.submission.descriptor.clone(), nodes, result: self.result.clone() }
    }

    fn node_info(&self, id: &NodeId) -> NodeInfo {
        let intended = self.intended.nodes.get(id);
        let seen = self.nodes.get(id);
        let state = seen.and_then(|seen| seen.state.clone()).unwrap_or(NodeState::Waiting);
        let is_silent = intended.is_some_and(|node| self.observed.get(&node.machine) == Some(&MachineView::Silent));
        let is_stopping = intended.is_some_and(|node| matches!(node.wanted, Wanted::Stopped(_)));
        let state = match state {
            NodeState::Ended(_) => state,
            _ if is_silent => NodeState::Unknown,
            _ if is_stopping => NodeState::Stopping,
            _ => state,
        };
        NodeInfo {
            node: id.clone(),
            machine: intended.map(|node| node.machine.clone()),
            attempt: intended.map(|node| node.attempt),
            state,
            pid: seen.and_then(|seen| seen.pid),
            restarts: seen.map_or(0, |seen| seen.restarts),
        }
    }
}

fn refused(machine: MachineId, error: NodeExecutorError) -> DataflowMasterError {
    match error {
        NodeExecutorError::UnknownDataflow { .. } => DataflowMasterError::Ended,
        error => DataflowMasterError::Machine { machine, reason: error.to_string() },
    }
}
