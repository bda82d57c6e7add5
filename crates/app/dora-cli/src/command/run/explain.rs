//! What `dora run -v` tells before it starts anything.

use dora_daemon::Prepared;
use dora_message::supervision::{LaunchPlan, NodePlan};

use crate::{
    units::show_size,
    words::{edge_words, policy_word},
};

/// Programs, edges, memory: one line each.
pub(super) fn lines(prepared: &Prepared) -> Vec<String> {
    let plan = &prepared.plan;
    let mut lines = vec![format!(
        "dataflow {}: {} nodes, {} edges, at most {} of shared memory",
        plan.dataflow_id,
        plan.nodes.len(),
        plan.edges.len(),
        show_size(plan.memory_budget)
    )];
    lines.extend(plan.nodes.iter().map(node_line));
    lines.extend((0..plan.edges.len()).map(|index| edge_line(plan, index)));
    lines
}

fn node_line(node: &NodePlan) -> String {
    let arguments: String = node.args.iter().map(|argument| format!(" {argument:?}")).collect();
    format!("node `{}` runs {}{arguments} in {}", node.id, node.program.display(), node.working_dir.display())
}

fn edge_line(plan: &LaunchPlan, index: usize) -> String {
    let edge = &plan.edges[index];
    let name = |node: u32| plan.nodes.get(node as usize).map_or("?", |node| node.id.as_str());
    let from = edge.from.node().map_or("dora", name);
    let words = edge_words(from, &edge.output, name(edge.to), &edge.input);
    format!("edge {words}: {}, queue {}", policy_word(edge.policy), edge.capacity)
}
