//! Questions to the keeper of a dataflow about its figures, and the answers, which come to the worker.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dora_message::supervision::Figures;
use tokio::sync::oneshot;

use crate::keeper::Control;

/// Questions without an answer.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Figures>>,
}

impl Questions {
    /// Asks. There is no answer if the keeper ends.
    pub(super) fn ask(&self, keeper: &Control) -> oneshot::Receiver<Figures> {
        let (sender, answer) = oneshot::channel();
        let mut state = self.lock();
        // Who has given up waiting.
        state.waiting.retain(|_, waiting| !waiting.is_closed());
        state.next += 1;
        let serial = state.next;
        state.waiting.insert(serial, sender);
        drop(state);
        keeper.ask_figures(serial);
        answer
    }

    /// The keeper answers.
    pub(super) fn answer(&self, serial: u64, figures: Figures) {
        if let Some(waiting) = self.lock().waiting.remove(&serial) {
            let _ = waiting.send(figures);
        }
    }

    /// The keeper will answer no more.
    pub(super) fn end(&self) {
        self.lock().waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
