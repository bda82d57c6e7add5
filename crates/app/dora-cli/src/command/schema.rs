//! `dora schema`: the JSON Schema of dataflow files.

use std::process::ExitCode;

use crate::error::CommandError;

const EXAMPLES: &str = "\
Examples:
  dora schema > dora-schema.json

With the YAML language server, a first line such as
  # yaml-language-server: $schema=dora-schema.json
in a dataflow file makes an editor complete keys and mark mistakes.";

/// Print the JSON Schema of dataflow files, for editors.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {}

pub(crate) fn execute(_: &Arguments) -> Result<ExitCode, CommandError> {
    super::print(&format!("{:#}\n", dora_descriptor::schema()))?;
    Ok(ExitCode::SUCCESS)
}
