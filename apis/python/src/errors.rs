//! Errors of a node as Python exceptions.

use dora_node::NodeError;
use pyo3::{
    PyErr,
    exceptions::{PyRuntimeError, PyValueError},
    import_exception,
};

use crate::signals;

import_exception!(dora.errors, Stopping);

/// What a signal handler raised, if that ended the call; else invalid ids are errors of the caller's values, and everything
/// else of what happens to the node.
pub(crate) fn python_error(error: NodeError) -> PyErr {
    signals::raised().unwrap_or_else(|| of_node(error))
}

fn of_node(error: NodeError) -> PyErr {
    match error {
        NodeError::NotANode => PyRuntimeError::new_err(format!(
            "Could not initiate node from environment variable. For dynamic node, please add a node id in the \
             initialization function. {error}"
        )),
        NodeError::Stopping { .. } => Stopping::new_err(error.to_string()),
        NodeError::TooLarge { .. } => PyValueError::new_err(error.to_string()),
        error => PyRuntimeError::new_err(error.to_string()),
    }
}

/// The node was closed, which is what happens to it when the interpreter ends.
pub(crate) fn closed() -> PyErr {
    PyRuntimeError::new_err("this node is closed: the interpreter is ending")
}
