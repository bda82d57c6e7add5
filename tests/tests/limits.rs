//! Nodes that take too long: to connect, to show a sign of life, to send, to end. Each deadline is kept exactly, so no
//! test waits longer than it says; that nothing happens too early is what they check.

use std::time::Duration;

use dora_tests::{PATIENCE, Running, Workbench, await_gone};
use rustix::process::{Signal, kill_process};

/// Runs a dataflow with `{node}` as the program of the nodes.
fn run(text: &str) -> (Workbench, Running) {
    let bench = Workbench::new();
    bench.dataflow("a.yml", text);
    let run = bench.dora(["run", "a.yml"]);
    (bench, run)
}

#[test]
fn a_node_that_does_not_connect_in_time_fails_the_start() {
    let bench = Workbench::new();
    bench.script("slow.sh", "echo warming up >&2; sleep 1000");
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: slow, path: slow.sh, startup_timeout: 0.6 }
  - { id: sink, path: '{node}', args: sink, inputs: { tick: dora/timer/secs/1 } }
",
    );
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    let expected = "Node `slow` failed: did not connect within 600ms (startup_timeout) with stderr output:";
    assert!(run.stderr.contains(expected) && run.stderr.contains("warming up"), "{}", run.stderr);
    assert!(run.stderr.contains("sink: node `slow` did not connect within 600ms (startup_timeout)"), "{}", run.stderr);
    assert!(run.stderr.contains("Node `sink` failed: did not run because node `slow` failed"), "{}", run.stderr);
    assert!(run.took >= Duration::from_millis(600), "{:?}", run.took);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_node_that_has_connected_may_take_its_time() {
    let (_bench, run) = run("\
nodes:
  - id: sink
    path: '{node}'
    args: sink
    startup_timeout: 10
    health_check_timeout: 0.5
    inputs: { in: late/data }
  - { id: late, path: '{node}', args: 'late 2000', outputs: [data] }
");
    // For two seconds the sink waits, first for the start and then for a message: both are calls of the API.
    let run = run.finish().expect_code(0);
    assert!(run.stdout.contains("sink: received 1 from"), "{}", run.stdout);
}

#[test]
fn a_node_that_computes_for_too_long_is_killed() {
    let (bench, run) = run("\
nodes:
  - id: busy
    path: '{node}'
    args: busy
    health_check_timeout: 0.4
    inputs: { tick: dora/timer/secs/1000 }
    outputs: [data]
  - { id: sink, path: '{node}', args: sink, inputs: { in: busy/data } }
");
    let run = run.finish().expect_code(1);
    let expected = "Node `busy` failed: gave no sign of life for 400ms (health_check_timeout)";
    assert!(run.stdout.contains("first: true") && run.stderr.contains(expected), "{}\n{}", run.stdout, run.stderr);
    let order = ["failed: busy", "closed: in"].map(|text| run.stdout.find(text));
    assert!(order[0].is_some() && order[0] < order[1], "{}", run.stdout);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_node_that_hangs_is_started_again() {
    let (bench, run) = run("\
nodes:
  - id: busy
    path: '{node}'
    args: busy
    health_check_timeout: 0.3
    restart_policy: on-failure
    max_restarts: 1
    inputs: { tick: dora/timer/secs/1000 }
    outputs: [data]
  - { id: tell, path: '{node}', args: tell, inputs: { in: busy/data } }
");
    let run = run.finish().expect_code(1);
    for text in ["it is started again now (restart 1)", "max restarts (1) exceeded", "no sign of life for 300ms"] {
        assert!(run.stderr.contains(text), "no {text} in {}", run.stderr);
    }
    assert_eq!(run.stdout.matches("busy: first: true").count(), 2, "{}", run.stdout);
    let order = ["restarted: busy", "failed: busy", "closed: in"].map(|text| run.stdout.find(text));
    assert!(order[0].is_some() && order.is_sorted(), "{}", run.stdout);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_stopped_node_is_not_healthy() {
    let (bench, run) = run("\
nodes:
  - { id: ticker, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/20 }, outputs: [data] }
  - { id: hung, path: '{node}', args: sink, health_check_timeout: 1, inputs: { in: ticker/data } }
  - id: idle
    path: '{node}'
    args: ticker
    health_check_timeout: 1
    inputs: { tick: dora/timer/secs/1000 }
    outputs: [data]
");
    run.await_text("hung: receiving");
    run.await_text("idle: tick 1");
    kill_process(bench.process("test-node sink"), Signal::STOP).expect("a process that runs");
    run.await_text("node `hung` gave no sign of life for 1s (health_check_timeout)");
    run.signal(Signal::INT);
    let run = run.finish().expect_code(1);
    assert!(run.stderr.contains("Dataflow failed: 1 of 3 nodes"), "waiting is healthy: {}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn an_input_that_falls_silent_is_closed_until_it_speaks_again() {
    let (bench, run) = run("\
nodes:
  - { id: ticker, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/50 }, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { in: { source: ticker/data, input_timeout: 1.5 } } }
");
    run.await_text("sink: receiving");
    let ticker = bench.process("ticker");
    kill_process(ticker, Signal::STOP).expect("a process that runs");
    run.await_text("sink: closed: in");
    kill_process(ticker, Signal::CONT).expect("a process that runs");
    run.interrupt_at("sink: recovered: in");
}

#[test]
fn a_node_that_stays_when_all_is_done_is_stopped() {
    let (bench, run) = run("\
nodes:
  - { id: source, path: '{node}', args: source 3, outputs: [data] }
  - { id: lingers, path: '{node}', args: linger, finish_grace_secs: 0.3, inputs: { in: source/data } }
");
    let run = run.finish().expect_code(1);
    let expected = "Node `lingers` failed: did not end within 300ms after its inputs had ended (finish_grace_secs)";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_main_that_returns_an_error_is_a_failure_to_its_consumers() {
    let (_bench, run) = run("\
nodes:
  - { id: camera, path: '{node}', args: err 3, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { in: { source: camera/data, queue_policy: backpressure } } }
");
    let run = run.finish().expect_code(1);
    assert!(run.stdout.contains("received 3 from 0 to 2, in order: true"), "{}", run.stdout);
    let order = ["failed: camera: exited with code 1: err: no more film", "closed: in", "stopped: AllInputsClosed"];
    let found: Vec<_> = order.iter().map(|text| run.stdout.find(text)).collect();
    assert!(found[0].is_some() && found.is_sorted(), "{}", run.stdout);
}

#[test]
fn the_outputs_of_a_dropped_node_end_although_its_process_goes_on() {
    let (bench, run) = run("\
nodes:
  - { id: source, path: '{node}', args: leave 2, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { in: source/data } }
");
    run.await_text("sink: stopped: AllInputsClosed");
    run.signal(Signal::INT);
    let run = run.interrupt_at("stopping the nodes");
    assert!(!run.stdout.contains("failed: source"), "{}", run.stdout);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_node_runs_on_the_cores_that_it_names() {
    let bench = Workbench::new();
    bench.script("where.sh", "grep Cpus_allowed_list /proc/self/status");
    let text = "nodes:\n  - { id: a, path: where.sh, cpu_affinity: [0] }\n  - { id: b, path: where.sh, cpu_affinity: [0, 4000] }\n";
    bench.write("a.yml", text);
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert_eq!(run.stdout.matches("Cpus_allowed_list:\t0\n").count(), 2, "{}", run.stdout);
    assert!(run.stderr.contains("node `b`: `cpu_affinity` names cores"), "{}", run.stderr);
    assert!(!run.stderr.contains("node `a`: `cpu"), "{}", run.stderr);
}
