//! `dora doctor`: what it says of the machine that the tests run on, of one with a limit, and of what runs.

use dora_tests::{Finished, Running, Workbench, dora};
use serde_json::Value;

/// `dora` with these words in a shell that limits something first.
fn limited(bench: &Workbench, limit: &str, words: &str) -> Finished {
    let mut command = bench.shell(&format!("{limit} && exec \"$0\" {words}"));
    command.arg(dora());
    Running::start(command).finish()
}

#[test]
fn where_the_tests_run_dataflows_run() {
    let run = Workbench::new().dora(["doctor"]).finish().expect_code(0);
    for expected in ["  ok       memfd_create, seals: ", "  ok       cargo: cargo ", "\nDataflows run here; "] {
        assert!(run.stdout.contains(expected), "no {expected} in {}", run.stdout);
    }
    assert!(!run.stdout.contains("  error  ") && !run.stdout.contains('\x1b'), "{}", run.stdout);
    assert_eq!(run.stderr, "");
}

#[test]
fn the_same_for_programs() {
    let run = Workbench::new().dora(["doctor", "--format", "json"]).finish().expect_code(0);
    let report: Value = serde_json::from_str(&run.stdout).expect("one JSON object");
    assert_eq!(report["can_run"], true);
    let findings: Vec<&Value> = report["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|group| group["findings"].as_array())
        .flatten()
        .collect();
    assert!(findings.len() > 20, "{report:#}");
    for finding in findings {
        let needs_advice = finding["status"] != "ok";
        assert!(finding["what"].is_string() && finding["detail"].is_string(), "{finding}");
        assert_eq!(finding["advice"].is_string(), needs_advice, "{finding}");
    }
}

#[test]
fn a_limit_that_prevents_running_is_an_error_with_its_remedy() {
    let bench = Workbench::new();
    let run = limited(&bench, "ulimit -f 2000", "doctor").expect_code(1);
    assert!(run.stdout.contains("  error    file size: "), "{}", run.stdout);
    assert!(run.stdout.contains("what to do: `ulimit -f unlimited`"), "{}", run.stdout);
    assert!(run.stdout.contains("\nDataflows do not run here: 1 error"), "{}", run.stdout);
    // It tells the truth.
    bench.script("hello.sh", "echo hello");
    bench.write("a.yml", "nodes:\n  - { id: hello, path: hello.sh, outputs: [x] }\n");
    let run = limited(&bench, "ulimit -f 2000", "run a.yml").expect_code(1);
    assert!(run.stderr.contains("File too large") && run.stderr.contains("`dora doctor`"), "{}", run.stderr);
}

#[test]
fn few_descriptors_are_a_warning() {
    let run = limited(&Workbench::new(), "ulimit -n 256", "doctor").expect_code(0);
    assert!(run.stdout.contains("  warning  open files: 256 for a node, 256 for the keeper\n"), "{}", run.stdout);
    assert!(run.stdout.contains("what to do: `ulimit -Hn 1024`"), "{}", run.stdout);
}

#[test]
fn a_dataflow_that_runs_is_told() {
    let bench = Workbench::new();
    bench.script("wait.sh", "echo waiting; exec sleep 1000");
    bench.write("mine.yml", "nodes:\n  - { id: wait, path: wait.sh }\n");
    let run = bench.dora(["run", "mine.yml"]);
    run.await_text("waiting");
    let expected = format!(": 1 process of `{} run mine.yml`, for ", dora().display());
    let report = bench.dora(["doctor"]).finish().expect_code(0);
    let line = report.stdout.lines().find(|line| line.contains(&expected));
    assert!(line.is_some_and(|line| line.starts_with("  ok       keeper ")), "{}", report.stdout);
    drop(run);
    dora_tests::await_gone(bench.mark(), dora_tests::PATIENCE);
    let report = bench.dora(["doctor"]).finish().expect_code(0);
    assert!(!report.stdout.contains(&expected), "{}", report.stdout);
}

#[test]
fn a_dataflow_file_is_checked_on_request() {
    let bench = Workbench::new();
    bench.write("good.yml", "nodes:\n  - { id: a, path: a }\n");
    bench.write("bad.yml", "nodes:\n  - { id: a, pth: a }\n");
    let good = bench.dora(["doctor", "--dataflow", "good.yml"]).finish().expect_code(0);
    assert!(good.stdout.contains("  ok       good.yml: 1 node, no mistakes\n"), "{}", good.stdout);
    let bad = bench.dora(["doctor", "--dataflow", "bad.yml"]).finish().expect_code(1);
    assert!(bad.stdout.contains("`dora validate bad.yml`"), "{}", bad.stdout);
}
