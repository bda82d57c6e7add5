//! Runs the node of a test with written events and collects what it sends.

use dora_node_api::integration_testing::{
    TestingInput, TestingOptions, TestingOutput, drain_outputs, output_channel, setup_integration_testing,
};
use serde_json::{Value, json};

/// Each output as `id: data`.
pub fn outputs_of(main: impl FnOnce() -> eyre::Result<()>, events: Value) -> eyre::Result<Vec<String>> {
    let input = serde_json::from_value(json!({ "id": "node", "events": events }))?;
    let (sender, mut receiver) = output_channel();
    let options = TestingOptions { skip_output_time_offsets: true };
    setup_integration_testing(TestingInput::Input(input), TestingOutput::ToChannel(sender), options);
    main()?;
    Ok(drain_outputs(&mut receiver).iter().map(|output| format!("{}: {}", output["id"], output["data"])).collect())
}

/// An input event without a type.
pub fn input(id: &str, data: Value) -> Value {
    json!({ "type": "Input", "id": id, "time_offset_secs": 0.0, "data": data })
}
