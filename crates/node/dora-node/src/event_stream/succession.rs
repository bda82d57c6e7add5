//! Nodes that were started again: their new edges wait until everything from the old process was taken.

use std::{collections::VecDeque, os::fd::OwnedFd};

use dora_channel::InEdge;
use dora_message::{id::NodeId, keeper::EdgeGrant};

use crate::connection::{ConnectError, Incoming};

/// The new edges from one node.
#[derive(Debug)]
pub(super) struct Succession {
    pub(super) node: NodeId,
    pub(super) edges: Vec<InEdge>,
}

/// What waits for its turn.
#[derive(Debug, Default)]
pub(super) struct Successions {
    /// `None`: a node that runs alone.
    incoming: Option<Incoming>,
    arriving: Vec<(NodeId, InEdge)>,
    waiting: VecDeque<Succession>,
}

impl Successions {
    pub(super) fn new(incoming: Incoming) -> Self {
        Successions { incoming: Some(incoming), ..Successions::default() }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Another process of this node will go on with its edges.
    pub(super) fn keep_edges(&mut self) {
        if let Some(incoming) = &mut self.incoming {
            incoming.keep();
        }
        let arriving = self.arriving.iter_mut().map(|(_, edge)| edge);
        let waiting = self.waiting.iter_mut().flat_map(|succession| &mut succession.edges);
        arriving.chain(waiting).for_each(InEdge::keep);
    }

    /// The keeper has sent a new edge.
    pub(super) fn granted(&mut self, grant: &EdgeGrant, fds: Vec<OwnedFd>) -> Result<(), ConnectError> {
        if let Some(incoming) = &mut self.incoming {
            self.arriving.push((grant.peer.clone(), incoming.open(grant, fds)?));
        }
        Ok(())
    }

    /// The keeper has sent all new edges from that node.
    pub(super) fn restarted(&mut self, node: NodeId) {
        let edges = self.arriving.extract_if(.., |(from, _)| *from == node).map(|(_, edge)| edge).collect();
        self.waiting.push_back(Succession { node, edges });
    }

    /// The first node whose old edges are empty.
    pub(super) fn take(&mut self, is_drained: impl Fn(&NodeId) -> bool) -> Option<Succession> {
        let at = self.waiting.iter().position(|succession| is_drained(&succession.node))?;
        self.waiting.remove(at)
    }
}
