//! Commands that go on by themselves, and a standard output that nobody reads, or that takes nothing.

use dora_tests::{Cluster, Finished, Running, Workbench, dora, expect_in};

/// A node that has nothing to say for a long time.
const QUIET: &str =
    "nodes: [{ id: quiet, path: '{node}', args: ticker, inputs: { tick: dora/timer/secs/1000 }, outputs: [data] }]\n";

/// `dora` with this line, into a pipe whose other end does this; the exit code of `dora` is the last word on standard error.
fn piped_into(bench: &Workbench, line: &str, reader: &str) -> Finished {
    let dora = dora().display();
    Running::start(bench.shell(&format!("{{ {dora} {line}; echo code $? >&2; }} | {reader}"))).finish()
}

#[test]
fn who_follows_ends_with_its_reader_although_nothing_comes() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", QUIET);
    bench.dora(["start", "a.yml", "--detach"]).finish().expect_code(0);
    for line in ["topic echo", "topic echo quiet/data --format json", "topic hz", "logs -f"] {
        expect_in(&piped_into(&bench, line, "true").stderr, &["code 0"]);
    }
    cluster.down();
}

#[test]
fn who_wants_one_message_gets_one() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", &QUIET.replace("secs/1000", "millis/10"));
    bench.dora(["start", "a.yml", "--detach"]).finish().expect_code(0);
    let one = piped_into(&bench, "topic echo quiet/data", "head -1");
    assert_eq!(one.stdout.lines().count(), 1, "{}", one.stdout);
    cluster.down();
}

#[test]
fn what_is_shown_live_stops_when_nobody_sees_it() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", QUIET);
    for line in ["run a.yml", "start a.yml --attach"] {
        let run = piped_into(&bench, line, "true");
        expect_in(&run.stderr, &["nobody reads standard output any more: the nodes are asked to stop", "code 0"]);
    }
    let list = bench.dora(["list"]).finish().expect_code(0);
    expect_in(&list.stdout, &["Finished"]);
    cluster.down();
}

#[test]
fn an_output_that_takes_nothing_is_told() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", &QUIET.replace("secs/1000", "millis/10"));
    bench.dora(["start", "a.yml", "--detach"]).finish().expect_code(0);
    for line in ["logs -f", "topic echo", "list"] {
        let mut command = bench.command(line.split(' '));
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let output = command.stdin(std::process::Stdio::null()).stdout(full).output().expect("dora runs");
        assert_eq!(output.status.code(), Some(1), "{line}");
        expect_in(&String::from_utf8_lossy(&output.stderr), &["error: cannot write to standard output: No space left"]);
    }
    cluster.down();
}
