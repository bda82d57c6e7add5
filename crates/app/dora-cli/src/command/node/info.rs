//! `dora node info`: all about one node.

use std::process::ExitCode;

use dora_descriptor::{Dataflow, graph};
use dora_gateways::{DataflowInfo, NodeInfo, NodeMetrics};
use dora_message::id::{DataId, NodeId};
use serde::Serialize;

use super::{list::figures, node_of};
use crate::{
    choice::Scope,
    command::{OutputFormat, print, print_json},
    error::CommandError,
    figures::Figures,
    load,
    words::node_state_word,
};

const EXAMPLES: &str = "\
Examples:
  dora node info camera
  dora node info camera -d camera-rig --format json";

/// Show one node: its program, inputs and outputs, restarts, what it takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The node.
    #[arg(value_name = "NODE")]
    node: NodeId,
    /// How it is written.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    format: OutputFormat,
    #[command(flatten)]
    scope: Scope,
}

/// A node as programs read it.
#[derive(Debug, PartialEq, Serialize)]
struct Report {
    node_id: NodeId,
    dataflow: String,
    path: Option<String>,
    outputs: Vec<OutputReport>,
    inputs: Vec<InputReport>,
    restart_policy: &'static str,
    max_restarts: u32,
    machine: Option<String>,
    metrics: MetricsReport,
}

#[derive(Debug, PartialEq, Serialize)]
struct OutputReport {
    id: DataId,
    /// `node/input`.
    subscribers: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct InputReport {
    id: DataId,
    /// As the dataflow file says it.
    source: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct MetricsReport {
    status: &'static str,
    pid: Option<u32>,
    cpu_usage: Option<f64>,
    memory_mb: Option<f64>,
    restart_count: u32,
}

pub(super) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let (client, info) = arguments.scope.open()?;
    let node = node_of(&info, &arguments.node)?;
    let dataflow = load::of_coordinator(&info)?;
    let figures = figures(&client, std::slice::from_ref(&info));
    let report = report(&info, node, &dataflow, figures.as_ref());
    match arguments.format {
        OutputFormat::Json => print_json(&report)?,
        OutputFormat::Text => print(&text(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn report(info: &DataflowInfo, node: &NodeInfo, dataflow: &Dataflow, figures: Option<&Figures>) -> Report {
    let described = dataflow.node(&node.node);
    let subscribers = |output: &DataId| {
        let edges = graph::edges(dataflow).filter(|edge| edge.from == &node.node && edge.output == output);
        edges.map(|edge| format!("{}/{}", edge.to, edge.input)).collect()
    };
    let outputs = described.into_iter().flat_map(|node| node.outputs.keys());
    let inputs = described.into_iter().flat_map(|node| &node.inputs);
    let of_node = |metrics: &&NodeMetrics| metrics.dataflow == info.summary.id && metrics.node == node.node;
    let metrics = figures.and_then(|figures| Some((figures, figures.now.nodes.iter().find(of_node)?)));
    Report {
        node_id: node.node.clone(),
        dataflow: info.summary.name.clone().unwrap_or_else(|| info.summary.id.to_string()),
        path: described.and_then(|node| node.standard()).map(|standard| standard.path.clone()),
        outputs: outputs.map(|id| OutputReport { id: id.clone(), subscribers: subscribers(id) }).collect(),
        inputs: inputs.map(|(id, input)| InputReport { id: id.clone(), source: input.source.to_string() }).collect(),
        restart_policy: described.map_or("never", |node| node.restart.policy.as_str()),
        max_restarts: described.map_or(0, |node| node.restart.max_restarts),
        machine: node.machine.as_ref().map(ToString::to_string),
        metrics: MetricsReport {
            status: node_state_word(&node.state),
            pid: node.pid,
            cpu_usage: metrics.and_then(|(figures, node)| figures.node(node)).map(|rates| rates.cpu_percent),
            memory_mb: metrics.map(|(_, metrics)| metrics.memory as f64 / 1e6),
            restart_count: node.restarts,
        },
    }
}

fn text(report: &Report) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let metrics = &report.metrics;
    let mut lines = vec![
        format!("Node:      {}", report.node_id),
        format!("Dataflow:  {}", report.dataflow),
        format!("Path:      {}", or_dash(report.path.clone())),
        format!("Machine:   {}", or_dash(report.machine.clone())),
        format!("Status:    {}", metrics.status),
        format!("PID:       {}", or_dash(metrics.pid.map(|pid| pid.to_string()))),
        format!("CPU:       {}", or_dash(metrics.cpu_usage.map(|cpu| format!("{cpu:.1}%")))),
        format!("Memory:    {}", or_dash(metrics.memory_mb.map(|memory| format!("{memory:.1} MB")))),
        format!("Restarts:  {} (policy {}, at most {})", metrics.restart_count, report.restart_policy, limit(report)),
    ];
    lines.push("Inputs:".to_owned());
    lines.extend(report.inputs.iter().map(|input| format!("  {}  <- {}", input.id, input.source)));
    lines.push("Outputs:".to_owned());
    lines.extend(report.outputs.iter().map(|output| match output.subscribers.as_slice() {
        [] => format!("  {}", output.id),
        to => format!("  {}  -> {}", output.id, to.join(", ")),
    }));
    lines.join("\n") + "\n"
}

fn limit(report: &Report) -> String {
    // As in the dataflow file: zero is no limit.
    if report.max_restarts == 0 { "any number".to_owned() } else { report.max_restarts.to_string() }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use dora_gateways::{DataflowId, DataflowState, DataflowSummary, MachineId, NodeState};

    use super::*;
    use crate::figures::tests::snapshot;

    #[test]
    fn a_node_is_shown_with_both_of_its_sides() {
        let descriptor = "
nodes:
  - { id: camera, path: camera.py, inputs: { tick: dora/timer/millis/50 }, outputs: [image, sound] }
  - { id: plot, path: plot.py, inputs: { picture: camera/image } }";
        let node = |name: &str| NodeInfo {
            node: name.into(),
            machine: Some(MachineId("here".to_owned())),
            attempt: None,
            state: NodeState::Running,
            pid: Some(77),
            restarts: 2,
        };
        let (id, state) = (DataflowId(uuid::Uuid::from_u128(7)), DataflowState::Running);
        let info = DataflowInfo {
            summary: DataflowSummary {
                id,
                name: Some("rig".to_owned()),
                state,
                submitted: DateTime::UNIX_EPOCH,
                nodes: 2,
            },
            descriptor: descriptor.to_owned(),
            nodes: vec![node("camera"), node("plot")],
            result: None,
        };
        let figures = Figures::first(snapshot(1)).next(snapshot(2));
        let dataflow = load::of_coordinator(&info).expect("a dataflow");
        let report = report(&info, &info.nodes[0], &dataflow, Some(&figures));
        expect_test::expect![[r#"
            Node:      camera
            Dataflow:  rig
            Path:      camera.py
            Machine:   here
            Status:    Running
            PID:       77
            CPU:       50.0%
            Memory:    33.6 MB
            Restarts:  2 (policy never, at most any number)
            Inputs:
              tick  <- dora/timer/millis/50
            Outputs:
              image  -> plot/picture
              sound
        "#]]
        .assert_eq(&text(&report));
        let json = serde_json::to_value(&report).expect("values");
        assert_eq!(json["outputs"][0], serde_json::json!({ "id": "image", "subscribers": ["plot/picture"] }));
        assert_eq!(json["metrics"]["cpu_usage"], 50.0);
    }
}
