//! What a master puts into the store: one write at a time, the latest last, never on its main thread, until it is there.

use std::{mem, sync::Arc, time::Duration};

use dora_gateways::{DataflowId, DataflowResult};
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
    result: Option<DataflowResult>,
}

impl Recorder {
    pub fn new(store: Arc<Store>, dataflow: DataflowId) -> Self {
        Self { store, dataflow, writing: false, due: false, placed: None, result: None }
    }

    /// Where the nodes are; to be written with each state from now on.
    pub fn placed(&mut self, placed: Vec<PlacedNode>) {
        self.placed = Some(placed);
    }

    /// How it ended; to be written with the last state.
    pub fn ended(&mut self, result: DataflowResult) {
        self.result = Some(result);
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
        (recorder.writing, recorder.due) = (true, false);
        let (store, id, state) = (recorder.store.clone(), recorder.dataflow, self.state);
        let (placed, result) = (recorder.placed.clone(), recorder.result.clone());
        let write = move || {
            store.update(id, |record| {
                record.state = state;
                record.placed = placed.unwrap_or_else(|| mem::take(&mut record.placed));
                record.result = result;
            })
        };
        main.blocking(write, move |master: &mut Self, main, written| match written {
            Err(error) => master.not_recorded(main, &error),
            Ok(_) => {
                master.recorder.writing = false;
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
