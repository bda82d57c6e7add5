//! `dora node`: single nodes of dataflows that run.

mod info;
mod list;
mod order;

use std::process::ExitCode;

use clap::Subcommand;

use crate::error::CommandError;

const EXAMPLES: &str = "\
Examples:
  dora node list
  dora node info camera
  dora node restart camera -d camera-rig
  dora node stop camera --grace 2s

`dora help node COMMAND` tells more about each of them.";

/// Look at single nodes, stop them, start them again.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    List(list::Arguments),
    Info(info::Arguments),
    Stop(order::StopArguments),
    Restart(order::RestartArguments),
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    match &arguments.verb {
        Verb::List(arguments) => list::execute(arguments),
        Verb::Info(arguments) => info::execute(arguments),
        Verb::Stop(arguments) => order::stop(arguments),
        Verb::Restart(arguments) => order::restart(arguments),
    }
}
