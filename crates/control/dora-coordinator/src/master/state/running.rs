//! Running: every node was ready, messages flow. Nodes may be started again without the dataflow leaving this state.

use dora_gateways::DataflowState;

use super::Census;

pub(super) fn next(census: &Census) -> DataflowState {
    if census.stop { DataflowState::Stopping } else { DataflowState::Running }
}
