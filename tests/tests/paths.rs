//! What `path:` and `args:` mean: files, commands, Python files, command lines for a shell, working directories.

use dora_tests::{Running, Workbench};

#[test]
fn a_file_comes_before_a_command_of_the_same_name() {
    let bench = Workbench::new();
    bench.write("a.yml", "nodes:\n  - { id: one, path: echo, args: one }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("one: one\n"), "{}", run.stdout);
    bench.script("echo", "printf 'mine %s\\n' \"$1\"");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("one: mine one\n"), "{}", run.stdout);
}

#[test]
fn variables_in_a_path_are_those_of_the_caller() {
    let bench = Workbench::new();
    bench.script("where.sh", "echo here");
    bench.write("a.yml", "nodes:\n  - { id: a, path: $DORA_WORKSPACE/where.sh }\n");
    let mut command = bench.command(["run", "a.yml"]);
    command.env("DORA_WORKSPACE", bench.path());
    let run = Running::start(command).finish().expect_code(0);
    assert!(run.stdout.contains("a: here\n"), "{}", run.stdout);
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    assert!(run.stderr.contains("names the environment variable `DORA_WORKSPACE`, which is not set"), "{}", run.stderr);
}

#[test]
fn a_working_directory_of_its_own() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path().join("sub")).expect("our own directory");
    bench.script("sub/where.sh", "pwd");
    bench.write("a.yml", "nodes:\n  - { id: a, path: where.sh, deploy: { working_dir: sub } }\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(0);
    assert!(run.stdout.contains("/sub\n"), "{}", run.stdout);
}

/// A `python` that shows how it was called; the real one would show the same and need to be there.
fn python(bench: &Workbench, name: &str) {
    bench.script(name, "echo \"unbuffered $PYTHONUNBUFFERED\"; for a in \"$@\"; do echo \"<$a>\"; done");
}

#[test]
fn a_python_file_is_run_by_python() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path().join("bin")).expect("our own directory");
    bench.write("node.py", "");
    bench.write("a.yml", "nodes:\n  - { id: a, path: node.py, args: --rate 'ten hertz' }\n");
    let run = |name: &str| {
        let mut command = bench.command(["run", "a.yml"]);
        let path = format!("{}:/usr/bin:/bin", bench.path().join("bin").display());
        command.env("PATH", path).env_remove("PYTHONUNBUFFERED");
        let run = Running::start(command).finish().expect_code(0);
        let script = format!("<{}>", bench.path().join("node.py").display());
        for expected in ["unbuffered 1", "<-u>", &script, "<--rate>", "<ten hertz>"] {
            assert!(run.stdout.contains(expected), "{name}: no {expected} in {}", run.stdout);
        }
    };
    python(&bench, "bin/python");
    run("python");
    std::fs::rename(bench.path().join("bin/python"), bench.path().join("bin/python3")).expect("our own file");
    std::os::unix::fs::symlink("python2.7", bench.path().join("bin/python")).expect("our own directory");
    bench.script("bin/python2.7", "exit 7");
    run("python3");
}

#[test]
fn without_python_one_is_told_what_to_do() {
    let bench = Workbench::new();
    bench.write("node.py", "");
    bench.write("a.yml", "nodes:\n  - id: a\n    path: node.py\n");
    let mut command = bench.command(["run", "a.yml"]);
    command.env("PATH", bench.path());
    let run = Running::start(command).finish().expect_code(1);
    assert!(run.stderr.contains("a.yml:3:") && run.stderr.contains("no Python 3 on the PATH"), "{}", run.stderr);
}

#[test]
fn a_shell_node_needs_leave() {
    let bench = Workbench::new();
    let text = "nodes:\n  - id: a\n    path: shell\n    args: 'x=$((6 * 7)); echo \"answer $x\" | tr a A'\n";
    bench.write("a.yml", text);
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    for expected in ["a.yml:3:", "--allow-shell-nodes", "DORA_ALLOW_SHELL_NODES=true"] {
        assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
    }
    let run = bench.dora(["run", "a.yml", "--allow-shell-nodes"]).finish().expect_code(0);
    assert!(run.stdout.contains("a: Answer 42\n"), "{}", run.stdout);
    for (value, code) in [("true", 0), ("false", 1)] {
        let mut command = bench.command(["run", "a.yml"]);
        command.env("DORA_ALLOW_SHELL_NODES", value);
        Running::start(command).finish().expect_code(code);
    }
}

#[test]
fn an_unknown_program_is_told_with_its_place_and_the_nearest_name() {
    let bench = Workbench::new();
    bench.script("camera.sh", "exit 0");
    bench.write("a.yml", "nodes:\n  - id: a\n    path: ./camra.sh\n  - id: b\n    path: slepe\n");
    let run = bench.dora(["run", "a.yml"]).finish().expect_code(1);
    for expected in ["a.yml:3:", "did you mean `./camera.sh`?", "a.yml:5:", "did you mean `sleep`?"] {
        assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
    }
}

#[test]
fn variables_that_would_change_what_code_runs_are_left_out() {
    let bench = Workbench::new();
    bench.script("env.sh", "echo \"[$LD_PRELOAD|$DORA_AUTH_TOKEN|$FINE]\"");
    let text = "\
env: { LD_PRELOAD: /evil.so, FINE: dataflow }
nodes:
  - { id: a, path: env.sh, env: { DORA_AUTH_TOKEN: stolen } }
  - { id: b, path: env.sh, env: { FINE: node } }
";
    bench.write("a.yml", text);
    let mut command = bench.command(["run", "a.yml"]);
    command.env("DORA_AUTH_TOKEN", "secret");
    let run = Running::start(command).finish().expect_code(0);
    assert!(run.stdout.contains("a: [||dataflow]") && run.stdout.contains("b: [||node]"), "{}", run.stdout);
    assert!(run.stderr.contains("`LD_PRELOAD` is left out"), "{}", run.stderr);
    assert!(run.stderr.contains("`DORA_AUTH_TOKEN` is left out"), "{}", run.stderr);
}

#[test]
fn editing_the_file_changes_no_run() {
    let bench = Workbench::new();
    bench.script("first.sh", "echo first; until [ -e go ]; do sleep 0.01; done; echo \"[$WORD]\"");
    bench.write("a.yml", "nodes:\n  - { id: a, path: first.sh, env: { WORD: before } }\n");
    let run = bench.dora(["run", "a.yml"]);
    run.await_text("a: first");
    bench.write("a.yml", "nodes:\n  - { id: b, path: ./nowhere, env: { WORD: after } }\n");
    bench.write("go", "");
    let run = run.finish().expect_code(0);
    assert!(run.stdout.contains("a: [before]"), "{}", run.stdout);
}
