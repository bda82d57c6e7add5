//! `dora restart`: stops a dataflow and runs it again, as it was submitted.

use std::process::ExitCode;

use dora_gateways::{DataflowSelector, DispatcherGateway as _};

use super::{start, stop::How};
use crate::{
    choice,
    client::{Client, CoordinatorArgs},
    error::CommandError,
    signals,
    silence::while_waiting,
};

const EXAMPLES: &str = "\
Examples:
  dora restart camera              by name, by id, or by the beginning of an id
  dora restart camera --force      kill its nodes first

What runs is stopped as `dora stop` does it; what has ended is started again. The dataflow file is
not read again: for that use `dora stop` and `dora start`. The new run has an id of its own
and the same name.";

/// Stop a dataflow and start it again.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The dataflow; the only one that runs if none is given.
    #[arg(value_name = "UUID_OR_NAME", conflicts_with = "name")]
    dataflow: Option<String>,
    /// The dataflow, by its name.
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let client = Client::connect(&arguments.coordinator)?;
    let name = arguments.name.clone().map(DataflowSelector::Name);
    let selector = name.unwrap_or_else(|| choice::selector(arguments.dataflow.as_deref()));
    let (dispatcher, options) = (client.patient(), arguments.how.options());
    let _interrupts = signals::leave_saying("the restart goes on; `dora list` tells what has become of it".to_owned())?;
    let dataflow = choice::resolved(&client, selector, async |selector| {
        while_waiting(client.dispatcher(), "stopping", dispatcher.restart(selector, options)).await
    })?;
    start::triggered(dataflow)?;
    start::await_running(&client, dataflow, |trouble| CommandError::failed(trouble.to_string()))
}
