//! How a dataflow and its nodes ended: what the keeper saw, judged.

use dora_gateways::{EdgeOutcome, NodeOutcome, Outcome, Trouble};
use dora_message::{
    id::NodeId,
    keeper::EdgeCounters,
    result::NodeResult,
    supervision::{EdgePlan, ExitCause, ExitStatus, FinalReport, KeeperState, LaunchPlan, NodeEnd, NodeLife},
};

/// What is known of a run so far.
#[derive(Debug)]
pub(crate) struct Record {
    edges: Vec<EdgeOutcome>,
    /// Nodes that have not ended.
    open: Vec<NodeId>,
    /// Dynamic nodes, and whether a process has joined as each.
    dynamic: Vec<(NodeId, bool)>,
    ended: Vec<NodeOutcome>,
}

/// The edges of a plan, which have counted nothing yet.
pub(crate) fn edges(plan: &LaunchPlan) -> Vec<EdgeOutcome> {
    let id = |index: u32| plan.nodes.get(index as usize).map_or_else(|| NodeId::from("?"), |node| node.id.clone());
    let edge = |edge: &EdgePlan| EdgeOutcome {
        from: edge.from.node().map_or_else(|| NodeId::from("dora"), id),
        output: edge.output.clone(),
        to: id(edge.to),
        input: edge.input.clone(),
        policy: edge.policy,
        capacity: edge.capacity,
        counters: EdgeCounters::default(),
    };
    plan.edges.iter().map(edge).collect()
}

impl Record {
    pub(crate) fn new(plan: &LaunchPlan) -> Self {
        Record {
            edges: edges(plan),
            open: plan.nodes.iter().filter(|node| !node.is_dynamic()).map(|node| node.id.clone()).collect(),
            dynamic: plan.nodes.iter().filter(|node| node.is_dynamic()).map(|node| (node.id.clone(), false)).collect(),
            ended: Vec::with_capacity(plan.nodes.len()),
        }
    }

    /// What a keeper knows that ran without a supervisor for some time: as if nothing had happened.
    pub(crate) fn of(state: &KeeperState) -> Self {
        let mut record = Record::new(&state.plan);
        for NodeEnd { node, status, cause, never_connected, last_stderr } in state.ends.iter().cloned() {
            record.exited(node, status, cause, never_connected, last_stderr);
        }
        for (plan, node) in state.plan.nodes.iter().zip(&state.nodes) {
            if node.restarts > 0 || matches!(node.life, NodeLife::Dynamic { here: true, .. }) {
                record.joined(&plan.id);
            }
        }
        record
    }

    /// How a node ended, if it has.
    pub(crate) fn result_of(&self, node: &NodeId) -> Option<&NodeResult> {
        self.ended.iter().find(|outcome| outcome.node == *node).map(|outcome| &outcome.result)
    }

    /// A process has become a dynamic node.
    pub(crate) fn joined(&mut self, node: &NodeId) {
        for (id, joined) in &mut self.dynamic {
            *joined |= id == node;
        }
    }

    /// A node has ended.
    pub(crate) fn exited(
        &mut self,
        node: NodeId,
        status: ExitStatus,
        cause: ExitCause,
        never_connected: bool,
        last_stderr: Vec<String>,
    ) -> NodeOutcome {
        let result = match (cause, status) {
            (ExitCause::Own, ExitStatus::SpawnFailed { error }) => NodeResult::NotStarted(error),
            (ExitCause::Own, status) if !status.is_success() => NodeResult::Failed(status),
            (ExitCause::Own | ExitCause::Stopped, _) => NodeResult::Success,
            (ExitCause::NotRestarted, status) => NodeResult::NotRestarted(status),
            (ExitCause::Overdue(overdue), _) => NodeResult::Overdue(overdue),
            (ExitCause::GraceExceeded, _) => NodeResult::GraceExceeded,
            (ExitCause::Cascading, status) => NodeResult::Cascading { caused_by: self.first_cause(), status },
        };
        let outcome = NodeOutcome { node, result, never_connected, last_stderr };
        self.open.retain(|open| *open != outcome.node);
        self.ended.push(outcome.clone());
        outcome
    }

    fn first_cause(&self) -> Option<NodeId> {
        self.ended.iter().find(|outcome| outcome.rank() == 0).map(|outcome| outcome.node.clone())
    }

    /// Everything is over.
    pub(crate) fn finish(mut self, report: FinalReport, trouble: Option<Trouble>) -> Outcome {
        for (edge, counters) in self.edges.iter_mut().zip(report.edges) {
            edge.counters = counters;
        }
        let outcome = |node, result| NodeOutcome { node, result, never_connected: false, last_stderr: Vec::new() };
        self.ended.extend(self.open.drain(..).map(|node| outcome(node, NodeResult::Lost)));
        let result = |joined| if joined { NodeResult::Success } else { NodeResult::NeverJoined };
        self.ended.extend(self.dynamic.drain(..).map(|(node, joined)| outcome(node, result(joined))));
        // What was reported before its cause learns of it now.
        let cause = self.first_cause();
        for outcome in &mut self.ended {
            if let NodeResult::Cascading { caused_by, .. } = &mut outcome.result {
                caused_by.clone_from(&cause);
            }
        }
        self.ended.sort_by_key(NodeOutcome::rank);
        Outcome { nodes: self.ended, edges: self.edges, orphans_killed: report.orphans_killed, trouble }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ExitCause::{Cascading, GraceExceeded, Own, Stopped};

    fn code(code: i32) -> ExitStatus {
        ExitStatus::Code { code }
    }
    fn record(ids: &[&str], ends: &[(&str, ExitStatus, ExitCause)]) -> Outcome {
        let open = ids.iter().map(|&id| id.into()).collect();
        let mut record = Record { edges: Vec::new(), open, dynamic: Vec::new(), ended: Vec::new() };
        for (id, status, cause) in ends {
            record.exited((*id).into(), status.clone(), *cause, false, Vec::new());
        }
        record.finish(FinalReport::default(), None)
    }
    fn order(outcome: &Outcome) -> Vec<&str> {
        outcome.nodes.iter().map(|node| node.node.as_str()).collect()
    }

    #[test]
    fn the_root_cause_comes_first() {
        let ends = [
            ("fine", code(0), Own),
            ("victim", code(1), Cascading),
            ("cause", code(3), Own),
            ("later", ExitStatus::Signal { signal: 11 }, Own),
        ];
        let outcome = record(&["fine", "victim", "cause", "later"], &ends);
        assert_eq!(order(&outcome), ["cause", "later", "victim", "fine"]);
        assert_eq!(outcome.nodes[2].result.to_string(), "did not run because node `cause` failed");
        assert!(!outcome.is_success());
        assert_eq!(outcome.failures().count(), 3);
    }

    #[test]
    fn our_own_signals_are_clean() {
        let ends = [("a", ExitStatus::Signal { signal: 15 }, Stopped), ("b", code(143), Stopped), ("c", code(0), Own)];
        assert!(record(&["a", "b", "c"], &ends).is_success());
        assert!(!record(&["a"], &[("a", ExitStatus::Signal { signal: 9 }, GraceExceeded)]).is_success());
    }

    #[test]
    fn a_dynamic_node_never_fails() {
        let dynamic = vec![("here".into(), false), ("away".into(), false)];
        let mut record = Record { edges: Vec::new(), open: Vec::new(), dynamic, ended: Vec::new() };
        record.joined(&"here".into());
        let outcome = record.finish(FinalReport::default(), None);
        assert!(outcome.is_success());
        let results: Vec<_> = outcome.nodes.iter().map(|node| &node.result).collect();
        assert_eq!(results, [&NodeResult::Success, &NodeResult::NeverJoined]);
    }

    #[test]
    fn nodes_without_an_end_are_lost() {
        let outcome = record(&["a", "b"], &[("b", code(0), Own)]);
        assert_eq!(order(&outcome), ["a", "b"]);
        assert_eq!(outcome.nodes[0].result, NodeResult::Lost);
    }
}
