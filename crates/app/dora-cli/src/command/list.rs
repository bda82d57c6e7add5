//! `dora list`: the dataflows that a coordinator knows.

use std::{collections::BTreeMap, process::ExitCode};

use clap::ValueEnum;
use dora_gateways::{DataflowId, DataflowState, DataflowSummary, DispatcherGateway as _, ListFilter, MetricQuery};
use serde::Serialize;

use super::{ListFormat, print, print_rows};
use crate::{
    client::{Client, CoordinatorArgs},
    error::CommandError,
    figures::{Figures, MOMENT},
    table::Align,
    words::state_word,
};

const EXAMPLES: &str = "\
Examples:
  dora list
  dora list --status running --sort-by cpu
  dora list --name camera                    with this text in the name
  dora list --name 'camera-*'                a name that looks like this
  dora list --format json                    one JSON object per line
  dora stop $(dora list -q --name test)      ids only, for other commands

Those that have ended stay in the list until `dora clean` forgets them.
CPU is that of this moment, of one processor; memory is what its nodes hold now.";

/// Show the dataflows: those that run, and those that have ended.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Only those in this state.
    #[arg(long, value_name = "STATUS", value_enum)]
    status: Option<Status>,
    /// The one that takes most first; without it the latest.
    #[arg(long, value_name = "WHAT", value_enum)]
    sort_by: Option<SortBy>,
    #[command(flatten)]
    listed: Listed,
}

/// Which dataflows of which coordinator are listed, and how.
#[derive(clap::Args)]
pub(super) struct Listed {
    /// How the list is written.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) format: ListFormat,
    /// Only those with this text in the name; `*` stands for any text, `?` for any character.
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,
    /// Only the ids, one per line.
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) coordinator: CoordinatorArgs,
}

impl Listed {
    /// Those of this state, or of any.
    pub(super) fn filter(&self, status: Option<Status>) -> ListFilter {
        ListFilter { states: status.map(Status::states).unwrap_or_default(), name: self.name.clone() }
    }
}

/// Writes their ids, one per line.
pub(super) fn print_ids(dataflows: &[DataflowSummary]) -> Result<(), CommandError> {
    print(&dataflows.iter().map(|dataflow| format!("{}\n", dataflow.id)).collect::<String>())
}

/// What people call it.
pub(super) fn name_cell(dataflow: &DataflowSummary) -> String {
    dataflow.name.clone().unwrap_or_else(|| "-".to_owned())
}

/// States that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// It has not ended.
    Running,
    Finished,
    Failed,
}

impl Status {
    /// All of them, whatever their names.
    pub(crate) fn filter(self) -> ListFilter {
        ListFilter { states: self.states(), name: None }
    }

    pub(crate) fn states(self) -> Vec<DataflowState> {
        use DataflowState::{Building, Failed, Finished, Running, Spawning, Stopping, WaitingForReady};
        match self {
            Self::Running => vec![Building, Spawning, WaitingForReady, Running, Stopping],
            Self::Finished => vec![Finished],
            Self::Failed => vec![Failed],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SortBy {
    Cpu,
    Memory,
}

/// What the nodes of a dataflow take.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Usage {
    cpu_percent: f64,
    memory: u64,
}

/// A dataflow as programs read it.
#[derive(Debug, PartialEq, Serialize)]
struct Row<'a> {
    uuid: DataflowId,
    name: Option<&'a str>,
    status: &'static str,
    nodes: u32,
    /// In percent of one processor.
    cpu: f64,
    /// In GB.
    memory: f64,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let listed = &arguments.listed;
    let client = Client::connect(&listed.coordinator)?;
    let mut dataflows = client.run(client.dispatcher().list(listed.filter(arguments.status)))?;
    if listed.quiet {
        print_ids(&dataflows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let usage = usage(&client, &dataflows);
    sort(&mut dataflows, &usage, arguments.sort_by);
    show(&dataflows, &usage, listed.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Without figures the list is still worth something.
fn usage(client: &Client, dataflows: &[DataflowSummary]) -> BTreeMap<DataflowId, Usage> {
    let nothing_runs = dataflows.iter().all(|dataflow| dataflow.state.is_final());
    let metrics = if nothing_runs { None } else { client.metrics().ok() };
    let figures =
        metrics.and_then(|metrics| client.block_on(Figures::over(metrics, MetricQuery::default(), MOMENT)).ok());
    figures.as_ref().map(usage_of).unwrap_or_default()
}

fn usage_of(figures: &Figures) -> BTreeMap<DataflowId, Usage> {
    let mut usage: BTreeMap<DataflowId, Usage> = BTreeMap::new();
    for node in &figures.now.nodes {
        let all = usage.entry(node.dataflow).or_default();
        all.cpu_percent += figures.node(node).unwrap_or_default().cpu_percent;
        all.memory += node.memory;
    }
    usage
}

fn sort(dataflows: &mut [DataflowSummary], usage: &BTreeMap<DataflowId, Usage>, by: Option<SortBy>) {
    let of = |dataflow: &DataflowSummary| usage.get(&dataflow.id).copied().unwrap_or_default();
    match by {
        None => {}
        Some(SortBy::Cpu) => dataflows.sort_by(|a, b| of(b).cpu_percent.total_cmp(&of(a).cpu_percent)),
        Some(SortBy::Memory) => dataflows.sort_by_key(|dataflow| std::cmp::Reverse(of(dataflow).memory)),
    }
}

fn show(
    dataflows: &[DataflowSummary],
    usage: &BTreeMap<DataflowId, Usage>,
    format: ListFormat,
) -> Result<(), CommandError> {
    let head = [
        ("UUID", Align::Left),
        ("Name", Align::Left),
        ("Status", Align::Left),
        ("Nodes", Align::Right),
        ("CPU", Align::Right),
        ("Memory", Align::Right),
    ];
    let of = |dataflow: &DataflowSummary| usage.get(&dataflow.id).copied().unwrap_or_default();
    print_rows(
        format,
        &head,
        dataflows,
        |dataflow| row(dataflow, of(dataflow)),
        |dataflow| {
            let Usage { cpu_percent, memory } = of(dataflow);
            vec![
                dataflow.id.to_string(),
                name_cell(dataflow),
                state_word(dataflow.state).to_owned(),
                dataflow.nodes.to_string(),
                format!("{cpu_percent:.1}%"),
                format!("{:.1} MB", memory as f64 / 1e6),
            ]
        },
    )
}

fn row(dataflow: &DataflowSummary, usage: Usage) -> Row<'_> {
    Row {
        uuid: dataflow.id,
        name: dataflow.name.as_deref(),
        status: state_word(dataflow.state),
        nodes: dataflow.nodes,
        cpu: usage.cpu_percent,
        memory: usage.memory as f64 / 1e9,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::figures::tests::snapshot;

    fn dataflow(number: u128, name: Option<&str>, state: DataflowState) -> DataflowSummary {
        let id = DataflowId(uuid::Uuid::from_u128(number));
        DataflowSummary { id, name: name.map(str::to_owned), state, submitted: DateTime::UNIX_EPOCH, nodes: 2 }
    }

    #[test]
    fn what_nodes_take_is_summed() {
        let usage = usage_of(&Figures::first(snapshot(1)).next(snapshot(2)));
        let flow = dataflow(7, Some("flow"), DataflowState::Running);
        let row = row(&flow, usage[&flow.id]);
        assert_eq!((row.cpu, row.memory, row.status), (100.0, f64::from(64 << 20) / 1e9, "Running"));
        let json = serde_json::to_value(&row).expect("values");
        let keys: Vec<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["uuid", "name", "status", "nodes", "cpu", "memory"]);
        assert_eq!(json["uuid"], "00000000-0000-0000-0000-000000000007");
    }

    #[test]
    fn the_hungriest_comes_first() {
        let mut all = [dataflow(1, None, DataflowState::Finished), dataflow(2, None, DataflowState::Running)];
        let usage = [(all[1].id, Usage { cpu_percent: 3.0, memory: 5 })].into();
        sort(&mut all, &usage, None);
        assert_eq!(all[0].id.0.as_u128(), 1);
        sort(&mut all, &usage, Some(SortBy::Cpu));
        assert_eq!(all[0].id.0.as_u128(), 2);
    }

    #[test]
    fn running_is_what_has_not_ended() {
        assert!(Status::Running.states().iter().all(|state| !state.is_final()));
        assert_eq!(Status::Running.states().len() + 2, 7);
    }
}
