//! `dora graph`: a dataflow to look at, as an HTML file or as a Mermaid chart.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use dora_descriptor::Options;

use crate::{
    error::{self, CommandError},
    load, mermaid, picture,
};

const EXAMPLES: &str = "\
Examples:
  dora graph dataflow.yml                      writes dataflow-graph.html
  dora graph --open dataflow.yml               and shows it in the browser
  dora graph --mermaid dataflow.yml            prints a chart for Markdown documents
  dora graph dataflow.yml -o docs/graph.html

The HTML file needs no network. It holds no values of environment variables.";

/// Draw a dataflow: nodes, their inputs and outputs, timers, and the policy of every edge.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The dataflow file.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Print a Mermaid flow chart instead.
    #[arg(long, conflicts_with = "open")]
    mermaid: bool,
    /// Show the picture in the browser.
    #[arg(long)]
    open: bool,
    /// Where to write; `<FILE's name>-graph.html` in this directory if left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let loaded = load::load(&arguments.path, &Options::default())?;
    if arguments.mermaid {
        let chart = mermaid::chart(&loaded.dataflow);
        match &arguments.output {
            Some(output) => write(output, &chart)?,
            None => super::print(&chart)?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stem = arguments.path.file_stem().unwrap_or_default().to_string_lossy();
    let output = arguments.output.clone().unwrap_or_else(|| PathBuf::from(format!("{stem}-graph.html")));
    write(&output, &picture::html(&loaded.dataflow, &stem))?;
    super::print(&format!("{}\n", output.display()))?;
    if arguments.open {
        open(&output)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    std::fs::write(path, text).map_err(|error| error::file_error("write", path, &error))
}

/// Hands the file to whatever the desktop opens HTML files with.
fn open(path: &Path) -> Result<(), CommandError> {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let outcome =
        Command::new(opener).arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if outcome.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(CommandError::failed(format!("`{opener}` could not show the picture"))
        .with_hint(format!("open `{}` in a browser", path.display())))
}
