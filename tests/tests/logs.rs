//! What nodes print: log files, levels, and lines as messages.

use std::{fs, path::PathBuf};

use dora_tests::{Workbench, await_gone};
use rustix::process::Signal;
use serde_json::Value;

const STRUCTURED: &str = r#"{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","message":"hot","fields":{"line":7}}"#;

/// The directory of the only run.
fn log_directory(bench: &Workbench) -> PathBuf {
    let entries = fs::read_dir(bench.path().join("out")).expect("log files");
    let directories: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    assert_eq!(directories.len(), 1, "{directories:?}");
    directories[0].clone()
}

/// The records of a log file.
fn records(bench: &Workbench, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(log_directory(bench).join(name)).expect("a log file in UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn messages(bench: &Workbench, name: &str) -> Vec<String> {
    records(bench, name).iter().map(|record| record["msg"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_nodes_print_is_kept() {
    let bench = Workbench::new();
    // The two streams have no order between them but this.
    let until_kept = "until grep -qs hot out/*/log_talk.jsonl; do sleep 0.02; done";
    bench.script("talk.sh", &format!("echo plain; echo '{STRUCTURED}'; {until_kept}; printf unfinished >&2"));
    bench.write("a.yml", "nodes:\n  - { id: talk, path: talk.sh }\n  - { id: silent, path: 'true' }\n");
    bench.dora(["run", "a.yml"]).finish().expect_code(0);
    let records = records(&bench, "log_talk.jsonl");
    let of = |record: &Value| ["level", "stream", "msg", "node"].map(|key| record[key].as_str().map(str::to_owned));
    let expected = |words: [&str; 4]| words.map(|word| Some(word.to_owned()));
    assert_eq!(of(&records[0]), expected(["stdout", "stdout", "plain", "talk"]));
    assert_eq!(of(&records[1]), expected(["warn", "stdout", "hot", "talk"]));
    assert_eq!(of(&records[2]), expected(["stdout", "stderr", "unfinished", "talk"]));
    assert_eq!((&records[1]["line"], &records[1]["ts"]), (&7.into(), &"2026-01-02T03:04:05.000Z".into()));
    assert_eq!(fs::read_to_string(bench.path().join("out/.gitignore")).ok().as_deref(), Some("*\n"));
    assert!(!log_directory(&bench).join("log_silent.jsonl").exists(), "who prints nothing has no file");
}

#[test]
fn files_are_rotated_and_levels_chosen() {
    let bench = Workbench::new();
    bench.script("talk.sh", "seq 100");
    bench.script("mixed.sh", &format!("echo plain; echo '{STRUCTURED}'"));
    let text = "\
nodes:
  - { id: talk, path: talk.sh, max_log_size: 2KB, max_rotated_files: 2 }
  - { id: mixed, path: mixed.sh, min_log_level: warn }
";
    bench.write("a.yml", text);
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    let files = ["log_talk.2.jsonl", "log_talk.1.jsonl", "log_talk.jsonl"];
    let kept: Vec<u32> =
        files.iter().flat_map(|name| messages(&bench, name)).filter_map(|line| line.parse().ok()).collect();
    assert!(kept.len() > 20 && kept.is_sorted() && kept.last() == Some(&100), "{kept:?}");
    assert_eq!(fs::read_dir(log_directory(&bench)).expect("a directory").count(), 4, "three of `talk`, one of `mixed`");
    for name in files {
        let size = fs::metadata(log_directory(&bench).join(name)).expect("a file").len();
        assert!(size <= 2048, "{name}: {size}");
    }
    assert_eq!(messages(&bench, "log_mixed.jsonl"), ["hot"]);
    assert!(run.stdout.contains("mixed: hot") && !run.stdout.contains("plain"), "{}", run.stdout);
}

#[test]
fn a_node_that_is_started_again_goes_on_in_its_file() {
    let bench = Workbench::new();
    bench.script("talk.sh", "if [ -e was-here ]; then echo better; else touch was-here; echo worse; exit 3; fi");
    bench.write("a.yml", "nodes:\n  - { id: talk, path: talk.sh, restart_policy: on-failure }\n");
    bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert_eq!(messages(&bench, "log_talk.jsonl"), ["worse", "better"]);
    assert_eq!(fs::read_dir(log_directory(&bench)).expect("a directory").count(), 1);
}

#[test]
fn the_api_logs_with_levels_and_fields() {
    let bench = Workbench::new();
    bench.dataflow("a.yml", "nodes:\n  - { id: camera, path: '{node}', args: log }\n");
    let run = bench.dora(["run", "a.yml", "--log-level", "info"]).finish().expect_code(0);
    assert!(run.stdout.contains(" WARN   camera: cpu it is hot celsius=91\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("details") && !run.stdout.contains("plain"), "{}", run.stdout);
    let records = records(&bench, "log_camera.jsonl");
    let levels: Vec<_> = records.iter().map(|record| record["level"].as_str()).collect();
    assert_eq!(levels, [Some("warn"), Some("debug"), Some("stdout")], "the file has what the terminal hides");
    assert_eq!((&records[0]["target"], &records[0]["fields"]["celsius"]), (&"cpu".into(), &"91".into()));
}

#[test]
fn lines_are_messages() {
    let bench = Workbench::new();
    bench.script("talk.sh", &format!("echo plain; echo '{STRUCTURED}'; printf unfinished >&2"));
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: talk
    path: talk.sh
    outputs: [text, entries]
    send_stdout_as: text
    send_logs_as: entries
  - id: hear
    path: '{node}'
    args: listen
    inputs: { text: talk/text, entries: talk/entries }
",
    );
    let run = bench.dora(["run", "-v", "a.yml"]).finish().expect_code(0);
    for expected in [
        r#"text says "plain\n""#,
        r#"text says "unfinished""#,
        r#"\"WARN\""#,
        r#"\"message\":\"hot\""#,
        r#"\"node_id\":\"talk\""#,
        "stopped: AllInputsClosed",
    ] {
        assert!(run.stdout.contains(expected), "no {expected} in {}", run.stdout);
    }
    assert_eq!((run.stdout.matches("text says").count(), run.stdout.matches("entries says").count()), (3, 1));
    let line = run.stderr.lines().find(|line| line.starts_with("talk/text -> hear/text")).expect(&run.stderr);
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3..9], ["drop_oldest", "10", "3", "3", "0", "0"], "{line}");
}

#[test]
fn log_inputs_choose_levels_and_nodes_and_never_their_own() {
    let bench = Workbench::new();
    bench.script("talk.sh", &format!("echo plain; echo '{STRUCTURED}'"));
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: a, path: talk.sh }
  - { id: b, path: talk.sh }
  - id: watch
    path: '{node}'
    args: listen
    inputs: { all: dora/logs, warnings: dora/logs/warn, one: dora/logs/stdout/a }
",
    );
    let run = bench.dora(["run", "-v", "a.yml"]);
    run.await_count("all says", 4);
    run.await_count("warnings says", 2);
    run.await_count("one says", 2);
    run.signal(Signal::INT);
    let run = run.finish().expect_code(0);
    let count = |text: &str| run.stdout.matches(text).count();
    // What `watch` itself prints does not come back to it.
    assert_eq!((count("all says"), count("warnings says"), count("one says")), (4, 2, 2), "{}", run.stdout);
    assert!(run.stderr.contains("dora/logs/warn -> watch/warnings"), "{}", run.stderr);
    assert!(!run.stdout.contains("closed:"), "log inputs never close: {}", run.stdout);
}

#[test]
fn lines_that_nobody_takes_are_dropped_and_counted() {
    let bench = Workbench::new();
    bench.script("talk.sh", "seq 1000; echo done >&2");
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: talk, path: talk.sh, outputs: [text], send_stdout_as: text }
  - { id: stuck, path: '{node}', args: stuck, inputs: { in: talk/text } }
",
    );
    let run = bench.dora(["run", "a.yml"]);
    run.await_text("talk: done");
    run.await_text("stuck: stuck");
    run.signal(Signal::INT);
    let run = run.interrupt_at("stopping the nodes");
    let expected = "talk/text -> stuck/in: of 1001 messages 991 dropped (drop_oldest, queue 10), 10 still queued";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}

#[test]
fn nodes_that_log_each_others_logs_disturb_nobody() {
    let bench = Workbench::new();
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: echo1, path: '{node}', args: listen, inputs: { logs: dora/logs } }
  - { id: echo2, path: '{node}', args: listen, inputs: { logs: dora/logs } }
  - { id: source, path: '{node}', args: source 1000, outputs: [data] }
  - id: sink
    path: '{node}'
    args: sink
    inputs: { in: { source: source/data, queue_policy: backpressure } }
",
    );
    let mut command = bench.command(["run", "a.yml", "--log-filter", "echo1=error,echo2=error"]);
    command.env("DORA_LOG_LEVEL", "stdout");
    let run = dora_tests::Running::start(command);
    run.interrupt_at("sink: received 1000 from 0 to 999, in order: true");
    await_gone(bench.mark(), dora_tests::PATIENCE);
}
