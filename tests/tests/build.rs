//! `build:` lines, by `dora build` and `dora run`: what they are given, what is told when they fail, what is left of them.

use std::fs;

use dora_tests::{PATIENCE, Workbench, await_gone};
use rustix::process::Signal;

#[test]
fn each_line_is_a_process_without_a_shell() {
    let bench = Workbench::new();
    bench.script("show.sh", "for a in \"$@\"; do echo \"<$a>\"; done; echo \"in $(pwd) with $COLOUR\"");
    let text = "\
nodes:
  - id: made
    path: ./made
    env: { COLOUR: blue }
    build: |
      ./show.sh 'two words' $HOME

      # a comment
      sh -c 'echo \"#!/bin/sh\" > made && echo echo I was built >> made'
      chmod +x made
";
    bench.write("a.yml", text);
    let build = bench.dora(["build", "a.yml"]).finish().expect_code(0);
    let directory = bench.path().display();
    for expected in ["<two words>", "<$HOME>", &format!("in {directory} with blue"), "chmod +x made", "made: built in"]
    {
        assert!(build.stderr.contains(expected), "no {expected} in {}", build.stderr);
    }
    assert_eq!(build.stdout, "");
    let kept = fs::read_to_string(bench.path().join("out/build/made.log")).expect("the output");
    assert!(kept.contains("<two words>\n") && kept.contains("$ chmod +x made\n"), "{kept}");
    assert_eq!(fs::read_to_string(bench.path().join("out/.gitignore")).expect("made with it"), "*\n");
}

#[test]
fn run_builds_before_it_runs() {
    let bench = Workbench::new();
    bench.script("source.sh", "echo I was built");
    bench.write("a.yml", "nodes:\n  - { id: made, path: ./made, build: cp source.sh made }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("made: I was built"), "{}", run.stdout);
    assert!(run.stderr.contains("cp source.sh made"), "{}", run.stderr);
    let json = bench.dora(["run", "a.yml", "--log-format", "json"]).finish().expect_code(0);
    let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    assert!(json.stderr.contains("cp source.sh made") && json.stderr.lines().all(is_json), "{}", json.stderr);
}

#[test]
fn run_starts_nothing_when_the_build_fails() {
    let bench = Workbench::new();
    bench.write("a.yml", "nodes:\n  - { id: a, path: x, build: 'false' }\n  - { id: b, path: touch, args: started }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    assert!(run.stderr.contains("node `a`: its build failed: `false` exited with code 1"), "{}", run.stderr);
    assert!(!bench.path().join("started").exists());
}

#[test]
fn there_may_be_nothing_to_build() {
    let bench = Workbench::new();
    bench.write("a.yml", "nodes:\n  - { id: a, path: not-built-by-us }\n");
    let build = bench.dora(["build", "a.yml"]).finish().expect_code(0);
    assert!(build.stderr.contains("nothing to build"), "{}", build.stderr);
    assert!(!bench.path().join("out").exists());
}

#[test]
fn a_failure_is_told_with_all_that_helps_and_ends_the_others() {
    let bench = Workbench::new();
    // Its processes are in other sessions and ignore what can be ignored.
    bench.script("long.sh", "trap '' TERM INT HUP; setsid sh -c 'touch started; sleep 1000' & sleep 1000");
    bench.script("bad.sh", "until [ -e started ]; do sleep 0.01; done; echo compiling; echo no such type >&2; exit 7");
    let text = "\
nodes:
  - { id: other, path: x, build: ./long.sh }
  - id: camera
    path: x
    build: |
      true
      ./bad.sh --release
      touch never
";
    bench.write("a.yml", text);
    let build = bench.dora(["build", "--parallel", "a.yml"]).finish().expect_code(1);
    let directory = bench.path().display();
    for expected in [
        "a.yml:5:",
        "node `camera`: its build failed: `./bad.sh --release` (line 2 of 3) exited with code 7",
        &format!("in `{directory}`"),
        "    no such type\n",
        "hint: correct it and build again",
        "out/build/camera.log",
    ] {
        assert!(build.stderr.contains(expected), "no {expected} in {}", build.stderr);
    }
    assert!(!bench.path().join("never").exists());
    await_gone(bench.mark(), PATIENCE);
    // `dora run` stops there, too.
    let run = bench.dora(["run", "a.yml"]);
    run.await_text("other: [1/1] ./long.sh");
    run.signal(Signal::INT);
    let run = run.finish().expect_code(1);
    assert!(run.stderr.contains("the build was interrupted"), "{}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn nodes_of_one_directory_are_built_in_turn() {
    let bench = Workbench::new();
    bench.script("alone.sh", "mkdir busy || exit 1; sleep 0.1; rmdir busy");
    let node = |id: &str| format!("  - {{ id: {id}, path: x, build: ./alone.sh }}\n");
    bench.write("a.yml", format!("nodes:\n{}{}{}", node("a"), node("b"), node("c")));
    bench.dora(["build", "a.yml"]).finish().expect_code(0);
    // Side by side, each waits for the other to have started.
    bench.script("meet.sh", "touch \"$1\"; until [ -e \"$2\" ]; do sleep 0.01; done");
    let text = "nodes:\n  - { id: a, path: x, build: ./meet.sh 1 2 }\n  - { id: b, path: x, build: ./meet.sh 2 1 }\n";
    bench.write("b.yml", text);
    bench.dora(["build", "--parallel", "b.yml"]).finish().expect_code(0);
}

#[test]
fn a_build_that_is_killed_leaves_nothing() {
    let bench = Workbench::new();
    bench.script("long.sh", "trap '' TERM INT HUP; setsid sh -c 'echo far away; sleep 1000' & sleep 1000");
    bench.write("a.yml", "nodes:\n  - { id: a, path: x, build: ./long.sh }\n");
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let build = bench.dora(["build", "a.yml"]);
        build.await_text("far away");
        build.signal(signal);
        let build = build.finish();
        assert_eq!(build.code, if signal == Signal::KILL { None } else { Some(1) }, "{}", build.stderr);
        await_gone(bench.mark(), PATIENCE);
    }
}

#[test]
fn programs_and_lines_that_cannot_run_are_explained() {
    let bench = Workbench::new();
    bench.script("configure", "exit 0");
    for (line, expected) in [
        ("cd x && make", "without a shell"),
        ("CC=clang make", "`env:` sets variables"),
        ("slepe 1", "did you mean `sleep`?"),
        ("./configre", "cannot be run: there is no program `./configre`"),
        ("sh -c 'exit 3'", "`sh -c 'exit 3'` exited with code 3"),
        ("sh -c 'kill -SEGV $$'", "was killed by SIGSEGV"),
    ] {
        bench.write("a.yml", format!("nodes:\n  - id: a\n    path: x\n    build: \"{line}\"\n"));
        let build = bench.dora(["build", "a.yml"]).finish().expect_code(1);
        assert!(build.stderr.contains("a.yml:4:") && build.stderr.contains(expected), "{line}: {}", build.stderr);
    }
    bench.write("a.yml", "nodes:\n  - id: a\n    path: x\n    build: echo it's\n");
    let build = bench.dora(["build", "a.yml"]).finish().expect_code(1);
    assert!(build.stderr.contains("a.yml:4:") && build.stderr.contains("quote"), "{}", build.stderr);
}

#[test]
fn types_and_machines_are_checked_before_anything_is_built() {
    let bench = Workbench::new();
    let text = "\
nodes:
  - { id: a, path: x, build: touch built, outputs: [o], output_types: { o: std/core/v1/String } }
  - { id: b, path: x, inputs: { i: a/o }, input_types: { i: std/media/v1/Image } }
";
    bench.write("a.yml", text);
    let strict = bench.dora(["build", "--strict-types", "a.yml"]).finish().expect_code(1);
    assert!(strict.stderr.contains("std/media/v1/Image"), "{}", strict.stderr);
    bench.write("b.yml", "nodes:\n  - { id: a, path: x, build: touch built, deploy: { machine: robot } }\n");
    let remote = bench.dora(["build", "b.yml"]).finish().expect_code(1);
    assert!(remote.stderr.contains("deployment to other machines"), "{}", remote.stderr);
    assert!(!bench.path().join("built").exists());
    bench.dora(["build", "--local", "b.yml"]).finish().expect_code(0);
    assert!(bench.path().join("built").exists());
}
