//! Arrow arrays across the border of the languages, by the Arrow C data interface: what they hold is shared, not copied.
//!
//! pyarrow takes and gives the two C structures by their addresses (`_import_from_c`, `_export_to_c`); these methods are
//! older than its capsules, and newer versions keep them.
#![allow(unsafe_code)]

use std::fmt::Display;

use arrow::{
    array::{Array, make_array},
    ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi},
};
use dora_arrow_convert::DoraArray;
use pyo3::{exceptions::PyTypeError, intern, prelude::*};

use crate::bridge::Bridge;

/// An array as a `pyarrow.Array`, which keeps its memory alive.
pub(crate) fn to_python<'py>(py: Python<'py>, bridge: &Bridge, array: &DoraArray) -> PyResult<Bound<'py, PyAny>> {
    let (mut data, mut schema) = to_ffi(&array.0.to_data()).map_err(|error| unknown_type(array, &error))?;
    // pyarrow moves both structures out, or leaves them for us to release when it refuses.
    let addresses = ((&raw mut data).expose_provenance(), (&raw mut schema).expose_provenance());
    bridge.import_array.bind(py).call1(addresses).map_err(|error| unknown_type(array, &error))
}

/// A `pyarrow.Array` as an array, which keeps its memory alive.
pub(crate) fn from_python(array: &Bound<'_, PyAny>) -> PyResult<DoraArray> {
    let (mut data, mut schema) = (FFI_ArrowArray::empty(), FFI_ArrowSchema::empty());
    let addresses = ((&raw mut data).expose_provenance(), (&raw mut schema).expose_provenance());
    array.call_method1(intern!(array.py(), "_export_to_c"), addresses)?;
    // SAFETY: pyarrow has filled both structures by the rules of the C data interface, or raised.
    let imported = unsafe { from_ffi(data, &schema) };
    let mut data = imported.map_err(|error| {
        PyTypeError::new_err(format!("dora cannot send this Arrow array: {error}. Cast it to another type first"))
    })?;
    // Memory from elsewhere, such as a slice of bytes, need not be aligned as Arrow's typed buffers are.
    data.align_buffers();
    Ok(DoraArray(make_array(data)))
}

fn unknown_type(array: &DoraArray, error: &dyn Display) -> PyErr {
    PyTypeError::new_err(format!("an array of type {} cannot be given to this pyarrow: {error}", array.type_name()))
}
