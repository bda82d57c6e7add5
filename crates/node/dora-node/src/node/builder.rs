//! Choosing how a node starts, step by step.

use dora_message::id::NodeId;

use super::DoraNode;
use crate::{
    error::{NodeError, NodeResult},
    event_stream::EventStream,
};

/// How a node is to start. Made by [`DoraNode::builder`].
#[derive(Debug, Clone, Default)]
pub struct DoraNodeBuilder {
    node_id: Option<NodeId>,
}

impl DoraNodeBuilder {
    /// Attach to a running dataflow as this node. Without it, the environment decides.
    pub fn node_id(mut self, node_id: NodeId) -> Self {
        self.node_id = Some(node_id);
        self
    }

    /// Says what [`Self::node_id`] implies already.
    pub fn dynamic(self) -> Self {
        self
    }

    /// Chooses among several daemons when attaching to a running dataflow. It has no effect: that is not served yet.
    pub fn daemon_port(self, _port: u16) -> Self {
        self
    }

    /// Starts the node.
    ///
    /// # Errors
    /// As [`DoraNode::init_from_env`]; [`NodeError::DynamicNode`] after [`Self::node_id`].
    pub fn build(self) -> NodeResult<(DoraNode, EventStream)> {
        match self.node_id {
            Some(node) => Err(NodeError::DynamicNode { node }),
            None => DoraNode::init_from_env(),
        }
    }
}
