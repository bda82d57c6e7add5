//! `dora new`: what it makes can be built and run at once; what it refuses it leaves alone.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use dora_tests::{Running, Workbench};

/// Builds a new project as its user would. Offline and with the versions of this repository, whose sources are here;
/// the libraries that it needs are kept from one test to the next.
fn build(project: &Path) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let kept = kept();
    std::fs::copy(repository.join("Cargo.lock"), project.join("Cargo.lock")).expect("the lock file");
    symlink(&kept, project.join("target")).expect("our own directory");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet"]).current_dir(project);
    as_here(&mut cargo);
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "built with warnings: {}", String::from_utf8_lossy(&output.stderr));
}

fn kept() -> PathBuf {
    dora_tests::target_dir().join("new-projects")
}

/// Whoever builds, builds the same.
fn as_here(command: &mut Command) {
    command.env("CARGO_TARGET_DIR", kept()).env("CARGO_NET_OFFLINE", "true").env("CARGO_PROFILE_DEV_DEBUG", "0");
    command.env_remove("CARGO_BUILD_TARGET");
}

/// `dora run` in a directory of the bench; it builds what is to be built.
fn run(bench: &Workbench, directory: &str, file: &str) -> Running {
    let mut command = bench.command(["run", file]);
    as_here(command.current_dir(bench.path().join(directory)));
    Running::start(command)
}

#[test]
fn a_new_dataflow_runs_at_once() {
    let bench = Workbench::new();
    let made = bench.dora(["new", "robot"]).finish().expect_code(0);
    for expected in ["robot/dataflow.yml", "cd robot", "dora run dataflow.yml"] {
        assert!(made.stdout.contains(expected), "no {expected} in {}", made.stdout);
    }
    build(&bench.path().join("robot"));
    let run = run(&bench, "robot", "dataflow.yml");
    let run = run.interrupt_at("listener: heard: hello 2");
    assert!(!run.stderr.contains("warning") && !run.stderr.contains("failed"), "{}", run.stderr);
}

#[test]
fn a_new_node_runs_at_once_and_in_another_dataflow() {
    let bench = Workbench::new();
    let made = bench.dora(["new", "counter", "--kind", "node", "--lang", "rust"]).finish().expect_code(0);
    build(&bench.path().join("counter"));
    let alone = run(&bench, "counter", "dataflow.yml");
    alone.interrupt_at("counter: message 2 came on `tick`");
    // The lines that it printed are those of a dataflow file.
    let (_, snippet) = made.stdout.split_once("it is\n").expect(&made.stdout);
    bench.write("other.yml", format!("nodes:\n{snippet}    inputs: {{ tick: dora/timer/millis/10 }}\n"));
    let run = run(&bench, ".", "other.yml");
    let run = run.interrupt_at("counter: message 2 came on `tick`");
    assert!(!run.stderr.contains("failed"), "{}", run.stderr);
}

#[test]
fn what_is_there_stays() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path().join("robot")).expect("our own directory");
    bench.write("robot/mine.txt", "mine");
    let run = bench.dora(["new", "robot"]).finish().expect_code(1);
    assert!(run.stderr.contains("`robot` exists already; nothing was written"), "{}", run.stderr);
    assert_eq!(std::fs::read_dir(bench.path().join("robot")).expect("it is there").count(), 1);
    bench.dora(["new", "robot", "work/arm"]).finish().expect_code(0);
    assert!(bench.path().join("work/arm/dataflow.yml").is_file());
}

#[test]
fn what_cannot_be_made_is_refused_with_what_can() {
    let bench = Workbench::new();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["new", "My Robot"], 2, "`my-robot` would do"),
        (&["new", "test"], 2, "`my-test` would do"),
        (&["new", "robot", "--lang", "c"], 2, "`dora new --lang c` is not served by this version yet"),
        (&["new", "robot", "--lang", "c++"], 2, "`dora new --lang cxx` is not served by this version yet"),
        (&["new", "robot", "--api-path", "."], 2, "`.` holds no `dora-node-api`"),
    ];
    for (arguments, code, expected) in cases {
        let run = bench.dora(arguments).finish().expect_code(code);
        assert!(run.stderr.contains(expected), "{arguments:?}: {}", run.stderr);
    }
    assert_eq!(std::fs::read_dir(bench.path()).expect("our own directory").count(), 0);
}
