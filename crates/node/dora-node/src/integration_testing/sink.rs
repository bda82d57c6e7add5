//! The outputs of a test run, as JSON.

use std::{
    fmt,
    fs::File,
    io::Write,
    sync::{Mutex, PoisonError, mpsc},
};

use arrow::array::ArrayRef;
use dora_message::{arrow::json, id::DataId};
use serde_json::Value;

use super::{TestingOptions, TestingOutput};
use crate::error::TestingError;

/// One output.
pub type OutputJson = serde_json::Map<String, Value>;

/// The end of a channel that a test run writes its outputs to.
#[derive(Debug, Clone)]
pub struct OutputSender(mpsc::Sender<OutputJson>);

/// The end of a channel that a test reads; see [`drain_outputs`].
#[derive(Debug)]
pub struct OutputReceiver(mpsc::Receiver<OutputJson>);

/// A channel for [`TestingOutput::ToChannel`]. It has no bound, because nobody reads it while the node runs.
pub fn output_channel() -> (OutputSender, OutputReceiver) {
    let (sender, receiver) = mpsc::channel();
    (OutputSender(sender), OutputReceiver(receiver))
}

/// The outputs that were sent so far.
pub fn drain_outputs(rx: &mut OutputReceiver) -> Vec<OutputJson> {
    rx.0.try_iter().collect()
}

/// Where the outputs of a node that runs alone go.
pub(crate) struct TestSink {
    // Behind a lock only because writers need not be shareable between threads, and nodes are.
    target: Mutex<Target>,
    start_ns: u64,
    options: TestingOptions,
}

enum Target {
    Writer(Box<dyn Write + Send>),
    Channel(mpsc::Sender<OutputJson>),
}

impl TestSink {
    pub(crate) fn new(output: TestingOutput, options: TestingOptions, start_ns: u64) -> Result<Self, TestingError> {
        let target = match output {
            TestingOutput::ToFile(path) => match File::create(&path) {
                Ok(file) => Target::Writer(Box::new(file)),
                Err(source) => return Err(TestingError::File { doing: "create the file for outputs", path, source }),
            },
            TestingOutput::ToWriter(writer) => Target::Writer(writer),
            TestingOutput::ToChannel(sender) => Target::Channel(sender.0),
        };
        Ok(TestSink { target: Mutex::new(target), start_ns, options })
    }

    /// Writes one output. `now_ns`: the time of the node's clock.
    pub(crate) fn write(&mut self, id: &DataId, now_ns: u64, data: Option<&ArrayRef>) -> Result<(), TestingError> {
        let mut output = OutputJson::new();
        output.insert("id".to_owned(), Value::from(id.as_str()));
        if !self.options.skip_output_time_offsets {
            let offset = now_ns.saturating_sub(self.start_ns) as f64 / 1e9;
            output.insert("time_offset_secs".to_owned(), Value::from(offset));
        }
        if let Some(array) = data {
            let (data, data_type) = json::encode(array).map_err(|error| self.failed(id, error.to_string()))?;
            output.extend([("data".to_owned(), data), ("data_type".to_owned(), data_type)]);
        }
        match self.target.get_mut().unwrap_or_else(PoisonError::into_inner) {
            Target::Channel(sender) => {
                sender.send(output).map_err(|_| self.failed(id, "the receiver of the outputs is gone".to_owned()))
            }
            Target::Writer(writer) => {
                let written = serde_json::to_vec(&output).map_err(Into::into).and_then(|mut line| {
                    line.push(b'\n');
                    writer.write_all(&line).and_then(|()| writer.flush())
                });
                written.map_err(|error| self.failed(id, error.to_string()))
            }
        }
    }

    pub(crate) fn failed(&self, output: &DataId, reason: String) -> TestingError {
        TestingError::Output { output: output.clone(), reason }
    }
}

impl fmt::Debug for TestSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSink").field("options", &self.options).finish_non_exhaustive()
    }
}
