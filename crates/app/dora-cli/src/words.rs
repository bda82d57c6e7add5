//! Words for values of a dataflow, the same in every command.

use std::time::Duration;

use dora_descriptor::model::TimerInterval;
use dora_message::keeper::QueuePolicy;

/// The policy as the dataflow file spells it.
pub(crate) fn policy_word(policy: QueuePolicy) -> &'static str {
    match policy {
        QueuePolicy::DropOldest => "drop_oldest",
        QueuePolicy::DropNewest => "drop_newest",
        QueuePolicy::Backpressure => "backpressure",
    }
}

/// A timer's interval for people: `50 ms`, `2 s`.
pub(crate) fn timer_words(interval: Duration) -> String {
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
