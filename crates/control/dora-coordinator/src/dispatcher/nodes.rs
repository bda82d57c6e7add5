//! What is done to single nodes of a dataflow that runs.

use dora_gateways::{
    DataflowMasterError, DataflowMasterGateway, DataflowSelector, DispatcherError, OutputId, RawMessage, StopOptions,
};
use dora_message::id::NodeId;
use dora_rpc::{MainThread, Reply};

use super::{Dispatcher, Running, find::Found, refusal::master_refused};

impl Dispatcher {
    pub(super) fn stop_node(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        node: NodeId,
        options: StopOptions,
        reply: Reply<(), DispatcherError>,
    ) {
        self.pass_on(main, dataflow, reply, move |it| async move { it.master.stop_node(node, options).await });
    }

    pub(super) fn restart_node(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        node: NodeId,
        options: StopOptions,
        reply: Reply<(), DispatcherError>,
    ) {
        self.pass_on(main, dataflow, reply, move |it| async move { it.master.restart_node(node, options).await });
    }

    pub(super) fn publish(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        output: OutputId,
        message: RawMessage,
        reply: Reply<(), DispatcherError>,
    ) {
        self.pass_on(main, dataflow, reply, move |it| async move { it.master.publish(output, message).await });
    }

    /// Asks the master of a dataflow that runs.
    fn pass_on<F>(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        reply: Reply<(), DispatcherError>,
        ask: impl FnOnce(Running) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), DataflowMasterError>> + Send + 'static,
    {
        self.find(main, dataflow, reply, move |_, main, found, reply| match found {
            Found::Ended(record) => reply.err(DispatcherError::Ended { dataflow: record.id }),
            Found::Running(running) => {
                let answer = ask(running.clone());
                main.reply(reply, async move { answer.await.map_err(|error| master_refused(&running, error)) });
            }
        });
    }
}
