//! Nodes that crash and are started again: nobody loses anything without a number, and nobody waits in vain.

use dora_tests::{Running, Workbench, await_gone, rounds};
use rustix::process::{Signal, kill_process};

fn lines_of<'a>(text: &'a str, node: &str) -> Vec<&'a str> {
    let start = format!("{node}: ");
    text.lines().filter_map(|line| Some(line.split_once(start.as_str())?.1)).collect()
}

#[test]
fn a_source_without_inputs_is_started_again_and_heard_in_order() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: source
    path: '{node}'
    args: crashing-source 3 2
    outputs: [data]
    restart_policy: on-failure
  - id: tell
    path: '{node}'
    args: tell
    inputs: { in: source/data }
",
    );
    let run = bench.dora(["run", "-v", "a.yml"]).finish().expect_code(0);
    let expected = "telling|in = 0|in = 1|in = 2|restarted: source|in = 1000|in = 1001|in = 1002|restarted: source|\
                    in = 2000|in = 2001|in = 2002|closed: in|stopped: AllInputsClosed";
    assert_eq!(lines_of(&run.stdout, "tell").join("|"), expected, "{}", run.stdout);
    assert!(run.stderr.contains("was killed by SIGABRT; it is started again now (restart 1)"), "{}", run.stderr);
    assert_eq!(run.balanced("source/data"), [9, 9, 0, 0, 0]);
}

#[test]
fn the_last_failure_is_told_and_ends_the_inputs() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: source
    path: '{node}'
    args: crashing-source 1 1000
    outputs: [data]
    restart_policy: always
    max_restarts: 2
    restart_delay: 0.01
  - id: tell
    path: '{node}'
    args: tell
    inputs: { in: source/data }
",
    );
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    let expected = "telling|in = 0|restarted: source|in = 1000|restarted: source|in = 2000|failed: source|closed: in|\
                    stopped: AllInputsClosed";
    assert_eq!(lines_of(&run.stdout, "tell").join("|"), expected);
    for text in ["again in 10ms (restart 1)", "again in 20ms (restart 2)", "max restarts (2) exceeded, giving up"] {
        assert!(run.stderr.contains(text), "no {text} in {}", run.stderr);
    }
    assert!(run.stderr.contains("1 of 2 nodes did not end well"), "{}", run.stderr);
}

#[test]
fn a_crashing_consumer_loses_what_it_had_in_its_hands_and_nothing_else() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: source
    path: '{node}'
    args: numbered 100
    outputs: [data]
  - id: sink
    path: '{node}'
    args: crashing-sink 7 5
    inputs: { in: { source: source/data, queue_size: 3, queue_policy: backpressure } }
    restart_policy: on-failure
    restart_delay: 0.05
    max_restart_delay: 0.05
",
    );
    let run = bench.dora(["run", "-v", "a.yml"]).finish().expect_code(0);
    let taken: Vec<u64> = run.stdout.lines().filter_map(|line| line.split_once("took ")?.1.parse().ok()).collect();
    assert_eq!(taken, (0..100).collect::<Vec<_>>(), "each message reached one process, in order");
    assert!(run.stdout.contains("took 65 in restart 5"), "{}", run.stdout);
    assert_eq!(run.balanced("source/data"), [100, 95, 0, 0, 5]);
}

#[test]
fn a_crashing_consumer_of_a_finished_producer_gets_the_rest_of_its_queue() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: source
    path: '{node}'
    args: numbered 10
    outputs: [data]
  - id: sink
    path: '{node}'
    args: crashing-sink 4 2
    inputs: { in: { source: source/data, queue_size: 20 } }
    restart_policy: on-failure
    restart_delay: 0.2
",
    );
    let run = bench.dora(["run", "-v", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("took 2 in restart 2"), "{}", run.stdout);
    assert_eq!(run.balanced("source/data"), [10, 8, 0, 0, 2]);
}

#[test]
fn a_node_in_the_middle_is_killed_again_and_again() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: flood
    path: '{node}'
    args: flood 100000
    outputs: [data]
  - id: relay
    path: '{node}'
    args: relay
    inputs: { in: { source: flood/data, queue_size: 4, queue_policy: backpressure } }
    outputs: [data]
    restart_policy: on-failure
  - id: sink
    path: '{node}'
    args: sink
    inputs:
      lossless: { source: relay/data, queue_size: 3, queue_policy: backpressure }
      lossy: { source: relay/data, queue_size: 2 }
",
    );
    let run = bench.dora(["run", "-v", "a.yml"]);
    let kills = rounds(9, 100);
    for kill in 1..=kills {
        run.await_text(&format!("relaying in restart {}\n", kill - 1));
        let relay = bench.process("relay");
        if kill % 3 == 0 {
            // Its neighbours may wait for it meanwhile.
            let _ = kill_process(relay, Signal::STOP);
        }
        let _ = kill_process(relay, Signal::KILL);
    }
    run.await_text(&format!("relaying in restart {kills}\n"));
    let run = run.interrupt_at("restarted: relay");
    // Processes that came and went while the sink was busy, and left nothing for it, are told as one.
    assert!((1..=kills).contains(&run.stdout.matches("restarted: relay").count()), "{}", run.stdout);
    for edge in ["flood/data -> relay/in", "relay/data -> sink/lossless", "relay/data -> sink/lossy"] {
        run.balanced(edge);
    }
    assert!(!run.stderr.contains("torn"), "{}", run.stderr);
    await_gone(bench.mark(), dora_tests::PATIENCE);
}

#[test]
fn a_receiver_that_stands_still_delays_no_restart_and_follows_when_it_goes_on() {
    const KILLS: usize = 8;
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: flood, path: '{node}', args: flood 1000, outputs: [data] }
  - id: relay
    path: '{node}'
    args: relay
    inputs: { in: flood/data }
    outputs: [data]
    restart_policy: on-failure
  - { id: sink, path: '{node}', args: sink, inputs: { in: relay/data } }
",
    );
    let run = bench.dora(["run", "-v", "a.yml"]);
    run.await_text("sink: receiving");
    let sink = bench.process("test-node sink");
    kill_process(sink, Signal::STOP).expect("a process that runs");
    for kill in 1..=KILLS {
        run.await_text(&format!("relaying in restart {}\n", kill - 1));
        kill_process(bench.process("relay"), Signal::KILL).expect("a process that runs");
    }
    run.await_text(&format!("relaying in restart {KILLS}\n"));
    kill_process(sink, Signal::CONT).expect("a process that runs");
    let run = run.interrupt_at("restarted: relay");
    let told = run.stdout.matches("restarted: relay").count();
    assert!((1..KILLS).contains(&told), "what no one could follow is told as one: {told}");
    run.balanced("relay/data -> sink/in");
}

#[test]
fn an_input_that_timed_out_recovers_with_the_next_process() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: source
    path: '{node}'
    args: crashing-source 2 1
    outputs: [data]
    restart_policy: on-failure
    restart_delay: 1
  - id: tell
    path: '{node}'
    args: tell
    inputs: { in: { source: source/data, input_timeout: 0.2 } }
",
    );
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    let expected = "telling|in = 0|in = 1|closed: in|restarted: source|recovered: in|in = 1000|in = 1001|closed: in|\
                    stopped: AllInputsClosed";
    assert_eq!(lines_of(&run.stdout, "tell").join("|"), expected, "{}", run.stdout);
}

#[test]
fn a_stop_ends_the_wait_for_a_restart() {
    let bench = Workbench::new();
    bench.script("bad.sh", "exit 3");
    bench.write("a.yml", "nodes:\n  - { id: bad, path: bad.sh, restart_policy: always, restart_delay: 100000 }\n");
    let run = bench.dora(["run", "a.yml"]);
    run.await_text("it is started again in 100000s");
    run.signal(Signal::INT);
    // As with a node that was stopped in order: its failure was told, and was what the rule is for.
    let run = run.finish().expect_code(0);
    let told = "node `bad` was between two processes and is not started again; the last one exited with code 3";
    assert!(run.stderr.contains(told), "{}", run.stderr);
}

#[test]
fn the_start_waits_for_a_node_that_fails_at_first() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: late, path: '{node}', args: fail-first, outputs: [data], restart_policy: on-failure, restart_delay: 0.1 }
  - { id: tell, path: '{node}', args: tell, inputs: { in: late/data } }
",
    );
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("here in restart 1"), "{}", run.stdout);
    assert_eq!(lines_of(&run.stdout, "tell").join("|"), "telling|in = 1|closed: in|stopped: AllInputsClosed");
}

#[test]
fn many_nodes_that_crash_in_a_loop_cost_little_and_disturb_nobody() {
    let nodes = rounds(20, 200);
    let bench = Workbench::new();
    // Until messages flow its ends are fine, so the others start without it.
    bench.script("bad.sh", "test ! -e started");
    let mut text = "\
nodes:
  - { id: ticker, path: '{node}', args: ticker 50, inputs: { tick: dora/timer/millis/20 }, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { in: { source: ticker/data, queue_policy: backpressure } } }
"
    .to_owned();
    for number in 0..nodes {
        text += &format!("  - {{ id: bad{number}, path: bad.sh, restart_policy: always }}\n");
    }
    bench.dataflow("a.yml", &text);
    let run: Running = bench.dora(["run", "a.yml"]);
    run.await_text("tick 1\n");
    bench.write("started", "");
    let run = run.interrupt_at("sink: received 50 from 0 to 49, in order: true");
    let told = run.stderr.lines().filter(|line| line.contains("exited with code 1; it is started again")).count();
    assert!((1..=20 * nodes).contains(&told), "{told} lines");
}
