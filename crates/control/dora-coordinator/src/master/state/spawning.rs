//! Spawning: processes are started. It lasts until each node that is waited for has one.

use dora_gateways::DataflowState;

use super::Census;

pub(super) fn next(census: &Census) -> DataflowState {
    match census {
        Census { stop: true, .. } => DataflowState::Stopping,
        Census { without_process: 0, .. } => DataflowState::WaitingForReady,
        _ => DataflowState::Spawning,
    }
}
