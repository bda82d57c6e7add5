//! Stopping: it was asked to stop. Only the end of all machines ends it.

use dora_gateways::DataflowState;

use super::Census;

pub(super) fn next(_census: &Census) -> DataflowState {
    DataflowState::Stopping
}
