//! Waiting for ready: processes run, not all of them have connected. It lasts until each one has, or has ended.

use dora_gateways::DataflowState;

use super::Census;

pub(super) fn next(census: &Census) -> DataflowState {
    match census {
        Census { stop: true, .. } => DataflowState::Stopping,
        Census { unready: 0, .. } => DataflowState::Running,
        _ => DataflowState::WaitingForReady,
    }
}
