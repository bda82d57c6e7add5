//! What the environment makes of a process. Each test starts this test program again, as the node.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use dora_node::{DoraNode, Event};

const AS_NODE: &str = "DORA_NODE_TEST_AS";

/// Not a test by itself: the node of the tests below. It sends back what it receives and prints why it does not start.
#[test]
fn as_node() {
    let Ok(way) = std::env::var(AS_NODE) else { return };
    let started = match way.as_str() {
        "interactive" => DoraNode::init_interactive(),
        "env" => DoraNode::init_from_env(),
        _ => DoraNode::init_flexible("flexible".into()),
    };
    let (mut node, mut events) = match started {
        Ok(started) => started,
        Err(error) => return println!("cannot start: {error}"),
    };
    #[cfg(feature = "tracing")]
    let _guard = dora_node::init_tracing(node.id(), node.dataflow_id()).unwrap();
    #[cfg(feature = "tracing")]
    tracing::warn!(inputs = 2, "ready");
    while let Some(event) = events.recv() {
        match event {
            Event::Input { id, metadata, data } => node.send_output(id, metadata.parameters, data).unwrap(),
            other => println!("{other:?}"),
        }
    }
    println!("the end");
}

fn run(way: &str, stdin: &str, env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["as_node", "--exact", "--nocapture"]).env(AS_NODE, way);
    for name in ["DORA_NODE_CONFIG", "DORA_TEST_WITH_INPUTS", "DORA_TEST_WRITE_OUTPUTS_TO", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.envs(env.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_typed_line_is_an_event() {
    let output = run("interactive", "number 7\nnonsense {\nnames [\"a\", \"b\"]\nclosed number\n", &[]);
    let text = stdout(&output);
    for line in [
        r#"{"id":"number","data":[7],"data_type":"Int64"}"#,
        r#"{"id":"names","data":["a","b"],"data_type":"Utf8"}"#,
        r#"InputClosed { id: "number" }"#,
        "the end",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("This node runs alone") && told.contains("not understood: `{` is not JSON"), "{told}");
}

#[test]
fn nothing_in_the_environment_is_an_error_with_a_way_out() {
    let text = stdout(&run("env", "", &[]));
    assert!(
        text.contains("cannot start: this process was not started as a node") && text.contains("dora run"),
        "{text}"
    );
    // It would join whatever runs beside the test.
    let nowhere = uuid::Uuid::nil().to_string();
    let text = stdout(&run("flexible", "", &[("DORA_DATAFLOW_ID", &nowhere)]));
    assert!(text.contains(&format!("node `flexible` cannot join dataflow {nowhere}")), "{text}");
}

#[test]
fn a_configuration_that_is_none_is_named() {
    let text = stdout(&run("env", "", &[("DORA_NODE_CONFIG", "dataflow_id: 7")]));
    assert!(text.contains("DORA_NODE_CONFIG is set, but is not the configuration of a node"), "{text}");
    let config = r#"{"dataflow_id":"00000000-0000-0000-0000-000000000000","node_id":"a","keeper_fd":77}"#;
    let text = stdout(&run("env", "", &[("DORA_NODE_CONFIG", config)]));
    assert!(text.contains("names descriptor 77, which is not a connection"), "{text}");
}

#[test]
fn test_inputs_are_played_and_outputs_written_beside_them() {
    let directory = tempfile::tempdir().unwrap();
    let inputs = directory.path().join("inputs.json");
    let events = r#"{ "id": "n", "events": [
        { "type": "Input", "id": "x", "time_offset_secs": 0.0, "data": [1.5], "data_type": "Float32" },
        { "type": "Stop", "time_offset_secs": 0.001 } ] }"#;
    std::fs::write(&inputs, events).unwrap();
    let env = [("DORA_TEST_WITH_INPUTS", inputs.to_str().unwrap()), ("DORA_TEST_NO_OUTPUT_TIME_OFFSET", "1")];
    let text = stdout(&run("env", "", &env));
    assert!(text.contains("Stop(Manual)") && text.contains("the end"), "{text}");
    let outputs = std::fs::read_to_string(directory.path().join("outputs.jsonl")).unwrap();
    assert_eq!(outputs, "{\"id\":\"x\",\"data\":[1.5],\"data_type\":\"Float32\"}\n");
    #[cfg(feature = "tracing")]
    {
        let line = text.lines().find(|line| line.contains("\"ready\"")).unwrap_or_default();
        let start = line.find('{').unwrap_or_default();
        let line: serde_json::Value = serde_json::from_str(&line[start..]).unwrap();
        assert_eq!((line["level"].as_str(), line["node_id"].as_str()), (Some("warn"), Some("n")));
        assert_eq!(line["fields"]["inputs"], "2");
    }
}
