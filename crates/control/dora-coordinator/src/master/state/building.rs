//! Building: nodes are placed, programs brought and built. It lasts until processes are started and nothing is built.

use dora_gateways::DataflowState;

use super::Census;

pub(super) fn next(census: &Census) -> DataflowState {
    match census {
        Census { stop: true, .. } => DataflowState::Stopping,
        Census { building: 0, with_process: 1.., .. } => DataflowState::Spawning,
        _ => DataflowState::Building,
    }
}
