//! `dora node stop` and `dora node restart`.

use std::{process::ExitCode, time::Duration};

use dora_gateways::{DataflowSelector, DispatcherGateway as _, NodeState, StopOptions, Urgency};
use dora_message::{id::NodeId, result::NodeResult};

use super::node_of;
use crate::{choice::Scope, client::Client, command::print, error::CommandError, units};

const STOP_EXAMPLES: &str = "\
Examples:
  dora node stop camera
  dora node stop camera -d camera-rig --grace 2s

The others go on: they are told that the node's outputs are closed. It is not started again, whatever
`restart_policy` says.";

const RESTART_EXAMPLES: &str = "\
Examples:
  dora node restart camera
  dora node restart camera -d camera-rig --grace 2s

What waits in its queues is kept for the new process; the others are told that it was started again.";

/// Stop one node of a dataflow that runs.
#[derive(clap::Args)]
#[command(after_help = STOP_EXAMPLES)]
pub(super) struct StopArguments {
    #[command(flatten)]
    order: Order,
}

/// Stop one node of a dataflow that runs, and start it again.
#[derive(clap::Args)]
#[command(after_help = RESTART_EXAMPLES)]
pub(super) struct RestartArguments {
    #[command(flatten)]
    order: Order,
}

#[derive(clap::Args)]
struct Order {
    /// The node.
    #[arg(value_name = "NODE")]
    node: NodeId,
    /// Time that it has to end by itself, before SIGTERM [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    grace: Option<Duration>,
    #[command(flatten)]
    scope: Scope,
}

impl Order {
    fn options(&self) -> StopOptions {
        StopOptions { grace: self.grace, urgency: Urgency::Ask }
    }

    /// The coordinator, the dataflow, and how the node ended, if it has.
    fn open(&self) -> Result<(Client, DataflowSelector, Option<NodeResult>), CommandError> {
        let (client, info) = self.scope.open()?;
        let ended = match &node_of(&info, &self.node)?.state {
            NodeState::Ended(result) => Some(result.clone()),
            _ => None,
        };
        Ok((client, DataflowSelector::Id(info.summary.id), ended))
    }
}

pub(super) fn stop(arguments: &StopArguments) -> Result<ExitCode, CommandError> {
    let order = &arguments.order;
    let (client, dataflow, ended) = order.open()?;
    if let Some(result) = ended {
        print(&format!("Node `{}` had ended already: it {result}\n", order.node))?;
        return Ok(ExitCode::SUCCESS);
    }
    client.run(client.patient().stop_node(dataflow, order.node.clone(), order.options()))?;
    print(&format!("Node `{}` stop initiated\n", order.node))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restart(arguments: &RestartArguments) -> Result<ExitCode, CommandError> {
    let order = &arguments.order;
    let (client, dataflow, ended) = order.open()?;
    if let Some(result) = ended {
        let what = format!("node `{}` has ended and is not started again: it {result}", order.node);
        return Err(CommandError::failed(what).with_hint("`dora restart` runs the whole dataflow again"));
    }
    client.run(client.patient().restart_node(dataflow, order.node.clone(), order.options()))?;
    print(&format!("Node `{}` restart initiated\n", order.node))?;
    Ok(ExitCode::SUCCESS)
}
