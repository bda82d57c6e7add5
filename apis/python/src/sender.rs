//! The sending half, shared by threads. Whoever waits for it, or in it, does so without the interpreter.

use std::sync::{Mutex, PoisonError, TryLockError};

use dora_message::{id::DataId, metadata::MetadataParameters};
use dora_node::{DataSample, DoraNode, NodeError};
use pyo3::{exceptions::PyRuntimeError, prelude::*, types::PyDict};

use crate::{data::Data, errors::closed, metadata, signals};

/// Environment variable: sending on an output that is not open raises, instead of one warning.
const STRICT_ENV: &str = "DORA_STRICT";

pub(crate) struct Sender {
    node: Mutex<Option<DoraNode>>,
    strict: bool,
}

impl Sender {
    pub(crate) fn new(node: DoraNode) -> Self {
        let strict = std::env::var_os(STRICT_ENV).is_some_and(|value| !value.is_empty() && value != "0");
        Sender { node: Mutex::new(Some(node)), strict }
    }

    /// Calls the node when no other thread does.
    pub(crate) fn with<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&mut DoraNode) -> Result<R, NodeError> + Send,
    ) -> PyResult<R> {
        let called = signals::waiting(py, || {
            let mut node = self.node.lock().unwrap_or_else(PoisonError::into_inner);
            node.as_mut().map(call).transpose()
        })?;
        called.ok_or_else(closed)
    }

    /// Sends one message.
    pub(crate) fn send(
        &self,
        output: &str,
        data: &Bound<'_, PyAny>,
        parameters: Option<&Bound<'_, PyDict>>,
        add: impl FnOnce(&mut MetadataParameters),
    ) -> PyResult<()> {
        let py = data.py();
        let (data, described) = Data::of(data)?;
        let mut parameters = metadata::from_dict(parameters)?;
        if let Some(described) = described {
            metadata::insert_all(&mut parameters, &described)?;
        }
        add(&mut parameters);
        let output = DataId::from(output);
        if self.strict {
            self.expect_output(py, &output)?;
        }
        match data {
            Data::Array(array) => self.with(py, |node| node.send_output(output, parameters, array)),
            Data::Bytes(bytes) => {
                let bytes = bytes.as_bytes();
                self.with(py, |node| node.send_output_bytes(output, parameters, bytes.len(), bytes))
            }
        }
    }

    /// Memory for a message that Python fills.
    ///
    /// # Errors
    /// `RuntimeError` if there is no such output: the memory would be filled in vain.
    pub(crate) fn allocate(&self, py: Python<'_>, output: &DataId, len: usize) -> PyResult<DataSample> {
        self.expect_output(py, output)?;
        self.with(py, |node| node.allocate_data_sample(len))
    }

    fn expect_output(&self, py: Python<'_>, output: &DataId) -> PyResult<()> {
        let (known, outputs) = self.with(py, |node| {
            output.check()?;
            let known = node.validate_output(output);
            Ok((known, node.node_config().outputs.iter().map(ToString::to_string).collect::<Vec<_>>()))
        })?;
        if known {
            return Ok(());
        }
        let outputs = if outputs.is_empty() { "none".to_owned() } else { outputs.join(", ") };
        Err(PyRuntimeError::new_err(format!(
            "output `{output}` is not an open output of this node: list it under `outputs` in the dataflow file, which \
             has: {outputs}"
        )))
    }

    /// Closes all outputs, unless a thread is sending: then the end of the process will.
    pub(crate) fn close(&self, py: Python<'_>) {
        py.detach(|| match self.node.try_lock() {
            Ok(mut node) => drop(node.take()),
            Err(TryLockError::Poisoned(node)) => drop(node.into_inner().take()),
            Err(TryLockError::WouldBlock) => {}
        });
    }
}
