//! `dora run` with plain programs: output, environment, exit codes, mistakes.

use dora_tests::{Running, Workbench};
use serde_json::Value;

#[test]
fn output_goes_where_the_program_sent_it() {
    let bench = Workbench::new();
    bench.script("talk.sh", "echo out; echo err >&2");
    bench.write("a.yml", "nodes:\n  - id: talk\n    path: talk.sh\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert_eq!(run.stdout.get(8..), Some(" stdout talk: out\n"), "{}", run.stdout);
    assert!(run.stderr.contains(" stderr talk: err\n"), "{}", run.stderr);
    assert!(!run.stdout.contains("err") && !run.stderr.contains("out\n"));
}

#[test]
fn lines_come_in_three_formats() {
    let bench = Workbench::new();
    let line = r#"{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","message":"hot","fields":{"t":"91"}}"#;
    bench.script("talk.sh", &format!("echo plain; echo '{line}'"));
    bench.write("a.yml", "nodes:\n  - id: talk\n    path: talk.sh\n");
    let compact = bench.dora(["run", "a.yml", "--log-format", "compact"]).finish().expect_code(0);
    assert!(compact.stdout.contains(" STDOUT talk: plain\n"), "{}", compact.stdout);
    let pretty = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(pretty.stdout.contains(" WARN   talk: hot t=91\n"), "{}", pretty.stdout);
    let mut command = bench.command(["run", "a.yml"]);
    command.env("DORA_LOG_FORMAT", "json");
    let json = Running::start(command).finish().expect_code(0);
    let lines: Vec<Value> = json.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told: Vec<_> = lines.iter().map(|line| (line["level"].as_str(), line["message"].as_str())).collect();
    assert_eq!(told, [(Some("stdout"), Some("plain")), (Some("WARN"), Some("hot"))]);
    assert!(lines.iter().all(|line| line["node_id"] == "talk" && line["dataflow_id"].is_string()));
    assert!(json.stderr.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{}", json.stderr);
}

#[test]
fn levels_choose_lines() {
    let bench = Workbench::new();
    let line = r#"{"timestamp":"2026-01-02T03:04:05Z","level":"INFO","message":"told"}"#;
    bench.script("talk.sh", &format!("echo plain; echo '{line}'"));
    bench.write("a.yml", "nodes:\n  - { id: a, path: talk.sh }\n  - { id: b, path: talk.sh }\n");
    let run = bench.dora(["run", "a.yml", "--log-level", "info"]).finish().expect_code(0);
    assert_eq!((run.stdout.matches("told").count(), run.stdout.matches("plain").count()), (2, 0));
    let run = bench.dora(["run", "a.yml", "--log-filter", "a=warn,b=info"]).finish().expect_code(0);
    assert!(!run.stdout.contains(" a: ") && run.stdout.contains(" b: told"), "{}", run.stdout);
}

#[test]
fn long_lines_arrive_whole() {
    let bench = Workbench::new();
    bench.script("talk.sh", "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end");
    bench.write("a.yml", "nodes:\n  - id: talk\n    path: talk.sh\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(run.stdout.contains(&"x".repeat(300_000)) && run.stdout.contains(" end\n"));
}

#[test]
fn environment_keeps_its_text() {
    let bench = Workbench::new();
    bench.script("env.sh", "echo \"[$A|$B|$C|$D|$E]\"");
    let text = "\
env: { A: 1.10, B: from the file }
nodes:
  - id: show
    path: env.sh
    env: { C: '007', D: 1e3 }
";
    bench.write("a.yml", text);
    let run = bench.dora(["run", "a.yml", "--env", "E=01.0", "--env", "B=$HOME=1"]).finish().expect_code(0);
    assert!(run.stdout.contains("[1.10|$HOME=1|007|1e3|01.0]"), "{}", run.stdout);
}

#[test]
fn arguments_are_quoted_as_in_a_shell() {
    let bench = Workbench::new();
    bench.script("args.sh", "for a in \"$@\"; do echo \"<$a>\"; done");
    bench.write("a.yml", "nodes:\n  - id: show\n    path: args.sh\n    args: one 'two three' \"fo\\\"ur\"\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    for expected in ["<one>", "<two three>", "<fo\"ur>"] {
        assert!(run.stdout.contains(expected), "no {expected} in {}", run.stdout);
    }
}

#[test]
fn relative_paths_start_at_the_file() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path().join("sub")).expect("our own directory");
    bench.script("sub/where.sh", "pwd");
    bench.write("sub/a.yml", "nodes:\n  - id: show\n    path: ./where.sh\n");
    let run = bench.dora(["run", "sub/a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("/sub\n"), "{}", run.stdout);
}

#[test]
fn the_root_cause_comes_first() {
    let bench = Workbench::new();
    bench.script("fine.sh", "exit 0");
    bench.script("bad.sh", "echo last words >&2; exit 3");
    bench.script("shot.sh", "kill -SEGV $$");
    bench.write("a.yml", "nodes:\n  - { id: fine, path: fine.sh }\n  - { id: bad, path: bad.sh }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    let expected = "Node `bad` failed: exited with code 3 with stderr output:\n";
    let report = run.stderr.split_once(expected).map(|(_, report)| report).expect(&run.stderr);
    assert_eq!(report.lines().nth(1), Some("last words"));
    assert!(run.stderr.contains("Dataflow failed: 1 of 2 nodes did not end well"), "{}", run.stderr);
    bench.write("b.yml", "nodes:\n  - { id: shot, path: shot.sh }\n");
    let run = bench.dora(["run", "b.yml"]).finish().expect_code(1);
    assert!(run.stderr.contains("Node `shot` failed: was killed by SIGSEGV"), "{}", run.stderr);
}

#[test]
fn programs_that_cannot_run_are_named_with_their_place() {
    let bench = Workbench::new();
    bench.write("plain.txt", "text");
    let text = "\
nodes:
  - id: missing
    path: ./nowhere
  - id: plain
    path: plain.txt
";
    bench.write("a.yml", text);
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    for expected in ["a.yml:3:", "`./nowhere` does not exist", "a.yml:5:", "chmod +x"] {
        assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
    }
}

#[test]
fn a_program_of_another_architecture_is_refused_by_name() {
    let bench = Workbench::new();
    // The head of an ELF file for IBM Z.
    let mut elf = b"\x7fELF\x02\x02\x01".to_vec();
    elf.resize(64, 0);
    elf[16..20].copy_from_slice(&[0, 2, 0, 22]);
    bench.program("foreign", elf);
    bench.write("a.yml", "nodes:\n  - id: foreign\n    path: ./foreign\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    assert!(run.stderr.contains("is a program for IBM Z, this machine is"), "{}", run.stderr);
}

#[test]
fn what_is_not_served_is_refused_with_its_place() {
    let bench = Workbench::new();
    let text = "\
nodes:
  - id: robot
    path: robot
    shared_memory_pool_size: 1MB
  - id: tool
    operator:
      python: tool.py
";
    bench.write("a.yml", text);
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    for expected in ["shared_memory_pool_size", "a.yml:4:", "a.yml:7:", "not served by this version"] {
        assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
    }
}

#[test]
fn a_reader_that_leaves_stops_the_dataflow() {
    let bench = Workbench::new();
    bench.script("talk.sh", "trap 'exit 0' TERM; while echo line; do :; done");
    bench.write("a.yml", "nodes:\n  - id: talk\n    path: talk.sh\n");
    let line = format!("{} run a.yml | head -n 1", dora_tests::dora().display());
    let run = Running::start(bench.shell(&line)).finish().expect_code(0);
    assert!(run.stderr.contains("nobody reads standard output"), "{}", run.stderr);
    dora_tests::await_gone(bench.mark(), dora_tests::PATIENCE);
}

#[test]
fn a_disk_that_is_full_under_standard_output_stops_nobody() {
    let bench = Workbench::new();
    bench.script("talk.sh", "echo one; sleep 0.1; echo two; sleep 0.1; echo three");
    bench.write("a.yml", "nodes:\n  - id: talk\n    path: talk.sh\n");
    let line = format!("{} run a.yml > /dev/full", dora_tests::dora().display());
    let run = Running::start(bench.shell(&line)).finish().expect_code(0);
    let told = run.stderr.matches("standard output cannot be written: No space left on device").count();
    assert_eq!((told, run.stderr.contains("asked to stop")), (1, false), "{}", run.stderr);
    let out = std::fs::read_dir(bench.path().join("out")).expect("a directory of log files");
    let logs = out.flatten().filter_map(|run| std::fs::read_to_string(run.path().join("log_talk.jsonl")).ok());
    assert_eq!(logs.map(|log| log.lines().count()).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_program_may_run_dataflows_itself() {
    let bench = Workbench::new();
    bench.script("talk.sh", "echo \"hello $GREETING\"; exit $CODE");
    bench.write("a.yml", "nodes:\n  - id: talk\n    path: talk.sh\n    env: { CODE: 0 }\n");
    bench.write("b.yml", "nodes:\n  - id: talk\n    path: talk.sh\n    env: { CODE: 1 }\n");
    let run = |file: &str| {
        let mut command = bench.at_home(dora_tests::test_runner());
        // The keeper is a `dora`, which is looked for on the search path.
        let path = dora_tests::dora().parent().expect("a directory").as_os_str().to_owned();
        command.arg(file).env("PATH", path);
        Running::start(command).finish()
    };
    let good = run("a.yml").expect_code(0);
    assert!(good.stdout.contains("STDOUT talk: hello 1.10"), "{}", good.stdout);
    let bad = run("b.yml").expect_code(1);
    assert!(bad.stderr.contains("the dataflow failed"), "{}", bad.stderr);
    dora_tests::await_gone(bench.mark(), dora_tests::PATIENCE);
}

#[test]
fn a_panic_is_told_although_its_backtrace_is_long() {
    let bench = Workbench::new();
    let frames = "for n in $(seq 40); do echo \"  $n: robot::open\" >&2; done";
    let panic =
        "echo \"thread 'main' (7) panicked at src/main.rs:3:9:\" >&2; echo no camera >&2; echo stack backtrace: >&2";
    bench.script("bad.sh", &format!("{panic}; {frames}; exit 101"));
    bench.dataflow(
        "a.yml",
        "\
nodes:
  - { id: bad, path: bad.sh }
  - { id: other, path: '{node}', args: sink, inputs: { tick: dora/timer/secs/1000 } }
",
    );
    let run = bench.dora(["run", "a.yml", "--log-filter", "bad=error"]).finish().expect_code(1);
    let expected =
        "thread 'main' (7) panicked at src/main.rs:3:9:\nno camera\n... [21 lines left out]\n  21: robot::open\n";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    let reason = "exited with code 101 before it connected: thread 'main' (7) panicked at src/main.rs:3:9: no camera";
    assert!(run.stderr.contains(reason), "{}", run.stderr);
}

#[test]
fn the_summary_is_for_programs_too() {
    let bench = Workbench::new();
    bench.script("bad.sh", "echo last words >&2; exit 3");
    bench.write("a.yml", "nodes:\n  - id: bad\n    path: bad.sh\n");
    let run = bench.dora(["run", "a.yml", "--log-format", "json", "--log-filter", "bda=warn"]).finish().expect_code(1);
    let entries: Vec<Value> = run.stderr.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(entries.iter().any(|entry| entry["message"].as_str().is_some_and(|text| text.contains("names `bda`"))));
    let failure = entries.iter().find(|entry| entry["message"] == "Node `bad` failed: exited with code 3");
    assert_eq!(failure.expect(&run.stderr)["fields"]["last_stderr"][0], "last words");
}
