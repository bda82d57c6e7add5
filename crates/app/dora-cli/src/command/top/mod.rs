//! `dora top`: what the nodes of all dataflows do and take, in this moment or again and again.
//!
//! `look` asks the coordinator, `report` is what programs read, `view` what the terminal shows and what keys change,
//! `draw` puts it there, `terminal` runs it.

mod draw;
mod look;
mod report;
mod terminal;
mod view;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use crate::{
    client::{Client, CoordinatorArgs},
    command::print,
    error::CommandError,
    figures::MOMENT,
    units,
};

const EXAMPLES: &str = "\
Examples:
  dora top
  dora top --refresh-interval 500ms
  dora top --once | jq '.[].metrics.cpu_usage'     this moment as JSON, for programs

MEMORY is that of the processes of a node. SHARED is what the messages that it has sent take: those that are queued or
kept by receivers, and free ones that it will use again.

Keys: up and down choose a node, `s` sorts by the next column, `e` shows edges or nodes, `q` ends it.
All figures are read from memory that nodes share with dora: to look costs them nothing.";

/// Show what nodes and edges do: processor, memory, queues, rates, drops, latencies.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Time between two looks.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    refresh_interval: Duration,
    /// Print this moment as JSON, and end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

/// Look at what runs: `dora inspect top` is `dora top`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArguments {
    #[command(subcommand)]
    what: Inspected,
}

#[derive(clap::Subcommand)]
enum Inspected {
    Top(Arguments),
}

pub(crate) fn inspect(arguments: &InspectArguments) -> Result<ExitCode, CommandError> {
    let Inspected::Top(arguments) = &arguments.what;
    execute(arguments)
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = units::parse_duration(text)?;
    let shortest = Duration::from_millis(100);
    if interval < shortest { Err("expected at least `100ms`".to_owned()) } else { Ok(interval) }
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if !arguments.once && !terminal {
        return Err(CommandError::usage(
            "`dora top` needs a terminal",
            "`dora top --once` prints the figures of this moment as JSON",
        ));
    }
    let client = Client::connect(&arguments.coordinator)?;
    if arguments.once {
        let before = look::look(&client)?;
        client.block_on(async { tokio::time::sleep(MOMENT).await });
        let report = report::report(&before.next(look::look(&client)?));
        let text = serde_json::to_string_pretty(&report).map_err(|error| CommandError::failed(error.to_string()))?;
        print(&(text + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    terminal::run(&client, arguments.refresh_interval)
}
