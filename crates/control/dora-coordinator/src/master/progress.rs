//! What a master lets others see: they wait for it without asking the master.

use std::collections::BTreeMap;

use dora_gateways::{DataflowMasterError, DataflowResult, DataflowState, MachineId, NodeExecutorCall};
use dora_rpc::{Gateway, RpcError};
use tokio::sync::watch;

/// Where a dataflow is.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Its state. The last one is seen only when it is in the store.
    pub state: DataflowState,
    /// How it ended, with the last state.
    pub result: Option<DataflowResult>,
    /// The machines that have its nodes and are not lost.
    pub sources: BTreeMap<MachineId, Source>,
    /// The master has ended. Without a result, the coordinator ends and the dataflow goes on.
    pub left: bool,
}

/// A machine that has nodes of a dataflow.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its daemon.
    pub executor: Gateway<NodeExecutorCall>,
    /// Counts its registrations: after a new one its streams are opened again.
    pub connection: u64,
}

impl Progress {
    /// The progress of a dataflow that begins, or is resumed, in this state.
    pub fn new(state: DataflowState) -> Self {
        Self { state, result: None, sources: BTreeMap::new(), left: false }
    }
}

/// Waits until a dataflow is in one of these states, or has ended; its state.
pub(crate) async fn reached(
    mut progress: watch::Receiver<Progress>,
    until: &[DataflowState],
) -> Result<DataflowState, DataflowMasterError> {
    let there = |now: &Progress| now.left || now.state.is_final() || until.contains(&now.state);
    let state = progress.wait_for(there).await.map(|now| now.state).map_err(|_| stopped())?;
    if state.is_final() || until.contains(&state) { Ok(state) } else { Err(stopped()) }
}

/// Waits for the end of a dataflow; how it ended.
pub(crate) async fn ended(mut progress: watch::Receiver<Progress>) -> Result<DataflowResult, DataflowMasterError> {
    let end = progress.wait_for(|now| now.left || now.result.is_some()).await;
    end.ok().and_then(|now| now.result.clone()).ok_or_else(stopped)
}

fn stopped() -> DataflowMasterError {
    RpcError::Stopped { endpoint: "DataflowMasterGateway".to_owned() }.into()
}
