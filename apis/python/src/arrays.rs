//! Arrow arrays across the border of the languages, by the Arrow C data interface: what they hold is shared, not copied.
//!
//! pyarrow takes and gives the two C structures by their addresses (`_import_from_c`, `_export_to_c`); these methods are
//! older than its capsules, and newer versions keep them.
#![allow(unsafe_code)]

use std::fmt::Display;

use arrow::{
    array::{Array, make_array},
    ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, from_ffi_and_data_type},
};
use dora_arrow_convert::DoraArray;
use pyo3::{exceptions::PyTypeError, intern, prelude::*};

use crate::bridge::Bridge;

/// An array as a `pyarrow.Array`, which keeps its memory alive.
pub(crate) fn to_python<'py>(py: Python<'py>, bridge: &Bridge, array: &DoraArray) -> PyResult<Bound<'py, PyAny>> {
    let import = bridge.import_array.bind(py);
    // pyarrow moves the structures out, or leaves them for us to release when it refuses.
    let mut data = FFI_ArrowArray::new(&array.0.to_data());
    let address = (&raw mut data).expose_provenance();
    if let Some(plain) = bridge.plain_types.to_python(array.0.data_type()) {
        return import.call1((address, plain)).map_err(|error| unknown_type(array, &error));
    }
    let schema = FFI_ArrowSchema::try_from(array.0.data_type());
    let mut schema = schema.map_err(|error| unknown_type(array, &error))?;
    import.call1((address, (&raw mut schema).expose_provenance())).map_err(|error| unknown_type(array, &error))
}

/// A `pyarrow.Array` as an array, which keeps its memory alive.
pub(crate) fn from_python(bridge: &Bridge, array: &Bound<'_, PyAny>) -> PyResult<DoraArray> {
    let export = intern!(array.py(), "_export_to_c");
    let mut data = FFI_ArrowArray::empty();
    let address = (&raw mut data).expose_provenance();
    let imported = if let Some(plain) = bridge.plain_types.of(array)? {
        array.call_method1(export, (address,))?;
        // SAFETY: pyarrow has filled the structure by the rules of the C data interface, or raised, from an array of
        // this type: the id is that of no other, and the type has no parameters.
        unsafe { from_ffi_and_data_type(data, plain.clone()) }
    } else {
        let mut schema = FFI_ArrowSchema::empty();
        array.call_method1(export, (address, (&raw mut schema).expose_provenance()))?;
        // SAFETY: pyarrow has filled both structures by the rules of the C data interface, or raised.
        unsafe { from_ffi(data, &schema) }
    };
    // Memory that does not lie as Arrow's typed buffers must, such as a slice of bytes, was copied to where it does.
    let data = imported.map_err(|error| {
        PyTypeError::new_err(format!("dora cannot send this Arrow array: {error}. Cast it to another type first"))
    })?;
    Ok(DoraArray(make_array(data)))
}

fn unknown_type(array: &DoraArray, error: &dyn Display) -> PyErr {
    PyTypeError::new_err(format!("an array of type {} cannot be given to this pyarrow: {error}", array.type_name()))
}
