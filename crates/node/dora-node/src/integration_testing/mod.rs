//! Running a node alone: its events come from a file or a terminal, its outputs go to a file or a channel.
//!
//! ```
//! use dora_node::{DoraNode, Event, integration_testing::*};
//!
//! // The node under test. Its `main` would be called here.
//! fn run() -> Result<(), dora_node::NodeError> {
//!     let (mut node, mut events) = DoraNode::init_from_env()?;
//!     while let Some(event) = events.recv() {
//!         if let Event::Input { data, metadata, .. } = event {
//!             node.send_output("echo".into(), metadata.parameters, data)?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! let input = serde_json::from_str(r#"{
//!     "id": "echo",
//!     "events": [{ "type": "Input", "id": "number", "time_offset_secs": 0.0, "data": [1, 2], "data_type": "UInt8" }]
//! }"#)?;
//! let (sender, mut receiver) = output_channel();
//! let options = TestingOptions { skip_output_time_offsets: true };
//! setup_integration_testing(TestingInput::Input(input), TestingOutput::ToChannel(sender), options);
//! run()?;
//! let outputs = drain_outputs(&mut receiver);
//! assert_eq!(serde_json::to_string(&outputs)?, r#"[{"id":"echo","data":[1,2],"data_type":"UInt8"}]"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A compiled node runs alone with these environment variables:
//!
//! | variable | meaning |
//! |---|---|
//! | `DORA_TEST_WITH_INPUTS` | file with the events: JSON of [`IntegrationTestInput`] |
//! | `DORA_TEST_WRITE_OUTPUTS_TO` | file for the outputs; `outputs.jsonl` beside the events if not set |
//! | `DORA_TEST_NO_OUTPUT_TIME_OFFSET` | if set, outputs carry no time |
//!
//! Such a file is written by a node of a dataflow that was started with `DORA_WRITE_EVENTS_TO=DIR`: to
//! `DIR/inputs-NODE.json`, complete when the node has dropped its event stream.
//!
//! Outputs are JSON objects, one per line: `id`, `time_offset_secs` (since the node was initialised), `data` (a list
//! with the values of the array) and `data_type` (its Arrow type). A test run accepts every output with a valid id.

mod format;
mod interactive;
mod recorder;
mod script;
mod sink;

use std::{cell::Cell, io::Write, path::PathBuf};

pub use format::{IncomingEvent, InputData, IntegrationTestInput, RecordingStatus, TimedIncomingEvent};
pub(crate) use recorder::Recorder;
pub(crate) use script::Script;
pub(crate) use sink::TestSink;
pub use sink::{OutputJson, OutputReceiver, OutputSender, drain_outputs, output_channel};

/// Modules of existing sources name the format by this path.
pub mod integration_testing_format {
    pub use super::format::{IncomingEvent, InputData, IntegrationTestInput, RecordingStatus, TimedIncomingEvent};
}

/// Where the events of a test run come from.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // made once per test
pub enum TestingInput {
    /// A file with JSON of [`IntegrationTestInput`].
    FromJsonFile(PathBuf),
    /// These.
    Input(IntegrationTestInput),
}

/// Where the outputs of a test run go.
pub enum TestingOutput {
    /// To a file, one JSON object per line. It is created or replaced.
    ToFile(PathBuf),
    /// To a writer, one JSON object per line.
    ToWriter(Box<dyn Write + Send>),
    /// To the other end of [`output_channel`]; read it with [`drain_outputs`] when the node is done.
    ToChannel(OutputSender),
}

/// How outputs of a test run are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TestingOptions {
    /// Leave out `time_offset_secs`, which differs from run to run.
    pub skip_output_time_offsets: bool,
}

/// What a test run needs.
pub(crate) struct TestRun {
    pub(crate) input: TestingInput,
    pub(crate) output: TestingOutput,
    pub(crate) options: TestingOptions,
}

thread_local! {
    static NEXT: Cell<Option<TestRun>> = const { Cell::new(None) };
}

/// Makes the next `init_from_env` in this thread start a test run.
pub fn setup_integration_testing(input: TestingInput, output: TestingOutput, options: TestingOptions) {
    NEXT.set(Some(TestRun { input, output, options }));
}

/// What [`setup_integration_testing`] left in this thread.
pub(crate) fn take_setup() -> Option<TestRun> {
    NEXT.take()
}

/// The test run that the environment asks for.
pub(crate) fn from_env() -> Option<TestRun> {
    let input = PathBuf::from(std::env::var_os("DORA_TEST_WITH_INPUTS")?);
    let output = std::env::var_os("DORA_TEST_WRITE_OUTPUTS_TO").map(PathBuf::from);
    let output = output.unwrap_or_else(|| input.with_file_name("outputs.jsonl"));
    let skip_output_time_offsets = std::env::var_os("DORA_TEST_NO_OUTPUT_TIME_OFFSET").is_some();
    Some(TestRun {
        input: TestingInput::FromJsonFile(input),
        output: TestingOutput::ToFile(output),
        options: TestingOptions { skip_output_time_offsets },
    })
}
