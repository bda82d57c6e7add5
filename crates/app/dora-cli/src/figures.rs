//! What happens per second: the difference of two snapshots of counters.

use std::time::Duration;

use dora_gateways::{
    EdgeMetrics, MachineId, MetricQuery, MetricQueryServiceGateway, MetricsError, MetricsSnapshot, NodeMetrics,
};

use crate::histogram::percentile;

/// How long a command looks that was asked for the figures of this moment.
pub(crate) const MOMENT: Duration = Duration::from_millis(200);

/// Two snapshots, the earlier first. Without an earlier one there are counters, but no rates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    before: Option<MetricsSnapshot>,
    pub(crate) now: MetricsSnapshot,
}

/// What a node does per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct NodeRates {
    /// Of one processor, in percent.
    pub(crate) cpu_percent: f64,
    /// Bytes per second.
    pub(crate) disk_read: f64,
    /// Bytes per second.
    pub(crate) disk_written: f64,
}

/// What goes over an edge.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct EdgeRates {
    /// Messages that the consumer took, per second.
    pub(crate) received: f64,
    /// Messages that were dropped, per second.
    pub(crate) dropped: f64,
    /// Bytes that were sent, per second.
    pub(crate) bytes: f64,
    /// The latency that half of the messages did not exceed, in nanoseconds.
    pub(crate) p50_ns: Option<u64>,
    /// The latency that 99 of 100 messages did not exceed, in nanoseconds.
    pub(crate) p99_ns: Option<u64>,
}

impl Figures {
    /// The first snapshot.
    pub(crate) fn first(now: MetricsSnapshot) -> Self {
        Self { before: None, now }
    }

    /// The next snapshot takes the place of the last one.
    pub(crate) fn next(self, now: MetricsSnapshot) -> Self {
        Self { before: Some(self.now), now }
    }

    /// Two snapshots with some time in between.
    pub(crate) async fn over(
        metrics: &impl MetricQueryServiceGateway,
        query: MetricQuery,
        time: Duration,
    ) -> Result<Self, MetricsError> {
        let first = Self::first(metrics.snapshot(query.clone()).await?);
        tokio::time::sleep(time).await;
        Ok(first.next(metrics.snapshot(query).await?))
    }

    pub(crate) fn node(&self, node: &NodeMetrics) -> Option<NodeRates> {
        let before = self.before.as_ref()?;
        let known = before.nodes.iter().find(|other| (other.dataflow, &other.node) == (node.dataflow, &node.node))?;
        let seconds = self.seconds(&node.machine)?;
        // A node that was started again counts from zero.
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Some(NodeRates {
            cpu_percent: rate(node.cpu_ns, known.cpu_ns) / 1e7,
            disk_read: rate(node.disk_read, known.disk_read),
            disk_written: rate(node.disk_written, known.disk_written),
        })
    }

    pub(crate) fn edge(&self, edge: &EdgeMetrics) -> Option<EdgeRates> {
        let known = self.before.as_ref()?.edges.iter().find(|other| is_same(other, edge))?;
        let consumer = self.now.nodes.iter().find(|node| (node.dataflow, &node.node) == (edge.dataflow, &edge.to))?;
        let seconds = self.seconds(&consumer.machine)?;
        let (now, before) = (&edge.counters, &known.counters);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let earlier = before.latency.iter().chain(std::iter::repeat(&0));
        let latency: Vec<u64> =
            now.latency.iter().zip(earlier).map(|(now, before)| now.saturating_sub(*before)).collect();
        Some(EdgeRates {
            received: rate(now.received, before.received),
            dropped: rate(now.dropped, before.dropped),
            bytes: rate(now.bytes, before.bytes),
            p50_ns: percentile(&latency, 0.5),
            p99_ns: percentile(&latency, 0.99),
        })
    }

    /// The time between the two snapshots, by the clock of a machine.
    fn seconds(&self, machine: &MachineId) -> Option<f64> {
        let clock = |snapshot: &MetricsSnapshot| {
            snapshot.machines.iter().find(|other| &other.machine == machine).map(|machine| machine.monotonic_ns)
        };
        let (before, now) = (clock(self.before.as_ref()?)?, clock(&self.now)?);
        let seconds = Duration::from_nanos(now.checked_sub(before)?).as_secs_f64();
        (seconds > 0.0).then_some(seconds)
    }
}

fn is_same(one: &EdgeMetrics, other: &EdgeMetrics) -> bool {
    (one.dataflow, &one.to, &one.input, &one.from, &one.output)
        == (other.dataflow, &other.to, &other.input, &other.from, &other.output)
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::DateTime;
    use dora_gateways::{DataflowId, MachineMetrics, MetricQueryServiceCall};
    use dora_message::keeper::EdgeCounters;

    use super::*;
    use crate::scripted;

    /// After so many seconds: a node `camera` with an edge to a node `plot`, ten messages a second, half a processor.
    pub(crate) fn snapshot(seconds: u64) -> MetricsSnapshot {
        let (dataflow, machine) = (DataflowId(uuid::Uuid::from_u128(7)), MachineId("here".to_owned()));
        let node = |name: &str| NodeMetrics {
            dataflow,
            node: name.into(),
            machine: machine.clone(),
            pid: Some(77),
            cpu_ns: seconds * 500_000_000,
            memory: 32 << 20,
            shared_memory: if name == "camera" { 3 << 20 } else { 0 },
            disk_read: seconds << 20,
            disk_written: 0,
            restarts: 1,
        };
        let counters = EdgeCounters {
            sent: seconds * 10,
            received: seconds * 10,
            bytes: seconds * 1000,
            latency: vec![0, 0, 0, seconds * 10],
            ..EdgeCounters::default()
        };
        let edge = EdgeMetrics {
            dataflow,
            from: "camera".into(),
            output: "image".into(),
            to: "plot".into(),
            input: "picture".into(),
            queued: 2,
            capacity: 10,
            counters,
        };
        let clock =
            MachineMetrics { machine: machine.clone(), monotonic_ns: seconds * 1_000_000_000, cpu_ns: 0, memory: 0 };
        MetricsSnapshot {
            taken: DateTime::UNIX_EPOCH,
            machines: vec![clock],
            nodes: vec![node("camera"), node("plot")],
            edges: vec![edge],
            missing: vec![],
        }
    }

    #[test]
    fn rates_are_those_between_two_snapshots() {
        let first = Figures::first(snapshot(3));
        assert_eq!((first.node(&first.now.nodes[0]), first.edge(&first.now.edges[0])), (None, None));
        let figures = first.next(snapshot(5));
        let node = figures.node(&figures.now.nodes[0]).expect("two snapshots");
        assert_eq!((node.cpu_percent, node.disk_read), (50.0, f64::from(1 << 20)));
        let edge = figures.edge(&figures.now.edges[0]).expect("two snapshots");
        assert_eq!((edge.received, edge.dropped, edge.bytes, edge.p50_ns), (10.0, 0.0, 1000.0, Some(6)));
    }

    #[tokio::test(start_paused = true)]
    async fn two_snapshots_are_taken() {
        let mut seconds = 3;
        let (_service, metrics) = scripted::metrics(move |MetricQueryServiceCall::Snapshot { reply, .. }| {
            reply.ok(snapshot(seconds));
            seconds += 1;
        })
        .await;
        let figures = Figures::over(&metrics, MetricQuery::default(), MOMENT).await.expect("two answers");
        assert_eq!(figures, Figures::first(snapshot(3)).next(snapshot(4)));
    }

    #[test]
    fn without_time_there_is_no_rate() {
        let figures = Figures::first(snapshot(3)).next(snapshot(3));
        assert_eq!(figures.node(&figures.now.nodes[0]), None);
        let mut other = snapshot(4);
        other.nodes[0].node = "new".into();
        let figures = Figures::first(snapshot(3)).next(other);
        assert_eq!(figures.node(&figures.now.nodes[0]), None);
    }
}
