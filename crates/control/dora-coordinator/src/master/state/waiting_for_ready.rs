//! Waiting for ready: processes run, not all of them have connected. It lasts until each one has, or has ended. When none
//! is left nobody was ever ready, or all were so short that nobody saw it: the end follows.

use dora_gateways::DataflowState;

use super::Census;

pub(super) fn next(census: &Census) -> DataflowState {
    match census {
        Census { stop: true, .. } => DataflowState::Stopping,
        Census { unready: 0, left: 1.., .. } => DataflowState::Running,
        _ => DataflowState::WaitingForReady,
    }
}
