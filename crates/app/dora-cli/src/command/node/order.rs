//! `dora node stop` and `dora node restart`.

use std::{process::ExitCode, time::Duration};

use dora_gateways::{DispatcherGateway as _, StopOptions, Urgency};
use dora_message::id::NodeId;

use crate::{
    choice,
    client::{Client, CoordinatorArgs},
    command::print,
    error::CommandError,
    units,
};

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
    /// Its dataflow; the only one that runs if none is given.
    #[arg(short, long, value_name = "UUID_OR_NAME")]
    dataflow: Option<String>,
    /// Time that it has to end by itself, before SIGTERM [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    grace: Option<Duration>,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

impl Order {
    fn options(&self) -> StopOptions {
        StopOptions { grace: self.grace, urgency: Urgency::Ask }
    }
}

pub(super) fn stop(arguments: &StopArguments) -> Result<ExitCode, CommandError> {
    let order = &arguments.order;
    let client = Client::connect(&order.coordinator)?;
    let dispatcher = client.patient();
    choice::resolved(&client, choice::selector(order.dataflow.as_deref()), async |selector| {
        dispatcher.stop_node(selector, order.node.clone(), order.options()).await
    })?;
    print(&format!("Node `{}` stop initiated\n", order.node))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restart(arguments: &RestartArguments) -> Result<ExitCode, CommandError> {
    let order = &arguments.order;
    let client = Client::connect(&order.coordinator)?;
    let dispatcher = client.patient();
    choice::resolved(&client, choice::selector(order.dataflow.as_deref()), async |selector| {
        dispatcher.restart_node(selector, order.node.clone(), order.options()).await
    })?;
    print(&format!("Node `{}` restart initiated\n", order.node))?;
    Ok(ExitCode::SUCCESS)
}
