//! Arrow types without parameters: both languages have them, so arrays of them cross the border without a description of
//! their type. To write and to read one takes more than all the rest of the crossing.

use arrow::datatypes::DataType;
use pyo3::{intern, prelude::*};

/// The types that have a name of their own, here and in pyarrow.
pub(crate) struct PlainTypes(Vec<PlainType>);

struct PlainType {
    here: DataType,
    /// The `pyarrow.DataType`.
    in_python: Py<PyAny>,
    /// Its `id`, which it shares with no other type.
    id: i32,
}

/// pyarrow's function that gives a type, and the type here. Those that are sent most come first.
const NAMES: [(&str, DataType); 13] = [
    ("uint8", DataType::UInt8),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("int64", DataType::Int64),
    ("string", DataType::Utf8),
    ("int32", DataType::Int32),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("bool_", DataType::Boolean),
    ("binary", DataType::Binary),
];

impl PlainTypes {
    pub(crate) fn import(pyarrow: &Bound<'_, PyModule>) -> PyResult<Self> {
        let named = NAMES.into_iter().map(|(name, here)| {
            let in_python = pyarrow.call_method0(name)?;
            let id = in_python.getattr("id")?.extract()?;
            Ok(PlainType { here, in_python: in_python.unbind(), id })
        });
        Ok(PlainTypes(named.collect::<PyResult<_>>()?))
    }

    /// The `pyarrow.DataType` for this type, if it is a plain one.
    pub(crate) fn to_python(&self, here: &DataType) -> Option<&Py<PyAny>> {
        self.0.iter().find(|plain| plain.here == *here).map(|plain| &plain.in_python)
    }

    /// The type of a `pyarrow.Array`, if it is a plain one.
    pub(crate) fn of(&self, array: &Bound<'_, PyAny>) -> PyResult<Option<&DataType>> {
        let py = array.py();
        let id: i32 = array.getattr(intern!(py, "type"))?.getattr(intern!(py, "id"))?.extract()?;
        Ok(self.0.iter().find(|plain| plain.id == id).map(|plain| &plain.here))
    }
}
