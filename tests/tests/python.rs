//! Nodes in Python, with whatever Python 3 this machine has: which interpreter runs them is explained, and a module `dora`
//! that is not ours is told with what mends it. What our own module does is tested with its wheel, in apis/python/tests.

use std::{fs, process::Command};

use dora_tests::{Running, Workbench};

/// What a module of another dora does when it is told how to reach its keeper in our words.
const STRANGER: &str = "def Node():\n    raise RuntimeError('failed to deserialize node config')\n";

/// A bench whose Python finds a module `dora` of another origin, installed as version 1.1.0.
fn with_stranger() -> Workbench {
    let bench = Workbench::new();
    for directory in ["site/dora", "site/dora_rs-1.1.0.dist-info"] {
        fs::create_dir_all(bench.path().join(directory)).expect("our own directory");
    }
    bench.write("site/dora/__init__.py", STRANGER);
    bench.write("site/dora_rs-1.1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: dora-rs\nVersion: 1.1.0\n");
    bench.write("node.py", "from dora import Node\nNode()\n");
    bench
}

fn run(bench: &Workbench, arguments: &[&str]) -> Command {
    let mut command = bench.command([&["run"], arguments].concat());
    command.env("PYTHONPATH", bench.path().join("site"));
    command.env("DORA_PYTHON_WHEEL", bench.write("dora_rs-1.2.0-cp311-abi3-linux_x86_64.whl", ""));
    command
}

#[test]
fn a_module_of_another_dora_is_told_with_file_version_and_remedy() {
    let bench = with_stranger();
    bench.write("a.yml", "nodes: [{ id: a, path: node.py }, { id: b, path: node.py }]\n");
    let run = Running::start(run(&bench, &["a.yml"])).finish().expect_code(1);
    let file = bench.path().join("site/dora/__init__.py").display().to_string();
    for expected in
        ["`import dora` finds version 1.1.0 in ", &file, "which cannot speak to this dora", "dora_rs-1.2.0-cp311"]
    {
        assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
    }
    assert!(run.stderr.contains("pip install"), "{}", run.stderr);
}

#[test]
fn a_script_that_an_installer_wrote_is_told_too() {
    let bench = with_stranger();
    let python = Running::start(bench.shell("command -v python3")).finish().expect_code(0);
    let python = python.stdout.trim();
    bench.program("tool", format!("#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\nimport dora\ndora.Node()\n"));
    bench.write("a.yml", "nodes: [{ id: a, path: tool }]\n");
    let run = Running::start(run(&bench, &["-v", "a.yml"])).finish().expect_code(1);
    let because = format!("node `a` is run by {python}: `{}` names it", bench.path().join("tool").display());
    for expected in [&because, "In node `a`, `import dora` finds version 1.1.0 in "] {
        assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
    }
}

#[test]
fn a_file_of_the_users_that_hides_the_module_is_named() {
    let bench = with_stranger();
    let own = bench.write("dora.py", STRANGER).display().to_string();
    bench.write("a.yml", "nodes: [{ id: a, path: node.py }]\n");
    let run = Running::start(run(&bench, &["a.yml"])).finish().expect_code(1);
    assert!(run.stderr.contains(&own) && run.stderr.contains("rename it"), "{}", run.stderr);
}

#[test]
fn why_it_is_this_interpreter_is_explained() {
    let bench = Workbench::new();
    fs::create_dir_all(bench.path().join("env/bin")).expect("our own directory");
    bench.script("env/bin/python", "");
    bench.write("node.py", "");
    bench.write("a.yml", "nodes: [{ id: a, path: node.py }]\n");
    let environment = bench.path().join("env");
    let mut command = bench.command(["run", "-v", "a.yml"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", environment.join("bin").display()));
    command.env("VIRTUAL_ENV", &environment);
    let run = Running::start(command).finish().expect_code(0);
    let environment = environment.display();
    let expected = format!(
        "node `a` is run by {environment}/bin/python: the first `python` on the PATH, in the environment `{environment}`"
    );
    assert!(run.stderr.contains(&expected), "{}", run.stderr);
}
