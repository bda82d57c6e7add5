//! The Python objects that this half calls, looked up once.

use chrono::{DateTime, Datelike, Timelike, Utc};
use pyo3::{exceptions::PyValueError, prelude::*, sync::PyOnceLock, types::PyBytes};

use crate::types::PlainTypes;

/// What is called for every event or message.
pub(crate) struct Bridge {
    /// `pyarrow.Array`.
    pub(crate) array_type: Py<PyAny>,
    /// `pyarrow.Array._import_from_c`.
    pub(crate) import_array: Py<PyAny>,
    pub(crate) plain_types: PlainTypes,
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
        let pyarrow = py.import("pyarrow")?;
        let array_type = pyarrow.getattr("Array")?;
        let datetime = py.import("datetime")?;
        Ok(Bridge {
            import_array: array_type.getattr("_import_from_c")?.unbind(),
            array_type: array_type.unbind(),
            plain_types: PlainTypes::import(&pyarrow)?,
            datetime: datetime.getattr("datetime")?.unbind(),
            utc: datetime.getattr("timezone")?.getattr("utc")?.unbind(),
            input_closed: py.import("dora.events")?.getattr("INPUT_CLOSED")?.unbind(),
            prepare: py.import("dora.arrays")?.getattr("prepare")?.unbind(),
        })
    }

    /// A time as an aware `datetime` in UTC, to the microsecond.
    ///
    /// It is made of the state that Python pickles, whose layout can therefore not change: Python reckons with calendars
    /// when it makes one of a number of seconds, at five times the cost.
    ///
    /// # Errors
    /// `ValueError` for a year after 9999 or before 1, which Python does not know.
    pub(crate) fn time<'py>(&self, py: Python<'py>, unix_micros: i64) -> PyResult<Bound<'py, PyAny>> {
        let known = DateTime::from_timestamp_micros(unix_micros).and_then(|time| pickled(&time));
        let Some(state) = known else {
            return Err(PyValueError::new_err(format!(
                "a time of {unix_micros} us since 1970 is in no year of Python's"
            )));
        };
        self.datetime.bind(py).call1((PyBytes::new(py, &state), self.utc.bind(py)))
    }
}

/// Year, month, day, hour, minute, second and microsecond, as `datetime.__reduce__` gives them.
fn pickled(time: &DateTime<Utc>) -> Option<[u8; 10]> {
    let year = u16::try_from(time.year()).ok().filter(|year| (1..=9999).contains(year))?;
    let ([year_1, year_0], [_, micro_2, micro_1, micro_0]) =
        (year.to_be_bytes(), time.timestamp_subsec_micros().to_be_bytes());
    let [month, day, hour, minute, second] =
        [time.month(), time.day(), time.hour(), time.minute(), time.second()].map(|part| part as u8);
    Some([year_1, year_0, month, day, hour, minute, second, micro_2, micro_1, micro_0])
}
