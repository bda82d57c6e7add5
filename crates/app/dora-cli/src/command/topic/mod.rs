//! `dora topic`: what nodes send to each other. To look costs them nothing: who looks is one more consumer, whose messages
//! are left out when it is too slow.

mod echo;
mod hz;
mod info;
mod list;
mod message;
mod publish;
mod tap;

use std::process::ExitCode;

use clap::Subcommand;
use dora_gateways::{DataflowInfo, OutputId, TapQuery};

use self::tap::Tap;
use crate::{choice::Scope, client::Client, error::CommandError};

const EXAMPLES: &str = "\
Examples:
  dora topic list
  dora topic echo camera/image --count 1
  dora topic hz --duration 5s
  dora topic info camera/image
  dora topic pub camera/image '[1, 2, 3]'

A topic is an output of a node: NODE/OUTPUT. `dora help topic COMMAND` tells more about each of them.";

/// Look at the messages of a dataflow that runs, and send some.
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
    Echo(echo::Arguments),
    Hz(hz::Arguments),
    Pub(publish::Arguments),
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    match &arguments.verb {
        Verb::List(arguments) => list::execute(arguments),
        Verb::Info(arguments) => info::execute(arguments),
        Verb::Echo(arguments) => echo::execute(arguments),
        Verb::Hz(arguments) => hz::execute(arguments),
        Verb::Pub(arguments) => publish::execute(arguments),
    }
}

/// Which outputs are looked at.
#[derive(clap::Args)]
struct Looked {
    /// The outputs; all of the dataflow if none is given.
    #[arg(value_name = "NODE/OUTPUT", value_parser = parse_topic)]
    topics: Vec<OutputId>,
    #[command(flatten)]
    scope: Scope,
}

impl Looked {
    /// The coordinator, the dataflow, and its messages from now on; what they say only with `payload`.
    fn open(&self, payload: bool) -> Result<(Client, DataflowInfo, Tap), CommandError> {
        let (client, info) = self.scope.open()?;
        let query = TapQuery { outputs: self.topics.clone(), payload };
        let dispatcher = client.patient();
        let tap = client.run(Tap::open(&dispatcher, info.summary.id, query))?;
        Ok((client, info, tap))
    }
}

/// Reads `NODE/OUTPUT`.
fn parse_topic(text: &str) -> Result<OutputId, String> {
    let (node, output) = text.split_once('/').ok_or("expected NODE/OUTPUT, for example `camera/image`")?;
    let node = node.parse().map_err(|error| format!("{error}"))?;
    Ok(OutputId { node, output: output.parse().map_err(|error| format!("{error}"))? })
}

/// `camera/image`.
fn topic_name(topic: &OutputId) -> String {
    format!("{}/{}", topic.node, topic.output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_as_they_are_written() {
        for text in ["camera/image", "runtime/op/image"] {
            assert_eq!(parse_topic(text).map(|topic| topic_name(&topic)).as_deref(), Ok(text));
        }
        assert!(parse_topic("camera").is_err_and(|error| error.contains("NODE/OUTPUT")));
        assert!(parse_topic("ca mera/image").is_err() && parse_topic("camera/").is_err());
    }
}
