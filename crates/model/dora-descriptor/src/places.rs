//! Where the values of a dataflow stand in its files, for messages about them that come later.

use std::collections::HashMap;

use dora_message::id::{DataId, NodeId, OperatorId};

use crate::source::Span;

/// A part of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// A key of the node, or of its only operator.
    Key(&'static str),
    /// An input.
    Input(DataId),
    /// The source of an input.
    InputSource(DataId),
    /// A key of a long-form input.
    InputKey(DataId, &'static str),
    /// An output.
    Output(DataId),
    /// The type of an input.
    InputType(DataId),
    /// The type of an output.
    OutputType(DataId),
    /// A key of an operator.
    Operator(OperatorId, &'static str),
}

/// Where the parts of one node stand.
#[derive(Debug, Clone)]
pub(crate) struct NodePlaces {
    pub(crate) id: Span,
    pub(crate) parts: HashMap<Part, Span>,
}

impl NodePlaces {
    pub(crate) fn new(id: Span) -> Self {
        Self { id, parts: HashMap::new() }
    }

    pub(crate) fn get(&self, part: &Part) -> Span {
        self.parts.get(part).copied().unwrap_or(self.id)
    }
}

/// Where everything stands. A part that a file does not name is where the thing stands that it belongs to.
#[derive(Debug, Clone)]
pub struct Places {
    pub(crate) file: Span,
    pub(crate) keys: HashMap<&'static str, Span>,
    pub(crate) nodes: HashMap<NodeId, NodePlaces>,
}

impl Places {
    /// A key of the dataflow; the start of the file if it is not written.
    pub fn key(&self, key: &str) -> Span {
        self.keys.get(key).copied().unwrap_or(self.file)
    }

    /// The id of a node.
    pub fn node(&self, node: &NodeId) -> Span {
        self.nodes.get(node).map_or(self.file, |places| places.id)
    }

    /// A part of a node.
    pub fn part(&self, node: &NodeId, part: &Part) -> Span {
        self.nodes.get(node).map_or(self.file, |places| places.get(part))
    }

    /// A key of a node, by a name that came from elsewhere.
    pub fn node_key(&self, node: &NodeId, key: &str) -> Span {
        let Some(places) = self.nodes.get(node) else { return self.file };
        let named = |(part, span): (&Part, &Span)| matches!(part, Part::Key(name) if *name == key).then_some(*span);
        places.parts.iter().find_map(named).unwrap_or(places.id)
    }

    /// A part of a node, if a file names it.
    pub fn written(&self, node: &NodeId, part: &Part) -> Option<Span> {
        self.nodes.get(node)?.parts.get(part).copied()
    }
}
