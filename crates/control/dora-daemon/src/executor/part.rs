//! The part of a dataflow that runs on this machine.

use std::{collections::BTreeSet, path::Path};

use dora_descriptor::{Dataflow, Input, Options, Source};
use dora_gateways::{NodeMistake, Trouble};
use dora_message::id::NodeId;

/// A dataflow of which only the nodes of this machine are left.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) dataflow: Dataflow,
    /// All of it, as nodes are told it.
    pub(super) whole: serde_json::Value,
}

/// Reads the text of a dataflow and takes these nodes out of it.
pub(super) fn take(text: &str, file: &Path, here: &[NodeId]) -> Result<Part, Trouble> {
    // Who has sent the text has resolved its variables.
    let options = Options { env: &|_| None, ..Options::default() };
    let loaded = dora_descriptor::parse(&file.to_string_lossy(), text, &options);
    let mut dataflow = loaded.map_err(|mistakes| Trouble::CannotRun(mistakes.render(false)))?.dataflow;
    let here: BTreeSet<&NodeId> = here.iter().collect();
    let mistakes = mistakes(&dataflow, &here);
    if !mistakes.is_empty() {
        return Err(Trouble::Mistakes(mistakes));
    }
    let whole = dora_descriptor::expanded_json(&dataflow);
    dataflow.nodes.retain(|node| here.contains(&node.id));
    Ok(Part { dataflow, whole })
}

fn mistakes(dataflow: &Dataflow, here: &BTreeSet<&NodeId>) -> Vec<NodeMistake> {
    let unknown = here.iter().filter(|id| dataflow.node(id).is_none()).map(|id| NodeMistake {
        node: (*id).clone(),
        key: None,
        message: "the dataflow has no such node".to_owned(),
        hint: None,
        last_lines: Vec::new(),
    });
    let inputs = dataflow.nodes.iter().flat_map(|node| node.inputs.iter().map(move |(id, input)| (node, id, input)));
    let crossing = inputs.filter_map(|(node, id, input)| {
        let from = producer(input).filter(|from| here.contains(from) != here.contains(&node.id))?;
        Some(NodeMistake {
            node: node.id.clone(),
            key: Some("inputs".to_owned()),
            message: format!("its input `{id}` comes from node `{from}` on another machine"),
            hint: Some("this version carries messages within a machine only; place both nodes on one".to_owned()),
            last_lines: Vec::new(),
        })
    });
    unknown.chain(crossing).collect()
}

fn producer(input: &Input) -> Option<&NodeId> {
    match &input.source {
        Source::Node { node, .. } => Some(node),
        Source::Logs { node, .. } => node.as_ref(),
        Source::Timer { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
nodes:
  - { id: a, path: a, outputs: [x] }
  - { id: b, path: b, inputs: { in: a/x } }
  - { id: c, path: c, inputs: { tick: dora/timer/millis/10 } }
";

    fn ids(dataflow: &Dataflow) -> Vec<NodeId> {
        dataflow.nodes.iter().map(|node| node.id.clone()).collect()
    }

    fn take_nodes(nodes: &[&str]) -> Result<Part, Trouble> {
        let nodes: Vec<NodeId> = nodes.iter().map(|&node| node.into()).collect();
        take(TEXT, Path::new("dataflow.yml"), &nodes)
    }

    #[test]
    fn only_the_nodes_of_this_machine_are_left_but_nodes_see_all() {
        let part = take_nodes(&["c"]).unwrap();
        assert_eq!(ids(&part.dataflow), [NodeId::from("c")]);
        assert_eq!(part.whole["nodes"].as_array().map(Vec::len), Some(3));
        assert_eq!(ids(&take_nodes(&["a", "b"]).unwrap().dataflow).len(), 2);
    }

    #[test]
    fn an_edge_to_another_machine_and_an_unknown_node_are_mistakes() {
        let Err(Trouble::Mistakes(mistakes)) = take_nodes(&["b", "c", "d"]) else { panic!("it was taken") };
        let words: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(words[0], "node `d`: the dataflow has no such node");
        assert!(words[1].starts_with("node `b`: its input `in` comes from node `a` on another machine"), "{words:?}");
        assert_eq!(mistakes[1].key.as_deref(), Some("inputs"));
    }
}
