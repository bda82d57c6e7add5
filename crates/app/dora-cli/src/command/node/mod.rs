//! `dora node`: single nodes of dataflows that run.

mod info;
mod list;
mod order;

use std::process::ExitCode;

use clap::Subcommand;

use dora_gateways::{DataflowInfo, NodeInfo};
use dora_message::id::NodeId;

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

/// A node of a dataflow, or what is nearly called so.
fn node_of<'a>(info: &'a DataflowInfo, node: &NodeId) -> Result<&'a NodeInfo, CommandError> {
    info.nodes.iter().find(|known| known.node == *node).ok_or_else(|| {
        let ids = info.nodes.iter().map(|known| known.node.as_str());
        let near = dora_descriptor::nearest(node.as_str(), ids).map(|near| format!("; did you mean `{near}`?"));
        CommandError::failed(format!("the dataflow has no node `{node}`{}", near.unwrap_or_default()))
            .with_hint("`dora node list` shows the nodes")
    })
}
