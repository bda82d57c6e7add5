//! What is told, if everything is, before anything is started.

use std::iter;

use dora_daemon::{Interpreter, interpreter};
use dora_message::supervision::{LaunchPlan, NodePlan};

use crate::{
    units::show_size,
    words::{edge_words, policy_word},
};

/// Programs, edges, memory: one line each.
pub(super) fn lines(plan: &LaunchPlan) -> Vec<String> {
    let mut lines = vec![format!(
        "dataflow {}: {} nodes, {} edges, at most {} of shared memory",
        plan.dataflow_id,
        plan.nodes.len(),
        plan.edges.len(),
        show_size(plan.memory_budget)
    )];
    lines.extend(plan.nodes.iter().flat_map(|node| iter::once(node_line(node)).chain(python_line(node))));
    lines.extend((0..plan.edges.len()).map(|index| edge_line(plan, index)));
    lines
}

fn node_line(node: &NodePlan) -> String {
    let Some(program) = &node.program else {
        return format!("node `{}` is dynamic: a process joins as it by itself", node.id);
    };
    let arguments: String = node.args.iter().map(|argument| format!(" {argument:?}")).collect();
    format!("node `{}` runs {}{arguments} in {}", node.id, program.display(), node.working_dir.display())
}

/// Which Python runs a node, and why.
fn python_line(node: &NodePlan) -> Option<String> {
    if node.program.as_ref().is_some_and(|program| program.ends_with("uv")) {
        return Some(format!("node `{}` is given its Python by uv, as the project wants it", node.id));
    }
    let Interpreter { program, reason, .. } = interpreter(node)?;
    Some(format!("node `{}` is run by {}: {reason}", node.id, program.display()))
}

fn edge_line(plan: &LaunchPlan, index: usize) -> String {
    let edge = &plan.edges[index];
    let name = |node: u32| plan.nodes.get(node as usize).map_or("?", |node| node.id.as_str());
    let from = edge.from.node().map_or("dora", name);
    let words = edge_words(from, &edge.output, name(edge.to), &edge.input);
    format!("edge {words}: {}, queue {}", policy_word(edge.policy), edge.capacity)
}
