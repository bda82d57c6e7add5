//! Errors of others in the dispatcher's words.

use dora_descriptor::nearest;
use dora_gateways::{DataflowMasterError, DispatcherError, ResourceManagerError};
use dora_message::id::NodeId;
use dora_rpc::RpcError;
use dora_store::StoreError;

use super::Running;
use crate::blueprint::Blueprint;

pub(super) fn store_failed(error: &StoreError) -> DispatcherError {
    DispatcherError::Store { reason: error.to_string() }
}

pub(super) fn stopping() -> DispatcherError {
    RpcError::Stopped { endpoint: "DispatcherGateway".to_owned() }.into()
}

/// A dataflow has no such node.
pub(super) fn unknown_node(blueprint: &Blueprint, node: NodeId) -> DispatcherError {
    let near = nearest(node.as_str(), blueprint.ids().map(|id| id.as_str()));
    let near = near.into_iter().map(str::to_owned).collect();
    DispatcherError::UnknownNode { node, near }
}

/// What the master of a dataflow refuses.
pub(super) fn master_refused(running: &Running, error: DataflowMasterError) -> DispatcherError {
    match error {
        DataflowMasterError::UnknownNode { node } => unknown_node(&running.blueprint, node),
        DataflowMasterError::UnknownOutput { output } => {
            if !running.blueprint.has(&output.node) {
                return unknown_node(&running.blueprint, output.node);
            }
            let outputs = running.blueprint.outputs(&output.node);
            let near = nearest(output.output.as_str(), outputs.iter().map(|id| id.as_str()));
            let near =
                near.map_or_else(|| outputs.iter().map(ToString::to_string).collect(), |near| vec![near.to_owned()]);
            DispatcherError::UnknownOutput { output, near }
        }
        DataflowMasterError::Ended | DataflowMasterError::OldAttempt { .. } => {
            DispatcherError::Ended { dataflow: running.id }
        }
        DataflowMasterError::Machine { machine, reason } => DispatcherError::Machine { machine, reason },
        DataflowMasterError::Store { reason } => DispatcherError::Store { reason },
        // The master has ended since it was found.
        DataflowMasterError::Rpc(RpcError::Stopped { .. } | RpcError::Unanswered { .. }) => {
            DispatcherError::Ended { dataflow: running.id }
        }
        DataflowMasterError::Rpc(error) => error.into(),
    }
}

/// What the resource manager refuses.
pub(super) fn resources_refused(error: ResourceManagerError) -> DispatcherError {
    match error {
        ResourceManagerError::NoFit { nodes } => DispatcherError::NoFit { nodes },
        ResourceManagerError::Rpc(error) => error.into(),
        ResourceManagerError::MachineTaken { machine } | ResourceManagerError::UnknownMachine { machine } => {
            DispatcherError::Machine { machine, reason: "no daemon is registered for it".to_owned() }
        }
        ResourceManagerError::Stale(stale) => DispatcherError::Store { reason: stale.to_string() },
    }
}
