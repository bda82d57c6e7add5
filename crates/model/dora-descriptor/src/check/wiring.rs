//! Inputs connected to outputs that exist.

use std::collections::HashMap;

use dora_message::id::{DataId, NodeId};
use indexmap::IndexMap;

use crate::{
    decode::sink::Sink,
    diagnostic::{Code, Diagnostic},
    draft::{DraftInput, DraftNode},
    expand::{Expansion, ModuleOutputs},
    mapping::DraftSource,
    model::{Node, NodeKind, Source},
    places::NodePlaces,
    source::Span,
    suggest,
};

/// Connects all inputs and gives each node the variables of the dataflow. Reports sources that do not exist.
pub(crate) fn connect(
    expansion: Expansion,
    env: IndexMap<String, String>,
    sink: &mut Sink,
) -> (Vec<Node>, HashMap<NodeId, NodePlaces>) {
    let Expansion { nodes: drafts, outputs: modules, nameless, .. } = expansion;
    let wiring = Wiring { producers: producers(&drafts, sink), modules, nameless };
    let mut nodes = Vec::new();
    let mut places = HashMap::new();
    for draft in drafts {
        let mut node = draft.node;
        for input in draft.inputs {
            if let Some(source) = wiring.source(&node.id, &input, sink) {
                node.inputs.insert(input.id.clone(), input.finish(source));
            }
        }
        let mut merged = env.clone();
        merged.extend(node.env);
        node.env = merged;
        places.insert(node.id.clone(), draft.places);
        nodes.push(node);
    }
    (nodes, places)
}

/// What a node offers.
struct Producer {
    outputs: Vec<DataId>,
    /// The operator that may be left out.
    single_operator: Option<String>,
    runtime: bool,
    faulty: bool,
}

fn producers(drafts: &[DraftNode], sink: &mut Sink) -> IndexMap<NodeId, Producer> {
    let mut spans: HashMap<&NodeId, Span> = HashMap::new();
    let mut producers = IndexMap::new();
    for draft in drafts {
        let id = &draft.node.id;
        if let Some(first) = spans.insert(id, draft.places.id) {
            sink.push(
                Diagnostic::error(Code::DuplicateId, draft.places.id, format!("two nodes are called `{id}`"))
                    .also(first, "the first")
                    .help("nodes of a module are called `<module>.<node>`; give one of the two another id"),
            );
        }
        let single =
            draft.node.runtime().filter(|runtime| runtime.single).and_then(|runtime| runtime.operators.first());
        let producer = Producer {
            outputs: draft.node.outputs.keys().cloned().collect(),
            single_operator: single.map(|operator| operator.id.to_string()),
            runtime: matches!(draft.node.kind, NodeKind::Runtime(_)),
            faulty: draft.faulty,
        };
        producers.insert(id.clone(), producer);
    }
    producers
}

struct Wiring {
    producers: IndexMap<NodeId, Producer>,
    modules: HashMap<NodeId, ModuleOutputs>,
    nameless: bool,
}

impl Wiring {
    /// The source of an input. `None` if it does not exist, or is of no use because of an earlier mistake.
    fn source(&self, consumer: &NodeId, input: &DraftInput, sink: &mut Sink) -> Option<Source> {
        let span = input.source.span;
        let DraftSource::Ready(source) = &input.source.value else { return None };
        let result = match source {
            Source::Timer { .. } | Source::Logs { node: None, .. } => return Some(source.clone()),
            Source::Logs { node: Some(node), .. } => {
                let known = self.producers.contains_key(node) || self.nameless;
                if known { return Some(source.clone()) } else { self.unknown_node(consumer, node, None) }
            }
            Source::Node { node, output } => match self.output(consumer, node, output) {
                Ok(source) => return source,
                Err(mistake) => mistake,
            },
        };
        if let Some((message, help)) = result {
            sink.push(Diagnostic::error(Code::UnknownSource, span, message).maybe_help(help));
        }
        None
    }

    /// Finds an output. An error without a message is one that is reported already.
    fn output(&self, consumer: &NodeId, node: &NodeId, output: &DataId) -> Result<Option<Source>, Mistake> {
        if let Some(module) = self.modules.get(node) {
            return match module.targets.get(output) {
                Some((node, output)) => Ok(Some(Source::Node { node: node.clone(), output: output.clone() })),
                None if module.faulty => Err(None),
                None => Err(unknown_output("module", node, output, module.targets.keys())),
            };
        }
        let Some(producer) = self.producers.get(node) else {
            return Err(self.unknown_node(consumer, node, Some(output)));
        };
        let found = |output: DataId| Ok(Some(Source::Node { node: node.clone(), output }));
        if producer.outputs.contains(output) {
            return found(output.clone());
        }
        if let Some(operator) = &producer.single_operator {
            let full = DataId::from(format!("{operator}/{output}"));
            if producer.outputs.contains(&full) {
                return found(full);
            }
        }
        if producer.faulty {
            return Err(None);
        }
        Err(missing_operator(node, output, producer)
            .or_else(|| unknown_output("node", node, output, producer.outputs.iter())))
    }

    fn unknown_node(&self, consumer: &NodeId, node: &NodeId, output: Option<&DataId>) -> Mistake {
        if self.nameless {
            return None;
        }
        let mut candidates: Vec<&str> = self.producers.keys().map(|id| id.as_str()).collect();
        candidates.extend(self.modules.keys().map(|id| id.as_str()));
        candidates.sort_unstable();
        // Inside a module one writes the ids of its nodes without the module.
        let siblings: Vec<&str> = match consumer.as_str().rsplit_once('.') {
            Some((module, _)) => candidates
                .iter()
                .filter_map(|id| id.strip_prefix(module)?.strip_prefix('.').filter(|rest| !rest.contains('.')))
                .collect(),
            None => Vec::new(),
        };
        let near = suggest::nearest(node.as_str(), siblings.iter().chain(&candidates).copied());
        let help = match (near, output) {
            (Some(near), Some(output)) => Some(format!("did you mean `{near}/{output}`?")),
            (Some(near), None) => Some(format!("did you mean `{near}`?")),
            (None, _) => {
                let known = if siblings.is_empty() { candidates } else { siblings };
                suggest::list(known).map(|list| format!("nodes: {list}"))
            }
        };
        Some((format!("there is no node `{node}`"), help))
    }
}

/// Message and help; `None` if it was reported already.
type Mistake = Option<(String, Option<String>)>;

/// An output of an operator that is named without its operator.
fn missing_operator(node: &NodeId, output: &DataId, producer: &Producer) -> Mistake {
    if !producer.runtime {
        return None;
    }
    let suffix = format!("/{output}");
    let full = producer.outputs.iter().find(|candidate| candidate.ends_with(&suffix))?;
    let message = format!("`{node}/{output}` does not say which operator of `{node}` is meant");
    Some((message, Some(format!("write `{node}/{full}`"))))
}

fn unknown_output<'a>(
    what: &str,
    node: &NodeId,
    output: &DataId,
    outputs: impl Iterator<Item = &'a DataId> + Clone,
) -> Mistake {
    let mut names: Vec<&str> = outputs.map(|output| output.as_str()).collect();
    names.sort_unstable();
    let help = match suggest::nearest(output, names.iter().copied()) {
        Some(near) => format!("did you mean `{node}/{near}`?"),
        None => match suggest::list(names) {
            Some(list) => format!("outputs of `{node}`: {list}"),
            None => format!("`{node}` has no outputs; add `{output}` to its `outputs:`"),
        },
    };
    Some((format!("the {what} `{node}` has no output `{output}`"), Some(help)))
}
