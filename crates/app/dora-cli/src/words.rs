//! Words for values of a dataflow, the same in every command.

use std::time::Duration;

use dora_descriptor::model::TimerInterval;
use dora_gateways::{DataflowState, NodeState};
use dora_message::keeper::QueuePolicy;

/// The policy as the dataflow file spells it.
pub(crate) fn policy_word(policy: QueuePolicy) -> &'static str {
    match policy {
        QueuePolicy::DropOldest => "drop_oldest",
        QueuePolicy::DropNewest => "drop_newest",
        QueuePolicy::Backpressure => "backpressure",
    }
}

/// Where a dataflow is in its life, as lists show it.
pub(crate) fn state_word(state: DataflowState) -> &'static str {
    match state {
        DataflowState::Building => "Building",
        DataflowState::Spawning | DataflowState::WaitingForReady => "Starting",
        DataflowState::Running => "Running",
        DataflowState::Stopping => "Stopping",
        DataflowState::Finished => "Finished",
        DataflowState::Failed => "Failed",
    }
}

/// Where a node is in its life, as lists show it.
pub(crate) fn node_state_word(state: &NodeState) -> &'static str {
    match state {
        NodeState::Waiting => "Waiting",
        NodeState::Building => "Building",
        NodeState::Starting => "Starting",
        NodeState::Running => "Running",
        NodeState::Restarting => "Restarting",
        NodeState::Stopping => "Stopping",
        NodeState::Unknown => "Unknown",
        NodeState::Ended(result) if result.is_success() => "Finished",
        NodeState::Ended(_) => "Failed",
    }
}

/// A number of things: `1 node`, `2 nodes`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A timer's interval for people: `50 ms`, `2 s`, `15 Hz`.
pub(crate) fn timer_words(interval: Duration) -> String {
    let nanos = interval.as_nanos() as f64;
    let hertz = (1e9 / nanos).round();
    // A frequency whose period is not a whole number of nanoseconds was written as one.
    if !interval.as_nanos().is_multiple_of(1000)
        && (1.0..=100_000.0).contains(&hertz)
        && (1e9 / hertz - nanos).abs() <= 0.5
    {
        return format!("{hertz} Hz");
    }
    let text = TimerInterval(interval).to_string();
    let (unit, number) = text.split_once('/').unwrap_or(("", &text));
    let unit = match unit {
        "secs" => "s",
        "millis" => "ms",
        "micros" => "\u{b5}s",
        _ => "ns",
    };
    format!("{number} {unit}")
}

/// An edge for people: `camera/image -> plot/picture`.
pub(crate) fn edge_words(from: &str, output: &str, to: &str, input: &str) -> String {
    format!("{from}/{output} -> {to}/{input}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_told_as_they_were_written() {
        let words = |nanos| timer_words(Duration::from_nanos(nanos));
        let told = [50_000_000, 2_000_000_000, 66_666_667, 250_000, 7].map(words);
        assert_eq!(told, ["50 ms", "2 s", "15 Hz", "250 \u{b5}s", "7 ns"]);
    }
}
