//! Signals that come while a node waits to send, or for its dataflow to start: Python's handlers decide whether it goes on
//! waiting. (Who waits for events comes back from the wait and asks by itself.)

use std::cell::Cell;

use dora_node::NodeError;
use pyo3::prelude::*;

use crate::errors::python_error;

thread_local! {
    /// What a handler raised in a wait of this thread, which was given up for it.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// Has waits run Python's signal handlers.
pub(crate) fn install() {
    dora_node::on_interrupt(handlers_raise);
}

/// Makes a call that may wait, without the interpreter. What a handler raises in one of its waits is what the call raises,
/// whatever came of it: nothing of it is left for a later call.
pub(crate) fn waiting<R: Send>(py: Python<'_>, call: impl FnOnce() -> Result<R, NodeError> + Send) -> PyResult<R> {
    py.detach(|| {
        let result = call();
        match RAISED.take() {
            Some(raised) => Err(raised),
            None => result.map_err(python_error),
        }
    })
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
