//! A node without a dataflow: test runs and recordings.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use common::name;
use dora_message::{keeper::ToNode, metadata::MetadataParameters};
use dora_node::{
    DoraNode, Event, EventStream, NodeError,
    integration_testing::{
        IncomingEvent, IntegrationTestInput, TestingInput, TestingOptions, TestingOutput, TimedIncomingEvent,
        drain_outputs, output_channel, setup_integration_testing,
    },
};
use futures::{StreamExt, executor::block_on};
use serde_json::{Value, json};

fn input(events: Value) -> TestingInput {
    TestingInput::Input(serde_json::from_value(json!({ "id": "echo", "events": events })).unwrap())
}

const NO_TIMES: TestingOptions = TestingOptions { skip_output_time_offsets: true };

fn run(events: Value) -> Result<(DoraNode, EventStream, dora_node::integration_testing::OutputReceiver), NodeError> {
    let (sender, receiver) = output_channel();
    let (node, events) = DoraNode::init_testing(input(events), TestingOutput::ToChannel(sender), NO_TIMES)?;
    Ok((node, events, receiver))
}

#[test]
fn events_come_in_the_order_of_their_times_and_then_the_stream_ends() {
    let (_node, mut events, _) = run(json!([
        { "type": "AllInputsClosed", "time_offset_secs": 0.012 },
        { "type": "InputClosed", "id": "x", "time_offset_secs": 0.011 },
        { "type": "Input", "id": "x", "time_offset_secs": 0.01, "data": [7], "data_type": "UInt64",
          "metadata": { "k": { "Integer": 3 } } },
        { "type": "Input", "id": "tick", "time_offset_secs": 0.0 },
        { "type": "Stop", "time_offset_secs": 0.013 },
    ]))
    .unwrap();
    assert_eq!(name(&events.recv().unwrap()), "tick Null");
    assert!(events.is_empty(), "the next one is not due");
    let Some(Event::Input { metadata, data, .. }) = block_on(events.next()) else { panic!() };
    assert_eq!((u64::try_from(&data).unwrap(), metadata.get_or("k", 0)), (7, 3));
    let rest: Vec<_> = block_on(events.map(|event| name(&event)).collect());
    assert_eq!(rest, ["closed x", "stop AllInputsClosed", "stop Manual"]);
}

#[test]
fn every_way_to_send_is_written_down() {
    let (mut node, _events, mut outputs) = run(json!([])).unwrap();
    let none = MetadataParameters::new;
    node.send_output("text".into(), none(), "hello").unwrap();
    node.send_output_raw("raw".into(), none(), 2, |bytes| bytes.copy_from_slice(&[1, 2])).unwrap();
    node.send_output_sample("nothing".into(), none(), None).unwrap();
    let encoded =
        node.sample_allocator().encode_arrow(&dora_arrow_convert::IntoArrow::into_arrow(vec![1.5f32])).unwrap();
    node.send_output_encoded("encoded".into(), none(), encoded).unwrap();
    node.close_outputs(vec!["text".into()]).unwrap();
    assert!(matches!(node.send_output("a b".into(), none(), 1u8), Err(NodeError::InvalidId(_))));
    let outputs: Vec<_> = drain_outputs(&mut outputs).into_iter().map(Value::Object).collect();
    assert_eq!(
        outputs,
        [
            json!({ "id": "text", "data": ["hello"], "data_type": "Utf8" }),
            json!({ "id": "raw", "data": [1, 2], "data_type": "UInt8" }),
            json!({ "id": "nothing" }),
            json!({ "id": "encoded", "data": [1.5], "data_type": "Float32" }),
        ]
    );
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);
impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn setup_is_for_the_next_start_in_this_thread() {
    let written = Written::default();
    let stop = TimedIncomingEvent { time_offset_secs: 0.0, event: IncomingEvent::Stop };
    let input = TestingInput::Input(IntegrationTestInput::new("n".into(), vec![stop]));
    setup_integration_testing(input, TestingOutput::ToWriter(Box::new(written.clone())), TestingOptions::default());
    let (mut node, mut events) = DoraNode::init_from_env().unwrap();
    assert_eq!(common::all(&mut events), ["stop Manual"]);
    node.send_output("x".into(), MetadataParameters::new(), 1u8).unwrap();
    let line: Value = serde_json::from_slice(&written.0.lock().unwrap()).unwrap();
    assert!(line["time_offset_secs"].as_f64().unwrap() < 60.0);
    let again = DoraNode::init_from_env_force().unwrap_err();
    assert!(matches!(again, NodeError::NotANode) && again.to_string().contains("dora run"), "{again}");
}

#[test]
fn mistakes_in_the_inputs_are_told_before_the_node_runs() {
    let error = |events| run(events).map(|_| ()).unwrap_err().to_string();
    let event = |data: Value, data_type: &str| json!([{ "type": "Input", "id": "x", "time_offset_secs": 0.0, "data": data, "data_type": data_type }]);
    assert_eq!(error(event(json!([300]), "UInt8")), "event 0 of the test inputs: value 0: expected UInt8, found 300");
    assert!(error(json!([{ "type": "Stop", "time_offset_secs": -1.0 }])).contains("time_offset_secs"));
    assert!(error(json!([{ "type": "Input", "id": "a b", "time_offset_secs": 0.0 }])).contains("`a b`"));
    let directory = tempfile::tempdir().unwrap();
    let init = |path: std::path::PathBuf| {
        let (sender, _receiver) = output_channel();
        let output = TestingOutput::ToChannel(sender);
        DoraNode::init_testing(TestingInput::FromJsonFile(path), output, NO_TIMES).map(|_| ()).unwrap_err().to_string()
    };
    assert!(init(directory.path().join("missing.json")).contains("missing.json"));
    let path = directory.path().join("bad.json");
    std::fs::write(&path, "{ \"id\": \"n\", \"events\": 7 }").unwrap();
    let text = init(path);
    assert!(text.contains("bad.json") && text.contains("line 1"), "{text}");
}

#[test]
fn a_column_of_an_arrow_file_is_an_input() {
    use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.arrow");
    let columns: [(&str, ArrayRef); 2] =
        [("n", Arc::new(Int32Array::from(vec![1, 2]))), ("s", Arc::new(StringArray::from(vec!["a", "b"])))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let event = |column: Option<&str>, batch_index: usize| json!([{ "type": "Input", "id": "x", "time_offset_secs": 0.0, "path": path, "column": column, "batch_index": batch_index }]);
    let (_node, mut events, _) = run(event(Some("n"), 0)).unwrap();
    let Some(Event::Input { data, .. }) = events.recv() else { panic!() };
    assert_eq!(<&[i32]>::try_from(&data).unwrap(), [1, 2]);
    let (_node, mut events, _) = run(event(None, 0)).unwrap();
    let Some(Event::Input { data, .. }) = events.recv() else { panic!() };
    assert_eq!((data.len(), data.type_name().starts_with("Struct")), (2, true));
    let error = |column, index| run(event(column, index)).map(|_| ()).unwrap_err().to_string();
    assert!(error(Some("m"), 0).contains("the columns are `n`, `s`"));
    assert!(error(Some("n"), 3).contains("there is no record batch 3"));
}

#[test]
fn what_was_recorded_can_be_played() {
    let directory = tempfile::tempdir().unwrap();
    let mut recorded = common::node("b").input("x", "a/x").timer("tick", common::LONG);
    recorded.write_events_to = Some(directory.path().join("recordings"));
    let (keeper, mut nodes) = common::start(&[common::node("a").output("x"), recorded]);
    let (b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    let parameters: MetadataParameters = [("k".to_owned(), true.into())].into();
    a.send_output("x".into(), parameters, vec![1u16, 2]).unwrap();
    a.send_output("x".into(), MetadataParameters::new(), "text").unwrap();
    drop(a);
    let mut lived: Vec<_> = (0..4).map(|_| events.recv().unwrap()).map(|event| name(&event)).collect();
    keeper.mail("b", ToNode::Stop);
    lived.extend(common::all(&mut events));
    drop((b, events));
    let file = directory.path().join("recordings/inputs-b.json");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(r#""state":"clean""#), "{text}");
    let (sender, _receiver) = output_channel();
    let output = TestingOutput::ToChannel(sender);
    let (node, mut events) = DoraNode::init_testing(TestingInput::FromJsonFile(file), output, NO_TIMES).unwrap();
    assert_eq!(node.id().as_str(), "b");
    assert_eq!(common::all(&mut events), lived);
}

#[test]
fn incomplete_recordings_are_refused() {
    let poisoned = json!({ "id": "n", "events": [], "recording_status": { "state": "poisoned",
        "first_failure_event_index": 3, "first_failure_time_offset_secs": 0.5, "first_failure_error": "disk full",
        "additional_failures": 0 } });
    let (sender, _receiver) = output_channel();
    let input = TestingInput::Input(serde_json::from_value(poisoned).unwrap());
    let error = DoraNode::init_testing(input, TestingOutput::ToChannel(sender), NO_TIMES).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("disk full"), "{error}");
}
