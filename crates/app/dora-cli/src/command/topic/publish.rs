//! `dora topic pub`: sends messages in the place of a node.

use std::{path::PathBuf, process::ExitCode};

use dora_descriptor::primitive;
use dora_gateways::{DataflowSelector, DispatcherGateway as _, OutputId, RawMessage};
use serde_json::Value;

use super::{message, parse_topic, topic_name};
use crate::{
    choice::Scope,
    command::print,
    error::{CommandError, file_error},
    load,
};

const EXAMPLES: &str = "\
Examples:
  dora topic pub camera/image '[1, 2, 3]'
  dora topic pub talker/text '\"hello\"' --count 10
  dora topic pub arm/goal '{\"data\": [1, 2], \"data_type\": \"UInt8\", \"metadata\": {\"goal_id\": \"a\"}}'
  dora topic pub arm/goal --file goal.json

A list is an array of its values, any other value an array of one. The type is what the dataflow file says
of the output, else what `data_type` says, else a guess. All consumers of the output receive it, as if its node had sent it.";

/// Send a message to the consumers of an output, as if its node had.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The output.
    #[arg(value_name = "NODE/OUTPUT", value_parser = parse_topic)]
    topic: OutputId,
    /// What is sent.
    #[arg(value_name = "JSON", required_unless_present = "file", conflicts_with = "file")]
    json: Option<String>,
    /// A file that holds what is sent.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// How often it is sent, one after the other.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    #[command(flatten)]
    scope: Scope,
}

pub(super) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let value = arguments.value()?;
    let (client, info) = arguments.scope.open()?;
    let dataflow = load::of_coordinator(&info)?;
    let output = dataflow.node(&arguments.topic.node).and_then(|node| node.outputs.get(&arguments.topic.output));
    let message = arguments.message(&value, output.and_then(|output| output.type_urn.as_deref()))?;
    let dispatcher = client.dispatcher();
    for _ in 0..arguments.count {
        let dataflow = DataflowSelector::Id(info.summary.id);
        client.run(dispatcher.publish(dataflow, arguments.topic.clone(), message.clone()))?;
    }
    print(&format!("Published to {}\n", topic_name(&arguments.topic)))?;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// What is to be sent.
    fn value(&self) -> Result<Value, CommandError> {
        let text = match (&self.json, &self.file) {
            (Some(json), _) => json.clone(),
            (None, Some(file)) => std::fs::read_to_string(file).map_err(|error| file_error("read", file, &error))?,
            // clap asks for one of them.
            (None, None) => return Err(CommandError::usage("there is nothing to send", "give JSON, or `--file`")),
        };
        serde_json::from_str(&text).map_err(|error| {
            CommandError::failed(format!("{} is not JSON: {error}", self.origin()))
                .with_hint("a text needs quotes inside those of the shell: '\"hello\"'")
        })
    }

    /// The message, of the type that the dataflow file declares for the output.
    fn message(&self, value: &Value, declared: Option<&str>) -> Result<RawMessage, CommandError> {
        message::raw(value, declared.and_then(primitive)).map_err(|error| {
            let failed = CommandError::failed(format!("{} cannot be sent: {error}", self.origin()));
            failed.with_hint(match declared {
                Some(urn) => format!("`{}` carries `{urn}`, says the dataflow file", topic_name(&self.topic)),
                None => "`data_type` says the type, as Arrow calls it: '{\"data\": [1], \"data_type\": \"UInt8\"}'"
                    .to_owned(),
            })
        })
    }

    fn origin(&self) -> String {
        self.file.as_ref().map_or_else(|| "the message".to_owned(), |file| format!("`{}`", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::parsed;

    fn message(words: &[&str]) -> Result<RawMessage, CommandError> {
        let arguments: Arguments = parsed(words).expect("a good line");
        arguments.message(&arguments.value()?, None)
    }

    #[test]
    fn messages_come_from_the_command_line_or_a_file() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("message.json");
        std::fs::write(&file, "[1, 2]").expect("written");
        let of_file = message(&["a/x", "--file", &file.to_string_lossy()]).expect("a message");
        assert_eq!(of_file, message(&["a/x", "[1, 2]"]).expect("a message"));
        let error = message(&["a/x", "hello"]).expect_err("no JSON").to_string();
        assert!(error.starts_with("the message is not JSON"), "{error}");
        std::fs::write(&file, "[1, true]").expect("written");
        let error = message(&["a/x", "--file", &file.to_string_lossy()]).expect_err("mixed").to_string();
        assert!(error.contains("message.json` cannot be sent"), "{error}");
        assert!(parsed::<Arguments>(&["a/x"]).is_err(), "nothing to send");
        let declared: Arguments = parsed(&["a/x", "[1]"]).expect("a good line");
        let value = declared.value().expect("JSON");
        let refused = declared.message(&value, Some("std/core/v1/String")).expect_err("no text");
        assert_eq!(refused.hint(), Some("`a/x` carries `std/core/v1/String`, says the dataflow file"));
    }
}
