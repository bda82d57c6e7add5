//! Waiting until a dataflow that was submitted runs, or for the reason why it does not.

use std::{pin::pin, process::ExitCode};

use dora_gateways::{
    DataflowEvent, DataflowId, DataflowResult, DataflowSelector, DataflowState, DispatcherCall, DispatcherError,
    DispatcherGateway as _, Trouble, Watching,
};
use dora_rpc::{Gateway, Streamed};

use crate::{
    client::Client,
    command::{print, stop},
    error::{CommandError, tell_note},
    silence::while_waiting,
};

/// Tells that a dataflow was submitted.
pub(crate) fn triggered(dataflow: DataflowId) -> Result<(), CommandError> {
    print(&format!("dataflow start triggered: {dataflow}\n"))
}

/// Waits until all nodes are ready; or, when some take long to connect, until it is known which. What kept nodes from being
/// started is shown by `explain`, with the places in the user's file.
pub(crate) fn await_running(
    client: &Client,
    dataflow: DataflowId,
    explain: impl FnOnce(&Trouble) -> CommandError,
) -> Result<ExitCode, CommandError> {
    let wait = client.patient();
    let begun = wait.wait(dataflow, vec![DataflowState::WaitingForReady, DataflowState::Running]);
    let mut state = client.run(while_waiting(client.dispatcher(), "starting", begun))?;
    if state == DataflowState::WaitingForReady {
        let ready = ready_or_warned(client.dispatcher(), &wait, dataflow);
        state = client.run(while_waiting(client.dispatcher(), "starting", ready))?;
    }
    if state.is_final() {
        let info = client.run(client.dispatcher().info(DataflowSelector::Id(dataflow)))?;
        let result = info.result.ok_or_else(|| CommandError::failed(format!("dataflow {dataflow} has failed")))?;
        match result.outcome.trouble.as_ref().filter(|_| never_started(&result)) {
            Some(trouble) => return Err(explain(trouble)),
            None if state == DataflowState::Failed => return Ok(stop::told(&result)),
            None => {}
        }
    }
    print(&format!("dataflow started: {dataflow}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Waits until all nodes are ready, or until the daemon tells for whom they wait: a program that does not use the API never
/// connects, and waiting on would be for ever.
async fn ready_or_warned(
    dispatcher: &Gateway<DispatcherCall>,
    patient: &Gateway<DispatcherCall>,
    dataflow: DataflowId,
) -> Result<DataflowState, DispatcherError> {
    let mut events = dispatcher.events(dataflow.into(), Watching::Loosely).await?;
    let mut ready = pin!(patient.wait(dataflow, vec![DataflowState::Running]));
    loop {
        let event = tokio::select! {
            settled = &mut ready => return settled,
            event = events.next() => event?,
        };
        match event {
            Some(Streamed::Item(DataflowEvent::Warning(warning))) => {
                tell_note(&warning);
                return Ok(DataflowState::WaitingForReady);
            }
            Some(_) => {}
            None => return ready.await,
        }
    }
}

/// Whether nothing is known of nodes, because none was started.
fn never_started(result: &DataflowResult) -> bool {
    result.outcome.nodes.is_empty() || !matches!(result.outcome.trouble, Some(Trouble::KeeperDied { .. }) | None)
}
