//! Bad times, each with real processes: whoever is killed in whatever order, nothing is left behind.

use std::path::Path;

use dora_tests::{PATIENCE, Running, Workbench, await_gone, await_shared_memory, rounds, shared_memory};
use rustix::process::{Signal, kill_process};

/// Shared memory that other programs of the machine may have taken meanwhile.
const TOLERANCE: u64 = 32 << 20;

/// A program that never calls the API and does what it can to live on: children and grandchildren in other process
/// groups and sessions, one that has forked twice, one that ignores every signal it may, one that is stopped.
const BRAT: &str = "\
setsid sh -c 'trap \"\" TERM HUP INT; setsid sleep 1000 & while :; do sleep 1000; done' &
(setsid sh -c 'sleep 1000 & exec sleep 1000' &)
sh -c 'kill -STOP $$' &
trap '' TERM HUP INT
echo brat is up
while :; do sleep 1000; done";

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.script("brat.sh", BRAT);
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: brat, path: brat.sh }
  - { id: shell, path: shell, args: 'setsid sleep 1000 & echo shell is up; cat /dev/zero > /dev/null' }
  - { id: daemon, path: sh, args: \"-c '(setsid sleep 1000 &); echo daemon is up'\" }
",
    );
    bench.dataflow(
        "b.yml",
        "\
nodes:
  - { id: ticker, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/5 }, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { in: ticker/data } }
  - { id: stopped, path: '{node}', args: sink, inputs: { in: ticker/data } }
",
    );
    bench
}

fn started(bench: &Workbench) -> [Running; 2] {
    let programs = bench.dora(["run", "--allow-shell-nodes", "a.yml"]);
    for text in ["brat is up", "shell is up", "daemon is up"] {
        programs.await_text(text);
    }
    let nodes = bench.dora(["run", "b.yml"]);
    nodes.await_text("stopped: receiving");
    [programs, nodes]
}

fn kill_rounds(kill: impl Fn(&Workbench, &Running)) {
    let before = shared_memory();
    for _ in 0..rounds(2, 100) {
        let bench = bench();
        for run in started(&bench) {
            kill(&bench, &run);
            drop(run);
        }
        await_gone(bench.mark(), PATIENCE);
        only_logs_are_left(&bench);
    }
    await_shared_memory(before + TOLERANCE);
}

/// On the disk there is nothing but what the test has written, and log files.
fn only_logs_are_left(bench: &Workbench) {
    let names = |directory: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(directory).expect("our own directory").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(bench.path()), ["a.yml", "b.yml", "brat.sh", "out"]);
    let out = bench.path().join("out");
    for run in names(&out).iter().filter(|name| *name != ".gitignore") {
        let files = names(&out.join(run));
        let is_log = |name: &String| name.starts_with("log_") && name.ends_with(".jsonl");
        assert!(files.iter().all(is_log), "{files:?}");
    }
}

/// All processes with these endings of their command lines, stopped.
fn stop(bench: &Workbench, ending: &str) {
    for (pid, line) in dora_tests::marked_processes(bench.mark()) {
        if line.trim_end().ends_with(ending) {
            let _ = kill_process(rustix::process::Pid::from_raw(pid).expect("not 0"), Signal::STOP);
        }
    }
}

#[test]
fn run_is_killed_beside_stopped_nodes() {
    kill_rounds(|bench, run| {
        stop(bench, "sink");
        stop(bench, "/dev/zero > /dev/null");
        run.signal(Signal::KILL);
    });
}

#[test]
fn run_and_keeper_are_killed_in_one_moment() {
    kill_rounds(|bench, run| {
        let keeper = keeper_of(bench, run);
        // Stopped, neither can do anything when the other one dies.
        run.signal(Signal::STOP);
        kill_process(keeper, Signal::STOP).expect("a keeper");
        run.signal(Signal::KILL);
        kill_process(keeper, Signal::KILL).expect("a keeper");
    });
}

/// The keeper that this `dora run` has started.
fn keeper_of(bench: &Workbench, run: &Running) -> rustix::process::Pid {
    // Any of its threads may have started a child.
    let children = |pid: i32| -> Vec<i32> {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let of =
            |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        threads
            .flat_map(|thread| of(thread).split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
            .collect()
    };
    let [guard] = children(run.pid().as_raw_pid())[..] else { panic!("no guard in {:?}", bench.mark()) };
    let keeper = children(guard).first().copied();
    keeper.and_then(rustix::process::Pid::from_raw).expect("a keeper")
}

#[test]
fn what_a_node_leaves_behind_ends_with_the_dataflow() {
    let bench = Workbench::new();
    // Its child holds the pipe, and another one has left the session.
    bench.script("leaves.sh", "(setsid sleep 1000 > /dev/null 2>&1 &); sleep 1000 & echo gone");
    bench.write("a.yml", "nodes:\n  - { id: leaves, path: leaves.sh }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("leaves: gone"), "{}", run.stdout);
    assert!(run.stderr.contains("2 processes that nodes had left behind were killed"), "{}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn what_a_wrapper_has_started_ends_with_it_even_if_it_is_stopped() {
    let bench = Workbench::new();
    let wrapper =
        "(setsid sh -c 'kill -STOP $$; sleep 1000' &); sh -c 'touch up; echo up; kill -STOP $$; sleep 1000'; echo down";
    let until_up = "until [ -e up ]; do sleep 0.02; done";
    bench.write("a.yml", format!("nodes:\n  - id: wrapper\n    path: shell\n    args: \"{wrapper}\"\n"));
    bench.write("b.yml", format!("nodes:\n  - id: wrapper\n    path: shell\n    args: \"({wrapper}) & {until_up}\"\n"));
    // Stopped by Ctrl-C, and ended by itself.
    let run = bench.dora(["run", "a.yml", "--allow-shell-nodes"]);
    run.interrupt_at("wrapper: up");
    await_gone(bench.mark(), PATIENCE);
    std::fs::remove_file(bench.path().join("up")).expect("our own file");
    let run = bench.dora(["run", "b.yml", "--allow-shell-nodes"]).finish().expect_code(0);
    assert!(run.stderr.contains(" had left behind "), "{}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

/// `dora run` of a source and so many sinks, with this many descriptors allowed.
fn with_descriptors(allowed: u32, sinks: usize) -> dora_tests::Finished {
    let bench = Workbench::new();
    let mut text = "nodes:\n  - { id: source, path: '{node}', args: source 5, outputs: [data] }\n".to_owned();
    for sink in 0..sinks {
        text += &format!("  - id: sink{sink}\n    path: '{{node}}'\n    args: sink\n");
        text += "    inputs: { in: { source: source/data, queue_policy: backpressure } }\n";
    }
    bench.dataflow("a.yml", &text);
    let mut command = bench.shell("ulimit -n \"$0\" && exec \"$@\"");
    command.arg(allowed.to_string()).arg(dora_tests::dora()).args(["run", "a.yml"]);
    let run = Running::start(command).finish();
    await_gone(bench.mark(), PATIENCE);
    run
}

#[test]
fn a_machine_with_few_descriptors_runs_a_middling_dataflow() {
    let run = with_descriptors(256, 20).expect_code(0);
    assert_eq!(run.stdout.matches("received 5 from 0 to 4, in order: true").count(), 20, "{}", run.stdout);
}

#[test]
fn a_machine_with_too_few_descriptors_says_what_to_do() {
    let run = with_descriptors(256, 60).expect_code(1);
    for expected in ["61 nodes with 60 edges need about 564 descriptors, a process may have 256", "LimitNOFILE"] {
        assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
    }
    assert!(run.stderr.lines().count() < 10, "it is told once: {}", run.stderr);
}

#[test]
fn two_hundred_nodes_that_crash_at_start_leave_a_readable_log() {
    let bench = Workbench::new();
    bench.script("crash.sh", "echo no camera >&2; kill -SEGV $$");
    let text: String = (0..200).map(|node| format!("  - {{ id: c{node}, path: crash.sh }}\n")).collect();
    bench.write("a.yml", format!("nodes:\n{text}"));
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    assert!(run.stderr.contains("Dataflow failed: 200 of 200 nodes did not end well"), "{}", run.stderr);
    let own = run.stderr.lines().filter(|line| !line.ends_with(": no camera")).count();
    assert!(own < 100, "{own} lines besides those of the nodes:\n{}", run.stderr);
    assert!(run.stderr.contains("and 180 more failed, each of them: was killed by SIGSEGV"), "{}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_process_that_ran_many_dataflows_holds_no_more_than_one_that_ran_few() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: source, path: '{node}', args: source 100, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { in: { source: source/data, queue_policy: backpressure } } }
",
    );
    let before = shared_memory();
    let mut command = bench.at_home(dora_tests::test_runner());
    let path = dora_tests::dora().parent().expect("a directory").as_os_str().to_owned();
    let rounds = rounds(20, 1000);
    command.args(["a.yml", &rounds.to_string()]).env("PATH", path);
    let run = Running::start(command);
    for round in (0..rounds).step_by(20) {
        run.await_text(&format!("end of round {round}."));
    }
    let run = run.finish().expect_code(0);
    let held = |when: &str| -> [u64; 3] {
        let line = run.stdout.lines().find_map(|line| line.strip_prefix(when)).expect(&run.stdout);
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        numbers.try_into().expect("three numbers")
    };
    let ([descriptors, mappings, kib], now) = (held("before: "), held("after: "));
    assert_eq!(now[0], descriptors, "descriptors");
    assert!(now[1] <= mappings + 4, "{mappings} mappings, now {}", now[1]);
    assert!(now[2] <= kib + 2048, "{kib} KiB, now {}", now[2]);
    await_gone(bench.mark(), PATIENCE);
    await_shared_memory(before + TOLERANCE);
}
