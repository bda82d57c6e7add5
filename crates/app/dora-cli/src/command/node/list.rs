//! `dora node list`: the nodes of dataflows that run.

use std::process::ExitCode;

use dora_gateways::{DataflowInfo, DataflowSelector, DispatcherGateway as _, MetricQuery, NodeInfo};
use serde::Serialize;

use crate::{
    client::{Client, CoordinatorArgs},
    command::{ListFormat, list::Status, print, print_rows},
    error::CommandError,
    figures::{Figures, MOMENT},
    table::Align,
    words::node_state_word,
};

const EXAMPLES: &str = "\
Examples:
  dora node list                    the nodes of all dataflows that run
  dora node list -d camera-rig      of one, also when it has ended
  dora node list --format json      one JSON object per line
  dora node list -q                 ids only";

/// Show the nodes of dataflows, with what they do and take.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// One dataflow; all that run if none is given.
    #[arg(short, long, value_name = "UUID_OR_NAME")]
    dataflow: Option<String>,
    /// How the list is written.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    format: ListFormat,
    /// Only the ids, one per line.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

/// A node, as people and programs read it: all values are texts.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    node: String,
    status: &'static str,
    pid: String,
    cpu: String,
    memory: String,
    restarts: String,
    dataflow: String,
}

pub(super) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let client = Client::connect(&arguments.coordinator)?;
    let dataflows = dataflows(&client, arguments.dataflow.as_deref())?;
    if arguments.quiet {
        let nodes = dataflows.iter().flat_map(|dataflow| &dataflow.nodes);
        print(&nodes.map(|node| format!("{}\n", node.node)).collect::<String>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let figures = figures(&client, &dataflows);
    let rows: Vec<Row> = dataflows.iter().flat_map(|dataflow| rows(dataflow, figures.as_ref())).collect();
    let head = ["NODE", "STATUS", "PID", "CPU", "MEMORY", "RESTARTS", "DATAFLOW"].map(|title| (title, Align::Left));
    print_rows(
        arguments.format,
        &head,
        &rows,
        |row| row,
        |row| {
            let Row { node, status, pid, cpu, memory, restarts, dataflow } = row;
            [node, *status, pid, cpu, memory, restarts, dataflow].map(str::to_owned).to_vec()
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The one that was named, or all that run.
fn dataflows(client: &Client, named: Option<&str>) -> Result<Vec<DataflowInfo>, CommandError> {
    let dispatcher = client.dispatcher();
    if let Some(named) = named {
        return Ok(vec![client.run(dispatcher.info(DataflowSelector::from(named)))?]);
    }
    let filter = Status::Running.filter();
    let running = client.run(dispatcher.list(filter))?;
    running.iter().map(|dataflow| client.run(dispatcher.info(DataflowSelector::Id(dataflow.id)))).collect()
}

/// Without figures the list is still worth something.
pub(super) fn figures(client: &Client, dataflows: &[DataflowInfo]) -> Option<Figures> {
    let dataflow = match dataflows {
        [one] => Some(one.summary.id),
        _ => None,
    };
    let nothing_runs = dataflows.iter().all(|dataflow| dataflow.summary.state.is_final());
    let metrics = if nothing_runs { None } else { client.metrics().ok() }?;
    let query = MetricQuery { dataflow, ..MetricQuery::default() };
    client.block_on(Figures::over(metrics, query, MOMENT)).ok()
}

fn rows(dataflow: &DataflowInfo, figures: Option<&Figures>) -> Vec<Row> {
    let name = dataflow.summary.name.clone().unwrap_or_else(|| dataflow.summary.id.to_string());
    let row = |node: &NodeInfo| {
        let metrics = figures.and_then(|figures| {
            let known = figures.now.nodes.iter();
            let mut known = known.filter(|metrics| metrics.dataflow == dataflow.summary.id);
            known.find(|metrics| metrics.node == node.node).map(|metrics| (figures, metrics))
        });
        let rates = metrics.and_then(|(figures, metrics)| figures.node(metrics));
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        Row {
            node: node.node.to_string(),
            status: node_state_word(&node.state),
            pid: or_dash(node.pid.map(|pid| pid.to_string())),
            cpu: or_dash(rates.map(|rates| format!("{:.1}%", rates.cpu_percent))),
            memory: or_dash(metrics.map(|(_, metrics)| format!("{:.1} MB", metrics.memory as f64 / 1e6))),
            restarts: node.restarts.to_string(),
            dataflow: name.clone(),
        }
    };
    dataflow.nodes.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use dora_gateways::{DataflowId, DataflowState, DataflowSummary, NodeState};
    use dora_message::result::NodeResult;

    use super::*;
    use crate::figures::tests::snapshot;

    #[test]
    fn nodes_are_shown_with_what_they_take() {
        let node = |name: &str, state, pid| NodeInfo {
            node: name.into(),
            machine: None,
            attempt: None,
            state,
            pid,
            restarts: 1,
        };
        let id = DataflowId(uuid::Uuid::from_u128(7));
        let state = DataflowState::Running;
        let dataflow = DataflowInfo {
            summary: DataflowSummary { id, name: None, state, submitted: DateTime::UNIX_EPOCH, nodes: 2 },
            descriptor: String::new(),
            nodes: vec![
                node("camera", NodeState::Running, Some(77)),
                node("gone", NodeState::Ended(NodeResult::Lost), None),
            ],
            result: None,
        };
        let figures = Figures::first(snapshot(1)).next(snapshot(2));
        let rows = rows(&dataflow, Some(&figures));
        let texts = |row: &Row| [row.status.to_owned(), row.pid.clone(), row.cpu.clone(), row.memory.clone()].join(" ");
        assert_eq!(rows.iter().map(texts).collect::<Vec<_>>(), ["Running 77 50.0% 33.6 MB", "Failed - - -"]);
        assert_eq!(rows[0].dataflow, id.to_string());
    }
}
