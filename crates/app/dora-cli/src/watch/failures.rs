//! What is told of nodes that did not end well: the first of them in full, the rest in few lines, however many there are.

use dora_daemon::NodeResult;
use dora_gateways::NodeOutcome;

/// As wide as such rules are in dora.
const RULE: usize = 81;
/// Nodes that are told one by one.
pub(super) const MOST_TOLD: usize = 12;
/// Nodes that are named in one line.
const MOST_NAMED: usize = 8;

/// Whether the node ended because of something else, which is told too.
pub(super) fn follows_another(node: &NodeOutcome) -> bool {
    matches!(node.result, NodeResult::Cascading { .. } | NodeResult::Lost)
}

/// One line about one node.
pub(super) fn headline(node: &NodeOutcome) -> String {
    format!("Node `{}` failed: {}", node.node, node.result)
}

/// All lines about all of them, in their order.
pub(super) fn lines(failures: &[&NodeOutcome]) -> Vec<String> {
    let (followers, own): (Vec<&NodeOutcome>, Vec<&NodeOutcome>) =
        failures.iter().copied().partition(|node| follows_another(node));
    let (first, rest) = own.split_at(own.len().min(MOST_TOLD));
    let mut lines: Vec<String> = first.iter().flat_map(|node| in_full(node)).collect();
    lines.extend(together(rest));
    lines.extend(together(&followers));
    lines
}

fn in_full(node: &NodeOutcome) -> Vec<String> {
    if node.last_stderr.is_empty() {
        return vec![headline(node)];
    }
    let mut lines = vec![format!("{} with stderr output:", headline(node))];
    lines.push("-".repeat(RULE));
    lines.extend(node.last_stderr.iter().cloned());
    lines.push("-".repeat(RULE));
    lines
}

/// One line for each way to end.
fn together(nodes: &[&NodeOutcome]) -> Vec<String> {
    let mut groups: Vec<(&NodeResult, Vec<&NodeOutcome>)> = Vec::new();
    for node in nodes {
        match groups.iter_mut().find(|(result, _)| **result == node.result) {
            Some((_, group)) => group.push(node),
            None => groups.push((&node.result, vec![node])),
        }
    }
    groups.truncate(MOST_TOLD);
    groups.iter().map(|(result, group)| group_line(result, group)).collect()
}

fn group_line(result: &NodeResult, group: &[&NodeOutcome]) -> String {
    if let [node] = group {
        return headline(node);
    }
    let names: Vec<_> = group.iter().take(MOST_NAMED).map(|node| format!("`{}`", node.node)).collect();
    let more = match group.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("Nodes {}{more} failed, each of them: {result}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use dora_message::supervision::ExitStatus;

    use super::*;

    fn node(number: usize, result: NodeResult, last_stderr: &[&str]) -> NodeOutcome {
        let last_stderr = last_stderr.iter().map(|&line| line.to_owned()).collect();
        NodeOutcome { node: format!("n{number}").into(), result, never_connected: false, last_stderr }
    }
    fn told(nodes: &[NodeOutcome]) -> Vec<String> {
        lines(&nodes.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_failure_comes_with_its_last_words() {
        let failed = NodeResult::Failed(ExitStatus::Code { code: 3 });
        let lines = told(&[node(0, failed, &["boom"]), node(1, NodeResult::Lost, &["noise"])]);
        assert_eq!(lines[0], "Node `n0` failed: exited with code 3 with stderr output:");
        assert_eq!((lines.len(), lines[2].as_str()), (5, "boom"));
        assert_eq!(lines[4], "Node `n1` failed: was ended because the dataflow could not go on");
    }

    #[test]
    fn hundreds_of_failures_are_told_in_few_lines() {
        let failed = || NodeResult::Failed(ExitStatus::Code { code: 3 });
        let mut nodes: Vec<_> = (0..200).map(|number| node(number, failed(), &["boom"])).collect();
        let cascading = || NodeResult::Cascading { caused_by: Some("n0".into()), status: ExitStatus::Code { code: 1 } };
        nodes.extend((200..300).map(|number| node(number, cascading(), &[])));
        let lines = told(&nodes);
        assert_eq!(lines.len(), MOST_TOLD * 4 + 2);
        assert!(lines[MOST_TOLD * 4].starts_with("Nodes `n12`, `n13`"), "{lines:#?}");
        assert!(lines[MOST_TOLD * 4].ends_with("and 180 more failed, each of them: exited with code 3"), "{lines:#?}");
        assert!(lines[MOST_TOLD * 4 + 1].ends_with("each of them: did not run because node `n0` failed"), "{lines:#?}");
    }
}
