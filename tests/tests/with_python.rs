//! Nodes in Python with our own module, installed in an environment that `cargo xtask test` makes: what `dora new` makes
//! runs at once, and the page of the guide tells the truth.

use std::{path::PathBuf, process::Command};

use dora_tests::{Running, Workbench, reader};

/// Names the directory with the programs of an environment that has our module.
const GIVEN: &str = "DORA_TEST_PYTHON";

/// The directory that [`GIVEN`] names; else that of the environment which `cargo xtask test` makes in this repository.
fn programs_of_python() -> PathBuf {
    let made = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/python/environment/bin");
    let directory = std::env::var_os(GIVEN).map_or_else(|| made.into(), PathBuf::from);
    assert!(directory.join("python").exists(), "{} has no `python`: {GIVEN} names another", directory.display());
    directory
}

fn run(bench: &Workbench, directory: &str, file: &str) -> Command {
    let mut command = bench.command(["run", file]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let search = [programs_of_python()].into_iter().chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(search).expect("directories"));
    command.current_dir(bench.path().join(directory));
    command
}

#[test]
fn a_new_dataflow_runs_at_once() {
    let bench = Workbench::new();
    let made = bench.dora(["new", "robot", "--lang", "python"]).finish().expect_code(0);
    for expected in ["robot/dataflow.yml", "robot/talker.py", "cd robot", "dora run dataflow.yml --uv"] {
        assert!(made.stdout.contains(expected), "no {expected} in {}", made.stdout);
    }
    let run = Running::start(run(&bench, "robot", "dataflow.yml"));
    let run = run.interrupt_at("listener: heard: hello 2");
    assert!(!run.stderr.contains("warning") && !run.stderr.contains("failed"), "{}", run.stderr);
}

#[test]
fn a_new_node_runs_at_once_and_in_another_dataflow() {
    let bench = Workbench::new();
    let arguments = ["new", "counter", "--kind", "node", "--lang", "python"];
    let made = bench.dora(arguments).finish().expect_code(0);
    let (_, snippet) = made.stdout.split_once("it is\n").expect(&made.stdout);
    bench.write("other.yml", format!("nodes:\n{snippet}    inputs: {{ tick: dora/timer/millis/10 }}\n"));
    for (directory, file) in [("counter", "dataflow.yml"), (".", "other.yml")] {
        let run = Running::start(run(&bench, directory, file));
        let run = run.interrupt_at("counter: message 2 came on `tick`");
        assert!(!run.stderr.contains("failed"), "{}", run.stderr);
    }
}

#[test]
fn our_own_module_is_no_stranger() {
    let bench = Workbench::new();
    bench.write("node.py", "import dora\nraise SystemExit(3)\n");
    bench.write("a.yml", "nodes: [{ id: a, path: node.py }]\n");
    let run = Running::start(run(&bench, ".", "a.yml")).finish().expect_code(1);
    assert!(run.stderr.contains("exited with code 3") && !run.stderr.contains("`import dora`"), "{}", run.stderr);
}

#[test]
fn the_page_of_the_guide() {
    reader::read("python.md", &[programs_of_python()]);
}
