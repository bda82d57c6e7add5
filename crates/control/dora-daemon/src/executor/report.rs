//! Tells the master of a dataflow what becomes of its nodes here, until it knows the end.
//!
//! A master may go away with its coordinator, and another one come: that one is told everything.

use std::sync::Arc;

use dora_gateways::{DataflowMasterCall, DataflowMasterError, DataflowMasterGateway as _, MachineId, StopOptions};
use dora_rpc::{Gateway, Retryable, RetryingRegistration, RpcError};
use tokio::sync::watch;

use super::run::Run;

type Master = Gateway<DataflowMasterCall>;

/// Reports one dataflow.
pub(super) struct Reporter {
    pub(super) machine: MachineId,
    pub(super) run: Arc<Run>,
    /// The master of the present leader, once there is one.
    pub(super) masters: watch::Receiver<Option<Master>>,
}

/// What came of reporting to one master.
enum Reported {
    /// It knows the end, or does not want to.
    End,
    /// It cannot be reached, or there is none.
    Lost,
}

impl Reporter {
    /// Completes when a master knows how it ended. It never does if none comes.
    pub(super) async fn report(mut self) {
        loop {
            let master = self.masters.borrow_and_update().clone();
            let reported = match master {
                None => Reported::Lost,
                Some(master) => {
                    self.run.board.all_is_news();
                    tokio::select! {
                        reported = self.report_to(&master) => reported,
                        // A call to a connection that is gone fails by itself; one that nobody answers does not.
                        () = master.closed() => Reported::Lost,
                        Ok(()) = changed(self.masters.clone()) => continue,
                    }
                }
            };
            if matches!(reported, Reported::End) || self.masters.changed().await.is_err() {
                return;
            }
        }
    }

    async fn report_to(&self, master: &Master) -> Reported {
        let board = &self.run.board;
        loop {
            board.changed().await;
            // Before the news: what comes after it is news as well.
            let outcome = board.outcome();
            let news = board.news();
            if !news.is_empty() {
                let told = persist(|| master.nodes_changed(self.machine.clone(), news.clone())).await;
                match told {
                    Ok(()) => {}
                    Err(DataflowMasterError::Ended) => return Reported::End,
                    // Another machine runs it now.
                    Err(DataflowMasterError::OldAttempt { .. }) => self.run.stop(StopOptions::default()),
                    Err(_) => return Reported::Lost,
                }
            }
            if let Some(outcome) = outcome {
                return match persist(|| master.machine_finished(self.machine.clone(), outcome.clone())).await {
                    Ok(()) | Err(DataflowMasterError::Ended | DataflowMasterError::OldAttempt { .. }) => Reported::End,
                    Err(_) => Reported::Lost,
                };
            }
        }
    }
}

async fn changed(mut masters: watch::Receiver<Option<Master>>) -> Result<(), watch::error::RecvError> {
    masters.changed().await
}

/// Repeats a call as long as the master may hear the next one.
async fn persist<F: Future<Output = Result<(), DataflowMasterError>>>(
    mut call: impl FnMut() -> F,
) -> Result<(), DataflowMasterError> {
    let attempt = || {
        let call = call();
        async move { call.await.map_err(Failure) }
    };
    RetryingRegistration::default().run(attempt).await.map_err(|Failure(error)| error)
}

/// Why a master was not told.
struct Failure(DataflowMasterError);

impl Retryable for Failure {
    /// What has ended does not come back by itself: the next master is another one.
    fn retryable(&self) -> bool {
        matches!(self.0, DataflowMasterError::Rpc(RpcError::Deadline { .. } | RpcError::Overloaded { .. }))
    }
}
