//! The Python objects that this half calls, looked up once.

use pyo3::{prelude::*, sync::PyOnceLock};

/// What is called for every event or message.
pub(crate) struct Bridge {
    /// `pyarrow.Array`.
    pub(crate) array_type: Py<PyAny>,
    /// `pyarrow.Array._import_from_c`.
    pub(crate) import_array: Py<PyAny>,
    /// `datetime.datetime`.
    pub(crate) datetime: Py<PyAny>,
    /// `datetime.timezone.utc`.
    pub(crate) utc: Py<PyAny>,
    /// `dora.events.INPUT_CLOSED`.
    pub(crate) input_closed: Py<PyAny>,
    /// `dora.arrays.prepare`.
    pub(crate) prepare: Py<PyAny>,
}

impl Bridge {
    /// The objects, imported when they are asked for first.
    ///
    /// # Errors
    /// What an import raises, for example when pyarrow is not installed.
    pub(crate) fn get(py: Python<'_>) -> PyResult<&Bridge> {
        static BRIDGE: PyOnceLock<Bridge> = PyOnceLock::new();
        BRIDGE.get_or_try_init(py, || Self::import(py))
    }

    fn import(py: Python<'_>) -> PyResult<Self> {
        let array_type = py.import("pyarrow")?.getattr("Array")?;
        let datetime = py.import("datetime")?;
        Ok(Bridge {
            import_array: array_type.getattr("_import_from_c")?.unbind(),
            array_type: array_type.unbind(),
            datetime: datetime.getattr("datetime")?.unbind(),
            utc: datetime.getattr("timezone")?.getattr("utc")?.unbind(),
            input_closed: py.import("dora.events")?.getattr("INPUT_CLOSED")?.unbind(),
            prepare: py.import("dora.arrays")?.getattr("prepare")?.unbind(),
        })
    }

    /// A time as an aware `datetime` in UTC, to the microsecond.
    pub(crate) fn time<'py>(&self, py: Python<'py>, unix_micros: i64) -> PyResult<Bound<'py, PyAny>> {
        // Below 2^53 the number of microseconds is exact, and rounding to microseconds gives it back.
        let seconds = unix_micros as f64 / 1e6;
        self.datetime.bind(py).call_method1(pyo3::intern!(py, "fromtimestamp"), (seconds, self.utc.bind(py)))
    }
}
