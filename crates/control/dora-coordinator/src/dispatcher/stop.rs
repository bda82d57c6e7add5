//! Waiting, stopping, starting again.

use std::time::Duration;

use dora_gateways::{
    DataflowId, DataflowMasterGateway, DataflowResult, DataflowSelector, DataflowState, DispatcherError, StopOptions,
};
use dora_rpc::{MainThread, Reply};
use dora_store::DataflowRecord;

use super::{Dispatcher, Running, find::Found, refusal::master_refused};
use crate::master::{ended, reached};

/// Longer than any stop takes; a caller has its own deadline, and work for one that is gone is dropped.
const ANY_STOP: Duration = Duration::from_secs(24 * 3600);

impl Dispatcher {
    pub(super) fn wait(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowId,
        until: Vec<DataflowState>,
        reply: Reply<DataflowState, DispatcherError>,
    ) {
        self.find(main, DataflowSelector::Id(dataflow), reply, move |_, main, found, reply| match found {
            Found::Ended(record) => reply.ok(record.state),
            Found::Running(running) => main.reply(reply, async move {
                let state = reached(running.progress.clone(), &until).await;
                state.map_err(|error| master_refused(&running, error))
            }),
        });
    }

    pub(super) fn stop(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        options: StopOptions,
        reply: Reply<DataflowResult, DispatcherError>,
    ) {
        self.find(main, dataflow, reply, move |_, main, found, reply| match found {
            Found::Ended(record) => reply.send(result_of(*record)),
            Found::Running(running) => main.reply(reply, async move { stopped(&running, options).await }),
        });
    }

    /// Stops a dataflow and submits it again. Once begun it is finished, although its caller may be gone.
    pub(super) fn restart(
        &mut self,
        main: &mut MainThread<Self>,
        dataflow: DataflowSelector,
        options: StopOptions,
        reply: Reply<DataflowId, DispatcherError>,
    ) {
        self.find(main, dataflow, reply, move |dispatcher, main, found, reply| match found {
            Found::Ended(record) => dispatcher.submit_again(main, *record, reply),
            Found::Running(running) => {
                let (id, store) = (running.id, dispatcher.shared.store.clone());
                main.then(async move { stopped(&running, options).await }, move |_: &mut Self, main, stopped| {
                    if let Err(error) = stopped {
                        return reply.err(error);
                    }
                    main.blocking(
                        move || store.get(id),
                        move |dispatcher: &mut Self, main, record| match record {
                            Ok(Some(record)) => dispatcher.submit_again(main, record, reply),
                            Ok(None) => {
                                reply.err(DispatcherError::UnknownDataflow { given: id.to_string(), near: Vec::new() })
                            }
                            Err(error) => reply.err(super::refusal::store_failed(&error)),
                        },
                    );
                });
            }
        });
    }

    fn submit_again(
        &mut self,
        main: &mut MainThread<Self>,
        record: DataflowRecord,
        reply: Reply<DataflowId, DispatcherError>,
    ) {
        let mut submission = record.submission;
        (submission.id, submission.watched) = (None, None);
        self.submit(main, submission, reply);
    }
}

/// Stops a dataflow that has a master; how it ended.
pub(super) async fn stopped(running: &Running, options: StopOptions) -> Result<DataflowResult, DispatcherError> {
    match running.master.within(ANY_STOP).stop(options).await {
        Ok(result) => Ok(result),
        // It may have ended by itself before it heard of the stop.
        Err(error) => ended(running.progress.clone()).await.map_err(|_| master_refused(running, error)),
    }
}

fn result_of(record: DataflowRecord) -> Result<DataflowResult, DispatcherError> {
    record.result.ok_or(DispatcherError::Ended { dataflow: record.id })
}
