//! Stopping: Ctrl-C once, twice and thrice, other signals, `--stop-after`, `--grace-duration`.

use std::time::{Duration, Instant};

use dora_tests::{PATIENCE, Running, Workbench, await_gone};
use rustix::process::Signal;

/// A dataflow of one node that ends in order when it is told to, and one whose process ignores SIGTERM.
fn bench(body: &str) -> Workbench {
    let bench = Workbench::new();
    bench.script("stubborn.sh", body);
    bench.dataflow(
        "polite.yml",
        "\
nodes:
  - id: polite
    path: '{node}'
    args: ticker
    inputs: { tick: dora/timer/millis/20 }
    outputs: [data]
",
    );
    bench.write("stubborn.yml", "nodes:\n  - id: stubborn\n    path: stubborn.sh\n");
    bench
}

const IGNORES_TERM: &str = "trap '' TERM; echo ready; while :; do sleep 1000; done";

fn started(bench: &Workbench, file: &str, text: &str) -> Running {
    let run = bench.dora(["run", file]);
    run.await_text(text);
    run
}

#[test]
fn one_interrupt_stops_in_order() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let bench = bench(IGNORES_TERM);
        let run = started(&bench, "polite.yml", "tick 1\n");
        run.signal(signal);
        let run = run.finish().expect_code(0);
        assert!(run.stdout.contains("stopped: Manual"), "{signal:?}: {}", run.stdout);
        assert!(run.stderr.contains("stopping the nodes"), "{signal:?}: {}", run.stderr);
        await_gone(bench.mark(), PATIENCE);
    }
}

#[test]
fn two_interrupts_make_haste() {
    let bench = bench(IGNORES_TERM);
    // It ends although nobody waits for so long.
    let run = bench.dora(["run", "stubborn.yml", "--grace-duration", "1h"]);
    run.await_text("ready");
    run.signal(Signal::INT);
    run.await_text("stopping the nodes");
    run.signal(Signal::INT);
    let run = run.finish().expect_code(1);
    for expected in ["SIGTERM to the nodes", "was killed because it did not stop in time"] {
        assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
    }
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn sigterm_of_ours_is_a_clean_end() {
    // It would go on for an hour, and nothing but the second interrupt ends it.
    let bench = bench("trap 'trap - TERM; kill -TERM $$' TERM; echo ready; while :; do sleep 1000 & wait; done");
    let run = started(&bench, "stubborn.yml", "ready");
    run.signal(Signal::INT);
    run.finish().expect_code(0);
}

#[test]
fn the_grace_can_be_given() {
    let bench = bench(IGNORES_TERM);
    let mut command = bench.command(["run", "stubborn.yml", "--grace-duration", "200ms"]);
    command.env("DORA_LOG_FORMAT", "compact");
    let run = Running::start(command);
    run.await_text("ready");
    let asked = Instant::now();
    run.signal(Signal::INT);
    let run = run.finish().expect_code(1);
    assert!(
        run.stderr.contains("Node `stubborn` failed: was killed because it did not stop in time"),
        "{}",
        run.stderr
    );
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(15), "took {took:?}: so long it is if none is given");
}

#[test]
fn three_interrupts_kill() {
    let bench = bench(IGNORES_TERM);
    let run = started(&bench, "stubborn.yml", "ready");
    for told in ["stopping the nodes", "SIGTERM to the nodes", "killing the nodes"] {
        run.signal(Signal::INT);
        run.await_text(told);
    }
    let run = run.finish().expect_code(1);
    assert!(run.stderr.contains("Dataflow failed: the third Ctrl-C left the nodes no time"), "{}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_keeper_that_does_not_answer_keeps_nobody() {
    let bench = bench(IGNORES_TERM);
    let run = started(&bench, "stubborn.yml", "ready");
    // A stopped keeper obeys nobody; it must not be waited for.
    rustix::process::kill_process(bench.keeper(), Signal::STOP).expect("a keeper");
    for told in ["stopping the nodes", "SIGTERM to the nodes", "killing the nodes"] {
        run.signal(Signal::INT);
        run.await_text(told);
    }
    let run = run.finish().expect_code(1);
    assert!(run.stderr.contains("does not answer; it is killed"), "{}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_stopped_keeper_is_not_left_behind() {
    let bench = bench(IGNORES_TERM);
    for (signals, code) in [(&[Signal::KILL][..], None), (&[Signal::INT; 4], Some(130))] {
        let run = started(&bench, "stubborn.yml", "ready");
        rustix::process::kill_process(bench.keeper(), Signal::STOP).expect("a keeper");
        let told = ["stopping the nodes", "SIGTERM to the nodes", "killing the nodes"];
        for (signal, told) in signals.iter().zip(told) {
            run.signal(*signal);
            if code.is_some() {
                run.await_text(told);
            }
        }
        signals.iter().skip(told.len()).for_each(|signal| run.signal(*signal));
        assert_eq!(run.finish().code, code);
        await_gone(bench.mark(), PATIENCE);
    }
}

#[test]
fn a_time_can_be_given() {
    let bench = bench(IGNORES_TERM);
    // Time enough for the node to start.
    let run = bench.dora(["run", "polite.yml", "--stop-after", "2s"]).finish().expect_code(0);
    assert!(run.stdout.contains("stopped: Manual"), "{}", run.stdout);
    assert!(run.took >= Duration::from_secs(2), "took {:?}", run.took);
}

#[test]
fn nothing_is_left_of_children_and_grandchildren() {
    let body = "setsid sleep 1000 & (setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & wait' &) ; echo ready; wait";
    let bench = bench(body);
    let run = started(&bench, "stubborn.yml", "ready");
    run.signal(Signal::KILL);
    run.finish();
    await_gone(bench.mark(), PATIENCE);
}
