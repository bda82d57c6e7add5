//! `dora validate`: what is wrong with a dataflow file, and what this version cannot run of it.

use std::{path::PathBuf, process::ExitCode};

use dora_descriptor::{Diagnostics, Loaded, Options, Record};
use serde::Serialize;

use super::OutputFormat;
use crate::{
    error::{self, CommandError},
    load,
};

const EXAMPLES: &str = "\
Examples:
  dora validate dataflow.yml
  dora validate --strict-types dataflow.yml
  dora validate --format json dataflow.yml | jq '.diagnostics[].message'

Exit code: 0 when the file is right, 1 when it is not. Programs that nodes name are not looked for.";

/// Check a dataflow file: spelling, values, wiring, types.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The dataflow file.
    #[arg(value_name = "FILE", default_value = "dataflow.yml")]
    path: PathBuf,
    /// Types that do not fit are mistakes, not warnings.
    #[arg(long)]
    strict_types: bool,
    /// Text for people, or one JSON object.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

/// The result as JSON.
#[derive(Serialize)]
struct Verdict<'a> {
    file: &'a str,
    valid: bool,
    /// Mistakes and warnings.
    diagnostics: Vec<Record<'a>>,
    /// What `dora run` of this version refuses although the file is right.
    unserved: Vec<Record<'a>>,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let options = Options { strict_types: arguments.strict_types, ..Options::default() };
    let outcome = load::load_quietly(&arguments.path, &options)?;
    match arguments.format {
        OutputFormat::Text => as_text(arguments, outcome),
        OutputFormat::Json => as_json(arguments, &outcome),
    }
}

fn as_text(arguments: &Arguments, outcome: Result<Loaded, Diagnostics>) -> Result<ExitCode, CommandError> {
    super::print(&format!("Validating {}...\n", arguments.path.display()))?;
    let loaded = outcome.map_err(|mistakes| load::mistakes_error(&arguments.path, mistakes))?;
    load::tell_warnings(&loaded.warnings);
    super::print("Input/output wiring OK.\nDescriptor config OK.\n")?;
    if !loaded.warnings.iter().any(|warning| warning.code == dora_descriptor::Code::Type) {
        super::print("All type annotations OK.\n")?;
    }
    for record in unserved(&loaded).records() {
        let place = record.position.as_ref().map(|position| format!("{position}: ")).unwrap_or_default();
        error::tell_note(&format!("{place}{}", record.message));
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(arguments: &Arguments, outcome: &Result<Loaded, Diagnostics>) -> Result<ExitCode, CommandError> {
    let (valid, diagnostics, unserved) = match outcome {
        Ok(loaded) => (true, &loaded.warnings, unserved(loaded)),
        Err(mistakes) => (false, mistakes, Diagnostics::default()),
    };
    let verdict = Verdict {
        file: &arguments.path.to_string_lossy(),
        valid,
        diagnostics: diagnostics.records().collect(),
        unserved: unserved.records().collect(),
    };
    super::print_json(&verdict)?;
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn unserved(loaded: &Loaded) -> Diagnostics {
    dora_descriptor::unserved(loaded, &load::served())
}
