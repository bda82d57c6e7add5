//! The class `Node`: one thin method per call. `dora.node.Node` in Python builds upon it.

use std::{collections::BTreeMap, os::fd::RawFd, sync::Arc, time::Duration};

use dora_message::{
    id::{DataId, NodeId},
    keeper::{InputSource, QueuePolicy},
    metadata::{Parameter, REQUEST_ID},
};
use dora_node::{DoraNode, NodeLog, NodeRunConfig};
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyDict, PyList},
};

use crate::{
    bridge::Bridge,
    errors::python_error,
    event, metadata,
    receiver::{Found, Receiver},
    sample::SampleHandler,
    sender::Sender,
    signals,
};

/// Longer waits than this (30 years) count as endless.
const ENDLESS_SECONDS: f64 = 1e9;

/// The connection of this process to its dataflow.
#[pyclass(module = "dora.dora", subclass, frozen, weakref)]
pub(crate) struct Node {
    sender: Arc<Sender>,
    receiver: Receiver,
    log: NodeLog,
    identity: Identity,
}

/// What does not change while the node runs.
struct Identity {
    dataflow_id: String,
    descriptor: String,
    config: NodeRunConfig,
    restart_count: u32,
}

impl Identity {
    fn of(node: &DoraNode) -> Result<Self, dora_node::NodeError> {
        Ok(Identity {
            dataflow_id: node.dataflow_id().to_string(),
            descriptor: node.dataflow_descriptor()?.to_string(),
            config: node.node_config().clone(),
            restart_count: node.restart_count(),
        })
    }
}

fn seconds(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    match timeout {
        None => Ok(None),
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => Err(PyValueError::new_err(format!(
            "timeout is {seconds}: give seconds from 0 on, or None to wait endlessly"
        ))),
        Some(seconds) if seconds >= ENDLESS_SECONDS => Ok(None),
        Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
    }
}

/// The event that says that the time is over.
fn timed_out<'py>(py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyDict>> {
    let text = format!("Timeout event stream error: Receiver timed out after {} s", timeout.unwrap_or_default());
    event::to_dict(py, Bridge::get(py)?, dora_node::Event::Error(text))
}

#[pymethods]
impl Node {
    #[new]
    #[pyo3(signature = (node_id=None, daemon_port=None))]
    fn new(py: Python<'_>, node_id: Option<String>, daemon_port: Option<u16>) -> PyResult<Self> {
        Bridge::get(py)?; // before the dataflow starts, so that no first message waits for an import
        let (node, events) = signals::waiting(py, || match (node_id.map(NodeId::from), daemon_port) {
            (None, None) => DoraNode::init_from_env(),
            (Some(node_id), None) => DoraNode::init_flexible(node_id),
            (node_id, Some(port)) => {
                let builder = DoraNode::builder().daemon_port(port);
                match node_id {
                    Some(node_id) => builder.node_id(node_id).build(),
                    None => builder.build(),
                }
            }
        })?;
        Ok(Node {
            log: node.logger(),
            identity: Identity::of(&node).map_err(python_error)?,
            sender: Arc::new(Sender::new(node)),
            receiver: Receiver::new(py, events)?,
        })
    }

    /// Wait for the next event.
    ///
    /// timeout: seconds to wait at most; None waits endlessly. When it is over, the event is of type ERROR, with a text
    /// that starts with "Timeout event stream error".
    ///
    /// Returns the event, or None once the stream has ended: after STOP, when all queued inputs were received.
    /// Ctrl-C ends the wait. Other threads run meanwhile.
    ///
    /// Raises ValueError if the timeout is negative or not a number.
    #[pyo3(signature = (timeout=None))]
    fn next<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyDict>>> {
        match self.receiver.receive(py, seconds(timeout)?)? {
            Found::Event(event) => Ok(Some(event)),
            Found::Nothing => timed_out(py, timeout).map(Some),
            Found::Over => Ok(None),
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.next(py, None)
    }

    /// The event that is there now. Never waits.
    ///
    /// Returns None if there is none now, or once the stream has ended.
    fn try_recv<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        match self.receiver.try_receive(py)? {
            Found::Event(event) => Ok(Some(event)),
            Found::Nothing | Found::Over => Ok(None),
        }
    }

    /// All events that are there now, in order. Never waits.
    ///
    /// Raises RuntimeError once the stream has ended and all its events were received.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let events = PyList::empty(py);
        loop {
            match self.receiver.try_receive(py)? {
                Found::Event(event) => events.append(event)?,
                Found::Over if events.is_empty() => {
                    return Err(PyRuntimeError::new_err("Could not drain events. Channel is closed"));
                }
                Found::Nothing | Found::Over => return Ok(events),
            }
        }
    }

    /// Whether `try_recv` would find nothing now.
    fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Send a message.
    ///
    /// output_id: one of the `outputs` of this node in the dataflow file. Any other is ignored, with one warning; with the
    /// environment variable DORA_STRICT=1 it raises.
    ///
    /// data, and what arrives:
    ///   bytes, bytearray                 array of uint8
    ///   pyarrow array                    the same array
    ///   numpy array of any shape         flat array of its type; `dora.to_numpy(event)` restores shape and dtype, which
    ///                                    travel as `shape` and `dtype` in the metadata
    ///   int, float, bool, str            array of length 1
    ///   list, tuple                      array of its items
    ///   dict                             struct array of length 1
    ///   anything with __arrow_c_array__, __dlpack__ (on the CPU) or the buffer protocol
    ///
    /// metadata: dict of bool, int, float, str, datetime, and lists of int, float or str. A received dict can be passed on;
    /// its `timestamp` is that of the new message.
    ///
    /// The data are copied once, into shared memory. `send_output_raw` spares that copy.
    ///
    /// A full queue with `backpressure` is waited for; Ctrl-C ends the wait. Other threads run meanwhile.
    ///
    /// Raises TypeError for data that cannot be sent, RuntimeError for an id that is not one, and `Stopping` (a
    /// RuntimeError as well) when the dataflow is stopping and a queue with `backpressure` is full.
    #[pyo3(signature = (output_id, data, metadata=None))]
    fn send_output(
        &self,
        output_id: &str,
        data: &Bound<'_, PyAny>,
        metadata: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        self.sender.send(output_id, data, metadata, |_| {})
    }

    /// Memory for a message of `data_length` bytes, to be written in place and sent without a copy.
    ///
    /// It arrives as an array of uint8. See `SampleHandler`.
    ///
    /// Raises RuntimeError if the node has no such output, ValueError if there is no memory of that size.
    #[pyo3(signature = (output_id, data_length, metadata=None))]
    fn send_output_raw(
        &self,
        py: Python<'_>,
        output_id: &str,
        data_length: usize,
        metadata: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<SampleHandler> {
        let (output, parameters) = (DataId::from(output_id), metadata::from_dict(metadata)?);
        let sample = self.sender.allocate(py, &output, data_length)?;
        SampleHandler::new(py, self.sender.clone(), output, parameters, sample)
    }

    /// Send a request to a service.
    ///
    /// Returns the new `request_id`, which is also in the metadata of the request; the response has the same one.
    /// Data, metadata and errors are those of `send_output`.
    #[pyo3(signature = (output_id, data, metadata=None))]
    fn send_service_request(
        &self,
        output_id: &str,
        data: &Bound<'_, PyAny>,
        metadata: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<String> {
        let id = DoraNode::new_request_id();
        self.sender.send(output_id, data, metadata, |parameters| {
            parameters.insert(REQUEST_ID.to_owned(), Parameter::String(id.clone()));
        })?;
        Ok(id)
    }

    /// Send the response to a request. `metadata` must hold its `request_id`: pass on the metadata of the request.
    ///
    /// A response without one is sent with a warning: nobody can tell what it answers.
    /// Data, metadata and errors are those of `send_output`.
    fn send_service_response(
        &self,
        output_id: &str,
        data: &Bound<'_, PyAny>,
        metadata: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        if !metadata.contains(REQUEST_ID)? {
            self.log_warn("a service response is sent without `request_id`: pass on the metadata of the request");
        }
        self.sender.send(output_id, data, Some(metadata), |_| {})
    }

    /// Log a message, with fields.
    ///
    /// level: "error", "warn", "info", "debug" or "trace"; any other counts as "info". target: the part of the program
    /// that speaks. fields: further texts by name.
    #[pyo3(signature = (level, message, target=None, fields=None))]
    fn log(&self, level: &str, message: &str, target: Option<&str>, fields: Option<BTreeMap<String, String>>) {
        self.log.log_with_fields(level, message, target, fields.as_ref());
    }

    /// What ends this process, as an error on standard error: the last words there are the cause that is told.
    fn _log_failure(&self, message: &str, target: Option<&str>, fields: Option<BTreeMap<String, String>>) {
        self.log.log_failure(message, target, fields.as_ref());
    }

    /// Log an error.
    fn log_error(&self, message: &str) {
        self.log("error", message, None, None);
    }

    /// Log a warning.
    fn log_warn(&self, message: &str) {
        self.log("warn", message, None, None);
    }

    /// Log what is good to know.
    fn log_info(&self, message: &str) {
        self.log("info", message, None, None);
    }

    /// Log a message for whoever looks for a fault.
    fn log_debug(&self, message: &str) {
        self.log("debug", message, None, None);
    }

    /// Log a message for whoever follows each step.
    fn log_trace(&self, message: &str) {
        self.log("trace", message, None, None);
    }

    /// The dataflow of this node: the file as a dict, with modules expanded and defaults filled in.
    fn dataflow_descriptor<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        event::json(py, &self.identity.descriptor)
    }

    /// The inputs and outputs of this node: `{"inputs": {id: {"source", "queue_size", "queue_policy"}}, "outputs": [id]}`.
    fn node_config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let inputs = PyDict::new(py);
        for (id, input) in &self.identity.config.inputs {
            let config = PyDict::new(py);
            config.set_item("source", source_text(&input.source))?;
            config.set_item("queue_size", input.queue_size)?;
            config.set_item("queue_policy", policy_word(input.policy))?;
            inputs.set_item(id.as_str(), config)?;
        }
        let outputs = self.identity.config.outputs.iter().map(DataId::as_str);
        let config = PyDict::new(py);
        config.set_item("inputs", inputs)?;
        config.set_item("outputs", PyList::new(py, outputs.collect::<Vec<_>>())?)?;
        Ok(config)
    }

    /// The id of this run of the dataflow: a UUID.
    fn dataflow_id(&self) -> &str {
        &self.identity.dataflow_id
    }

    /// Whether an earlier process of this node ran in the same dataflow.
    fn is_restart(&self) -> bool {
        self.identity.restart_count > 0
    }

    /// How many processes of this node ran before this one in the same dataflow.
    fn restart_count(&self) -> u32 {
        self.identity.restart_count
    }

    /// The time now, as an aware datetime in UTC, on the clock that stamps messages: the difference to
    /// `event["metadata"]["timestamp"]` is the age of a message.
    fn timestamp<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let micros = self.log.timestamp().get_time().to_duration().as_micros();
        Bridge::get(py)?.time(py, i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Store a value under a key, for other nodes and later processes. Not served yet.
    ///
    /// Raises RuntimeError, always.
    fn extension_store(&self, py: Python<'_>, namespace: &str, key: &str, value: Vec<u8>) -> PyResult<()> {
        self.sender.with(py, |node| node.extension_store(namespace, key, value))
    }

    /// Load a stored value. Not served yet.
    ///
    /// Raises RuntimeError, always.
    #[pyo3(signature = (namespace, key, remove=false))]
    fn extension_load(&self, py: Python<'_>, namespace: &str, key: &str, remove: bool) -> PyResult<Option<Vec<u8>>> {
        self.sender.with(py, |node| node.extension_load(namespace, key, remove))
    }

    /// Drop a stored value. Not served yet.
    ///
    /// Raises RuntimeError, always.
    fn extension_drop(&self, py: Python<'_>, namespace: &str, key: &str) -> PyResult<()> {
        self.sender.with(py, |node| node.extension_drop(namespace, key))
    }

    /// The keys of a namespace whose values others dropped since the last call: none, as nothing can be stored.
    fn drain_dropped_extension_keys(&self, namespace: &str) -> Vec<String> {
        dora_node::event_stream::extensions::drain_dropped_keys(namespace)
    }

    /// One look for asyncio, which has the turn: the event, None once the stream has ended, False if there is none now.
    fn _look(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(match self.receiver.look(py)? {
            Found::Event(event) => event.into_any().unbind(),
            Found::Nothing => false.into_pyobject(py)?.to_owned().into_any().unbind(),
            Found::Over => py.None(),
        })
    }

    /// The lock that whoever waits for events must have.
    fn _turn(&self, py: Python<'_>) -> Py<PyAny> {
        self.receiver.turn().clone_ref(py)
    }

    /// The descriptor that asyncio watches between `_begin_wait` and `_end_wait`.
    fn _descriptor(&self) -> Option<RawFd> {
        self.receiver.descriptor()
    }

    /// None: look again, now. Else the seconds until a timer is due; negative: there is no timer.
    fn _begin_wait(&self) -> Option<f64> {
        self.receiver.begin_wait().map(|timer| timer.map_or(-1.0, |timer| timer.as_secs_f64()))
    }

    fn _end_wait(&self) {
        self.receiver.end_wait();
    }

    fn _push_external(&self, item: Py<PyAny>, slots: Py<PyAny>) {
        self.receiver.push_external(item, slots);
    }

    /// Closes inputs and outputs, unless another thread is in the midst of using them.
    fn _close(&self, py: Python<'_>) {
        self.sender.close(py);
        self.receiver.close(py);
    }
}

fn source_text(source: &InputSource) -> String {
    match source {
        InputSource::Node { node, output } => format!("{node}/{output}"),
        InputSource::Timer { interval_ns } if interval_ns % 1_000_000 == 0 => {
            format!("dora/timer/millis/{}", interval_ns / 1_000_000)
        }
        InputSource::Logs => "dora/logs".to_owned(),
        InputSource::Timer { interval_ns } => format!("dora/timer/hz/{}", 1e9 / *interval_ns as f64),
    }
}

fn policy_word(policy: QueuePolicy) -> &'static str {
    match policy {
        QueuePolicy::DropOldest => "drop_oldest",
        QueuePolicy::DropNewest => "drop_newest",
        QueuePolicy::Backpressure => "backpressure",
    }
}
