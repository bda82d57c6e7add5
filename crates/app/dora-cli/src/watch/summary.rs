//! What is told at the end: what went wrong first, what was not delivered, and with `-v` the figures of all
//! edges.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use dora_daemon::NodeResult;
use dora_descriptor::model::LogLevel;
use dora_gateways::{EdgeOutcome, NodeOutcome, Outcome, Trouble};
use dora_message::supervision::LaunchPlan;
use serde_json::{Value, json};

use super::{failures, strangers};
use crate::{
    error,
    histogram::percentile,
    log::{Format, Printer},
    table::{self, Align},
    units::{show_nanos, show_size},
    words::{edge_words, policy_word},
};

/// Tells how it went. `flowed` is how long messages did, `killed` whether Ctrl-C left the nodes no time to end.
pub(super) fn tell(
    printer: &mut Printer,
    plans: &[LaunchPlan],
    outcome: &Outcome,
    flowed: Option<Duration>,
    killed: bool,
    verbose: bool,
) {
    let for_programs = printer.format() == Format::Json;
    for edge in &outcome.edges {
        match losses(edge) {
            Some((level, line)) if for_programs => printer.own_with(level, line, figures(edge, flowed)),
            Some((level, line)) => say(level, &line),
            None if for_programs && verbose => printer.own_with(LogLevel::Info, words(edge), figures(edge, flowed)),
            None => {}
        }
    }
    if !for_programs && outcome.edges.iter().any(|edge| edge.counters.dropped > edge.counters.unattended) {
        error::tell_hint(
            "`queue_size: N` of the input keeps more messages, `queue_policy: backpressure` makes the sender wait",
        );
    }
    if verbose && !for_programs && !outcome.edges.is_empty() {
        edge_table(outcome, flowed).iter().for_each(|line| say(LogLevel::Info, line));
    }
    let mut tell = |level: LogLevel, line: String| match for_programs {
        true => printer.own(level, line),
        false => say(level, &line),
    };
    match outcome.orphans_killed {
        0 => {}
        1 => tell(LogLevel::Warn, "a process that a node had left behind was killed".to_owned()),
        count => tell(LogLevel::Warn, format!("{count} processes that nodes had left behind were killed")),
    }
    if let Some(Trouble::Interrupted) = &outcome.trouble {
        tell(LogLevel::Info, Trouble::Interrupted.to_string());
    } else if let Some(trouble) = &outcome.trouble {
        tell(LogLevel::Error, trouble.to_string());
        tell(LogLevel::Info, "`dora doctor` tells what this machine allows, and what to do about it".to_owned());
    }
    for node in outcome.nodes.iter().filter(|node| node.result == NodeResult::NeverJoined) {
        tell(LogLevel::Info, format!("node `{}` {}", node.node, node.result));
    }
    let failures: Vec<&NodeOutcome> = outcome.failures().collect();
    if failures.is_empty() {
        if killed {
            tell(
                LogLevel::Error,
                "Dataflow failed: the third Ctrl-C left the nodes no time to end in order".to_owned(),
            );
        }
        return;
    }
    let (failed, all) = (failures.len(), outcome.nodes.len());
    tell(LogLevel::Error, format!("Dataflow failed: {failed} of {all} nodes did not end well"));
    if for_programs {
        for node in &failures {
            printer.own_with(LogLevel::Error, failures::headline(node), json!({ "last_stderr": node.last_stderr }));
        }
    } else {
        failures::lines(&failures).iter().for_each(|line| say(LogLevel::Error, line));
    }
    for (error, hint) in strangers::found(&failures, plans) {
        if for_programs {
            printer.own(LogLevel::Error, format!("{error}; {hint}"));
        } else {
            say(LogLevel::Error, &error);
            error::tell_hint(&hint);
        }
    }
}

/// One line for people: here it needs no time and no name before it.
fn say(level: LogLevel, line: &str) {
    let colour = match level {
        LogLevel::Error => Style::new().fg_color(Some(AnsiColor::Red.into())),
        LogLevel::Warn => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
        _ => Style::new(),
    };
    error::tell_line(&format!("{colour}{line}{colour:#}"));
}

/// What an edge did not deliver, if anything. No warning, if nobody was there to get it.
fn losses(edge: &EdgeOutcome) -> Option<(LogLevel, String)> {
    let counters = &edge.counters;
    if counters.dropped == 0 && counters.undelivered == 0 && counters.lost_in_crash == 0 {
        return None;
    }
    let mut parts = Vec::new();
    let unattended = counters.unattended.min(counters.dropped);
    let dropped = counters.dropped - unattended;
    if unattended > 0 {
        parts.push(format!("{unattended} sent while nobody was `{}`", edge.to));
    }
    if dropped > 0 {
        parts.push(format!("{dropped} dropped ({}, queue {})", policy_word(edge.policy), edge.capacity));
    }
    if counters.undelivered > 0 {
        parts.push(format!("{} still queued when `{}` ended", counters.undelivered, edge.to));
    }
    if counters.lost_in_crash > 0 {
        parts.push(format!("{} lost when `{}` crashed", counters.lost_in_crash, edge.to));
    }
    let line = format!("{}: of {} messages {}", words(edge), counters.sent, parts.join(", "));
    let expected = dropped == 0 && counters.undelivered == 0 && counters.lost_in_crash == 0;
    Some((if expected { LogLevel::Info } else { LogLevel::Warn }, line))
}

fn words(edge: &EdgeOutcome) -> String {
    edge_words(edge.from.as_str(), &edge.output, edge.to.as_str(), &edge.input)
}

/// All that is known about an edge, for programs.
fn figures(edge: &EdgeOutcome, flowed: Option<Duration>) -> Value {
    let counters = &edge.counters;
    json!({
        "from": edge.from,
        "output": edge.output,
        "to": edge.to,
        "input": edge.input,
        "queue_policy": policy_word(edge.policy),
        "queue_size": edge.capacity,
        "sent": counters.sent,
        "received": counters.received,
        "dropped": counters.dropped,
        "unattended": counters.unattended,
        "undelivered": counters.undelivered,
        "lost_in_crash": counters.lost_in_crash,
        "bytes": counters.bytes,
        "received_per_second": per_second(counters.received, flowed),
        "latency_p50_ns": percentile(&counters.latency, 0.5),
        "latency_p99_ns": percentile(&counters.latency, 0.99),
    })
}

/// The rate over the whole run.
fn per_second(received: u64, flowed: Option<Duration>) -> Option<f64> {
    let seconds = flowed.filter(|time| !time.is_zero())?.as_secs_f64();
    Some((received as f64 / seconds * 10.0).round() / 10.0)
}

fn edge_table(outcome: &Outcome, flowed: Option<Duration>) -> Vec<String> {
    let head = [
        ("edge", Align::Left),
        ("policy", Align::Left),
        ("queue", Align::Right),
        ("sent", Align::Right),
        ("received", Align::Right),
        ("dropped", Align::Right),
        ("undelivered", Align::Right),
        ("lost", Align::Right),
        ("bytes", Align::Right),
        ("per s", Align::Right),
        ("p50", Align::Right),
        ("p99", Align::Right),
    ];
    let row = |edge: &EdgeOutcome| {
        let counters = &edge.counters;
        let latency = |share| percentile(&counters.latency, share).map_or_else(|| "-".to_owned(), show_nanos);
        vec![
            words(edge),
            policy_word(edge.policy).to_owned(),
            edge.capacity.to_string(),
            counters.sent.to_string(),
            counters.received.to_string(),
            counters.dropped.to_string(),
            counters.undelivered.to_string(),
            counters.lost_in_crash.to_string(),
            show_size(counters.bytes),
            per_second(counters.received, flowed).map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")),
            latency(0.5),
            latency(0.99),
        ]
    };
    let rows: Vec<Vec<String>> = outcome.edges.iter().map(row).collect();
    table::lines(&head, &rows)
}

#[cfg(test)]
mod tests {
    use dora_message::keeper::{EdgeCounters, QueuePolicy};

    use super::*;

    fn edge(dropped: u64, undelivered: u64, lost_in_crash: u64) -> Option<String> {
        let counters = EdgeCounters { sent: 500, dropped, undelivered, lost_in_crash, ..EdgeCounters::default() };
        let (policy, capacity) = (QueuePolicy::DropOldest, 10);
        let (from, output, to, input) = ("a".into(), "x".into(), "b".into(), "y".into());
        let edge = EdgeOutcome { from, output, to, input, policy, capacity, counters };
        losses(&edge).map(|(_, line)| line)
    }

    #[test]
    fn rates_are_those_of_the_run() {
        assert_eq!(per_second(150, Some(Duration::from_secs(10))), Some(15.0));
        assert_eq!(per_second(0, Some(Duration::ZERO)), None);
        assert_eq!(per_second(7, None), None);
    }

    #[test]
    fn every_loss_has_a_number() {
        assert_eq!(edge(0, 0, 0), None);
        assert_eq!(edge(0, 0, 2).as_deref(), Some("a/x -> b/y: of 500 messages 2 lost when `b` crashed"));
        assert_eq!(
            edge(3, 1, 0).as_deref(),
            Some("a/x -> b/y: of 500 messages 3 dropped (drop_oldest, queue 10), 1 still queued when `b` ended")
        );
    }
}
