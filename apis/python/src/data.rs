//! What Python gives to be sent.

use dora_arrow_convert::DoraArray;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use crate::{arrays, bridge::Bridge};

/// A payload.
pub(crate) enum Data<'py> {
    /// Sent as an array of `UInt8`.
    Bytes(Bound<'py, PyBytes>),
    Array(DoraArray),
}

impl<'py> Data<'py> {
    /// What can be sent as it is, and what `dora.arrays.prepare` makes of anything else: the payload, and parameters
    /// that describe it.
    ///
    /// # Errors
    /// `TypeError` for what is no data.
    pub(crate) fn of(value: &Bound<'py, PyAny>) -> PyResult<(Self, Option<Bound<'py, PyDict>>)> {
        let py = value.py();
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok((Data::Bytes(bytes.clone()), None));
        }
        let bridge = Bridge::get(py)?;
        if value.is_instance(bridge.array_type.bind(py))? {
            return Ok((Data::Array(arrays::from_python(bridge, value)?), None));
        }
        let (array, described) = bridge.prepare.bind(py).call1((value,))?.extract::<(Bound<'py, PyAny>, _)>()?;
        Ok((Data::Array(arrays::from_python(bridge, &array)?), described))
    }
}
