//! Dataflows that come and go in tests with many of them, and what must be true of each.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Workbench, expect_in};

/// One that runs until it is stopped: a node that tells of each message that it sends, and one that tells in the end what
/// it has received.
pub const ENDLESS: &str = "\
nodes:
  - { id: ticker, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/100 }, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { data: { source: ticker/data, queue_policy: backpressure } } }
";

/// One that ends by itself, after three lines.
pub const SHORT: &str =
    "nodes: [{ id: node, path: '{node}', args: ticker 3, inputs: { tick: dora/timer/millis/5 }, outputs: [data] }]\n";

/// One that fails, after its node was started again.
pub const FAILING: &str =
    "nodes: [{ id: node, path: '{node}', args: fail 3, restart_policy: on-failure, max_restarts: 1 }]\n";

/// What `dora list` says of each dataflow, by its name.
///
/// # Panics
/// When one is there twice.
#[track_caller]
pub fn list(bench: &Workbench) -> BTreeMap<String, String> {
    let text = bench.run("list --format json").expect_code(0).stdout;
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let word = |row: &Value, key: &str| row[key].as_str().expect(&text).to_owned();
    let known: BTreeMap<_, _> = rows.map(|row| (word(&row, "name"), word(&row, "status"))).collect();
    assert_eq!(known.len(), text.lines().count(), "a dataflow is there twice: {text}");
    known
}

/// Sees to it that all lines of an [`ENDLESS`] dataflow that was stopped are there. What was sent when the receiver had
/// stopped, it has not received.
///
/// # Panics
/// When lines are missing.
#[track_caller]
pub fn check_lines(bench: &Workbench, name: &str) {
    let logs = bench.run(&format!("logs {name}")).expect_code(0).stdout;
    let number = |line: &str, before: &str| {
        let (_, after) = line.split_once(before)?;
        after.split(' ').next()?.parse::<usize>().ok()
    };
    let ticks = logs.lines().filter_map(|line| number(line, "ticker: tick "));
    let sent = ticks.clone().count();
    assert!(ticks.eq(1..=sent), "{name}: lines are missing in {logs}");
    let received = logs.lines().find_map(|line| number(line, "sink: received "));
    let received = received.unwrap_or_else(|| panic!("{name}: nothing was received in {logs}"));
    assert!(received <= sent, "{name}: {received} of {sent} in {logs}");
    expect_in(&logs, &[&format!("to {}, in order: true", received.saturating_sub(1))]);
    assert_eq!(logs.matches("stopped: Manual").count(), 2, "{name}: {logs}");
}
