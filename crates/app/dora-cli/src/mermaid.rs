//! A dataflow as a Mermaid flow chart, for documents that render it.

use std::{collections::BTreeSet, fmt::Write as _};

use dora_descriptor::{Dataflow, Node, Source, model::TimerInterval};

/// The chart. Sources lean to one side, sinks to the other; timers and logs stand in a box of their own.
pub(crate) fn chart(dataflow: &Dataflow) -> String {
    let mut chart = String::from("flowchart TB\n");
    for node in &dataflow.nodes {
        let _ = writeln!(chart, "  {}", shape(node));
    }
    chart += &builtin_box(dataflow);
    for node in &dataflow.nodes {
        for (id, input) in &node.inputs {
            let (from, label) = match &input.source {
                Source::Node { node, output } if output == id => (node.to_string(), id.to_string()),
                Source::Node { node, output } => (node.to_string(), format!("{output} as {id}")),
                builtin => (builtin.to_string(), id.to_string()),
            };
            let _ = writeln!(chart, "  {from} -- {label} --> {}", node.id);
        }
    }
    chart
}

fn shape(node: &Node) -> String {
    let id = &node.id;
    match (node.inputs.is_empty(), node.outputs.is_empty()) {
        (true, false) => format!("{id}[\\{id}\\]"),
        (false, true) => format!("{id}[/{id}\\]"),
        _ => id.to_string(),
    }
}

fn builtin_box(dataflow: &Dataflow) -> String {
    let sources = || dataflow.nodes.iter().flat_map(|node| node.inputs.values()).map(|input| &input.source);
    let timers: BTreeSet<_> = sources()
        .filter_map(|source| if let Source::Timer { interval } = source { Some(*interval) } else { None })
        .collect();
    let logs: BTreeSet<String> =
        sources().filter(|source| matches!(source, Source::Logs { .. })).map(ToString::to_string).collect();
    if timers.is_empty() && logs.is_empty() {
        return String::new();
    }
    let mut text = String::from("subgraph ___dora___ [dora]\n");
    if !timers.is_empty() {
        text += "  subgraph ___timer_timer___ [timer]\n";
        for interval in timers.into_iter().map(TimerInterval) {
            let _ = writeln!(text, "    dora/timer/{interval}[\\{interval}\\]");
        }
        text += "  end\n";
    }
    for source in logs {
        let _ = writeln!(text, "  {source}[\\{}\\]", source.trim_start_matches("dora/"));
    }
    text + "end\n"
}
