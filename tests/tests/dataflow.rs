//! Nodes that exchange data, in good times and in bad ones.

use dora_tests::{PATIENCE, Workbench, await_gone, is_full};
use rustix::process::Signal;

#[test]
fn two_nodes_exchange_data() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: source
    path: '{node}'
    args: source 1000
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: { source: source/data, queue_policy: backpressure } }
",
    );
    let run = bench.dora(["run", "-v", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("sink: received 1000 from 0 to 999, in order: true"), "{}", run.stdout);
    // Closed after the last message, stopped after that.
    let order = ["closed: in", "stopped: AllInputsClosed"].map(|text| run.stdout.find(text));
    assert!(order[0].is_some() && order[0] < order[1], "{}", run.stdout);
    let line = run.stderr.lines().find(|line| line.starts_with("source/data -> sink/in")).expect(&run.stderr);
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3..9], ["backpressure", "10", "1000", "1000", "0", "0"], "{line}");
}

#[test]
fn every_dropped_message_is_counted() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: source
    path: '{node}'
    args: source 5000
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: { source: source/data, queue_size: 1 } }
",
    );
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("to 4999, in order: true"), "the newest arrives: {}", run.stdout);
    let number_after = |text: &str, mark: &str| -> u64 {
        let rest = text.split_once(mark).map_or("", |(_, rest)| rest);
        rest.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    let received = number_after(&run.stdout, "received ");
    let dropped = number_after(&run.stderr, "of 5000 messages ");
    assert_eq!(received + dropped, 5000, "{}\n{}", run.stdout, run.stderr);
}

#[test]
fn a_hundred_consumers_of_one_output() {
    const CONSUMERS: usize = 100;
    let bench = Workbench::new();
    let mut text = "nodes:\n  - id: source\n    path: '{node}'\n    args: source 50\n    outputs: [data]\n".to_owned();
    for number in 0..CONSUMERS {
        text += &format!("  - id: sink{number}\n    path: '{{node}}'\n    args: sink\n    inputs:\n");
        text += "      in: { source: source/data, queue_policy: backpressure }\n";
    }
    bench.dataflow("a.yml", &text);
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    let complete = run.stdout.matches("received 50 from 0 to 49, in order: true").count();
    assert_eq!(complete, CONSUMERS, "{}", run.stdout);
}

#[test]
fn a_cycle_that_could_wait_for_itself_is_refused() {
    let bench = Workbench::new();
    let text = "\
nodes:
  - id: a
    path: sh
    inputs: { back: { source: b/out, queue_policy: backpressure } }
    outputs: [out]
  - id: b
    path: sh
    inputs: { forth: { source: a/out, queue_policy: backpressure } }
    outputs: [out]
";
    bench.write("a.yml", text);
    for verb in ["validate", "run"] {
        let run = bench.dora([verb, "a.yml"]).finish().expect_code(1);
        assert!(run.stderr.contains("a/out") && run.stderr.contains("drop_oldest"), "{verb}: {}", run.stderr);
    }
}

#[test]
fn one_file_runs_twice_at_once() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: ticker
    path: '{node}'
    args: ticker
    inputs: { tick: dora/timer/millis/10 }
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: ticker/data }
",
    );
    let runs = [bench.dora(["run", "a.yml"]), bench.dora(["run", "a.yml"])];
    runs.iter().for_each(|run| run.await_text("tick 5\n"));
    for run in runs {
        run.signal(Signal::INT);
        let run = run.finish().expect_code(0);
        assert!(run.stdout.contains("in order: true"), "{}", run.stdout);
    }
}

#[test]
fn a_consumer_that_never_reads_disturbs_nobody() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: source
    path: '{node}'
    args: source 2000
    outputs: [data]
  - id: stuck
    path: '{node}'
    args: stuck
    inputs: { in: source/data }
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: { source: source/data, queue_policy: backpressure } }
",
    );
    let run = bench.dora(["run", "a.yml"]);
    run.await_text("sink: received 2000 from 0 to 1999, in order: true");
    run.signal(Signal::INT);
    let run = run.interrupt_at("stopping the nodes");
    let expected = "of 2000 messages 1990 dropped (drop_oldest, queue 10), 10 still queued when `stuck` ended";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}

#[test]
fn a_spent_memory_budget_drops_the_oldest_and_says_so() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: flood
    path: '{node}'
    args: flood 1000000
    outputs: [data]
  - id: hoard
    path: '{node}'
    args: stuck
    inputs: { in: { source: flood/data, queue_size: 100 } }
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: { source: flood/data, queue_size: 1 } }
",
    );
    let run = bench.dora(["run", "a.yml", "--memory", "8MB"]);
    run.await_text("sink: receiving");
    run.await_text("flooding");
    run.signal(Signal::INT);
    // The flood ends in order although its consumer hoards.
    let run = run.interrupt_at("sink: stopped");
    assert!(!run.stderr.contains("Node `flood` failed"), "{}", run.stderr);
}

#[test]
fn a_message_larger_than_the_budget_is_an_error_with_numbers() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: big
    path: '{node}'
    args: big 50000000
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: big/data }
",
    );
    let run = bench.dora(["run", "a.yml", "--memory", "8MB"]).finish().expect_code(1);
    let report = run.stderr.split_once("Node `big` failed").map(|(_, report)| report).expect(&run.stderr);
    assert!(report.contains("`data`") && report.contains("memory budget of 8388608 bytes"), "{report}");
}

#[test]
fn a_very_large_message() {
    let size: u64 = if is_full() { 2 << 30 } else { 64 << 20 };
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        &"\
nodes:
  - id: big
    path: '{node}'
    args: big SIZE
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: big/data }
"
        .replace("SIZE", &size.to_string()),
    );
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains(&format!("received {size} bytes")), "{}", run.stdout);
}

#[test]
fn a_node_may_fork_while_it_holds_an_array() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: big
    path: '{node}'
    args: big 1000000
    outputs: [data]
  - id: fork
    path: '{node}'
    args: fork
    inputs: { in: big/data }
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: fork/data }
",
    );
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("child: true"), "{}\n{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("sink: received 1 from 2 to 2"), "{}", run.stdout);
}

#[test]
fn a_node_that_fails_is_told_to_those_that_listen() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: bad
    path: '{node}'
    args: fail 3
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: bad/data }
",
    );
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    let order = ["failed: bad", "closed: in", "stopped: AllInputsClosed"].map(|text| run.stdout.find(text));
    assert!(order[0].is_some() && order[0] < order[1] && order[1] < order[2], "{}", run.stdout);
    assert!(
        run.stderr.contains("Dataflow failed: 1 of 2") && run.stderr.contains("exited with code 3"),
        "{}",
        run.stderr
    );
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn timers_do_not_keep_a_node_alive_when_told_so() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: source
    path: '{node}'
    args: source 3
    outputs: [data]
  - id: worker
    path: '{node}'
    args: ticker
    inputs: { in: source/data, tick: dora/timer/millis/10 }
    outputs: [data]
",
    );
    let run = bench.dora(["run", "a.yml", "--exit-when-nodes-finish"]).finish().expect_code(0);
    assert!(run.stdout.contains("stopped: AllInputsClosed"), "{}", run.stdout);
    let run = bench.dora(["run", "a.yml", "--exit-when-nodes-finish=false", "--stop-after", "2s"]).finish();
    assert!(run.stdout.contains("stopped: Manual"), "{}", run.stdout);
}
