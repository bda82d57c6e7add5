//! What `dora top --once` prints: one object per node, with the edges that lead to it.

use dora_gateways::{DataflowId, DataflowInfo, NodeInfo, NodeMetrics};
use dora_message::id::{DataId, NodeId};
use serde::Serialize;

use super::look::Moment;
use crate::words::node_state_word;

const MB: f64 = 1e6;

/// A node. The keys are those of dora-rs and a few more; what is not known here is null.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct NodeReport {
    dataflow_id: DataflowId,
    dataflow_name: Option<String>,
    node_id: NodeId,
    daemon_id: DaemonReport,
    metrics: MetricsReport,
    network: Option<()>,
    /// Those that lead to it.
    edges: Vec<EdgeReport>,
}

#[derive(Debug, PartialEq, Serialize)]
struct DaemonReport {
    machine_id: Option<String>,
    uuid: Option<()>,
}

#[derive(Debug, PartialEq, Serialize)]
struct MetricsReport {
    pid: Option<u32>,
    /// In percent of one processor.
    cpu_usage: Option<f64>,
    memory_mb: Option<f64>,
    disk_read_mb_s: Option<f64>,
    disk_write_mb_s: Option<f64>,
    restart_count: u32,
    broken_inputs: Option<()>,
    status: &'static str,
    /// Messages in its queues.
    pending_messages: u64,
    /// What the messages that it has sent take, those included that receivers keep.
    shared_memory_mb: Option<f64>,
}

#[derive(Debug, PartialEq, Serialize)]
struct EdgeReport {
    from: NodeId,
    output: DataId,
    input: DataId,
    queued: u64,
    queue_size: u32,
    sent: u64,
    received: u64,
    dropped: u64,
    bytes: u64,
    received_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    latency_p50_ns: Option<u64>,
    latency_p99_ns: Option<u64>,
}

/// All nodes of all dataflows that run.
pub(super) fn report(moment: &Moment) -> Vec<NodeReport> {
    let nodes = moment.dataflows.iter().flat_map(|dataflow| dataflow.nodes.iter().map(move |node| (dataflow, node)));
    nodes.map(|(dataflow, node)| node_report(moment, dataflow, node)).collect()
}

fn node_report(moment: &Moment, dataflow: &DataflowInfo, node: &NodeInfo) -> NodeReport {
    let (figures, id) = (&moment.figures, dataflow.summary.id);
    let metrics = figures.now.nodes.iter().find(|metrics| (metrics.dataflow, &metrics.node) == (id, &node.node));
    let rates = metrics.and_then(|metrics| figures.node(metrics));
    let incoming = figures.now.edges.iter().filter(|edge| (edge.dataflow, &edge.to) == (id, &node.node));
    let edges = incoming.clone().map(|edge| {
        let (rates, counters) = (figures.edge(edge), &edge.counters);
        EdgeReport {
            from: edge.from.clone(),
            output: edge.output.clone(),
            input: edge.input.clone(),
            queued: edge.queued,
            queue_size: edge.capacity,
            sent: counters.sent,
            received: counters.received,
            dropped: counters.dropped,
            bytes: counters.bytes,
            received_per_second: rates.map(|rates| rates.received),
            bytes_per_second: rates.map(|rates| rates.bytes),
            latency_p50_ns: rates.and_then(|rates| rates.p50_ns),
            latency_p99_ns: rates.and_then(|rates| rates.p99_ns),
        }
    });
    let machine = |metrics: &NodeMetrics| metrics.machine.to_string();
    NodeReport {
        dataflow_id: id,
        dataflow_name: dataflow.summary.name.clone(),
        node_id: node.node.clone(),
        daemon_id: DaemonReport {
            machine_id: node.machine.as_ref().map(ToString::to_string).or_else(|| metrics.map(machine)),
            uuid: None,
        },
        metrics: MetricsReport {
            pid: node.pid.or(metrics.and_then(|metrics| metrics.pid)),
            cpu_usage: rates.map(|rates| rates.cpu_percent),
            memory_mb: metrics.map(|metrics| metrics.memory as f64 / MB),
            disk_read_mb_s: rates.map(|rates| rates.disk_read / MB),
            disk_write_mb_s: rates.map(|rates| rates.disk_written / MB),
            restart_count: node.restarts,
            broken_inputs: None,
            status: node_state_word(&node.state),
            pending_messages: incoming.map(|edge| edge.queued).sum(),
            shared_memory_mb: metrics.map(|metrics| metrics.shared_memory as f64 / MB),
        },
        network: None,
        edges: edges.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::top::view::tests::moment;

    #[test]
    fn every_node_has_the_keys_of_the_reference() {
        let json = serde_json::to_value(report(&moment())).expect("values");
        let plot = &json[1];
        let keys = |value: &serde_json::Value| {
            value.as_object().expect("an object").keys().map(String::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(keys(plot), "dataflow_id dataflow_name node_id daemon_id metrics network edges");
        let metrics = "pid cpu_usage memory_mb disk_read_mb_s disk_write_mb_s restart_count broken_inputs status \
                       pending_messages shared_memory_mb";
        assert_eq!(keys(&plot["metrics"]), metrics);
        assert_eq!((&plot["metrics"]["cpu_usage"], &plot["metrics"]["pending_messages"]), (&50.0.into(), &2.into()));
        assert_eq!(
            (&plot["edges"][0]["from"], &plot["edges"][0]["received_per_second"]),
            (&"camera".into(), &10.0.into())
        );
        assert_eq!(json[0]["metrics"]["shared_memory_mb"], 3.145_728);
        assert_eq!(json[0]["edges"], serde_json::json!([]));
    }
}
