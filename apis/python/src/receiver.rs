//! The receiving half, shared by threads, and the items of other sources that are merged into it.
//!
//! Who waits has the turn, a lock of Python's `threading`: waiting for one ends when a signal is handled. Calls that do
//! not wait find nothing while another thread has the turn: what comes is for that one.

use std::{
    collections::VecDeque,
    os::fd::{AsRawFd, RawFd},
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use dora_node::{Event, EventStream, TryRecvError};
use pyo3::{exceptions::PyRuntimeError, intern, prelude::*, types::PyDict};

use crate::{bridge::Bridge, event};

type Wake = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Receiver {
    stream: Mutex<Option<EventStream>>,
    turn: Py<PyAny>,
    /// The thread in which asyncio waits, if it does.
    announced_in: Mutex<Option<ThreadId>>,
    wake: Wake,
    external: External,
}

/// Items of other sources, in the order in which they came. Python sees to it that they do not pile up.
#[derive(Default)]
struct External {
    items: Mutex<VecDeque<Item>>,
    count: AtomicUsize,
    /// The last event came from here: the node is next.
    had_turn: AtomicBool,
}

struct Item {
    value: Py<PyAny>,
    /// Its `release()` is called when the item is taken.
    slots: Py<PyAny>,
}

/// What a look for an event found.
pub(crate) enum Found<'py> {
    Event(Bound<'py, PyDict>),
    Nothing,
    Over,
}

/// Has the turn until it is dropped.
struct Turn<'a, 'py>(&'a Bound<'py, PyAny>);

impl Drop for Turn<'_, '_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.call_method0(intern!(self.0.py(), "release")) {
            error.write_unraisable(self.0.py(), Some(self.0));
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    pub(crate) fn new(py: Python<'_>, stream: EventStream) -> PyResult<Self> {
        let turn = py.import("threading")?.call_method0("Lock")?.unbind();
        let wake = Box::new(stream.waker());
        Ok(Receiver {
            stream: Mutex::new(Some(stream)),
            turn,
            announced_in: Mutex::new(None),
            wake,
            external: External::default(),
        })
    }

    /// Waits for an event, at most for this time.
    pub(crate) fn receive<'py>(&self, py: Python<'py>, timeout: Option<Duration>) -> PyResult<Found<'py>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let turn = self.turn.bind(py);
        let Some(_turn) = self.take_turn(turn, Some(left()))? else { return Ok(Found::Nothing) };
        loop {
            let found = self.look(py)?;
            let left = left();
            if !matches!(found, Found::Nothing) || left.is_some_and(|left| left.is_zero()) {
                return Ok(found);
            }
            py.detach(|| {
                if let Some(stream) = &mut *locked(&self.stream) {
                    stream.wait(left, || self.has_external());
                }
            });
            py.check_signals()?;
        }
    }

    /// The event that is there now.
    pub(crate) fn try_receive<'py>(&self, py: Python<'py>) -> PyResult<Found<'py>> {
        match self.take_turn(self.turn.bind(py), None)? {
            Some(_turn) => self.look(py),
            None => Ok(Found::Nothing),
        }
    }

    /// Whether there is no event for this thread now.
    pub(crate) fn is_empty(&self) -> bool {
        let stream_is_empty = match self.stream.try_lock() {
            Ok(stream) => stream.as_ref().is_none_or(EventStream::is_empty),
            Err(TryLockError::Poisoned(stream)) => stream.into_inner().as_ref().is_none_or(EventStream::is_empty),
            Err(TryLockError::WouldBlock) => return true,
        };
        stream_is_empty && !self.has_external()
    }

    /// Announces a wait on the descriptor, for which the caller has the turn. `None`: look again, now. Else how long
    /// until a timer is due.
    pub(crate) fn begin_wait(&self) -> Option<Option<Duration>> {
        let mut stream = locked(&self.stream);
        let announced = stream.as_mut()?.begin_wait(|| self.has_external())?;
        *locked(&self.announced_in) = Some(thread::current().id());
        Some(announced.timer)
    }

    /// Ends an announced wait.
    pub(crate) fn end_wait(&self) {
        *locked(&self.announced_in) = None;
        if let Some(stream) = &mut *locked(&self.stream) {
            stream.end_wait();
        }
    }

    /// The descriptor of announced waits; `None` once the node is closed.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        locked(&self.stream).as_ref().map(|stream| stream.descriptor().as_raw_fd())
    }

    /// Lets a thread wait for the turn as it waits in a call.
    pub(crate) fn turn(&self) -> &Py<PyAny> {
        &self.turn
    }

    /// Adds an item of another source.
    pub(crate) fn push_external(&self, value: Py<PyAny>, slots: Py<PyAny>) {
        locked(&self.external.items).push_back(Item { value, slots });
        self.external.count.fetch_add(1, SeqCst);
        (self.wake)();
    }

    /// Closes the inputs, unless a thread waits for them: then the end of the process will.
    pub(crate) fn close(&self, py: Python<'_>) {
        py.detach(|| match self.stream.try_lock() {
            Ok(mut stream) => drop(stream.take()),
            Err(TryLockError::Poisoned(stream)) => drop(stream.into_inner().take()),
            Err(TryLockError::WouldBlock) => {}
        });
    }

    fn has_external(&self) -> bool {
        self.external.count.load(SeqCst) > 0
    }

    /// `within`: waits for the turn, with `Some` at most for that time.
    fn take_turn<'a, 'py>(
        &self,
        turn: &'a Bound<'py, PyAny>,
        within: Option<Option<Duration>>,
    ) -> PyResult<Option<Turn<'a, 'py>>> {
        let py = turn.py();
        let acquire = intern!(py, "acquire");
        let mut taken = turn.call_method1(acquire, (false,))?.is_truthy()?;
        if let (false, Some(within)) = (taken, within) {
            if *locked(&self.announced_in) == Some(thread::current().id()) {
                return Err(PyRuntimeError::new_err(
                    "a task of this thread is waiting in recv_async: to block the thread here would block that task as \
                     well. Use recv_async here, too, or try_recv",
                ));
            }
            let seconds = within.map_or(-1.0, |within| within.as_secs_f64());
            taken = turn.call_method1(acquire, (true, seconds))?.is_truthy()?;
        }
        Ok(taken.then(|| Turn(turn)))
    }

    /// One look, for a thread that has the turn: at other sources and at the node, in turn.
    pub(crate) fn look<'py>(&self, py: Python<'py>) -> PyResult<Found<'py>> {
        if !self.external.had_turn.swap(false, SeqCst)
            && let Some(item) = self.pop_external(py)?
        {
            self.external.had_turn.store(true, SeqCst);
            return Ok(Found::Event(event::external(py, item)?));
        }
        match self.next_event()? {
            Ok(event) => Ok(Found::Event(event::to_dict(py, Bridge::get(py)?, event)?)),
            Err(TryRecvError::Closed) => Ok(Found::Over),
            Err(TryRecvError::Empty) => match self.pop_external(py)? {
                Some(item) => Ok(Found::Event(event::external(py, item)?)),
                None => Ok(Found::Nothing),
            },
        }
    }

    fn pop_external(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if !self.has_external() {
            return Ok(None);
        }
        let Some(item) = locked(&self.external.items).pop_front() else { return Ok(None) };
        self.external.count.fetch_sub(1, SeqCst);
        item.slots.call_method0(py, intern!(py, "release"))?;
        Ok(Some(item.value))
    }

    fn next_event(&self) -> PyResult<Result<Event, TryRecvError>> {
        match self.stream.try_lock() {
            Ok(mut stream) => Ok(stream.as_mut().map_or(Err(TryRecvError::Closed), EventStream::try_recv)),
            Err(_) => Err(PyRuntimeError::new_err("another thread is closing this node, or failed while receiving")),
        }
    }
}
