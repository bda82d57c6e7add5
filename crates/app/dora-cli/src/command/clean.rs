//! `dora clean`: forgets dataflows that have ended.

use std::process::ExitCode;

use dora_gateways::{DataflowId, DataflowSummary, DispatcherGateway as _};
use serde::Serialize;

use super::{
    ListFormat,
    list::{Listed, Status, name_cell, print_ids},
    print_rows,
};
use crate::{
    client::Client,
    error::{self, CommandError},
    table::Align,
    words::state_word,
};

const EXAMPLES: &str = "\
Examples:
  dora clean
  dora clean --name test            those with this text in the name
  dora clean --status finished      those that failed stay
  dora clean --format json          one JSON object per line

With a dataflow go its logs and the files that were sent for it. What runs is never touched.";

/// Forget dataflows that have ended, with their logs.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Only those that ended so.
    #[arg(long, value_name = "STATUS", value_parser = ended)]
    status: Option<Status>,
    #[command(flatten)]
    listed: Listed,
}

fn ended(text: &str) -> Result<Status, String> {
    match text {
        "finished" => Ok(Status::Finished),
        "failed" => Ok(Status::Failed),
        _ => Err("expected `finished` or `failed`: what runs is not cleaned".to_owned()),
    }
}

/// A dataflow as programs read it.
#[derive(Serialize)]
struct Row<'a> {
    uuid: DataflowId,
    name: Option<&'a str>,
    status: &'static str,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let listed = &arguments.listed;
    let client = Client::connect(&listed.coordinator)?;
    let cleaned = client.run(client.patient().clean(listed.filter(arguments.status)))?;
    if listed.quiet {
        print_ids(&cleaned)?;
        return Ok(ExitCode::SUCCESS);
    }
    let head = [("UUID", Align::Left), ("Name", Align::Left), ("Status", Align::Left)];
    let cells = |dataflow: &DataflowSummary| {
        vec![dataflow.id.to_string(), name_cell(dataflow), state_word(dataflow.state).to_owned()]
    };
    if !cleaned.is_empty() {
        print_rows(listed.format, &head, &cleaned, row, cells)?;
    }
    if listed.format == ListFormat::Table {
        error::tell_line(&format!("Cleaned {} dataflow(s).", cleaned.len()));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(dataflow: &DataflowSummary) -> Row<'_> {
    Row { uuid: dataflow.id, name: dataflow.name.as_deref(), status: state_word(dataflow.state) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_cannot_be_cleaned() {
        assert_eq!(ended("failed"), Ok(Status::Failed));
        assert!(ended("running").is_err_and(|error| error.contains("is not cleaned")));
    }
}
