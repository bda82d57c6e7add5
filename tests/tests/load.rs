//! Many dataflows, at once and one after the other: each is whole, `list` knows each once, and nothing is left of any.

use std::{collections::BTreeMap, time::Instant};

use dora_tests::{Cluster, Footprint, Running, Workbench, expect_in, rounds};
use serde_json::Value;

/// A node that tells of each message that it sends, and one that tells in the end what it has received.
const FLOW: &str = "\
nodes:
  - { id: ticker, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/100 }, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { data: { source: ticker/data, queue_policy: backpressure } } }
";

/// One that ends by itself.
const SHORT: &str =
    "nodes: [{ id: node, path: '{node}', args: ticker 3, inputs: { tick: dora/timer/millis/5 }, outputs: [data] }]\n";

/// One that fails, after its node was started again.
const FAILING: &str =
    "nodes: [{ id: node, path: '{node}', args: fail 3, restart_policy: on-failure, max_restarts: 1 }]\n";

/// Memory that a coordinator or a daemon may have more after many dataflows than after some of them, in KiB.
const TOLERANCE: u64 = 8 << 10;

/// What `dora list` says of each dataflow, by its name; each is there once.
fn list(bench: &Workbench) -> BTreeMap<String, String> {
    let text = bench.run("list --format json").expect_code(0).stdout;
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let word = |row: &Value, key: &str| row[key].as_str().expect(&text).to_owned();
    let known: BTreeMap<_, _> = rows.map(|row| (word(&row, "name"), word(&row, "status"))).collect();
    assert_eq!(known.len(), text.lines().count(), "a dataflow is there twice: {text}");
    known
}

/// Runs a command for each name, all at once.
fn at_once(bench: &Workbench, names: &[String], line: impl Fn(&str) -> String) {
    let started = Instant::now();
    let all: Vec<Running> = names.iter().map(|name| bench.dora(line(name).split(' '))).collect();
    all.into_iter().for_each(|command| _ = command.finish().expect_code(0));
    println!("{} x `dora {}`: {:?}", names.len(), line("NAME"), started.elapsed());
}

/// Sees to it that all lines of a dataflow are there. What was sent when the receiver had stopped, it has not received.
fn check_lines(bench: &Workbench, name: &str) {
    let logs = bench.run(&format!("logs {name}")).expect_code(0).stdout;
    let number = |line: &str, before: &str| {
        let (_, after) = line.split_once(before)?;
        after.split(' ').next()?.parse::<usize>().ok()
    };
    let ticks = logs.lines().filter_map(|line| number(line, "ticker: tick "));
    let sent = ticks.clone().count();
    assert!(ticks.eq(1..=sent), "{name}: lines are missing in {logs}");
    let received = logs.lines().find_map(|line| number(line, "sink: received ")).unwrap_or(0);
    assert!((1..=sent).contains(&received), "{name}: {received} of {sent} in {logs}");
    expect_in(&logs, &[&format!("received {received} from 0 to {}, in order: true", received - 1)]);
    assert_eq!(logs.matches("stopped: Manual").count(), 2, "{name}: {logs}");
}

#[test]
fn many_dataflows_start_and_stop_at_once() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("flow.yml", FLOW);
    let before = Footprint::of(&bench, &cluster);
    let names: Vec<String> = (0..rounds(12, 100)).map(|number| format!("flow-{number}")).collect();
    let all = |state: &str| names.iter().map(|name| (name.clone(), state.to_owned())).collect::<BTreeMap<_, _>>();
    at_once(&bench, &names, |name| format!("start flow.yml --detach --name {name}"));
    assert_eq!(list(&bench), all("Running"));
    at_once(&bench, &names, |name| format!("stop {name}"));
    assert_eq!(list(&bench), all("Finished"));
    names.iter().for_each(|name| check_lines(&bench, name));
    println!("{before:?}\n{:?}", before.await_again(&bench, &cluster));
    // The same names again, and one command that stops all.
    bench.run("clean").expect_code(0);
    at_once(&bench, &names, |name| format!("start flow.yml --detach --name {name}"));
    bench.run("stop --all").expect_code(0);
    assert_eq!(list(&bench), all("Finished"));
    names.iter().for_each(|name| check_lines(&bench, name));
    bench.run("clean").expect_code(0);
    assert_eq!(list(&bench), BTreeMap::new());
    let after = before.await_again(&bench, &cluster);
    println!("{after:?}");
    assert_eq!(after.files, before.files, "files of dataflows that were forgotten");
    cluster.down();
}

/// A dataflow comes and goes in one of the ways in which they do; the state that it ends in.
fn come_and_go(bench: &Workbench, number: usize, name: &str) -> &'static str {
    match number % 4 {
        0 => {
            let run = bench.run(&format!("start short.yml --attach --name {name}")).expect_code(0);
            assert_eq!(run.stdout.matches("tick ").count(), 3, "{}", run.stdout);
            "Finished"
        }
        1 => {
            bench.run(&format!("start failing.yml --attach --name {name}")).expect_code(1);
            "Failed"
        }
        2 => {
            bench.run(&format!("start flow.yml --detach --name {name}")).expect_code(0);
            bench.run(&format!("stop {name}")).expect_code(0);
            "Finished"
        }
        _ => {
            bench.run(&format!("start short.yml --detach --name {name}")).expect_code(0);
            let lines = bench.run(&format!("logs {name} --follow")).expect_code(0).stdout;
            assert_eq!(lines.matches("tick ").count(), 3, "{lines}");
            "Finished"
        }
    }
}

#[test]
fn many_dataflows_in_sequence_leave_nothing() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    for (file, text) in [("flow.yml", FLOW), ("short.yml", SHORT), ("failing.yml", FAILING)] {
        bench.dataflow(file, text);
    }
    let (fresh, count) = (Footprint::of(&bench, &cluster), rounds(10, 1000));
    let (mut expected, mut some) = (BTreeMap::new(), None);
    for number in 0..count {
        let name = format!("flow-{number}");
        expected.insert(name.clone(), come_and_go(&bench, number, &name).to_owned());
        if number * 5 / count != (number + 1) * 5 / count {
            assert_eq!(list(&bench), expected);
            let now = fresh.await_again(&bench, &cluster);
            println!("after {}: {now:?}", number + 1);
            some.get_or_insert(now);
        }
    }
    let (some, all) = (some.expect("some have ended"), Footprint::of(&bench, &cluster));
    for (some, all) in some.processes.iter().zip(&all.processes) {
        assert!(all.resident_kib <= some.resident_kib + TOLERANCE, "{all:?} after all, {some:?} after some");
    }
    bench.run("clean").expect_code(0);
    assert_eq!(list(&bench), BTreeMap::new());
    let cleaned = fresh.await_again(&bench, &cluster);
    println!("cleaned: {cleaned:?}");
    assert_eq!(cleaned.files, fresh.files, "files of dataflows that were forgotten");
    cluster.down();
}
