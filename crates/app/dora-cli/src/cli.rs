//! The command line: which commands there are. What each does is in its file under `command/`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{command, error::CommandError, unserved};

const EXAMPLES: &str = "\
Examples:
  dora new robot                    make a dataflow that runs at once, in the directory robot
  dora run dataflow.yml             run a dataflow, until all its nodes are done or Ctrl-C
  dora validate dataflow.yml        say what is wrong with a file, and where
  dora graph --open dataflow.yml    look at a dataflow
  dora up                           start what runs dataflows in the background; `dora down` ends it
  dora start dataflow.yml           run one there, to be looked after by `list`, `logs`, `stop`

`dora help COMMAND` tells more about each command.";

/// Real-time dataflows: nodes in any language exchange messages without copies.
#[derive(Parser)]
#[command(name = "dora-cli", bin_name = "dora", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(command::new::Arguments),
    Run(command::run::RunCommand),
    Up(command::up::Arguments),
    Down(command::down::Arguments),
    #[command(alias = "check")]
    Status(command::status::Arguments),
    Start(command::start::Arguments),
    Stop(command::stop::Arguments),
    Restart(command::restart::Arguments),
    #[command(alias = "ps")]
    List(command::list::Arguments),
    Logs(command::logs::Arguments),
    Node(command::node::Arguments),
    Topic(command::topic::Arguments),
    Top(command::top::Arguments),
    #[command(hide = true)]
    Inspect(command::top::InspectArguments),
    Clean(command::clean::Arguments),
    Context(command::context::Arguments),
    Build(command::build::Arguments),
    Doctor(command::doctor::Arguments),
    Validate(command::validate::Arguments),
    Expand(command::expand::Arguments),
    Graph(command::graph::Arguments),
    Schema(command::schema::Arguments),
    Completion(command::completion::Arguments),
    System(command::system::Arguments),
    #[command(hide = true)]
    Coordinator(command::coordinator::Arguments),
    #[command(hide = true)]
    Daemon(command::daemon::Arguments),
}

/// The `dora` program: reads the command line, does what it says.
///
/// The exit code is 0 when all went well, 1 when the dataflow or the command failed, 2 when the command line is wrong.
pub fn main() -> ExitCode {
    // Arguments that are not UTF-8 are none of the names looked for here; clap judges them.
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let outcome = unserved::refuse(&arguments).and_then(|()| match Cli::try_parse() {
        Ok(cli) => cli.command.execute(),
        Err(error) => {
            // A closed pipe is no reason to fail.
            let _ = error.print();
            Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)))
        }
    });
    outcome.unwrap_or_else(|error| error.tell())
}

impl Command {
    fn execute(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::New(arguments) => command::new::execute(&arguments),
            Self::Doctor(arguments) => command::doctor::execute(&arguments),
            Self::Run(mut command) => {
                // Survives an update of the program while it runs.
                command.keeper = Some("/proc/self/exe".into());
                let format = command.log_format;
                command::run::execute(command).or_else(|error| Ok(error.tell_as(format)))
            }
            Self::Start(arguments) => command::start::execute(&arguments),
            Self::Stop(arguments) => command::stop::execute(&arguments),
            Self::Restart(arguments) => command::restart::execute(&arguments),
            Self::List(arguments) => command::list::execute(&arguments),
            Self::Logs(arguments) => command::logs::execute(&arguments),
            Self::Node(arguments) => command::node::execute(&arguments),
            Self::Topic(arguments) => command::topic::execute(&arguments),
            Self::Top(arguments) => command::top::execute(&arguments),
            Self::Inspect(arguments) => command::top::inspect(&arguments),
            Self::Clean(arguments) => command::clean::execute(&arguments),
            Self::Build(arguments) => command::build::execute(&arguments),
            Self::Validate(arguments) => command::validate::execute(&arguments),
            Self::Expand(arguments) => command::expand::execute(&arguments),
            Self::Graph(arguments) => command::graph::execute(&arguments),
            Self::Schema(arguments) => command::schema::execute(&arguments),
            Self::Completion(arguments) => command::completion::execute(&arguments),
            Self::Up(arguments) => command::up::execute(&arguments),
            Self::Down(arguments) => command::down::execute(&arguments),
            Self::Status(arguments) => command::status::execute(&arguments),
            Self::Context(arguments) => command::context::execute(&arguments),
            Self::System(arguments) => command::system::execute(&arguments),
            Self::Coordinator(arguments) => command::coordinator::execute(&arguments),
            Self::Daemon(arguments) => command::daemon::execute(&arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_examples() {
        fn check(command: &clap::Command) {
            for command in command.get_subcommands() {
                assert!(command.get_about().is_some(), "{} has no description", command.get_name());
                assert!(command.get_after_help().is_some(), "{} has no examples", command.get_name());
                check(command);
            }
        }
        check(&super::Cli::command());
    }
}
