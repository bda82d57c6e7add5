//! Stopping: Ctrl-C once, twice and thrice, other signals, `--stop-after`.

use std::time::Duration;

use dora_tests::{Running, Workbench, await_gone};
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
        await_gone(bench.mark(), Duration::from_secs(2));
    }
}

#[test]
fn two_interrupts_kill() {
    let bench = bench(IGNORES_TERM);
    let run = started(&bench, "stubborn.yml", "ready");
    run.signal(Signal::INT);
    run.await_text("stopping the nodes");
    run.signal(Signal::INT);
    let run = run.finish().expect_code(1);
    assert!(run.stderr.contains("killing the nodes"), "{}", run.stderr);
    assert!(run.took < Duration::from_secs(8), "took {:?}, the grace is not waited for", run.took);
    await_gone(bench.mark(), Duration::from_secs(2));
}

#[test]
fn three_interrupts_leave_at_once_and_leave_nothing() {
    let bench = bench(IGNORES_TERM);
    let mut run = started(&bench, "stubborn.yml", "ready");
    // A stopped keeper obeys nobody; it must not be waited for.
    let keeper = dora_tests::marked_processes(bench.mark())
        .into_iter()
        .find_map(|(pid, line)| line.trim_end().ends_with(" keeper").then(|| rustix::process::Pid::from_raw(pid))?);
    let keeper = keeper.expect("a keeper");
    rustix::process::kill_process(keeper, Signal::STOP).expect("a keeper");
    run.signal(Signal::INT);
    run.await_text("stopping the nodes");
    run.signal(Signal::INT);
    run.await_text("killing the nodes");
    run.signal(Signal::INT);
    assert_eq!(run.await_exit().code(), Some(130));
    rustix::process::kill_process(keeper, Signal::CONT).expect("a keeper");
    run.finish();
    await_gone(bench.mark(), Duration::from_secs(5));
}

#[test]
fn a_time_can_be_given() {
    let bench = bench(IGNORES_TERM);
    let run = bench.dora(["run", "polite.yml", "--stop-after", "400ms"]).finish().expect_code(0);
    assert!(run.stdout.contains("stopped: Manual"), "{}", run.stdout);
    assert!(run.took >= Duration::from_millis(400) && run.took < Duration::from_secs(8), "took {:?}", run.took);
}

#[test]
fn nothing_is_left_of_children_and_grandchildren() {
    let body = "setsid sleep 1000 & (setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & wait' &) ; echo ready; wait";
    let bench = bench(body);
    let run = started(&bench, "stubborn.yml", "ready");
    run.signal(Signal::KILL);
    run.finish();
    await_gone(bench.mark(), Duration::from_secs(2));
}
