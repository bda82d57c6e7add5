//! What is done to single nodes of a dataflow that runs: its master does it.

use dora_gateways::{DataflowMasterError, DataflowSelector, DispatcherError};
use dora_rpc::{MainThread, Reply};

use super::{Dispatcher, Running, find::Found, refusal::master_refused};

impl Dispatcher {
    /// Asks the master of a dataflow that runs.
    pub(super) fn pass_on<F>(
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
