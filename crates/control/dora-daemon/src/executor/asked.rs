//! What is asked of a daemon besides running nodes: what its dataflows print and send, and their files.

use dora_gateways::{
    BuildStep, DataflowId, LogChunk, LogQuery, NodeExecutorError, OutputId, RawMessage, Submission, TapQuery,
    TappedMessage,
};
use dora_message::id::NodeId;
use dora_rpc::{FencingToken, MainThread, Reply, RpcStream};
use dora_store::Artifacts;

use super::{
    building::Builder,
    endpoint::{Dataflow, NodeExecutor, Result, system},
    logs::Question,
    options::Home,
    place,
    record::Record,
    taps,
};
use crate::keeper::Control;

impl NodeExecutor {
    /// Outputs of other machines are looked at there.
    pub(super) fn tap(&self, id: DataflowId, query: TapQuery) -> Result<RpcStream<TappedMessage>> {
        let run = &self.dataflow(id)?.run;
        let (keeper, mut outputs) = run.running().ok_or(NodeExecutorError::NotRunning { dataflow: id })?;
        if !query.outputs.is_empty() {
            outputs.retain(|output| query.outputs.contains(output));
        }
        match (outputs.is_empty(), query.outputs.into_iter().next()) {
            (true, Some(output)) => Err(NodeExecutorError::UnknownOutput { output }),
            _ => Ok(taps::look(run, keeper, outputs, query.payload)),
        }
    }

    /// The keeper, if one of its nodes has the output.
    pub(super) fn publisher(&mut self, leader: FencingToken, id: DataflowId, output: &OutputId) -> Result<Control> {
        self.admit(leader)?;
        let running = self.dataflow(id)?.run.running();
        let (keeper, outputs) = running.ok_or(NodeExecutorError::NotRunning { dataflow: id })?;
        let unknown = || NodeExecutorError::UnknownOutput { output: output.clone() };
        outputs.contains(output).then_some(keeper).ok_or_else(unknown)
    }

    pub(super) fn build(
        &mut self,
        leader: FencingToken,
        submission: Submission,
        nodes: Vec<NodeId>,
    ) -> Result<RpcStream<BuildStep>> {
        self.admit(leader)?;
        let Some(place) = place::in_place(&submission.origin, self.options.home.as_ref()) else {
            let what = "building a dataflow from another machine, which a start does".to_owned();
            return Err(NodeExecutorError::NotServed { what });
        };
        let builder = Builder { options: self.options.clone(), submission, nodes, place };
        builder.start().map_err(|error| system("start a thread for the build", &error))
    }

    /// Of a dataflow that has ended, what is remembered is read first.
    pub(super) fn logs(
        &self,
        main: &mut MainThread<Self>,
        id: DataflowId,
        query: LogQuery,
        reply: Reply<RpcStream<LogChunk>, NodeExecutorError>,
    ) {
        if let Some(Dataflow { run, .. }) = self.dataflows.get(&id) {
            let files = run.started.get().map(|started| started.logs.clone()).unwrap_or_default();
            return reply.ok(Question::new(id, query, files, Some(run.clone())).answer());
        }
        let unknown = NodeExecutorError::UnknownDataflow { dataflow: id };
        let Some(home) = self.options.home.clone() else { return reply.err(unknown) };
        main.blocking(
            move || Record::read(&home, id),
            move |_, _, record| {
                let answer = record.map(|record| Question::new(id, query, record.logs, None).answer());
                reply.send(answer.ok_or(unknown));
            },
        );
    }

    pub(super) fn clean(
        &mut self,
        main: &mut MainThread<Self>,
        leader: FencingToken,
        id: DataflowId,
        reply: Reply<(), NodeExecutorError>,
    ) {
        if let Err(stale) = self.admit(leader) {
            return reply.err(stale.into());
        }
        let run = self.dataflows.get(&id).map(|dataflow| dataflow.run.clone());
        if run.as_ref().is_some_and(|run| !run.board.is_over() && !run.stopper.is_asked()) {
            return reply.err(NodeExecutorError::StillRuns { dataflow: id });
        }
        // Without a home nothing is remembered, and so nothing is known to be removed.
        let Some(home) = self.options.home.clone() else { return reply.ok(()) };
        // What has ended for the leader may be about to end here: it was given up, or taken up after its end was known.
        let over = async move {
            if let Some(run) = run {
                run.board.over().await;
            }
        };
        main.then(over, move |_: &mut Self, main, ()| {
            main.blocking(
                move || Record::clean(&home, id),
                move |_, _, cleaned| {
                    reply.send(cleaned.map_err(|error| system("remove what the dataflow left", &error)));
                },
            );
        });
    }

    pub(super) fn artifacts(&self) -> Result<Artifacts> {
        let without_home = || NodeExecutorError::NotServed { what: "keeping files".to_owned() };
        self.options.home.as_ref().map(Home::artifacts).ok_or_else(without_home)
    }
}

/// Sends a message in place of a node.
pub(super) fn publish(keeper: &Control, output: OutputId, message: &RawMessage) -> Result<()> {
    let sent = keeper.publish(output.node, output.output, message.tag, &message.header, &message.payload);
    sent.map_err(|error| system("hand the message over", &error))
}
