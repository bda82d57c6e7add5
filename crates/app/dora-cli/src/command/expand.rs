//! `dora expand`: the dataflow as it is after modules, parameters, variables and defaults.

use std::{path::PathBuf, process::ExitCode};

use dora_descriptor::Options;

use crate::{error::CommandError, load};

const EXAMPLES: &str = "\
Examples:
  dora expand dataflow.yml
  dora expand dataflow.yml > flat.yml && dora run flat.yml

Values of environment variables appear in the output.";

/// Print a dataflow with modules and variables expanded and defaults filled in.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The dataflow file.
    #[arg(value_name = "FILE")]
    path: PathBuf,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let loaded = load::load(&arguments.path, &Options::default())?;
    super::print(&dora_descriptor::expanded_yaml(&loaded.dataflow))?;
    Ok(ExitCode::SUCCESS)
}
