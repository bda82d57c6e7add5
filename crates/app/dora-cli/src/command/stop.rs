//! `dora stop`: ends dataflows, and tells how they ended.

use std::{process::ExitCode, time::Duration};

use dora_gateways::{
    DataflowResult, DataflowSelector, DataflowSummary, DispatcherCall, DispatcherError, DispatcherGateway as _,
    StopOptions, Trouble, Urgency,
};
use dora_rpc::Gateway;
use tokio::task::JoinSet;

use super::{list::Status, print};
use crate::{
    choice,
    client::{Client, CoordinatorArgs},
    error::{self, CommandError},
    signals,
    silence::while_waiting,
    units,
    words::{counted, state_word},
};

const EXAMPLES: &str = "\
Examples:
  dora stop                        the only one that runs; on a terminal you are asked which one
  dora stop camera                 by name, by id, or by the beginning of an id
  dora stop --all
  dora stop camera --grace-duration 30s
  dora stop camera --force         SIGKILL at once

Nodes are asked to stop; SIGTERM comes after the grace duration, SIGKILL after half of it again.
It waits for the end. A second `dora stop` with more urgency takes the place of the first one.
Exit code: 0 when every node ended well, 1 when one did not, 2 when the command line is wrong.";

/// Stop a dataflow, and wait for its end.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The dataflow; the only one that runs if none is given.
    #[arg(value_name = "UUID_OR_NAME", conflicts_with_all = ["name", "all"])]
    dataflow: Option<String>,
    /// The dataflow, by its name.
    #[arg(short, long, value_name = "NAME", conflicts_with = "all")]
    name: Option<String>,
    /// All that run.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

/// How something is stopped.
#[derive(clap::Args)]
pub(crate) struct How {
    /// Time that nodes have to end by themselves, before SIGTERM [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    grace_duration: Option<Duration>,
    /// Kill the nodes at once.
    #[arg(short, long, conflicts_with = "grace_duration")]
    force: bool,
}

impl How {
    pub(crate) fn options(&self) -> StopOptions {
        let urgency = if self.force { Urgency::Kill } else { Urgency::Ask };
        StopOptions { grace: self.grace_duration, urgency }
    }
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let client = Client::connect(&arguments.coordinator)?;
    let options = arguments.how.options();
    if arguments.all {
        return all(&client, options);
    }
    let name = arguments.name.clone().map(DataflowSelector::Name);
    let selector = name.unwrap_or_else(|| choice::selector(arguments.dataflow.as_deref()));
    let dispatcher = client.patient();
    let info = choice::resolved(&client, selector, async |selector| dispatcher.info(selector).await)?;
    if let (true, Some(result)) = (info.summary.state.is_final(), &info.result) {
        let how = state_word(info.summary.state);
        print(&format!("dataflow {} had ended already: {how}\n", result.dataflow))?;
        return Ok(told(result));
    }
    let _interrupts = signals::leave_saying(GOES_ON.to_owned())?;
    let stop = dispatcher.stop(DataflowSelector::Id(info.summary.id), options);
    let result = client.run(while_waiting(client.dispatcher(), "stopping", stop))?;
    print(&ended(&result))?;
    Ok(told(&result))
}

/// What whoever does not wait for the end should know.
const GOES_ON: &str = "the stop goes on; `dora list` tells when it is over, `dora stop --force` makes haste";

fn all(client: &Client, options: StopOptions) -> Result<ExitCode, CommandError> {
    let filter = Status::Running.filter();
    let running = client.run(client.dispatcher().list(filter))?;
    if running.is_empty() {
        error::tell_note("no dataflow runs");
        return Ok(ExitCode::SUCCESS);
    }
    let _interrupts = signals::leave_saying(GOES_ON.to_owned())?;
    let what = format!("stopping {}", counted(running.len(), "dataflow"));
    let stopped = while_waiting(client.dispatcher(), &what, stop_each(client.patient(), running, options));
    let mut code = ExitCode::SUCCESS;
    for (dataflow, result) in client.block_on(stopped) {
        let its_code = match result {
            Ok(result) => {
                print(&ended(&result))?;
                told(&result)
            }
            // It was quicker than we.
            Err(DispatcherError::Ended { .. }) => ExitCode::SUCCESS,
            Err(error) => {
                error::tell_line(&format!("dataflow {}:", dataflow.id));
                client.explain(error).tell()
            }
        };
        if its_code != ExitCode::SUCCESS {
            code = its_code;
        }
    }
    Ok(code)
}

/// Stops all of them at the same time; how each ended, in the order in which they did.
async fn stop_each(
    dispatcher: Gateway<DispatcherCall>,
    dataflows: Vec<DataflowSummary>,
    options: StopOptions,
) -> Vec<(DataflowSummary, Result<DataflowResult, DispatcherError>)> {
    let mut stops = JoinSet::new();
    for dataflow in dataflows {
        let dispatcher = dispatcher.clone();
        stops.spawn(async move {
            let result = dispatcher.stop(DataflowSelector::Id(dataflow.id), options).await;
            (dataflow, result)
        });
    }
    stops.join_all().await
}

/// What the stop has come to.
fn ended(result: &DataflowResult) -> String {
    let id = result.dataflow;
    match &result.outcome.trouble {
        Some(Trouble::Machine { machine, .. }) => format!(
            "dataflow {id} was given up: what machine `{machine}` still runs of it is stopped when its daemon is back\n"
        ),
        _ => format!("dataflow {id} has been stopped\n"),
    }
}

/// Tells what did not end well; the exit code.
pub(crate) fn told(result: &DataflowResult) -> ExitCode {
    if result.is_success() {
        return ExitCode::SUCCESS;
    }
    failures(result).iter().for_each(|line| error::tell_line(line));
    ExitCode::FAILURE
}

fn failures(result: &DataflowResult) -> Vec<String> {
    let trouble = result.outcome.trouble.iter().map(|trouble| trouble.to_string());
    let nodes = result.outcome.failures().map(|node| format!("node `{}` {}", node.node, node.result));
    let mut lines: Vec<String> = trouble.chain(nodes).collect();
    lines.push(format!("`dora logs {}` shows what the nodes printed", result.dataflow));
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use chrono::DateTime;
    use dora_gateways::{DataflowId, DataflowState, NodeOutcome, Outcome};
    use dora_message::{result::NodeResult, supervision::ExitStatus};

    use super::*;
    use crate::scripted;

    fn id(number: u128) -> DataflowId {
        DataflowId(uuid::Uuid::from_u128(number))
    }

    fn running(number: u128) -> DataflowSummary {
        let state = DataflowState::Running;
        DataflowSummary { id: id(number), name: None, state, submitted: DateTime::UNIX_EPOCH, nodes: 1 }
    }

    #[test]
    fn force_kills_at_once() {
        let forced = How { grace_duration: None, force: true };
        assert_eq!(forced.options(), StopOptions { grace: None, urgency: Urgency::Kill });
        let patient = How { grace_duration: Some(Duration::from_secs(3)), force: false };
        assert_eq!(patient.options(), StopOptions { grace: Some(Duration::from_secs(3)), urgency: Urgency::Ask });
    }

    /// The first stop is answered only after the second one was asked for.
    #[tokio::test]
    async fn all_are_stopped_at_the_same_time() {
        let waiting = Arc::new(Mutex::new(Vec::new()));
        let (_service, dispatcher) = scripted::dispatcher(move |call| match call {
            DispatcherCall::Stop { dataflow: DataflowSelector::Id(dataflow), reply, .. } => {
                let mut waiting = waiting.lock().expect("not poisoned");
                waiting.push((dataflow, reply));
                if waiting.len() == 2 {
                    for (dataflow, reply) in waiting.drain(..) {
                        reply.ok(DataflowResult { dataflow, outcome: Outcome::default() });
                    }
                }
            }
            other => panic!("not in the script: {other:?}"),
        })
        .await;
        let stopped = stop_each(dispatcher, vec![running(1), running(2)], StopOptions::default()).await;
        let mut ids: Vec<_> = stopped.iter().map(|(dataflow, result)| (dataflow.id, result.is_ok())).collect();
        ids.sort();
        assert_eq!(ids, [(id(1), true), (id(2), true)]);
    }

    #[test]
    fn who_failed_is_named() {
        let node = NodeOutcome {
            node: "camera".into(),
            result: NodeResult::Failed(ExitStatus::Code { code: 3 }),
            never_connected: false,
            last_stderr: vec![],
        };
        let outcome = Outcome { nodes: vec![node], ..Outcome::default() };
        let lines = failures(&DataflowResult { dataflow: id(1), outcome });
        assert_eq!(lines[0], "node `camera` exited with code 3");
        assert_eq!(lines[1], "`dora logs 00000000-0000-0000-0000-000000000001` shows what the nodes printed");
    }
}
