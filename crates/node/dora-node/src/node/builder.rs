//! Choosing how a node starts, step by step.

use dora_message::id::{DataflowId, NodeId};

use super::DoraNode;
use crate::{error::NodeResult, event_stream::EventStream};

/// How a node is to start. Made by [`DoraNode::builder`].
#[derive(Debug, Clone, Default)]
pub struct DoraNodeBuilder {
    node_id: Option<NodeId>,
    dataflow_id: Option<DataflowId>,
}

impl DoraNodeBuilder {
    /// Join a running dataflow as this dynamic node, see [`DoraNode::init_from_node_id`]. Without it, the environment
    /// decides.
    pub fn node_id(mut self, node_id: NodeId) -> Self {
        self.node_id = Some(node_id);
        self
    }

    /// Says what [`Self::node_id`] implies already.
    pub fn dynamic(self) -> Self {
        self
    }

    /// The dataflow to join. Without it `DORA_DATAFLOW_ID` says which, or there must be only one that has the node.
    pub fn dataflow_id(mut self, dataflow_id: DataflowId) -> Self {
        self.dataflow_id = Some(dataflow_id);
        self
    }

    /// Kept for sources that choose among daemons by their ports. It has no effect: dataflows are found without a port.
    pub fn daemon_port(self, _port: u16) -> Self {
        self
    }

    /// Starts the node.
    ///
    /// # Errors
    /// As [`DoraNode::init_from_env`]; after [`Self::node_id`] as [`DoraNode::init_from_node_id`].
    pub fn build(self) -> NodeResult<(DoraNode, EventStream)> {
        match self.node_id {
            Some(node) => DoraNode::join(&node, self.dataflow_id),
            None => DoraNode::init_from_env(),
        }
    }
}
