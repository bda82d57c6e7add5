//! `dora completion`: what a shell needs to complete our commands.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{cli::Cli, error::CommandError};

const EXAMPLES: &str = "\
Examples:
  source <(dora completion bash)                                   this shell only
  dora completion zsh > ~/.zfunc/_dora                             with ~/.zfunc in $fpath
  dora completion fish > ~/.config/fish/completions/dora.fish";

/// Print a script that lets a shell complete dora's commands and flags.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The shell; that of the environment variable SHELL if left out.
    shell: Option<Shell>,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let shell = arguments.shell.or_else(Shell::from_env).ok_or_else(|| {
        CommandError::usage("cannot tell which shell this is", "name it, for example `dora completion bash`")
    })?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dora", &mut script);
    super::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
