//! Memory for one message, which Python writes in place and then sends.
#![allow(unsafe_code)]

use std::{
    ffi::c_int,
    ops::DerefMut,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dora_message::{id::DataId, metadata::MetadataParameters};
use dora_node::DataSample;
use pyo3::{
    exceptions::{PyBufferError, PyRuntimeError},
    ffi,
    prelude::*,
    types::PyMemoryView,
};

use crate::sender::Sender;

const SENT: &str = "this sample was sent already: ask for a new one with send_output_raw";

/// The memory of one message, still to be written and sent. Made by `Node.send_output_raw`.
///
/// As a context manager it gives the memory as a `SampleBuffer` and sends it at the end of the `with` block, or discards
/// it if the block raises::
///
///     with node.send_output_raw("image", 640 * 480 * 3) as buffer:
///         pixels = numpy.asarray(buffer).reshape(480, 640, 3)
///         camera.read_into(pixels)
///         del pixels
///
/// The content is at first whatever an earlier message left there, so write all of it. All views of the memory (numpy
/// arrays, memoryviews) must be gone before it is sent.
#[pyclass(module = "dora", frozen)]
pub(crate) struct SampleHandler {
    sender: Arc<Sender>,
    output: DataId,
    parameters: Mutex<MetadataParameters>,
    buffer: Py<SampleBuffer>,
    view: Mutex<Option<Py<PyMemoryView>>>,
}

/// Writable memory of one message, as bytes, by the buffer protocol: `memoryview(buffer)`, `numpy.asarray(buffer)`.
#[pyclass(module = "dora", frozen)]
pub(crate) struct SampleBuffer(Mutex<Memory>);

struct Memory {
    /// Taken when it is sent. It lies still while there are views.
    sample: Option<DataSample>,
    views: usize,
    /// No view may be made any more, though there may be some.
    given_up: bool,
}

impl SampleBuffer {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SampleHandler {
    pub(crate) fn new(
        py: Python<'_>,
        sender: Arc<Sender>,
        output: DataId,
        parameters: MetadataParameters,
        sample: DataSample,
    ) -> PyResult<Self> {
        let memory = Memory { sample: Some(sample), views: 0, given_up: false };
        let buffer = Py::new(py, SampleBuffer(Mutex::new(memory)))?;
        Ok(SampleHandler { sender, output, parameters: Mutex::new(parameters), buffer, view: Mutex::new(None) })
    }

    /// The memory, if it can be sent.
    fn take(&self) -> PyResult<DataSample> {
        let mut memory = self.buffer.get().memory();
        if memory.given_up {
            return Err(PyRuntimeError::new_err(SENT));
        }
        if memory.views > 0 {
            return Err(PyRuntimeError::new_err(format!(
                "{} view(s) of the sample are still open: `del` the arrays and `release()` the memoryviews made of it \
                 before it is sent",
                memory.views
            )));
        }
        memory.given_up = true;
        memory.sample.take().ok_or_else(|| PyRuntimeError::new_err(SENT))
    }

    fn expect_unsent(&self) -> PyResult<()> {
        if self.buffer.get().memory().given_up { Err(PyRuntimeError::new_err(SENT)) } else { Ok(()) }
    }
}

#[pymethods]
impl SampleHandler {
    /// The memory. The same object each time.
    ///
    /// Raises RuntimeError once it was sent.
    fn as_buffer(&self, py: Python<'_>) -> PyResult<Py<SampleBuffer>> {
        self.expect_unsent()?;
        Ok(self.buffer.clone_ref(py))
    }

    /// The memory as a writable memoryview of bytes. The same object each time: call its `release()` before `send()`.
    ///
    /// Raises RuntimeError once it was sent.
    fn as_memoryview(&self, py: Python<'_>) -> PyResult<Py<PyMemoryView>> {
        self.expect_unsent()?;
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = &*view {
            return Ok(view.clone_ref(py));
        }
        let made = PyMemoryView::from(self.buffer.bind(py).as_any())?.unbind();
        Ok(view.insert(made).clone_ref(py))
    }

    /// Sends the memory, without a copy. It arrives as an array of UInt8.
    ///
    /// Raises RuntimeError if a view of it is open, or if it was sent before.
    fn send(&self, py: Python<'_>) -> PyResult<()> {
        let sample = self.take()?;
        let parameters = std::mem::take(self.parameters.lock().unwrap_or_else(PoisonError::into_inner).deref_mut());
        self.sender.with(py, |node| node.send_output_sample(self.output.clone(), parameters, Some(sample)))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<SampleBuffer>> {
        self.as_buffer(py)
    }

    #[pyo3(signature = (kind, _value=None, _traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let sent = self.buffer.get().memory().given_up;
        if kind.is_some() {
            self.buffer.get().memory().given_up = true; // its memory goes with the last view
        } else if !sent {
            self.send(py)?;
        }
        Ok(false)
    }
}

#[pymethods]
impl SampleBuffer {
    fn __len__(&self) -> usize {
        self.memory().sample.as_ref().map_or(0, |sample| sample.len())
    }

    unsafe fn __getbuffer__(slf: &Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let mut memory = slf.get().memory();
        let Some(sample) = memory.sample.as_mut() else { return Err(PyBufferError::new_err(SENT)) };
        let (start, len) = (sample.as_mut_ptr(), sample.len() as ffi::Py_ssize_t);
        if memory.given_up {
            return Err(PyBufferError::new_err(SENT));
        }
        // SAFETY: the interpreter gives a view to fill. The memory is `len` bytes, writable, and stays where it is and
        // as it is until `views` is 0 again: before, it is neither taken out of the sample nor dropped, because a view
        // that is filled keeps a reference to `slf`.
        let filled = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start.cast(), len, 0, flags) };
        if filled != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        memory.views += 1;
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.memory().views -= 1;
    }
}
