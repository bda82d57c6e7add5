//! The edges of a dataflow, with positions instead of names.

use std::collections::HashMap;

use dora_descriptor::{Dataflow, Input, Node, Source, model::LogLevel};
use dora_message::{
    id::{DataId, NodeId},
    supervision::{EdgePlan, EdgeSource},
};

use super::log;

/// All edges, in the order of the consuming inputs. Timers run in the nodes and need none.
pub(super) fn plans(dataflow: &Dataflow) -> Vec<EdgePlan> {
    let numbers = dataflow.nodes.iter().zip(0_u32..).map(|(node, number)| (&node.id, (number, node))).collect();
    let inputs = dataflow.nodes.iter().flat_map(|node| node.inputs.iter().map(move |(id, input)| (node, id, input)));
    inputs.filter_map(|(to, id, input)| plan(&numbers, to, id, input)).collect()
}

/// A loaded dataflow has no edge without both nodes.
fn plan(numbers: &HashMap<&NodeId, (u32, &Node)>, to: &Node, id: &DataId, input: &Input) -> Option<EdgePlan> {
    let (from, output) = match &input.source {
        Source::Node { node, output } => {
            let (number, producer) = *numbers.get(node)?;
            let printed = log::carries_lines(producer, output);
            let from = if printed { EdgeSource::Printed(number) } else { EdgeSource::Node(number) };
            (from, output.clone())
        }
        Source::Logs { level, node } => {
            let node = match node {
                Some(node) => Some(numbers.get(node)?.0),
                None => None,
            };
            let level = level.unwrap_or(LogLevel::Stdout);
            let name = input.source.to_string();
            let output = DataId::from(name.strip_prefix("dora/").unwrap_or(&name));
            (EdgeSource::Logs { level, node }, output)
        }
        Source::Timer { .. } => return None,
    };
    let to = numbers.get(&to.id)?.0;
    Some(EdgePlan { from, output, to, input: id.clone(), capacity: input.queue_size, policy: input.queue_policy })
}
