//! Nodes as one file says them: ids not yet prefixed, sources not yet resolved, modules not yet expanded.

use std::time::Duration;

use dora_message::{
    id::{DataId, NodeId},
    keeper::QueuePolicy,
};
use indexmap::IndexMap;

use crate::{
    mapping::DraftSource,
    model::{DEFAULT_QUEUE_SIZE, Debug, Deploy, Input, Node, Source, TypeRule},
    places::NodePlaces,
    source::{Span, Spanned},
};

/// An entry of `nodes`.
#[derive(Debug, Clone)]
pub(crate) enum Draft {
    Node(Box<DraftNode>),
    Module(Box<ModuleCall>),
}

impl Draft {
    pub(crate) fn id(&self) -> &NodeId {
        match self {
            Self::Node(draft) => &draft.node.id,
            Self::Module(call) => &call.id.value,
        }
    }

    pub(crate) fn id_span(&self) -> Span {
        match self {
            Self::Node(draft) => draft.places.id,
            Self::Module(call) => call.id.span,
        }
    }

    pub(crate) fn inputs_mut(&mut self) -> &mut Vec<DraftInput> {
        match self {
            Self::Node(draft) => &mut draft.inputs,
            Self::Module(call) => &mut call.inputs,
        }
    }
}

/// A node that will run.
#[derive(Debug, Clone)]
pub(crate) struct DraftNode {
    /// The node without its inputs.
    pub(crate) node: Node,
    pub(crate) inputs: Vec<DraftInput>,
    pub(crate) places: NodePlaces,
    /// Something about it is wrong and reported; what it seems to lack says nothing.
    pub(crate) faulty: bool,
}

/// An input as the file says it.
#[derive(Debug, Clone)]
pub(crate) struct DraftInput {
    /// With the operator's id in front, if there is one.
    pub(crate) id: DataId,
    pub(crate) span: Span,
    pub(crate) source: Spanned<DraftSource>,
    pub(crate) queue_size: Option<u32>,
    pub(crate) queue_policy: Option<QueuePolicy>,
    pub(crate) input_timeout: Option<Duration>,
    pub(crate) type_urn: Option<String>,
}

impl DraftInput {
    /// The finished input, once its source is known.
    pub(crate) fn finish(self, source: Source) -> Input {
        Input {
            source,
            // A queue of length 0 could never hold a message.
            queue_size: self.queue_size.unwrap_or(DEFAULT_QUEUE_SIZE).max(1),
            queue_policy: self.queue_policy.unwrap_or(QueuePolicy::DropOldest),
            input_timeout: self.input_timeout,
            type_urn: self.type_urn,
        }
    }
}

/// A node with `module`.
#[derive(Debug, Clone)]
pub(crate) struct ModuleCall {
    pub(crate) id: Spanned<NodeId>,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) file: Spanned<String>,
    pub(crate) env: IndexMap<String, String>,
    pub(crate) deploy: Option<Deploy>,
    pub(crate) build: Option<String>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) inputs: Vec<DraftInput>,
    pub(crate) faulty: bool,
}

/// The keys of a dataflow file.
#[derive(Debug)]
pub(crate) struct DraftDataflow {
    pub(crate) drafts: Drafts,
    pub(crate) env: IndexMap<String, String>,
    pub(crate) deploy: Option<Deploy>,
    pub(crate) debug: Debug,
    pub(crate) health_check_interval: Duration,
    pub(crate) strict_types: bool,
    pub(crate) exit_when_nodes_finish: bool,
    pub(crate) type_rules: Vec<TypeRule>,
    pub(crate) keys: Vec<(&'static str, Span)>,
}

/// The nodes of a file.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    pub(crate) nodes: Vec<Draft>,
    /// An entry has no usable id; a node that seems not to exist may be that one.
    pub(crate) nameless: bool,
}

/// A module file.
#[derive(Debug)]
pub(crate) struct DraftModule {
    pub(crate) name: String,
    pub(crate) inputs: Vec<Spanned<DataId>>,
    pub(crate) inputs_optional: Vec<Spanned<DataId>>,
    pub(crate) outputs: Vec<Spanned<DataId>>,
    pub(crate) build: Option<String>,
    pub(crate) drafts: Drafts,
}
