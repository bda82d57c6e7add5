//! Waiting until a dataflow that was submitted runs, or for the reason why it does not.

use std::process::ExitCode;

use dora_gateways::{DataflowId, DataflowResult, DataflowSelector, DataflowState, DispatcherGateway as _, Trouble};

use crate::{
    client::Client,
    command::{print, stop},
    error::CommandError,
    progress::Progress,
};

/// Tells that a dataflow was submitted.
pub(crate) fn triggered(dataflow: DataflowId) -> Result<(), CommandError> {
    print(&format!("dataflow start triggered: {dataflow}\n"))
}

/// Waits until all nodes are ready. What kept them from it is shown by `explain`, with the places in the user's file.
pub(crate) fn await_running(
    client: &Client,
    dataflow: DataflowId,
    explain: impl FnOnce(&Trouble) -> CommandError,
) -> Result<ExitCode, CommandError> {
    let wait = client.patient();
    let state = client.run(Progress::new().waiting("starting", wait.wait(dataflow, vec![DataflowState::Running])))?;
    if state == DataflowState::Failed {
        let info = client.run(client.dispatcher().info(DataflowSelector::Id(dataflow)))?;
        let result = info.result.ok_or_else(|| CommandError::failed(format!("dataflow {dataflow} has failed")))?;
        return match result.outcome.trouble.as_ref().filter(|_| never_started(&result)) {
            Some(trouble) => Err(explain(trouble)),
            None => Ok(stop::told(&result)),
        };
    }
    print(&format!("dataflow started: {dataflow}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether nothing is known of nodes, because none was started.
fn never_started(result: &DataflowResult) -> bool {
    result.outcome.nodes.is_empty() || !matches!(result.outcome.trouble, Some(Trouble::KeeperDied { .. }) | None)
}
