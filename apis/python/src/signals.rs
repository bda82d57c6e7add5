//! Signals that come while a node waits to send, or for its dataflow to start: Python's handlers decide whether it goes on
//! waiting. (Who waits for events comes back from the wait and asks by itself.)

use std::cell::Cell;

use pyo3::prelude::*;

thread_local! {
    /// What a handler raised in a wait of this thread, which was given up for it.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// Has waits run Python's signal handlers.
pub(crate) fn install() {
    dora_node::on_interrupt(handlers_raise);
}

/// What ended the wait that this thread just came back from.
pub(crate) fn raised() -> Option<PyErr> {
    RAISED.take()
}

fn handlers_raise() -> bool {
    Python::attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(error) => {
            RAISED.set(Some(error));
            true
        }
    })
}
