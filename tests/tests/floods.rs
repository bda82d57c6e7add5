//! Nodes that print too much, too long or nonsense, and disks that take no more: the dataflow goes on.

use std::{fs, path::PathBuf};

use dora_tests::{PATIENCE, Running, Workbench, await_gone, marked_processes, rounds};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::Value;

/// All log files of the only run, in one text.
fn logs(bench: &Workbench, node: &str) -> Vec<Value> {
    let runs = fs::read_dir(bench.path().join("out")).expect("log files").flatten().map(|entry| entry.path());
    let file: PathBuf = runs.map(|run| run.join(format!("log_{node}.jsonl"))).find(|file| file.exists()).expect(node);
    let text = fs::read_to_string(file).expect("text in UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// `dora run a.yml` whose standard output nobody keeps.
fn run_unseen(bench: &Workbench) -> Running {
    let mut command = bench.shell("exec \"$DORA\" run -v a.yml > /dev/null");
    command.env("DORA", dora_tests::dora());
    Running::start(command)
}

#[test]
fn a_flood_does_not_hold_up_its_peers() {
    let size = rounds(20_000_000, 1_000_000_000);
    let bench = Workbench::new();
    bench.script(
        "flood.sh",
        &format!("yes a line of some length, as programs print it when they talk | head -c {size}"),
    );
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: flood, path: flood.sh, max_log_size: 1MB, max_rotated_files: 1 }
  - { id: ticker, path: '{node}', args: ticker 500, inputs: { tick: dora/timer/millis/1 }, outputs: [data] }
  - { id: sink, path: '{node}', args: sink, inputs: { in: { source: ticker/data, queue_policy: backpressure } } }
",
    );
    run_unseen(&bench).finish().expect_code(0);
    let sink = logs(&bench, "sink");
    assert!(sink.iter().any(|record| record["msg"] == "received 500 from 0 to 499, in order: true"), "{sink:?}");
    assert!(logs(&bench, "flood").len() > 1000);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_line_of_100_megabytes_is_cut() {
    let bench = Workbench::new();
    bench.script("talk.sh", "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo end");
    bench.write("a.yml", "nodes:\n  - { id: talk, path: talk.sh }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(run.stdout.contains("xxx... [truncated]\n") && run.stdout.contains("talk: end\n"));
    assert!(run.stdout.len() < 1024 * 1024 + 200, "{}", run.stdout.len());
    let records = logs(&bench, "talk");
    assert_eq!((records.len(), &records[1]["msg"]), (2, &"end".into()));
}

#[test]
fn garbage_is_kept_as_text() {
    let bench = Workbench::new();
    bench.script("talk.sh", "head -c 500000 /dev/urandom; head -c 100000 /dev/zero; echo; echo end");
    bench.write("a.yml", "nodes:\n  - { id: talk, path: talk.sh }\n");
    let run = bench.dora(["run", "a.yml", "--log-format", "json"]).finish().expect_code(0);
    let shown: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!((logs(&bench, "talk").len(), &shown[shown.len() - 1]["message"]), (shown.len(), &"end".into()));
}

#[test]
fn a_node_may_close_its_streams_and_go_on() {
    let bench = Workbench::new();
    bench.script("talk.sh", "echo first; exec >&-; echo second >&2; exec 2>&-; exit 3");
    bench.write("a.yml", "nodes:\n  - { id: talk, path: talk.sh }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    assert!(run.stdout.contains("talk: first\n") && run.stderr.contains("talk: second\n"), "{}", run.stderr);
    assert_eq!(logs(&bench, "talk").len(), 2);
}

#[test]
fn the_last_lines_come_although_a_child_holds_the_pipe() {
    let bench = Workbench::new();
    bench.script("talk.sh", "sleep 1000 & seq 500; echo last words >&2; printf 'no newline'; exit 0");
    bench.write("a.yml", "nodes:\n  - { id: talk, path: talk.sh }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("talk: 500\n") && run.stdout.contains("talk: no newline\n"), "{}", run.stdout);
    assert!(run.stderr.contains("talk: last words\n"), "{}", run.stderr);
    assert_eq!(logs(&bench, "talk").len(), 502);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_directory_that_cannot_be_written_costs_only_the_files() {
    let bench = Workbench::new();
    bench.write("out", "a file where the directory should be");
    bench.script("talk.sh", "seq 100");
    bench.write("a.yml", "nodes:\n  - { id: a, path: talk.sh }\n  - { id: b, path: talk.sh }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert_eq!(run.stdout.matches(": 100\n").count(), 2, "all lines are shown");
    assert_eq!(run.stderr.matches("cannot be written").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("200 lines are missing in the log files: 100 of `a`, 100 of `b`"), "{}", run.stderr);
}

/// Puts a pipe that nobody reads in the place of the node's log file: a disk that takes nothing.
const STALLING: &str = r#"
run=$(echo "$DORA_NODE_CONFIG" | sed 's/.*"dataflow_id":"\([^"]*\)".*/\1/')
mkdir -p "out/$run" && mkfifo "out/$run/log_talk.jsonl" || exit 9
trap 'exit 0' TERM
seq 20000
echo all said
while :; do echo more; sleep 0.1; done"#;

#[test]
fn a_disk_that_stalls_delays_neither_a_restart_nor_the_stop() {
    let bench = Workbench::new();
    bench.script("talk.sh", STALLING);
    bench.script("crash.sh", "echo up; until [ -e go ]; do sleep 0.02; done; rm go; exit 3");
    let text =
        "nodes:\n  - { id: talk, path: talk.sh }\n  - { id: crash, path: crash.sh, restart_policy: on-failure }\n";
    bench.write("a.yml", text);
    let run = bench.dora(["run", "a.yml"]);
    run.await_text("cannot be written: a write has taken longer than 1 s");
    run.await_text("talk: all said\n");
    bench.write("go", "");
    run.await_text("node `crash` exited with code 3; it is started again now (restart 1)");
    run.await_count("crash: up\n", 2);
    run.signal(Signal::INT);
    let run = run.finish().expect_code(0);
    assert_eq!(run.stderr.matches("cannot be written").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("lines are missing in the log files: "), "{}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

/// The most bytes that files of the keeper may have: what a full disk looks like, without the rights to make one.
fn limit_files(bench: &Workbench, bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit { current: bytes.or(maximum), maximum };
    // The keeper's guard is called as the keeper is; it writes no files.
    let keepers = marked_processes(bench.mark()).into_iter().filter(|(_, line)| line.trim_end().ends_with(" keeper"));
    for (pid, _) in keepers {
        prlimit(Pid::from_raw(pid), Resource::Fsize, limit).expect("a process of ours");
    }
}

#[test]
fn a_full_disk_costs_lines_that_are_counted() {
    let bench = Workbench::new();
    bench.script("talk.sh", "trap 'exit 0' TERM; n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.02; done");
    bench.write("a.yml", "nodes:\n  - { id: talk, path: talk.sh }\n");
    let run = bench.dora(["run", "a.yml"]);
    run.await_text("tick 5\n");
    limit_files(&bench, Some(100));
    run.await_text("cannot be written");
    let when_full = run.stdout_so_far().lines().count();
    run.await_text(&format!("tick {}\n", when_full + 30));
    limit_files(&bench, None);
    let run = run.interrupt_at("is written again");
    assert_eq!(run.stderr.matches("cannot be written").count(), 1, "{}", run.stderr);
    let number = |text: &str| text.split(' ').find_map(|word| word.parse::<usize>().ok()).unwrap_or(0);
    let total = run.stderr.lines().find(|line| line.contains("missing in the log files")).expect(&run.stderr);
    let lost = number(total.split_once("[dora]: ").map_or(total, |(_, text)| text));
    let records = logs(&bench, "talk");
    let gaps: Vec<&Value> = records.iter().filter(|record| record["target"] == "dora").collect();
    // The shell may have a word to say about its own end.
    let is_tick = |record: &&Value| record["msg"].as_str().is_some_and(|text| text.starts_with("tick "));
    let ticks = records.iter().filter(is_tick).count();
    assert_eq!((gaps.len(), number(gaps[0]["msg"].as_str().unwrap_or_default())), (1, lost), "{gaps:?}");
    assert_eq!(ticks + lost, run.stdout.matches("tick ").count(), "{total}");
}
