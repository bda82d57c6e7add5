//! Events as Python dicts: `kind`, `type` and `id` always, and what the type of the event brings.

use dora_message::id::DataId;
use dora_node::{Event, StopCause};
use pyo3::{intern, prelude::*, types::PyDict};

use crate::{arrays, bridge::Bridge, metadata};

/// The dict for an event of the node. `id` is `None` where there is none.
pub(crate) fn to_dict<'py>(py: Python<'py>, bridge: &Bridge, event: Event) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item(intern!(py, "kind"), intern!(py, "dora"))?;
    let named = |kind: &Bound<'py, PyAny>, id: Option<&str>| {
        dict.set_item(intern!(py, "type"), kind)?;
        dict.set_item(intern!(py, "id"), id)
    };
    match event {
        Event::Input { id, metadata, data } => {
            named(intern!(py, "INPUT"), Some(id.as_str()))?;
            dict.set_item(intern!(py, "value"), arrays::to_python(py, bridge, &data)?)?;
            dict.set_item(intern!(py, "metadata"), metadata::to_dict(py, bridge, &metadata)?)?;
        }
        Event::InputClosed { id } => named(bridge.input_closed.bind(py), Some(id.as_str()))?,
        Event::InputRecovered { id } => named(intern!(py, "INPUT_RECOVERED"), Some(id.as_str()))?,
        Event::NodeRestarted { id } => named(intern!(py, "NODE_RESTARTED"), Some(id.as_str()))?,
        Event::Stop(cause) => named(intern!(py, "STOP"), Some(cause_word(&cause)))?,
        Event::Reload { operator_id } => {
            named(intern!(py, "RELOAD"), operator_id.as_ref().map(|operator| operator.as_str()))?;
        }
        Event::ParamUpdate { key, value } => {
            named(intern!(py, "PARAM_UPDATE"), Some(&key))?;
            dict.set_item(intern!(py, "value"), json(py, &value.to_string())?)?;
        }
        Event::ParamDeleted { key } => named(intern!(py, "PARAM_DELETED"), Some(&key))?,
        Event::NodeFailed { affected_input_ids, error, source_node_id } => {
            named(intern!(py, "NODE_FAILED"), Some(source_node_id.as_str()))?;
            let value = PyDict::new(py);
            value.set_item("source_node_id", source_node_id.as_str())?;
            value.set_item("error", error)?;
            let inputs: Vec<&str> = affected_input_ids.iter().map(DataId::as_str).collect();
            value.set_item("affected_input_ids", inputs)?;
            dict.set_item(intern!(py, "value"), value)?;
        }
        Event::Error(text) => {
            named(intern!(py, "ERROR"), None)?;
            dict.set_item(intern!(py, "error"), text)?;
        }
        _ => named(intern!(py, "UNKNOWN"), None)?,
    }
    Ok(dict)
}

/// The dict for an item of another source.
pub(crate) fn external<'py>(py: Python<'py>, value: Py<PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item(intern!(py, "kind"), intern!(py, "external"))?;
    dict.set_item(intern!(py, "id"), py.None())?;
    dict.set_item(intern!(py, "value"), value)?;
    Ok(dict)
}

/// A value of JSON as Python's `json` reads it.
pub(crate) fn json<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (text,))
}

fn cause_word(cause: &StopCause) -> &'static str {
    match cause {
        StopCause::AllInputsClosed => "ALL_INPUTS_CLOSED",
        _ => "MANUAL",
    }
}
