//! What is told of dynamic nodes: that they may join, that they did, that they left.

use dora_message::{id::NodeId, supervision::LaunchPlan};

/// Nodes that are named in one line.
const MOST_NAMED: usize = 8;

/// What may join once messages flow; nothing without dynamic nodes.
pub(super) fn invitation(plan: &LaunchPlan) -> Option<String> {
    let nodes: Vec<&NodeId> = plan.nodes.iter().filter(|node| node.is_dynamic()).map(|node| &node.id).collect();
    let names: Vec<_> = nodes.iter().take(MOST_NAMED).map(|node| format!("`{node}`")).collect();
    let names = names.join(", ");
    let who = match (nodes.len(), nodes.len().saturating_sub(MOST_NAMED)) {
        (0, _) => return None,
        (1, _) => format!("dynamic node {names} may join"),
        (_, 0) => format!("dynamic nodes {names} may join"),
        (_, more) => format!("dynamic nodes {names} and {more} more may join"),
    };
    Some(format!("{who}; this is dataflow {}", plan.dataflow_id))
}

/// A process has joined.
pub(super) fn joined(node: &NodeId, pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid} has joined as node `{node}`"),
        None => format!("a process has joined as node `{node}`"),
    }
}

/// It has left, or is gone.
pub(super) fn left(node: &NodeId, in_order: bool) -> String {
    match in_order {
        true => format!("node `{node}` has left; it may join again"),
        false => format!("node `{node}` is gone without having left: it crashed or was killed; it may join again"),
    }
}

#[cfg(test)]
mod tests {
    use dora_message::id::DataflowId;

    use super::*;

    #[test]
    fn nodes_are_invited_by_name() {
        let node = |id: &str, program: Option<&str>| {
            serde_json::json!({
                "id": id, "program": program, "args": [], "env": [], "working_dir": "/", "inputs": [], "outputs": []
            })
        };
        let plan = |nodes: Vec<serde_json::Value>| -> LaunchPlan {
            serde_json::from_value(serde_json::json!({
                "dataflow_id": DataflowId::nil(), "clock_anchor_ns": 0, "memory_budget": 0,
                "exit_when_nodes_finish": false, "write_events_to": null, "descriptor": {}, "nodes": nodes, "edges": []
            }))
            .expect("a plan")
        };
        assert_eq!(invitation(&plan(vec![node("a", Some("/bin/a"))])), None);
        let one = invitation(&plan(vec![node("a", Some("/bin/a")), node("plot", None)]));
        let id = DataflowId::nil();
        assert_eq!(one, Some(format!("dynamic node `plot` may join; this is dataflow {id}")));
        let many = (0..10).map(|number| node(&format!("n{number}"), None)).collect();
        assert!(invitation(&plan(many)).is_some_and(|text| text.contains("`n7` and 2 more may join")));
    }
}
