//! Figures: of machines, nodes and edges. They are read from shared memory, so asking costs the nodes nothing.

use chrono::{DateTime, Utc};
use dora_message::{
    id::{DataId, NodeId},
    keeper::EdgeCounters,
};
use dora_rpc::RpcError;
use serde::{Deserialize, Serialize};

use crate::{DataflowId, MachineId, error::coded};

dora_rpc::gateway! {
    /// What is asked of the metric query service.
    pub trait MetricQueryServiceGateway, calls MetricQueryServiceCall {
        /// The figures of now.
        async fn snapshot(&self, query: MetricQuery) -> Result<MetricsSnapshot, MetricsError> => Snapshot;
    }
}

/// Which figures somebody wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricQuery {
    /// Of this dataflow; of all if there is none.
    #[serde(default)]
    pub dataflow: Option<DataflowId>,
    /// Of these nodes and their edges; of all if there are none.
    #[serde(default)]
    pub nodes: Vec<NodeId>,
}

/// Figures of one moment. Rates follow from two of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsSnapshot {
    /// The moment, for people.
    pub taken: DateTime<Utc>,
    /// The machines.
    pub machines: Vec<MachineMetrics>,
    /// The nodes.
    pub nodes: Vec<NodeMetrics>,
    /// The edges.
    pub edges: Vec<EdgeMetrics>,
    /// Machines that did not answer in time: their figures are missing.
    #[serde(default)]
    pub missing: Vec<MachineId>,
}

/// Figures of a machine and its daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineMetrics {
    /// The machine.
    pub machine: MachineId,
    /// The machine's monotonic clock at the moment, in nanoseconds: for rates.
    pub monotonic_ns: u64,
    /// Processor time of the daemon and its keepers since their start, in nanoseconds.
    pub cpu_ns: u64,
    /// Their resident memory, in bytes.
    pub memory: u64,
}

/// Figures of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeMetrics {
    /// Its dataflow.
    pub dataflow: DataflowId,
    /// The node.
    pub node: NodeId,
    /// Where it runs.
    pub machine: MachineId,
    /// Its process, while it has one.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Processor time of its processes since their start, in nanoseconds.
    pub cpu_ns: u64,
    /// Their resident memory, in bytes.
    pub memory: u64,
    /// Bytes of shared memory that its messages take: those that are queued or kept by receivers, and free ones that it
    /// will use again. 0 if its keeper does not answer.
    #[serde(default)]
    pub shared_memory: u64,
    /// Bytes read from disks.
    #[serde(default)]
    pub disk_read: u64,
    /// Bytes written to disks.
    #[serde(default)]
    pub disk_written: u64,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u32,
}

/// Figures of an edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeMetrics {
    /// Its dataflow.
    pub dataflow: DataflowId,
    /// Who sends.
    pub from: NodeId,
    /// On which output.
    pub output: DataId,
    /// Who receives.
    pub to: NodeId,
    /// On which input.
    pub input: DataId,
    /// Messages in the queue.
    pub queued: u64,
    /// Messages that the queue holds.
    pub capacity: u32,
    /// What it has counted.
    pub counters: EdgeCounters,
}

/// Why there are no figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum MetricsError {
    /// No such dataflow runs.
    #[error("dataflow {dataflow} does not run")]
    UnknownDataflow {
        /// The dataflow.
        dataflow: DataflowId,
    },
    /// The call failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

coded! {
    MetricsError { UnknownDataflow => "metrics.unknown_dataflow" }
    retry {}
}
