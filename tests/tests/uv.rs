//! `--uv`: nodes with `build:` have Python environments of their own, all others are run by `uv run`.

use std::process::Command;

use dora_tests::{Running, Workbench};

/// A `uv` that does what is asked of it here without a network, and says how it was called.
const UV: &str = r#"
case $1 in
venv)
    for directory; do :; done
    mkdir -p "$directory/bin"
    printf '#!/bin/sh\necho "python $*"\n' > "$directory/bin/python"
    chmod +x "$directory/bin/python" ;;
pip)
    echo "uv $* into $VIRTUAL_ENV"
    sed s/^/override:\ / "${UV_OVERRIDE#file://}"
    printf '#!/bin/sh\necho "tool $* with $VIRTUAL_ENV"\n' > "$VIRTUAL_ENV/bin/tool"
    chmod +x "$VIRTUAL_ENV/bin/tool" ;;
run) echo "uv $*" ;;
esac
"#;

/// What stands for the wheel of our module.
const WHEEL: &str = "dora_rs-1.2.0-cp311-abi3-linux_x86_64.whl";

const DATAFLOW: &str = "\
nodes:
  - { id: installed, path: tool, args: --fast, build: pip install tool }
  - { id: script, path: node.py, args: one, build: pip3 install numpy }
  - { id: project, path: node.py, args: two }
  - { id: command, path: other-tool, args: three }
";

fn with_uv(bench: &Workbench, arguments: &[&str]) -> Command {
    let mut command = bench.command(arguments);
    command.env("PATH", format!("{}:/usr/bin:/bin", bench.path().join("bin").display()));
    command.env("DORA_PYTHON_WHEEL", bench.path().join(WHEEL));
    command
}

#[test]
fn each_node_that_is_built_has_an_environment() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path().join("bin")).expect("our own directory");
    bench.script("bin/uv", UV);
    bench.write("node.py", "");
    bench.write("a.yml", DATAFLOW);
    let wheel = bench.write(WHEEL, "").display().to_string();
    let at = |node: &str| bench.path().join(".dora/python-envs").join(node).display().to_string();
    let build = Running::start(with_uv(&bench, &["build", "--uv", "a.yml"])).finish().expect_code(0);
    for expected in [
        format!("[1/3] uv venv --allow-existing {}", at("installed")),
        format!("uv pip install tool into {}", at("installed")),
        format!("uv pip install numpy into {}", at("script")),
        // Whatever asks for the module gets ours, and where nothing does it is there too.
        format!("script | override: dora-rs @ file://{wheel}"),
        format!("installed: [2/3] uv pip install {wheel}"),
        format!("script: [2/3] uv pip install {wheel}"),
    ] {
        assert!(build.stderr.contains(&expected), "no {expected} in {}", build.stderr);
    }
    let run = Running::start(with_uv(&bench, &["run", "--uv", "a.yml"])).finish().expect_code(0);
    assert!(!run.stderr.contains("uv venv"), "{}", run.stderr);
    let script = bench.path().join("node.py").display().to_string();
    for expected in [
        format!("installed: tool --fast with {}\n", at("installed")),
        format!("script: python -u {script} one\n"),
        format!("project: uv run --with {wheel} --with pyarrow<26 python -u {script} two\n"),
        format!("command: uv run --with {wheel} --with pyarrow<26 other-tool three\n"),
    ] {
        assert!(run.stdout.contains(&expected), "no {expected} in {}", run.stdout);
    }
}

#[test]
fn without_uv_one_is_told_what_to_do() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path().join("bin")).expect("our own directory");
    bench.write("node.py", "");
    for (file, build) in [("a.yml", ""), ("b.yml", "    build: pip install numpy\n")] {
        bench.write(file, format!("nodes:\n  - id: a\n    path: node.py\n{build}"));
        let mut command = with_uv(&bench, &["run", "--uv", file]);
        command.env("PATH", bench.path().join("bin"));
        let run = Running::start(command).finish().expect_code(1);
        assert!(run.stderr.contains(&format!("{file}:3:")), "{}", run.stderr);
        assert!(run.stderr.contains("no program `uv`"), "{}", run.stderr);
    }
}

#[test]
fn without_our_module_one_is_told_what_to_do() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path().join("bin")).expect("our own directory");
    bench.script("bin/uv", UV);
    bench.write("node.py", "");
    bench.write("a.yml", DATAFLOW);
    for command in ["build", "run"] {
        let run = Running::start(with_uv(&bench, &[command, "--uv", "a.yml"])).finish().expect_code(1);
        for expected in ["a.yml:2:", "a.yml:3:", WHEEL, "`cargo xtask wheel`", "DORA_PYTHON_WHEEL"] {
            assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
        }
    }
    assert!(!bench.path().join(".dora").exists(), "nothing is made before");
}
