//! Events that were written down before the node started.

use std::{collections::VecDeque, fs::File, path::Path, sync::Arc, time::Duration};

use arrow::array::{ArrayRef, NullArray, StructArray};
use dora_arrow_convert::DoraArray;
use dora_channel::{Waker, os::clock::monotonic_ns};
use dora_message::{arrow::json, id::NodeId, metadata::Metadata};

use super::{
    TestingInput,
    format::{IncomingEvent, InputData, IntegrationTestInput, RecordingStatus, TimedIncomingEvent},
    interactive::Typed,
};
use crate::{
    clock::{clock_id, timestamp},
    error::TestingError,
    event_stream::{Event, StopCause},
};

/// The events of a node that runs alone.
#[derive(Debug)]
pub(crate) enum Script {
    /// Events and when they come, by `CLOCK_MONOTONIC`; then the end.
    Timed(VecDeque<(u64, Event)>),
    /// Whatever is typed on the terminal.
    Typed(Arc<Typed>),
}

impl Script {
    /// From a file or a test; all events are checked now. `start_ns`: the time of the node's clock.
    pub(crate) fn read(input: TestingInput, start_ns: u64) -> Result<(NodeId, Self), TestingError> {
        let mut input = match input {
            TestingInput::FromJsonFile(path) => from_file(&path)?,
            TestingInput::Input(input) => input,
        };
        if let Some(RecordingStatus::Poisoned { first_failure_error, .. }) = input.recording_status.as_deref() {
            return Err(TestingError::Poisoned { node: input.id, reason: first_failure_error.clone() });
        }
        input.events.sort_by(|a, b| a.time_offset_secs.total_cmp(&b.time_offset_secs));
        let (base, clock) = (monotonic_ns(), clock_id(&input.id));
        let event = |(index, event): (usize, &TimedIncomingEvent)| {
            let offset = Duration::try_from_secs_f64(event.time_offset_secs)
                .map_err(|error| format!("`time_offset_secs`: {error}"))
                .map(|offset| u64::try_from(offset.as_nanos()).unwrap_or(u64::MAX));
            let timed = offset.and_then(|offset| {
                let event = event_of(&event.event, timestamp(start_ns.saturating_add(offset), clock))?;
                Ok((base.saturating_add(offset), event))
            });
            timed.map_err(|reason| TestingError::Event { index, reason })
        };
        let events = input.events.iter().enumerate().map(event).collect::<Result<_, _>>()?;
        Ok((input.id, Script::Timed(events)))
    }

    /// From the terminal. `waker` rings when something was typed.
    pub(crate) fn typed(node: &NodeId, waker: Waker) -> std::io::Result<Self> {
        Ok(Script::Typed(Typed::listen(node, waker)?))
    }

    /// The event that is due.
    pub(crate) fn next(&mut self, now_ns: u64) -> Option<Event> {
        match self {
            Script::Timed(events) => events.pop_front_if(|(due, _)| *due <= now_ns).map(|(_, event)| event),
            Script::Typed(typed) => typed.next(),
        }
    }

    /// Whether no event will come.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Script::Timed(events) => events.is_empty(),
            Script::Typed(typed) => typed.is_over(),
        }
    }

    /// Whether there is something to look at before the deadline.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Script::Timed(events) => events.is_empty(),
            Script::Typed(typed) => typed.is_ready(),
        }
    }

    /// When the next event comes.
    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        match self {
            Script::Timed(events) => events.front().map(|(due, _)| *due),
            Script::Typed(_) => None,
        }
    }
}

fn from_file(path: &Path) -> Result<IntegrationTestInput, TestingError> {
    let text = std::fs::read(path).map_err(|source| TestingError::File {
        doing: "read the test inputs",
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| TestingError::Format { path: path.to_owned(), source })
}

pub(super) fn event_of(event: &IncomingEvent, timestamp: uhlc::Timestamp) -> Result<Event, String> {
    Ok(match event {
        IncomingEvent::Stop => Event::Stop(StopCause::Manual),
        IncomingEvent::AllInputsClosed => Event::Stop(StopCause::AllInputsClosed),
        IncomingEvent::InputClosed { id } => {
            id.check().map_err(|error| error.to_string())?;
            Event::InputClosed { id: id.clone() }
        }
        IncomingEvent::Input { id, metadata, data } => {
            id.check().map_err(|error| error.to_string())?;
            let data = data.as_deref().map_or_else(|| Ok(Arc::new(NullArray::new(0)) as ArrayRef), array_of)?;
            let parameters = metadata.clone().unwrap_or_default();
            let metadata = Metadata::from_parameters(timestamp, parameters);
            Event::Input { id: id.clone(), metadata, data: DoraArray(data) }
        }
    })
}

fn array_of(data: &InputData) -> Result<ArrayRef, String> {
    match data {
        InputData::JsonObject { data, data_type } => {
            json::decode(data, data_type.as_ref()).map_err(|error| error.to_string())
        }
        InputData::ArrowFile { path, batch_index, column } => {
            column_of(path, *batch_index, column.as_deref()).map_err(|error| format!("{}: {error}", path.display()))
        }
    }
}

fn column_of(path: &Path, batch_index: usize, column: Option<&str>) -> Result<ArrayRef, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut reader = arrow_ipc::reader::FileReader::try_new(file, None).map_err(|error| error.to_string())?;
    let count = reader.num_batches();
    if batch_index >= count {
        return Err(format!("there is no record batch {batch_index}, the file has {count}"));
    }
    reader.set_index(batch_index).map_err(|error| error.to_string())?;
    let batch = reader.next().ok_or("the file ends early")?.map_err(|error| error.to_string())?;
    match column {
        None => Ok(Arc::new(StructArray::from(batch))),
        Some(name) => batch.column_by_name(name).cloned().ok_or_else(|| {
            let names: Vec<_> = batch.schema().fields().iter().map(|field| format!("`{}`", field.name())).collect();
            format!("there is no column `{name}`; the columns are {}", names.join(", "))
        }),
    }
}
