//! Dynamic nodes: processes that somebody else starts join a running dataflow, leave it, crash, and join again.

use dora_tests::{
    Finished, Holdings, Running, Workbench, await_gone, await_holdings, await_shared_memory, rounds, shared_memory,
    test_node,
};
use rustix::process::{Signal, kill_process};

/// A dataflow with a dynamic node `guest`, run by `dora run -v`.
struct Scene {
    bench: Workbench,
    run: Running,
    dataflow: String,
}

impl Scene {
    fn new(text: &str) -> Self {
        let bench = Workbench::new();
        bench.dataflow("a.yml", text);
        let run = bench.dora(["run", "-v", "a.yml"]);
        let dataflow = invited(&run);
        Scene { bench, run, dataflow }
    }
    fn join(&self, role: &str) -> Running {
        self.bench.join(&self.dataflow, "guest", role)
    }
    /// Stops the dataflow, which must have gone well.
    fn stop(self) -> Finished {
        self.run.signal(Signal::INT);
        self.finish()
    }
    fn finish(self) -> Finished {
        let run = self.run.finish().expect_code(0);
        await_gone(self.bench.mark(), dora_tests::PATIENCE);
        run
    }
}

/// The id of a dataflow, once dynamic nodes may join.
fn invited(run: &Running) -> String {
    const WORDS: &str = "may join; this is dataflow ";
    run.await_text(WORDS);
    let text = run.stderr_so_far();
    text.split_once(WORDS).expect(WORDS).1.lines().next().expect("an id").to_owned()
}

fn numbers(text: &str) -> Vec<u64> {
    text.lines().filter_map(|line| line.strip_prefix("in = ")?.parse().ok()).collect()
}

const TICKER: &str =
    "  - { id: ticker, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/2 }, outputs: [data] }\n";

fn with_ticker(nodes: &str) -> String {
    format!("nodes:\n{TICKER}{nodes}")
}

#[test]
fn a_consumer_gets_what_is_sent_while_it_is_there() {
    let scene = Scene::new(&with_ticker(
        "  - { id: guest, path: dynamic, inputs: { in: { source: ticker/data, queue_policy: backpressure } } }\n",
    ));
    scene.run.await_text("tick 20\n"); // nobody holds the sender up
    let mut last = None;
    for round in 0..2 {
        if round > 0 {
            scene.run.await_count("is gone without having left", round);
            // Of the next two the second is sent while nobody is there, from its beginning to its end.
            let sent = scene.run.stdout_so_far().matches("tick ").count();
            scene.run.await_count("tick ", sent + 2);
        }
        let guest = scene.join("tell");
        guest.await_count("in = ", 5);
        guest.signal(Signal::KILL);
        let guest = guest.finish();
        let seen = numbers(&guest.stdout);
        assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "nothing is missing: {seen:?}");
        assert!(seen[0] > last.map_or(15, |last| last + 1), "nothing old: {seen:?} after {last:?}");
        last = seen.last().copied();
    }
    let run = scene.stop();
    assert_eq!(run.stderr.matches("is gone without having left").count(), 2, "{}", run.stderr);
    let [_, received, dropped, ..] = run.balanced("ticker/data");
    assert!(received >= 10 && dropped >= 15, "{}", run.stderr);
    assert!(run.stderr.contains("sent while nobody was `guest`"), "{}", run.stderr);
    assert!(!run.stderr.contains("`queue_size: N`"), "that would not help: {}", run.stderr);
}

#[test]
fn a_producer_comes_and_goes() {
    let scene = Scene::new(
        "\
nodes:
  - { id: guest, path: dynamic, outputs: [data] }
  - { id: tell, path: '{node}', args: tell, inputs: { in: { source: guest/data, queue_size: 100 }, tick: dora/timer/secs/100 } }
",
    );
    scene.join("source 2").finish().expect_code(0);
    scene.run.await_text("closed: in\n");
    scene.join("source 3").finish().expect_code(0);
    scene.run.await_count("closed: in\n", 2);
    let run = scene.stop();
    let told: Vec<&str> = run.stdout.lines().filter_map(|line| Some(line.split_once("tell: ")?.1)).collect();
    let expected = "telling|in = 0|in = 1|closed: in|restarted: guest|recovered: in|in = 0|in = 1|in = 2|closed: in|\
                    stopped: Manual";
    assert_eq!(told.join("|"), expected);
    assert_eq!(run.balanced("guest/data"), [5, 5, 0, 0, 0]);
    assert!(
        run.stderr.contains("has joined as node `guest`") && run.stderr.contains("`guest` has left"),
        "{}",
        run.stderr
    );
}

#[test]
fn all_that_several_processes_have_sent_arrives_although_they_have_left() {
    let scene = Scene::new(
        "\
nodes:
  - { id: guest, path: dynamic, outputs: [data] }
  - { id: tell, path: '{node}', args: tell, inputs: { in: { source: guest/data, queue_size: 9 }, tick: dora/timer/secs/100 } }
",
    );
    scene.run.await_text("tell: telling\n");
    let tell = scene.bench.process(" tell");
    kill_process(tell, Signal::STOP).expect("a process that runs");
    for count in 1..=4 {
        scene.join(&format!("source {count}")).finish().expect_code(0);
    }
    kill_process(tell, Signal::CONT).expect("a process that runs");
    scene.run.await_count("closed: in\n", 4);
    let run = scene.stop();
    assert_eq!(run.stdout.matches("restarted: guest").count(), 3, "{}", run.stdout);
    assert_eq!(run.balanced("guest/data"), [10, 10, 0, 0, 0]);
}

#[test]
fn the_end_of_its_only_producer_ends_a_node_and_the_dataflow() {
    let scene = Scene::new(
        "nodes:\n  - { id: guest, path: dynamic, outputs: [data] }\n  \
         - { id: tell, path: '{node}', args: tell, inputs: { in: guest/data } }\n",
    );
    scene.join("source 1").finish().expect_code(0);
    let run = scene.finish();
    assert!(run.stdout.contains("stopped: AllInputsClosed"), "{}", run.stdout);
}

#[test]
fn a_process_that_is_killed_has_failed_for_its_consumers_and_another_one_joins() {
    let scene = Scene::new(
        "\
nodes:
  - { id: guest, path: dynamic, inputs: { tick: dora/timer/millis/2 }, outputs: [data] }
  - { id: tell, path: '{node}', args: tell, inputs: { in: { source: guest/data, queue_size: 1000 }, tick: dora/timer/secs/100 } }
",
    );
    for round in 1..=rounds(3, 20) {
        let guest = scene.join("ticker");
        guest.await_text("tick 3\n");
        if round % 2 == 0 {
            guest.signal(Signal::STOP);
        }
        guest.signal(Signal::KILL);
        guest.finish();
        scene.run.await_count("failed: guest", round);
        scene.run.await_count("closed: in\n", round);
    }
    let run = scene.stop();
    run.balanced("guest/data");
    assert_eq!(run.stdout.matches("recovered: in").count() + 1, rounds(3, 20));
}

#[test]
fn a_relay_is_killed_in_the_middle_of_a_flood() {
    let scene = Scene::new(
        "\
nodes:
  - { id: flood, path: '{node}', args: flood 100000, outputs: [data] }
  - id: guest
    path: dynamic
    inputs:
      lossless: { source: flood/data, queue_size: 4, queue_policy: backpressure }
      lossy: { source: flood/data, queue_size: 2 }
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    inputs:
      lossless: { source: guest/data, queue_size: 3, queue_policy: backpressure }
      lossy: { source: guest/data, queue_size: 2 }
      tick: dora/timer/secs/100
",
    );
    let kills = rounds(6, 100);
    for round in 1..=kills {
        let guest = scene.join("relay");
        guest.await_text(&format!("relaying in restart {}\n", round - 1));
        if round % 3 == 0 {
            guest.signal(Signal::STOP);
        }
        guest.signal(Signal::KILL);
        guest.finish();
        scene.run.await_count("closed: lossless", round);
    }
    let run = scene.stop();
    for edge in ["flood/data -> guest/lossless", "flood/data -> guest/lossy", "guest/data -> sink/lossless"] {
        run.balanced(edge);
    }
    assert!(!run.stderr.contains("torn"), "{}", run.stderr);
}

#[test]
fn the_second_process_is_told_who_the_first_one_is() {
    let scene = Scene::new(&with_ticker("  - { id: guest, path: dynamic, inputs: { in: ticker/data } }\n"));
    let first = scene.join("tell");
    first.await_text("in = ");
    let second = scene.join("tell").finish().expect_code(1);
    let expected = format!("is process {} already: end it first", first.pid().as_raw_pid());
    assert!(second.stderr.contains(&expected), "{}", second.stderr);
    let run = scene.stop();
    assert!(first.finish().expect_code(0).stdout.contains("stopped: Manual"));
    assert_eq!(run.stderr.matches("has joined").count(), 1, "{}", run.stderr);
}

#[test]
fn nobody_takes_the_place_of_a_process_that_holds_messages() {
    let scene = Scene::new(
        "nodes:\n  - { id: flood, path: '{node}', args: flood 5000, outputs: [data] }\n  \
         - { id: guest, path: dynamic, inputs: { in: flood/data } }\n",
    );
    let guest = scene.join("keep").finish().expect_code(0);
    let held = "already, which has left but still holds messages that it received: drop these, or end it";
    assert!(guest.stdout.contains(held), "{}", guest.stdout);
    assert!(guest.stdout.contains("unchanged: true\njoined again"), "{}", guest.stdout);
    scene.stop().balanced("flood/data");
}

#[test]
fn whoever_asks_for_a_node_that_is_not_there_is_told_what_runs() {
    let scene = Scene::new(&with_ticker("  - { id: guest, path: dynamic, inputs: { in: ticker/data } }\n"));
    let error = |node: &str| scene.bench.join(&scene.dataflow, node, "tell").finish().expect_code(1).stderr;
    let unknown = error("gest");
    assert!(unknown.contains(&format!("{} with dynamic nodes `guest`", scene.dataflow)), "{unknown}");
    let not_dynamic = error("ticker");
    assert!(not_dynamic.contains("is not dynamic: the dataflow starts it by itself. `path: dynamic`"), "{not_dynamic}");
    let nowhere =
        scene.bench.join("c0ffee00-0000-0000-0000-000000000000", "guest", "tell").finish().expect_code(1).stderr;
    assert!(nowhere.contains("it does not run, or has no dynamic nodes"), "{nowhere}");
    let nonsense = scene.bench.join("here", "guest", "tell").finish().expect_code(1).stderr;
    assert!(nonsense.contains("DORA_DATAFLOW_ID is `here`, which is not the id of a dataflow"), "{nonsense}");
    scene.stop();
}

#[test]
fn of_two_dataflows_with_the_same_node_one_is_chosen() {
    let text = format!(
        "nodes:\n{TICKER}  - {{ id: twin-{}, path: dynamic, inputs: {{ in: ticker/data }} }}\n",
        std::process::id()
    );
    let node = format!("twin-{}", std::process::id());
    let scenes = [Scene::new(&text), Scene::new(&text)];
    let mut command = scenes[0].bench.at_home(test_node());
    command.arg("tell").env("DORA_TEST_JOIN", &node);
    let neither = Running::start(command).finish().expect_code(1);
    for part in
        ["2 dataflows that run have a dynamic node", "Set DORA_DATAFLOW_ID", &scenes[0].dataflow, &scenes[1].dataflow]
    {
        assert!(neither.stderr.contains(part), "no {part} in {}", neither.stderr);
    }
    let guests = scenes.each_ref().map(|scene| scene.bench.join(&scene.dataflow, &node, "tell"));
    guests.iter().for_each(|guest| guest.await_text("in = "));
    for (scene, guest) in scenes.into_iter().zip(guests) {
        scene.stop();
        guest.finish().expect_code(0);
    }
}

#[test]
fn a_node_that_never_joined_is_no_failure_and_holds_nobody_up() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: source, path: '{node}', args: source 100, outputs: [data] }
  - { id: guest, path: dynamic, inputs: { in: { source: source/data, queue_policy: backpressure } }, outputs: [data] }
",
    );
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stderr.contains("node `guest` is dynamic, and no process has joined as it"), "{}", run.stderr);
    assert!(
        run.stderr.contains("source/data -> guest/in: of 100 messages 100 sent while nobody was `guest`"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_dataflow_ends_with_its_other_nodes_and_tells_those_that_joined() {
    let scene = Scene::new(
        "\
nodes:
  - { id: ticker, path: '{node}', args: ticker 30, inputs: { in: clock/data }, outputs: [data] }
  - { id: guest, path: dynamic, inputs: { in: { source: ticker/data, queue_size: 100 } } }
  - { id: clock, path: dynamic, inputs: { tick: dora/timer/millis/5 }, outputs: [data] }
",
    );
    let guest = scene.join("tell");
    scene.run.await_text("has joined as node `guest`");
    let clock = scene.bench.join(&scene.dataflow, "clock", "ticker");
    let run = scene.finish();
    let guest = guest.finish().expect_code(0);
    assert!(guest.stdout.contains("in = 29\nclosed: in\nstopped: AllInputsClosed"), "{}", guest.stdout);
    assert!(clock.finish().expect_code(0).stdout.contains("stopped: Manual"));
    let [_, received, _, undelivered, _] = run.balanced("ticker/data -> guest/in");
    assert_eq!((received, undelivered), (numbers(&guest.stdout).len() as u64, 0));
}

#[test]
fn the_end_of_dora_run_is_a_stop_whoever_is_killed() {
    for keeper_too in [false, true] {
        let scene = Scene::new(&with_ticker("  - { id: guest, path: dynamic, inputs: { in: ticker/data } }\n"));
        let guest = scene.join("tell");
        guest.await_text("in = ");
        let keeper = scene.bench.keeper();
        scene.run.signal(Signal::KILL);
        if keeper_too {
            let _ = kill_process(keeper, Signal::KILL);
        }
        let guest = guest.finish().expect_code(0);
        assert!(guest.stdout.lines().any(|line| line == "stopped: Manual"), "{}", guest.stdout);
        await_gone(scene.bench.mark(), dora_tests::PATIENCE);
    }
}

#[test]
fn joining_and_leaving_costs_nothing_in_the_end() {
    let scene = Scene::new(
        "\
nodes:
  - { id: flood, path: '{node}', args: flood 5000, outputs: [data] }
  - { id: guest, path: dynamic, inputs: { in: { source: flood/data, queue_size: 4 } }, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { in: { source: guest/data, queue_size: 4 }, tick: dora/timer/secs/100 } }
",
    );
    let keeper = scene.bench.keeper().as_raw_pid();
    let cycles = rounds(10, 200);
    scene.join("cycle 1").finish().expect_code(0);
    scene.run.await_count("closed: in", 2);
    let (before, memory) = (Holdings::of(keeper), shared_memory());
    let guest = scene.join(&format!("cycle {cycles}")).finish().expect_code(0);
    assert!(guest.stdout.contains(&format!("joined {cycles} times")), "{}", guest.stdout);
    scene.run.await_count("recovered: in", 2);
    // The consumer follows in its own time; log files come and go. What each cycle leaves would be more: there are ten.
    await_holdings(keeper, before.and(6, 6));
    await_shared_memory(memory + (8 << 20));
    let run = scene.stop();
    run.balanced("flood/data -> guest/in");
    run.balanced("guest/data -> sink/in");
}
