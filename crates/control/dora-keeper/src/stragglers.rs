//! Which nodes should have ended by now: all that is left of the dataflow are nodes whose inputs have ended.
//!
//! It must not know of time; how long a straggler may stay is in [`crate::watchdog`].

use std::collections::BTreeSet;

use dora_message::{keeper::InputSource, supervision::LaunchPlan};

/// What of the graph decides who is told to end.
#[derive(Debug)]
pub(crate) struct Feeds(Vec<Feed>);

#[derive(Debug)]
enum Feed {
    /// Nobody ever tells the node to end: it has no inputs from others, one that never ends, or one that may come back.
    Endless,
    /// It is told to end when these nodes have.
    From(BTreeSet<usize>),
}

impl Feeds {
    pub(crate) fn new(plan: &LaunchPlan) -> Self {
        let feed = |(number, node)| {
            let node: &dora_message::supervision::NodePlan = node;
            let incoming = plan.edges.iter().filter(|edge| edge.to as usize == number);
            let from: BTreeSet<_> = incoming.filter_map(|edge| edge.from.node()).map(|node| node as usize).collect();
            let is_endless = |source: &InputSource| !matches!(source, InputSource::Node { .. });
            let endless = !plan.exit_when_nodes_finish && node.inputs.iter().any(|input| is_endless(&input.source));
            // A dynamic node may always come again.
            let dynamic = from.iter().any(|node| plan.nodes.get(*node).is_some_and(|node| node.is_dynamic()));
            match endless || from.is_empty() || from.contains(&number) || dynamic {
                true => Feed::Endless,
                false => Feed::From(from),
            }
        };
        Feeds(plan.nodes.iter().enumerate().map(feed).collect())
    }

    /// Whether nobody ever tells the node to end.
    pub(crate) fn is_endless(&self, node: usize) -> bool {
        matches!(self.0.get(node), Some(Feed::Endless))
    }

    /// The nodes that still run although their inputs have ended, once no node runs that would go on by itself.
    pub(crate) fn stragglers(&self, runs: impl Fn(usize) -> bool) -> Vec<usize> {
        let running: Vec<usize> = (0..self.0.len()).filter(|node| runs(*node)).collect();
        let is_told = |node: &usize| match &self.0[*node] {
            Feed::Endless => None,
            Feed::From(nodes) => Some(!nodes.iter().any(|node| runs(*node))),
        };
        let told: Option<Vec<bool>> = running.iter().map(is_told).collect();
        let ended = told.unwrap_or_default();
        running.into_iter().zip(ended).filter_map(|(node, ended)| ended.then_some(node)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Feed::{Endless, From};
    use super::*;

    fn chain() -> Feeds {
        // 0 -> 1 -> 2
        Feeds(vec![Endless, From([0].into()), From([1].into())])
    }

    #[test]
    fn nobody_straggles_while_a_source_runs() {
        assert_eq!(chain().stragglers(|_| true), [0; 0]);
        assert_eq!(chain().stragglers(|node| node != 1), [0; 0]);
    }

    #[test]
    fn a_node_straggles_when_those_that_feed_it_have_ended() {
        assert_eq!(chain().stragglers(|node| node > 0), [1], "2 waits for 1");
        assert_eq!(chain().stragglers(|node| node == 2), [2]);
        assert_eq!(chain().stragglers(|_| false), [0; 0]);
    }

    #[test]
    fn a_circle_goes_on_by_itself() {
        let circle = Feeds(vec![From([1].into()), From([0].into())]);
        assert_eq!(circle.stragglers(|_| true), [0; 0]);
    }
}
