//! `dora topic list`: the outputs of a dataflow, and who receives them.

use std::process::ExitCode;

use dora_descriptor::{Dataflow, graph};
use dora_message::id::{DataId, NodeId};
use serde::Serialize;

use crate::{
    choice::Scope,
    command::{ListFormat, print_rows},
    error::CommandError,
    load,
    table::Align,
};

const EXAMPLES: &str = "\
Examples:
  dora topic list
  dora topic list -d camera-rig --format json";

/// Show the outputs of a dataflow, and who receives them.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// How the list is written.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    format: ListFormat,
    #[command(flatten)]
    scope: Scope,
}

/// An output and its consumers.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Topic {
    pub(super) node: NodeId,
    pub(super) name: DataId,
    /// `node/input`.
    pub(super) subscribers: Vec<String>,
}

pub(super) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let (_client, info) = arguments.scope.open()?;
    let topics = topics(&load::of_coordinator(&info)?);
    let head = [("Node", Align::Left), ("Name", Align::Left), ("Subscribers", Align::Left)];
    print_rows(
        arguments.format,
        &head,
        &topics,
        |topic| topic,
        |topic| {
            let subscribers = if topic.subscribers.is_empty() { "-".to_owned() } else { topic.subscribers.join(", ") };
            vec![topic.node.to_string(), topic.name.to_string(), subscribers]
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// All outputs, in the order of the file.
pub(super) fn topics(dataflow: &Dataflow) -> Vec<Topic> {
    let outputs = dataflow.nodes.iter().flat_map(|node| node.outputs.keys().map(move |output| (&node.id, output)));
    let topic = |(node, output): (&NodeId, &DataId)| {
        let edges = graph::edges(dataflow).filter(|edge| (edge.from, edge.output) == (node, output));
        let subscribers = edges.map(|edge| format!("{}/{}", edge.to, edge.input)).collect();
        Topic { node: node.clone(), name: output.clone(), subscribers }
    };
    outputs.map(topic).collect()
}

#[cfg(test)]
mod tests {
    use dora_descriptor::Options;

    use super::*;

    #[test]
    fn outputs_are_listed_with_their_consumers() {
        let text = "
nodes:
  - { id: camera, path: camera.py, outputs: [image, sound] }
  - { id: plot, path: plot.py, inputs: { picture: camera/image } }";
        let loaded = dora_descriptor::parse("dataflow.yml", text, &Options::default()).expect("a dataflow");
        let topics = topics(&loaded.dataflow);
        let told: Vec<_> = topics.iter().map(|topic| (topic.name.as_str(), topic.subscribers.join(" "))).collect();
        assert_eq!(told, [("image", "plot/picture".to_owned()), ("sound", String::new())]);
    }
}
