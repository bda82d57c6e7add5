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
    /// It has ended, and this is not in the store yet, for this reason: nobody may be told that it is over.
    pub unwritten: Option<String>,
    /// The machines that have its nodes and are not lost.
    pub sources: BTreeMap<MachineId, Source>,
    /// The master has ended. Without a result, the coordinator ends and the dataflow goes on.
    pub left: bool,
}

/// A machine that has nodes of a dataflow.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its daemon; none until it has registered with this coordinator.
    pub executor: Option<Gateway<NodeExecutorCall>>,
    /// Counts its registrations: after a new one its streams are opened again.
    pub connection: u64,
}

impl Progress {
    /// The progress of a dataflow that begins, or is resumed, in this state.
    pub fn new(state: DataflowState) -> Self {
        Self { state, result: None, unwritten: None, sources: BTreeMap::new(), left: false }
    }

    /// Nothing more comes, or nothing more that can be told.
    fn is_over(&self) -> bool {
        self.left || self.result.is_some() || self.unwritten.is_some()
    }

    /// Why the end is not told.
    fn why_not(&self) -> DataflowMasterError {
        self.unwritten.clone().map_or_else(stopped, |reason| DataflowMasterError::Store { reason })
    }
}

/// Waits until a dataflow is in one of these states, or has ended; its state.
pub(crate) async fn reached(
    mut progress: watch::Receiver<Progress>,
    until: &[DataflowState],
) -> Result<DataflowState, DataflowMasterError> {
    let is_there = |now: &Progress| now.state.is_final() || until.contains(&now.state);
    let over = progress.wait_for(|now| is_there(now) || now.is_over()).await.map_err(|_| stopped())?;
    if is_there(&over) { Ok(over.state) } else { Err(over.why_not()) }
}

/// Waits for the end of a dataflow; how it ended.
pub(crate) async fn ended(mut progress: watch::Receiver<Progress>) -> Result<DataflowResult, DataflowMasterError> {
    let over = progress.wait_for(Progress::is_over).await.map_err(|_| stopped())?;
    over.result.clone().ok_or_else(|| over.why_not())
}

fn stopped() -> DataflowMasterError {
    RpcError::Stopped { endpoint: "DataflowMasterGateway".to_owned() }.into()
}
