//! What a master puts into the store: one write at a time, the latest last, never on its main thread.

use std::{mem, sync::Arc};

use dora_gateways::{DataflowId, DataflowResult};
use dora_rpc::MainThread;
use dora_store::{PlacedNode, Store};

use super::DataflowMaster;

/// What of a dataflow is not in the store yet.
pub(super) struct Recorder {
    store: Arc<Store>,
    dataflow: DataflowId,
    /// A write is under way.
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

    /// Where the nodes are; to be written with the next state.
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
        let (placed, result) = (mem::take(&mut recorder.placed), recorder.result.clone());
        let write = move || {
            store.update(id, |record| {
                record.state = state;
                record.placed = placed.unwrap_or_else(|| mem::take(&mut record.placed));
                record.result = result;
            })
        };
        main.blocking(write, move |master: &mut Self, main, written| {
            if let Err(error) = written {
                tracing::error!(dataflow = %id, %error, "the state of a dataflow is not in the store");
            }
            master.recorder.writing = false;
            if master.recorder.due {
                master.record(main);
            } else if state.is_final() {
                master.leave(main);
            }
        });
    }
}
