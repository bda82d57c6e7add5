//! Figures of this machine: what the daemon, its keepers and the nodes use, and what edges have counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use dora_channel::os::clock::monotonic_ns;
use dora_gateways::{
    DataflowId, EdgeMetrics, EdgeOutcome, MachineId, MachineMetrics, MetricQuery, MetricsSnapshot, NodeMetrics,
};
use dora_message::{id::NodeId, supervision::EdgeFigures};
use tokio::{task::spawn_blocking, time::timeout};

use super::{now::now, processes::Processes, run::Run};

/// How long a keeper may take to answer; its edges are missing then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that the messages of each node take, of keepers that have answered.
type SharedMemory = BTreeMap<(DataflowId, NodeId), u64>;

/// Takes the figures of these dataflows.
pub(super) async fn snapshot(
    machine: MachineId,
    runs: Vec<(DataflowId, Arc<Run>)>,
    query: MetricQuery,
) -> MetricsSnapshot {
    let wanted = Wanted(query.nodes.into_iter().collect());
    let runs: Vec<_> = runs.into_iter().filter(|(id, _)| query.dataflow.is_none_or(|wanted| wanted == *id)).collect();
    // All are asked before the first one answers.
    let answers: Vec<_> =
        runs.iter().map(|(_, run)| run.stopper.keeper().map(|keeper| run.questions.ask(&keeper))).collect();
    let (mut edges, mut shared) = (Vec::new(), SharedMemory::new());
    for ((id, run), answer) in runs.iter().zip(answers) {
        if let (Some(answer), Some(started)) = (answer, run.started.get())
            && let Ok(Ok(figures)) = timeout(PATIENCE, answer).await
        {
            shared.extend(figures.nodes.into_iter().map(|node| ((*id, node.id), node.shared_memory)));
            edges.extend(wanted.edges(*id, &started.edges, figures.edges));
        }
    }
    let of_processes = spawn_blocking(move || {
        let processes = Processes::read();
        let nodes = runs.iter().flat_map(|(id, run)| wanted.nodes(*id, run, &machine, &processes, &shared)).collect();
        (of_machine(machine, &runs, &processes), nodes)
    });
    let (machines, nodes) =
        of_processes.await.map_or_else(|_| Default::default(), |(machine, nodes)| (vec![machine], nodes));
    MetricsSnapshot { taken: now(), machines, nodes, edges, missing: Vec::new() }
}

fn of_machine(machine: MachineId, runs: &[(DataflowId, Arc<Run>)], processes: &Processes) -> MachineMetrics {
    let keepers: Vec<u32> = runs.iter().filter_map(|(_, run)| Some(run.started.get()?.keeper)).collect();
    let usage = processes.one(std::process::id()).plus(processes.with_children(&keepers));
    MachineMetrics { machine, monotonic_ns: monotonic_ns(), cpu_ns: usage.cpu_ns, memory: usage.memory }
}

/// The nodes whose figures are wanted; all, if there are none.
struct Wanted(BTreeSet<NodeId>);

impl Wanted {
    fn has(&self, node: &NodeId) -> bool {
        self.0.is_empty() || self.0.contains(node)
    }

    fn nodes(
        &self,
        dataflow: DataflowId,
        run: &Run,
        machine: &MachineId,
        processes: &Processes,
        shared: &SharedMemory,
    ) -> Vec<NodeMetrics> {
        let nodes = run.board.processes().into_iter().filter(|process| self.has(&process.node));
        let metrics = |process: super::board::Process| {
            let usage = process.pid.map(|pid| processes.group(pid)).unwrap_or_default();
            let shared_memory = shared.get(&(dataflow, process.node.clone())).copied().unwrap_or_default();
            NodeMetrics {
                dataflow,
                node: process.node,
                machine: machine.clone(),
                pid: process.pid,
                cpu_ns: usage.cpu_ns,
                memory: usage.memory,
                shared_memory,
                disk_read: usage.disk_read,
                disk_written: usage.disk_written,
                restarts: process.restarts,
            }
        };
        nodes.map(metrics).collect()
    }

    fn edges(&self, dataflow: DataflowId, edges: &[EdgeOutcome], figures: Vec<EdgeFigures>) -> Vec<EdgeMetrics> {
        let pairs = edges.iter().zip(figures).filter(|(edge, _)| self.has(&edge.from) || self.has(&edge.to));
        let metrics = |(edge, figures): (&EdgeOutcome, EdgeFigures)| EdgeMetrics {
            dataflow,
            from: edge.from.clone(),
            output: edge.output.clone(),
            to: edge.to.clone(),
            input: edge.input.clone(),
            queued: figures.queued,
            capacity: figures.capacity,
            counters: figures.counters,
        };
        pairs.map(metrics).collect()
    }
}
