//! From a submission to a master: read and checked, remembered, answered, begun. A submission that was not answered is
//! not there at all, or runs and is listed.

use std::sync::Arc;

use chrono::Utc;
use dora_gateways::{
    DataflowId, DataflowResult, DataflowState, DispatcherError, LONGEST_NAME, Outcome, ResourceManagerGateway,
    Submission, Trouble,
};
use dora_rpc::{MainThread, Publication, Reply, StartError};
use dora_store::{DataflowRecord, SubmitError};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Dispatcher, Running, UNCLAIMED,
    refusal::{stopping, store_failed},
};
use crate::{
    blueprint::Blueprint,
    master::{Before, DataflowMaster, Job, Progress},
    shared::Shared,
    streams,
};

/// What was found of a submission.
enum Taken {
    /// It is in the store now.
    New(Job),
    /// It was there already.
    Before(DataflowId),
}

impl Dispatcher {
    pub(super) fn submit(
        &mut self,
        main: &mut MainThread<Self>,
        submission: Submission,
        reply: Reply<DataflowId, DispatcherError>,
    ) {
        if self.closing {
            return reply.err(stopping());
        }
        if let Some(id) = submission.id.filter(|id| self.running.contains_key(id)) {
            return reply.ok(id);
        }
        let shared = self.shared.clone();
        main.blocking(
            move || take(&shared, submission),
            move |dispatcher: &mut Self, main, taken| {
                reply.send(taken.and_then(|taken| match taken {
                    Taken::New(job) => dispatcher.begin(main, job),
                    Taken::Before(id) => Ok(id),
                }));
            },
        );
    }

    fn begin(&mut self, main: &mut MainThread<Self>, job: Job) -> Result<DataflowId, DispatcherError> {
        let (id, watched) = (job.id, job.submission.watched);
        if self.closing {
            let store = self.shared.store.clone();
            main.blocking(move || drop(store.remove(&[id])), |_, _, ()| {});
            return Err(stopping());
        }
        let running = self.start_master(job, DataflowState::Building)?;
        if let Some(watching) = watched {
            self.unclaimed.insert(id, streams::events(running.progress.clone(), id, watching));
            main.schedule(UNCLAIMED, move |dispatcher: &mut Self, _| drop(dispatcher.unclaimed.remove(&id)));
        }
        self.await_end(main, &running);
        Ok(id)
    }

    /// Takes up a dataflow that the coordinator before this one had begun.
    pub(super) fn resume(&mut self, main: &mut MainThread<Self>, record: DataflowRecord) {
        let DataflowRecord { id, submitted, submission, state, placed, stop, ended, .. } = record;
        let blueprint = match Blueprint::read(&submission) {
            Ok(blueprint) => Arc::new(blueprint),
            Err(mistakes) => return self.give_up(main, id, mistakes.join("; ")),
        };
        let before = Some(Before { placed, stop, ended });
        let job = Job { id, submitted, submission: Arc::new(submission), blueprint, before };
        match self.start_master(job, state) {
            Ok(running) => self.await_end(main, &running),
            Err(error) => self.give_up(main, id, error.to_string()),
        }
    }

    /// Ends a dataflow that cannot be taken up: what daemons still have of it is stopped when they register.
    fn give_up(&mut self, main: &mut MainThread<Self>, dataflow: DataflowId, reason: String) {
        tracing::error!(%dataflow, reason, "a dataflow cannot be led any longer");
        let trouble = Some(Trouble::CannotRun(reason));
        let result = DataflowResult { dataflow, outcome: Outcome { trouble, ..Outcome::default() } };
        let store = self.shared.store.clone();
        let write = move || {
            store.update(dataflow, |record| (record.state, record.result) = (DataflowState::Failed, Some(result)))
        };
        main.blocking(write, |_, _, written| drop(written));
        let resources = self.shared.resources.clone();
        main.then(async move { resources.release(dataflow, Vec::new()).await }, |_, _, released| drop(released));
    }

    fn start_master(&mut self, job: Job, state: DataflowState) -> Result<Running, DispatcherError> {
        let publication = Publication::new(format!("master/{}", job.id)).only_for([]);
        let (sender, progress) = watch::channel(Progress::new(state));
        let (shared, mine) = (self.shared.clone(), job.clone());
        let server = self
            .shared
            .service
            .start_server_with(publication, |me| DataflowMaster::new(shared, mine, state, sender, me))
            .map_err(|error| match error {
                StartError::NameTaken(name) => DispatcherError::Store { reason: format!("`{name}` runs already") },
                StartError::Stopping => stopping(),
            })?;
        let running = Running {
            id: job.id,
            name: job.submission.name.clone(),
            submitted: job.submitted,
            blueprint: job.blueprint,
            master: server.gateway(),
            progress,
        };
        self.running.insert(job.id, running.clone());
        Ok(running)
    }

    /// Forgets a dataflow once its master has ended: from then on the store answers.
    pub(super) fn await_end(&mut self, main: &mut MainThread<Self>, running: &Running) {
        let (id, mut progress) = (running.id, running.progress.clone());
        let end = async move { drop(progress.wait_for(|now| now.left).await) };
        main.then(end, move |dispatcher: &mut Self, _, ()| drop(dispatcher.running.remove(&id)));
    }
}

/// Reads a submission and puts it into the store, on a thread that may block.
fn take(shared: &Shared, submission: Submission) -> Result<Taken, DispatcherError> {
    if let Some(len) = submission.name.as_ref().map(String::len).filter(|len| *len > LONGEST_NAME) {
        let mistake = format!("its name has {len} bytes; {LONGEST_NAME} are the most");
        return Err(DispatcherError::Descriptor { mistakes: vec![mistake] });
    }
    let blueprint = Blueprint::read(&submission).map_err(|mistakes| DispatcherError::Descriptor { mistakes })?;
    let id = submission.id.unwrap_or_else(|| DataflowId(Uuid::now_v7()));
    let mut record = DataflowRecord::new(id, Utc::now(), submission);
    record.nodes = blueprint.nodes.len() as u32;
    match shared.store.submit(&record) {
        Ok(()) => {}
        Err(SubmitError::IdTaken(id)) => return Ok(Taken::Before(id)),
        Err(SubmitError::NameTaken(taken_by)) => {
            let name = record.submission.name.unwrap_or_default();
            return Err(DispatcherError::NameTaken { name, taken_by });
        }
        Err(SubmitError::Store(error)) => return Err(store_failed(&error)),
    }
    let (submitted, submission) = (record.submitted, Arc::new(record.submission));
    Ok(Taken::New(Job { id, submitted, submission, blueprint: Arc::new(blueprint), before: None }))
}
