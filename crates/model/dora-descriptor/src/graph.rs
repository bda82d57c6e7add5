//! The dataflow as a graph: which output feeds which input.

use std::collections::HashMap;

use dora_message::{
    id::{DataId, NodeId},
    keeper::QueuePolicy,
};

use crate::model::{Dataflow, Node, Source};

/// One edge: an output that feeds an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge<'a> {
    /// The producing node.
    pub from: &'a NodeId,
    /// Its output, `<operator>/<output>` for a runtime node.
    pub output: &'a DataId,
    /// The consuming node.
    pub to: &'a NodeId,
    /// Its input, `<operator>/<input>` for a runtime node.
    pub input: &'a DataId,
    /// What happens when the queue is full.
    pub policy: QueuePolicy,
    /// Messages that wait at most.
    pub queue_size: u32,
    /// URN of the type that is sent, if the file says.
    pub type_urn: Option<&'a str>,
}

/// All edges between nodes, in the order of the consuming inputs. Timers and logs are not edges.
pub fn edges(dataflow: &Dataflow) -> impl Iterator<Item = Edge<'_>> {
    let nodes: HashMap<&NodeId, &Node> = dataflow.nodes.iter().map(|node| (&node.id, node)).collect();
    let inputs = dataflow.nodes.iter().flat_map(|node| node.inputs.iter().map(move |(id, input)| (node, id, input)));
    inputs.filter_map(move |(to, id, input)| match &input.source {
        Source::Node { node: from, output } => Some(Edge {
            from,
            output,
            to: &to.id,
            input: id,
            policy: input.queue_policy,
            queue_size: input.queue_size,
            type_urn: nodes
                .get(from)
                .and_then(|producer| producer.outputs.get(output))
                .and_then(|output| output.type_urn.as_deref()),
        }),
        Source::Timer { .. } | Source::Logs { .. } => None,
    })
}
