//! Parameters of messages as Python dicts.
//!
//! The key `timestamp` of a received message is the time at which it was sent. Of a dict that is sent, a `datetime` under
//! this key is left out: it came with another message and would pass for the time of this one.

use std::ffi::CString;

use chrono::{DateTime, Utc};
use dora_message::metadata::{Metadata, MetadataParameters, Parameter};
use pyo3::{
    exceptions::{PyRuntimeWarning, PyTypeError, PyValueError},
    intern,
    prelude::*,
    types::{PyBool, PyDict, PyInt, PyList, PyString, PyTuple},
};

use crate::bridge::Bridge;

const TIMESTAMP: &str = "timestamp";

/// The metadata of a received message.
pub(crate) fn to_dict<'py>(py: Python<'py>, bridge: &Bridge, metadata: &Metadata) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let sent_at = metadata.timestamp().get_time().to_duration().as_micros();
    let sent_at = bridge.time(py, i64::try_from(sent_at).unwrap_or(i64::MAX))?;
    dict.set_item(intern!(py, "timestamp"), sent_at)?;
    for (key, value) in &metadata.parameters {
        match value {
            Parameter::Bool(value) => dict.set_item(key, value)?,
            Parameter::Integer(value) => dict.set_item(key, value)?,
            Parameter::Float(value) => dict.set_item(key, value)?,
            Parameter::String(value) => dict.set_item(key, value)?,
            Parameter::ListInt(values) => dict.set_item(key, values)?,
            Parameter::ListFloat(values) => dict.set_item(key, values)?,
            Parameter::ListString(values) => dict.set_item(key, values)?,
            Parameter::Timestamp(time) => dict.set_item(key, bridge.time(py, time.timestamp_micros())?)?,
        }
    }
    Ok(dict)
}

/// The parameters that a dict stands for.
///
/// # Errors
/// `TypeError` for keys that are not text, `ValueError` for numbers that do not fit.
pub(crate) fn from_dict(dict: Option<&Bound<'_, PyDict>>) -> PyResult<MetadataParameters> {
    let mut parameters = MetadataParameters::new();
    if let Some(dict) = dict {
        insert_all(&mut parameters, dict)?;
    }
    Ok(parameters)
}

/// Adds what a dict holds to these parameters.
///
/// # Errors
/// As [`from_dict`].
pub(crate) fn insert_all(parameters: &mut MetadataParameters, dict: &Bound<'_, PyDict>) -> PyResult<()> {
    for (key, value) in dict {
        let Ok(key) = key.extract::<String>() else {
            return Err(PyTypeError::new_err(format!("the keys of metadata are texts, and {} is none", key.repr()?)));
        };
        if let Some(parameter) = parameter(&key, &value)? {
            parameters.insert(key, parameter);
        }
    }
    Ok(())
}

/// One value. `None`: it is not sent.
fn parameter(key: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Parameter>> {
    if let Ok(value) = value.cast::<PyBool>() {
        return Ok(Some(value.is_true().into()));
    }
    if let Ok(value) = value.cast::<PyString>() {
        return Ok(Some(value.to_str()?.into()));
    }
    if value.cast::<PyList>().is_ok() || value.cast::<PyTuple>().is_ok() {
        return list(key, value).map(Some);
    }
    if let Some(time) = time(value)? {
        return Ok((key != TIMESTAMP).then_some(Parameter::Timestamp(time)));
    }
    // Arrays and scalars of numpy, and all that look like them.
    if let Ok(plain) = value.call_method0(intern!(value.py(), "tolist"))
        && !plain.is(value)
    {
        return parameter(key, &plain);
    }
    if let Some(number) = number(key, value)? {
        return Ok(Some(number));
    }
    warn(key, value, "a value of this type")?;
    Ok(Some(value.str()?.to_str()?.into()))
}

fn number(key: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Parameter>> {
    if let Ok(integer) = value.extract::<i64>() {
        return Ok(Some(integer.into()));
    }
    if value.is_instance_of::<PyInt>() {
        return Err(PyValueError::new_err(format!("metadata[{key:?}]: {value} does not fit into 64 bits")));
    }
    Ok(value.extract::<f64>().ok().map(Into::into))
}

fn list(key: &str, value: &Bound<'_, PyAny>) -> PyResult<Parameter> {
    let items: Vec<Bound<'_, PyAny>> = value.extract()?;
    let no_truths = items.iter().all(|item| !item.is_instance_of::<PyBool>());
    let no_texts = items.iter().all(|item| !item.is_instance_of::<PyString>());
    if items.is_empty() {
        return Ok(Parameter::ListString(Vec::new()));
    }
    if no_truths && let Ok(integers) = value.extract::<Vec<i64>>() {
        return Ok(Parameter::ListInt(integers));
    }
    if no_truths
        && no_texts
        && let Ok(floats) = value.extract::<Vec<f64>>()
    {
        return Ok(Parameter::ListFloat(floats));
    }
    if let Ok(texts) = value.extract::<Vec<String>>() {
        return Ok(Parameter::ListString(texts));
    }
    warn(key, value, "a list of these values")?;
    let texts = items.iter().map(|item| Ok(item.str()?.to_str()?.to_owned())).collect::<PyResult<_>>()?;
    Ok(Parameter::ListString(texts))
}

/// The moment that a `datetime` stands for; one without a time zone is local time, as everywhere in Python.
fn time(value: &Bound<'_, PyAny>) -> PyResult<Option<DateTime<Utc>>> {
    let py = value.py();
    if !value.is_instance(Bridge::get(py)?.datetime.bind(py))? {
        return Ok(None);
    }
    let seconds: f64 = value.call_method0(intern!(py, "timestamp"))?.extract()?;
    Ok(DateTime::from_timestamp_micros((seconds * 1e6).round() as i64))
}

fn warn(key: &str, value: &Bound<'_, PyAny>, what: &str) -> PyResult<()> {
    let text = format!(
        "metadata[{key:?}]: {what} ({}) is sent as text. Metadata are bool, int, float, str, datetime, and lists of int, \
         float or str",
        value.get_type().name()?
    );
    let Ok(text) = CString::new(text) else { return Ok(()) };
    PyErr::warn(value.py(), &value.py().get_type::<PyRuntimeWarning>(), &text, 1)
}
