//! Writes down what a node receives, in the format of a test run.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

use dora_message::{arrow::json, id::NodeId};
use serde_json::{Map, Value, json};

use super::RecordingStatus;
use crate::{
    clock::NodeClock,
    error::TestingError,
    event_stream::{Event, StopCause},
    fork::ProcessBound,
};

/// A recording in progress. Events are written as they come; the file is complete when this is dropped.
#[derive(Debug)]
pub(crate) struct Recorder(ProcessBound<Recording>);

#[derive(Debug)]
struct Recording {
    file: BufWriter<File>,
    clock: Arc<NodeClock>,
    start_ns: u64,
    events: usize,
    status: RecordingStatus,
}

impl Recorder {
    /// Starts `inputs-NODE.json` in a directory, which is created if need be.
    pub(crate) fn create(directory: &Path, node: &NodeId, clock: &Arc<NodeClock>) -> Result<Self, TestingError> {
        let path = directory.join(format!("inputs-{node}.json"));
        let create = || {
            std::fs::create_dir_all(directory)?;
            let mut file = BufWriter::new(File::create(&path)?);
            write!(file, "{{\n  \"id\": {},\n  \"events\": [", Value::from(node.as_str()))?;
            Ok(file)
        };
        let file = create().map_err(|source| TestingError::File {
            doing: "record the inputs of the node to",
            path: path.clone(),
            source,
        })?;
        Ok(Recorder(ProcessBound::new(Recording {
            file,
            clock: clock.clone(),
            start_ns: clock.now_ns(),
            events: 0,
            status: RecordingStatus::Clean,
        })))
    }

    /// Writes an event down, if it is one that a test run can play.
    pub(crate) fn note(&mut self, event: &Event) {
        self.0.note(event);
    }
}

impl Recording {
    fn note(&mut self, event: &Event) {
        let offset = self.clock.now_ns().saturating_sub(self.start_ns) as f64 / 1e9;
        let Some(mut record) = record(event, offset) else { return };
        let written = match event {
            Event::Input { data, .. } if !data.0.data_type().is_null() => {
                json::encode(&data.0).map_err(|error| error.to_string()).map(|(data, data_type)| {
                    record.extend([("data".to_owned(), data), ("data_type".to_owned(), data_type)]);
                })
            }
            _ => Ok(()),
        };
        let separator = if self.events == 0 { "\n    " } else { ",\n    " };
        let written = written.and_then(|()| {
            write!(self.file, "{separator}{}", Value::Object(record)).map_err(|error| error.to_string())
        });
        match (written, &mut self.status) {
            (Ok(()), _) => self.events += 1,
            (Err(_), RecordingStatus::Poisoned { additional_failures, .. }) => *additional_failures += 1,
            (Err(error), status) => {
                *status = RecordingStatus::Poisoned {
                    first_failure_event_index: self.events,
                    first_failure_time_offset_secs: offset,
                    first_failure_error: error,
                    additional_failures: 0,
                };
            }
        }
    }

    fn finish(&mut self) -> std::io::Result<()> {
        write!(self.file, "\n  ],\n  \"recording_status\": {}\n}}\n", json!(self.status))?;
        self.file.flush()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Nobody is left to tell of an error; a cut file is no JSON, which a test run says.
        let _ = self.finish();
    }
}

fn record(event: &Event, offset: f64) -> Option<Map<String, Value>> {
    let mut record = Map::new();
    let kind = match event {
        Event::Input { id, metadata, .. } => {
            record.insert("id".to_owned(), Value::from(id.as_str()));
            if !metadata.parameters.is_empty() {
                record.insert("metadata".to_owned(), json!(metadata.parameters));
            }
            "Input"
        }
        Event::InputClosed { id } => {
            record.insert("id".to_owned(), Value::from(id.as_str()));
            "InputClosed"
        }
        Event::Stop(StopCause::Manual) => "Stop",
        Event::Stop(StopCause::AllInputsClosed) => "AllInputsClosed",
        _ => return None,
    };
    record.insert("type".to_owned(), Value::from(kind));
    record.insert("time_offset_secs".to_owned(), Value::from(offset));
    Some(record)
}
