//! Errors of a node as Python exceptions.

use dora_node::NodeError;
use pyo3::{
    PyErr,
    exceptions::{PyRuntimeError, PyValueError},
    import_exception,
};

import_exception!(dora.errors, Stopping);

/// What is too large is an error of the caller's values, everything else of what happens to the node.
pub(crate) fn python_error(error: NodeError) -> PyErr {
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
