//! `dora status`: how a coordinator is, with its machines and what runs on them.

use std::{path::PathBuf, process::ExitCode};

use anstyle::{AnsiColor, Style};
use dora_descriptor::Options;
use dora_gateways::{DataflowSummary, DispatcherGateway as _, ListFilter, MachineInfo};
use serde::Serialize;

use super::{ListFormat, list::name_cell, print, print_json, print_styled};
use crate::{
    client::{Client, CoordinatorArgs, Target},
    error::CommandError,
    load,
    table::{self, Align},
    units,
    words::state_word,
};

const EXAMPLES: &str = "\
Examples:
  dora status
  dora status --coordinator-addr 192.168.1.100
  dora status --format json | jq .machines
  dora status --dataflow dataflow.yml          and whether this file is in order

Exit code: 0 when the coordinator answers, 1 when it does not.";

/// Tell whether a coordinator runs, which machines it has, and what runs on them.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Text for people, or one JSON object.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    format: ListFormat,
    /// Check this dataflow file too.
    #[arg(long, value_name = "FILE")]
    dataflow: Option<PathBuf>,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

/// All that is told, as programs read it.
#[derive(Debug, Serialize)]
struct Report {
    coordinator: Coordinator,
    daemon: Component,
    active_dataflows: usize,
    machines: Vec<MachineInfo>,
    dataflows: Vec<DataflowSummary>,
}

#[derive(Debug, Serialize)]
struct Coordinator {
    #[serde(flatten)]
    component: Component,
    address: String,
}

#[derive(Debug, Serialize)]
struct Component {
    status: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Running,
    /// It does not run, or is not reached.
    Unreachable,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let target = Target::resolve(&arguments.coordinator)?;
    let address = target.place().to_string();
    let seen = Client::connect_to(target).and_then(|client| look(&client));
    let report = match &seen {
        Ok((machines, dataflows)) => Report::new(address, State::Running, machines.clone(), dataflows.clone()),
        Err(_) => Report::new(address, State::Unreachable, Vec::new(), Vec::new()),
    };
    match arguments.format {
        ListFormat::Table => print_styled(&report.text())?,
        ListFormat::Json => print_json(&report)?,
    }
    seen?;
    if let Some(path) = &arguments.dataflow {
        load::load(path, &Options::default())?;
        print(&format!("{}: in order\n", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn look(client: &Client) -> Result<(Vec<MachineInfo>, Vec<DataflowSummary>), CommandError> {
    let machines = client.run(client.dispatcher().machines())?;
    let mut dataflows = client.run(client.dispatcher().list(ListFilter::default()))?;
    dataflows.retain(|dataflow| !dataflow.state.is_final());
    Ok((machines, dataflows))
}

impl Report {
    fn new(address: String, coordinator: State, machines: Vec<MachineInfo>, dataflows: Vec<DataflowSummary>) -> Self {
        let daemon = if machines.iter().any(|machine| machine.reachable) { State::Running } else { State::Unreachable };
        Self {
            coordinator: Coordinator { component: Component { status: coordinator }, address },
            daemon: Component { status: daemon },
            active_dataflows: dataflows.len(),
            machines,
            dataflows,
        }
    }

    fn text(&self) -> String {
        let coordinator = heading("Coordinator", self.coordinator.component.status);
        let mut lines = vec![coordinator, format!("  Address: {}", self.coordinator.address)];
        if self.coordinator.component.status == State::Running {
            lines.push(heading("Daemon", self.daemon.status));
            lines.extend(table_of(&MACHINES, self.machines.iter().map(machine_cells).collect()));
            lines.push(format!("Active dataflows: {}", self.active_dataflows));
            lines.extend(table_of(&DATAFLOWS, self.dataflows.iter().map(dataflow_cells).collect()));
        }
        lines.join("\n") + "\n"
    }
}

fn heading(what: &str, state: State) -> String {
    let (mark, word, colour) = match state {
        State::Running => ('\u{2713}', "Running", AnsiColor::Green),
        State::Unreachable => ('\u{2717}', "Not reached", AnsiColor::Red),
    };
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{mark}{style:#} {what}: {word}")
}

/// The lines of a table below what it belongs to; none without rows.
fn table_of(head: &[(&str, Align)], rows: Vec<Vec<String>>) -> Vec<String> {
    let lines = if rows.is_empty() { Vec::new() } else { table::lines(head, &rows) };
    lines.into_iter().map(|line| format!("  {line}")).collect()
}

const MACHINES: [(&str, Align); 5] = [
    ("Machine", Align::Left),
    ("Status", Align::Left),
    ("Free CPUs", Align::Right),
    ("Free memory", Align::Right),
    ("Labels", Align::Left),
];

fn machine_cells(machine: &MachineInfo) -> Vec<String> {
    let cpus = |millis: u64| millis as f64 / 1000.0;
    let (free, all) = (machine.free, machine.resources);
    let labels: Vec<String> = machine.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    vec![
        machine.machine.to_string(),
        if machine.reachable { "Running" } else { "Unreachable" }.to_owned(),
        format!("{} of {}", cpus(free.cpu_millis), cpus(all.cpu_millis)),
        format!("{} of {}", units::show_size(free.memory), units::show_size(all.memory)),
        labels.join(","),
    ]
}

const DATAFLOWS: [(&str, Align); 4] =
    [("UUID", Align::Left), ("Name", Align::Left), ("Status", Align::Left), ("Nodes", Align::Right)];

fn dataflow_cells(dataflow: &DataflowSummary) -> Vec<String> {
    vec![
        dataflow.id.to_string(),
        name_cell(dataflow),
        state_word(dataflow.state).to_owned(),
        dataflow.nodes.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use dora_gateways::{MachineId, Resources};

    use super::*;

    fn report(state: State, reachable: bool) -> Report {
        let resources = Resources { cpu_millis: 4000, memory: 8 << 30 };
        let free = Resources { cpu_millis: 3500, memory: 7 << 30 };
        let machine = serde_json::json!({
            "machine": MachineId("robot".to_owned()), "labels": { "arm": "left" },
            "resources": resources, "free": free, "reachable": reachable,
        });
        let machines = vec![serde_json::from_value(machine).expect("a machine")];
        Report::new("127.0.0.1:6013".to_owned(), state, machines, Vec::new())
    }

    #[test]
    fn people_see_machines_with_what_is_free() {
        let text = anstream::adapter::strip_str(&report(State::Running, true).text()).to_string();
        let expected = "\u{2713} Coordinator: Running\n  Address: 127.0.0.1:6013\n\u{2713} Daemon: Running\n  \
                        Machine  Status   Free CPUs     Free memory  Labels\n  \
                        robot    Running   3.5 of 4  7 GiB of 8 GiB  arm=left\nActive dataflows: 0\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn programs_get_the_keys_of_dora_rs_and_more() {
        let json = serde_json::to_value(report(State::Running, false)).expect("values");
        assert_eq!(json["coordinator"], serde_json::json!({ "status": "running", "address": "127.0.0.1:6013" }));
        assert_eq!((&json["daemon"]["status"], &json["active_dataflows"]), (&"unreachable".into(), &0.into()));
        assert_eq!(json["machines"][0]["labels"]["arm"], "left");
    }
}
