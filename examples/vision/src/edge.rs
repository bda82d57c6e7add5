//! Measures one edge of the graph where its messages arrive.

use std::time::{Duration, Instant};

use dora_node_api::{Metadata, get_integer_param, uhlc};
use serde::{Deserialize, Serialize};

/// What has arrived on one edge so far.
#[derive(Debug, Default)]
pub struct Edge {
    latencies: Vec<Duration>,
    first_and_last: Option<(Instant, Instant)>,
    sent: u64,
}

impl Edge {
    /// Notes a message that arrived now.
    pub fn arrived(&mut self, metadata: &Metadata, now: uhlc::Timestamp) {
        self.latencies.push(now.get_diff_duration(&metadata.timestamp()));
        if let Some(message) = get_integer_param(&metadata.parameters, "message") {
            // The newest message always arrives, so its number tells how many were sent.
            self.sent = u64::try_from(message).unwrap_or_default() + 1;
        }
        let now = Instant::now();
        self.first_and_last = Some((self.first_and_last.map_or(now, |(first, _)| first), now));
    }

    /// Sums up.
    pub fn summary(mut self, from: &str, to: &str, dropped: u64) -> Summary {
        self.latencies.sort_unstable();
        let duration = self.first_and_last.map_or(Duration::ZERO, |(first, last)| last - first).as_secs_f64();
        let received = self.latencies.len();
        Summary {
            from: from.to_owned(),
            to: to.to_owned(),
            sent: self.sent,
            received: u64::try_from(received).unwrap_or(u64::MAX),
            dropped,
            rate_hz: if duration > 0.0 { received.saturating_sub(1) as f64 / duration } else { 0.0 },
            latency_p50_us: self.percentile(50),
            latency_p99_us: self.percentile(99),
            latency_max_us: self.percentile(100),
        }
    }

    /// In microseconds. The latencies are in order.
    fn percentile(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).map_or(0.0, |latency| (latency.as_secs_f64() * 1e7).round() / 10.0)
    }
}

/// What happened on one edge from start to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The output: `node/output`.
    pub from: String,
    /// The input: `node/input`.
    pub to: String,
    /// Messages that left.
    pub sent: u64,
    /// Messages that arrived.
    pub received: u64,
    /// Messages that made room for newer ones.
    pub dropped: u64,
    /// Arrivals per second.
    pub rate_hz: f64,
    /// From the call that sends to the event that is received, in microseconds: half of the messages were faster.
    pub latency_p50_us: f64,
    /// In microseconds: 99 of 100 messages were faster.
    pub latency_p99_us: f64,
    /// In microseconds: the slowest.
    pub latency_max_us: f64,
}

impl Summary {
    /// Whether each message either arrived or was counted as dropped.
    pub fn adds_up(&self) -> bool {
        self.received + self.dropped == self.sent
    }
}

/// One line per edge, for people.
pub fn table(edges: &[Summary]) -> String {
    let mut text = format!(
        "{:34} {:>6} {:>9} {:>8} {:>7}   {}\n",
        "edge", "sent", "received", "dropped", "Hz", "latency in us: p50 / p99 / max"
    );
    for edge in edges {
        let name = format!("{} -> {}", edge.from, edge.to);
        text += &format!(
            "{name:34} {:>6} {:>9} {:>8} {:>7.1}   {:.1} / {:.1} / {:.1}\n",
            edge.sent,
            edge.received,
            edge.dropped,
            edge.rate_hz,
            edge.latency_p50_us,
            edge.latency_p99_us,
            edge.latency_max_us
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_latencies() {
        let latencies = (1..=100).map(Duration::from_micros).rev().collect();
        let edge = Edge { latencies, first_and_last: None, sent: 101 };
        let summary = edge.summary("a/x", "b/x", 1);
        assert_eq!((summary.latency_p50_us, summary.latency_p99_us, summary.latency_max_us), (51.0, 100.0, 100.0));
        assert!(summary.adds_up());
        assert!(table(&[summary]).contains("a/x -> b/x"));
    }

    #[test]
    fn an_edge_without_messages_adds_up_only_without_drops() {
        assert!(Edge::default().summary("a/x", "b/x", 0).adds_up());
        assert!(!Edge::default().summary("a/x", "b/x", 1).adds_up());
    }
}
