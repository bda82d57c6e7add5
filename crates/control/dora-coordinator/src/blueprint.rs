//! What a submission asks for, read from its dataflow file: which nodes, what they need, which of them belong together.
//!
//! Nodes that an edge joins go to one machine: edges between machines are not served yet. What keeps them apart is a
//! mistake of the file, found here, before anything is begun.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
};

use dora_descriptor::{Dataflow, Diagnostics, MemoryLoader, Node, Options, Record, Severity, graph, model::PathKind};
use dora_gateways::{Attempt, MachineId, NodeRequirement, OutputId, Resources, Submission};
use dora_message::id::{DataId, NodeId};

/// What is known of a dataflow before it runs.
#[derive(Debug)]
pub(crate) struct Blueprint {
    /// Its nodes in the order of the file, as their first attempts.
    pub nodes: Vec<NodeRequirement>,
    /// Nodes that nobody starts: they join by themselves.
    pub dynamic: BTreeSet<NodeId>,
    /// Nodes that exchange no messages: they may be programs that know nothing of dora and never connect.
    pub plain: BTreeSet<NodeId>,
    outputs: BTreeMap<NodeId, Vec<DataId>>,
}

impl Blueprint {
    /// Reads the dataflow file of a submission. It is complete in itself: no other file and no variable is looked up.
    ///
    /// # Errors
    /// What is wrong with it, each with its place.
    pub fn read(submission: &Submission) -> Result<Self, Vec<String>> {
        let name = match submission.origin.path.as_os_str().is_empty() {
            true => PathBuf::from("dataflow"),
            false => submission.origin.path.clone(),
        };
        let options = Options { loader: &MemoryLoader::new(), env: &|_| None, strict_types: false };
        let loaded = dora_descriptor::parse(&name.display().to_string(), &submission.descriptor, &options);
        Self::of(&loaded.map_err(|mistakes| lines(&mistakes))?.dataflow)
    }

    fn of(dataflow: &Dataflow) -> Result<Self, Vec<String>> {
        let mut groups = Groups::of(dataflow)?;
        let is_dynamic = |node: &&Node| node.standard().is_some_and(|it| it.path_kind() == PathKind::Dynamic);
        let nodes = dataflow.nodes.iter().enumerate().map(|(index, node)| {
            let group = groups.root(index);
            let wish = &groups.wishes[group];
            NodeRequirement {
                node: node.id.clone(),
                attempt: Attempt(1),
                group: group as u32,
                machine: wish.machine.clone(),
                labels: wish.labels.clone(),
                resources: Resources { cpu_millis: 0, memory: node.shared_memory_pool_size.unwrap_or(0) },
            }
        });
        let is_plain = |node: &&Node| node.inputs.is_empty() && node.outputs.is_empty() && !is_dynamic(node);
        let outputs = |node: &Node| (node.id.clone(), node.outputs.keys().cloned().collect());
        Ok(Self {
            nodes: nodes.collect(),
            dynamic: dataflow.nodes.iter().filter(is_dynamic).map(|node| node.id.clone()).collect(),
            plain: dataflow.nodes.iter().filter(is_plain).map(|node| node.id.clone()).collect(),
            outputs: dataflow.nodes.iter().map(outputs).collect(),
        })
    }

    /// Whether the dataflow has this node.
    pub fn has(&self, node: &NodeId) -> bool {
        self.outputs.contains_key(node)
    }

    /// The ids of its nodes.
    pub fn ids(&self) -> impl Iterator<Item = &NodeId> {
        self.outputs.keys()
    }

    /// The outputs of a node; none if the dataflow has no such node.
    pub fn outputs(&self, node: &NodeId) -> &[DataId] {
        self.outputs.get(node).map_or(&[], Vec::as_slice)
    }

    /// Whether the dataflow has this output.
    pub fn has_output(&self, output: &OutputId) -> bool {
        self.outputs(&output.node).contains(&output.output)
    }
}

/// Mistakes as lines: file, line, column, what is wrong, what to do.
fn lines(mistakes: &Diagnostics) -> Vec<String> {
    let errors = mistakes.records().filter(|record| record.severity == Severity::Error);
    let line = |record: Record<'_>| {
        let place = record.position.map_or_else(String::new, |at| format!("{}:{}:{}: ", at.file, at.line, at.column));
        let help = record.help.map_or_else(String::new, |help| format!("; {help}"));
        format!("{place}{}{help}", record.message)
    };
    errors.map(line).collect()
}

/// What a group asks of its machine.
#[derive(Clone, Default)]
struct Wish {
    machine: Option<MachineId>,
    labels: BTreeMap<String, String>,
}

impl Wish {
    fn of(dataflow: &Dataflow, node: &Node) -> Self {
        let Some(deploy) = dataflow.deploy_of(node) else { return Self::default() };
        let labels = deploy.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Self { machine: deploy.machine.clone().map(MachineId), labels }
    }

    /// Adds what the other one asks for; what contradicts it, if anything does.
    fn join(&mut self, other: Self) -> Result<(), String> {
        if let (Some(ours), Some(theirs)) = (&self.machine, &other.machine)
            && ours != theirs
        {
            return Err(format!("machine `{ours}` and machine `{theirs}`"));
        }
        for (key, theirs) in other.labels {
            match self.labels.get(&key) {
                Some(ours) if *ours != theirs => {
                    return Err(format!("a machine with label `{key}: {ours}` and one with `{key}: {theirs}`"));
                }
                _ => drop(self.labels.insert(key, theirs)),
            }
        }
        self.machine = self.machine.take().or(other.machine);
        Ok(())
    }
}

/// Which nodes are joined by edges.
struct Groups {
    /// Of each node another one of its group; the root of a group has itself.
    parents: Vec<usize>,
    /// What a group asks for, at its root.
    wishes: Vec<Wish>,
}

impl Groups {
    fn of(dataflow: &Dataflow) -> Result<Self, Vec<String>> {
        let wishes = dataflow.nodes.iter().map(|node| Wish::of(dataflow, node)).collect();
        let mut groups = Self { parents: (0..dataflow.nodes.len()).collect(), wishes };
        let index: HashMap<_, _> = dataflow.nodes.iter().map(|node| &node.id).zip(0..).collect();
        let mut mistakes = Vec::new();
        for edge in graph::edges(dataflow) {
            let (Some(&from), Some(&to)) = (index.get(edge.from), index.get(edge.to)) else { continue };
            if let Err(apart) = groups.join(from, to) {
                mistakes.push(format!(
                    "input `{}` of node `{}` joins nodes on {apart} (by `{}/{}`): edges between machines are not served by \
                     this version; give both the same `deploy`",
                    edge.input, edge.to, edge.from, edge.output
                ));
            }
        }
        if mistakes.is_empty() { Ok(groups) } else { Err(mistakes) }
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.parents[node] != node {
            // Half of the way is taken out each time, so that ways stay short.
            self.parents[node] = self.parents[self.parents[node]];
            node = self.parents[node];
        }
        node
    }

    fn join(&mut self, one: usize, other: usize) -> Result<(), String> {
        let (one, other) = (self.root(one), self.root(other));
        if one == other {
            return Ok(());
        }
        let (root, joined) = (one.min(other), one.max(other));
        let wish = self.wishes[joined].clone();
        self.wishes[root].join(wish)?;
        self.parents[joined] = root;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn read(descriptor: &str) -> Result<Blueprint, Vec<String>> {
        Blueprint::read(&Submission { descriptor: descriptor.to_owned(), ..Submission::default() })
    }

    proptest! {
        /// Two nodes are in one group exactly if one can be reached from the other along edges, in either direction.
        #[test]
        fn a_group_is_what_edges_join(edges in proptest::collection::btree_set((0_usize..9, 0_usize..9), 0..9)) {
            let mut text = "nodes:\n".to_owned();
            for node in 0..9 {
                let _ = write!(text, "  - {{ id: n{node}, path: p, outputs: [o], inputs: {{ ");
                for (from, _) in edges.iter().filter(|(_, to)| *to == node) {
                    let _ = write!(text, "i{from}: n{from}/o, ");
                }
                text.push_str("tick: dora/timer/millis/10 } }\n");
            }
            let groups: Vec<u32> = read(&text).unwrap().nodes.iter().map(|need| need.group).collect();
            let mut joined: Vec<usize> = (0..9).collect();
            for _ in 0..9 {
                for (from, to) in &edges {
                    let least = joined[*from].min(joined[*to]);
                    (joined[*from], joined[*to]) = (least, least);
                }
            }
            for one in 0..9 {
                for other in 0..9 {
                    prop_assert_eq!(groups[one] == groups[other], joined[one] == joined[other], "{} {}", one, other);
                }
            }
        }
    }

    #[test]
    fn a_group_wants_what_its_nodes_want() {
        let text = "nodes:
  - { id: a, path: a, outputs: [x], deploy: { labels: { gpu: 'yes' } } }
  - { id: b, path: dynamic, inputs: { x: a/x }, deploy: { machine: m } }
  - { id: c, path: c, shared_memory_pool_size: 1MB }
";
        let blueprint = read(text).unwrap();
        let wants = |index: usize| {
            let need = &blueprint.nodes[index];
            (need.machine.as_ref().map(|machine| machine.0.as_str()), need.labels.len(), need.resources.memory)
        };
        assert_eq!([wants(0), wants(1), wants(2)], [(Some("m"), 1, 0), (Some("m"), 1, 0), (None, 0, 1 << 20)]);
        assert_eq!(blueprint.dynamic.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["b"]);
        let apart = text.replace("machine: m", "machine: m, labels: { gpu: 'no' }");
        let mistakes = read(&apart).unwrap_err();
        assert!(mistakes[0].contains("label `gpu: yes` and one with `gpu: no` (by `a/x`)"), "{mistakes:?}");
    }
}
