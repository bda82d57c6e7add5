//! What a master puts into the store: one write at a time, the latest last, never on its main thread, until it is there.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use dora_gateways::{DataflowId, DataflowResult, DataflowState, MachineId, Outcome, StopOptions};
use dora_rpc::MainThread;
use dora_store::{PlacedNode, Store, StoreError};

use super::DataflowMaster;

/// What could not be written is tried again after so long: nobody tells when a disk has room.
const AGAIN: Duration = Duration::from_secs(1);

/// What of a dataflow is not in the store yet.
pub(super) struct Recorder {
    store: Arc<Store>,
    dataflow: DataflowId,
    /// A write is under way, or waits to be tried again.
    writing: bool,
    /// Another one is due after it.
    due: bool,
    placed: Option<Vec<PlacedNode>>,
    stop: Option<StopOptions>,
    ended: BTreeMap<MachineId, Outcome>,
    result: Option<DataflowResult>,
    /// Something of this was not written yet.
    news: bool,
}

impl Recorder {
    pub fn new(store: Arc<Store>, dataflow: DataflowId) -> Self {
        let (placed, stop, ended, result) = (None, None, BTreeMap::new(), None);
        Self { store, dataflow, writing: false, due: false, placed, stop, ended, result, news: false }
    }

    /// Where the nodes are; to be written with each state from now on.
    pub fn placed(&mut self, placed: Vec<PlacedNode>) {
        self.placed = Some(placed);
    }

    /// How it is to stop.
    pub fn stops(&mut self, options: StopOptions) {
        (self.stop, self.news) = (Some(options), true);
    }

    /// A machine is done with it.
    pub fn machine_ended(&mut self, machine: MachineId, outcome: Outcome) {
        self.ended.insert(machine, outcome);
        self.news = true;
    }

    /// Whether something is to be written besides the state.
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// How it ended; to be written with the last state.
    pub fn ended(&mut self, result: DataflowResult) {
        self.result = Some(result);
        // They are in it.
        self.ended.clear();
    }
}

impl DataflowMaster {
    /// Writes the state, and what is new besides.
    pub(super) fn record(&mut self, main: &mut MainThread<Self>) {
        let recorder = &mut self.recorder;
        if recorder.writing {
            recorder.due = true;
            return;
        }
        (recorder.writing, recorder.due, recorder.news) = (true, false, false);
        let (store, id, state) = (recorder.store.clone(), recorder.dataflow, self.state);
        // A stop is remembered by itself; besides it counts how far it had come before.
        let reached = match state {
            DataflowState::Stopping if self.flowed => DataflowState::Running,
            DataflowState::Stopping => DataflowState::Building,
            state => state,
        };
        let (placed, result) = (recorder.placed.clone(), recorder.result.clone());
        let (stop, ended) = (recorder.stop, recorder.ended.clone());
        let (has_places, last_words) = (placed.is_some(), mem::take(&mut self.last_words));
        let write = move || {
            store.update(id, |record| {
                record.state = reached;
                record.placed = placed.unwrap_or_else(|| mem::take(&mut record.placed));
                (record.stop, record.ended, record.result) = (stop, ended, result);
            })
        };
        main.blocking(write, move |master: &mut Self, main, written| match written {
            Err(error) => {
                master.last_words.extend(last_words);
                master.not_recorded(main, &error);
            }
            Ok(_) => {
                master.recorder.writing = false;
                last_words.into_iter().for_each(|reply| reply.ok(()));
                if has_places && master.placing {
                    master.occupied(main);
                }
                if master.recorder.due {
                    master.record(main);
                } else if state.is_final() {
                    master.leave(main);
                }
            }
        });
    }

    fn not_recorded(&mut self, main: &mut MainThread<Self>, error: &StoreError) {
        let id = self.job.id;
        tracing::error!(dataflow = %id, %error, "the state of a dataflow is not in the store");
        if let StoreError::Stale { .. } | StoreError::Unknown(_) = error {
            // Another coordinator leads, or somebody has removed the dataflow: there is nothing to wait for.
            return if self.state.is_final() {
                main.stop()
            };
        }
        if self.state.is_final() {
            let reason = format!("all nodes have ended, but this cannot be written, and is tried again: {error}");
            self.progress.send_modify(|progress| progress.unwritten = Some(reason));
        }
        main.schedule(AGAIN, |master: &mut Self, main| {
            master.recorder.writing = false;
            master.record(main);
        });
    }
}
