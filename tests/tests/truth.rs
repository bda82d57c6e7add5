//! What commands say of dataflows and nodes that have ended, or are being built, or are meant by a part of their names.

use dora_tests::{Cluster, Workbench, eventually, expect_in};
use rustix::process::Signal;

/// A node that sends at each tick, and one that tells what it receives.
const FLOW: &str = "\
nodes:
  - { id: ticker, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/20 }, outputs: [data] }
  - { id: sink, path: '{node}', args: tell, inputs: { data: ticker/data } }
";

/// Starts `a.yml` with this name; its id.
#[track_caller]
fn start(bench: &Workbench, name: &str) -> String {
    let run = bench.run(&format!("start a.yml --detach --name {name}")).expect_code(0);
    run.stdout.lines().find_map(|line| line.strip_prefix("dataflow started: ")).expect("an id").to_owned()
}

#[test]
fn who_stops_what_has_ended_reads_how_it_ended() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    let id = start(&bench, "rig");
    assert_eq!(bench.run("stop rig").expect_code(0).stdout, format!("dataflow {id} has been stopped\n"));
    let again = bench.run("stop rig").expect_code(0);
    assert_eq!(again.stdout, format!("dataflow {id} had ended already: Finished\n"));
    bench.dataflow("a.yml", "nodes: [{ id: bad, path: '{node}', args: fail 3 }]\n");
    bench.run("start a.yml --detach --name bad");
    bench.run("logs bad --follow");
    let failed = bench.run("stop bad").expect_code(1);
    expect_in(&failed.stdout, &["had ended already: Failed"]);
    expect_in(&failed.stderr, &["node `bad` exited with code 3"]);
    cluster.down();
}

#[test]
fn a_node_that_has_ended_is_not_stopped_again() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", &format!("{FLOW}  - {{ id: short, path: '{{node}}', args: fail 3 }}\n"));
    start(&bench, "rig");
    eventually("its end is known", || bench.run("node info short").expect_code(0).stdout.contains("Failed"));
    let stopped = bench.run("node stop short").expect_code(0);
    assert_eq!(stopped.stdout, "Node `short` had ended already: it exited with code 3\n");
    let restarted = bench.run("node restart short").expect_code(1);
    expect_in(&restarted.stderr, &["node `short` has ended and is not started again", "`dora restart`"]);
    let unknown = bench.run("node stop shrt").expect_code(1);
    expect_in(&unknown.stderr, &["no node `shrt`; did you mean `short`?"]);
    cluster.down();
}

#[test]
fn nodes_of_dataflows_that_have_ended_have_names_too() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    start(&bench, "rig");
    bench.run("stop rig").expect_code(0);
    let unknown = bench.run("logs rig -n tickr").expect_code(1);
    expect_in(&unknown.stderr, &["the dataflow has no node `tickr`; did you mean `ticker`?"]);
    expect_in(&bench.run("logs rig -n ticker").expect_code(0).stdout, &["tick 1"]);
    cluster.down();
}

#[test]
fn a_line_of_standard_error_is_told_as_one() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.script("talk.sh", "echo to out; echo to err >&2; sleep 1000");
    bench.dataflow("a.yml", &format!("{FLOW}  - {{ id: talk, path: talk.sh }}\n"));
    let starting = bench.dora(["start", "a.yml", "--detach", "--name", "rig"]);
    starting.await_text("triggered");
    let followed = bench.dora(["logs", "rig", "-f", "-n", "talk"]);
    followed.await_text("stdout talk: to out");
    followed.await_text("stderr talk: to err");
    bench.run("stop rig --force");
    let followed = followed.finish();
    assert!(followed.stdout.contains("stderr talk: to err"), "what was asked for goes to standard output");
    expect_in(&bench.run("logs rig").expect_code(0).stdout, &["stdout talk: to out", "stderr talk: to err"]);
    cluster.down();
}

/// The third Ctrl-C kills: whoever pressed it, and whoever looks later, read the same.
#[test]
fn the_command_and_the_list_agree_about_a_dataflow_that_was_killed() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.script("deaf.sh", "trap '' TERM; echo working; while :; do sleep 0.1; done");
    bench.write("a.yml", "nodes: [{ id: deaf, path: deaf.sh }]\n");
    let attached = bench.dora(["start", "a.yml", "--attach", "--name", "rig"]);
    attached.await_text("deaf: working");
    for news in ["stopping the nodes", "SIGTERM to the nodes", "killing the nodes"] {
        attached.signal(Signal::INT);
        attached.await_text(news);
    }
    let ended = attached.finish();
    let status = if ended.code == Some(0) { "Finished" } else { "Failed" };
    expect_in(&bench.run("list").expect_code(0).stdout, &[status]);
    assert_eq!(ended.stderr.contains("Dataflow failed"), status == "Failed", "{}", ended.stderr);
    cluster.down();
}

#[test]
fn a_stop_during_the_build_is_a_success() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.script("slow.sh", "echo building; sleep 1000");
    bench.write("a.yml", "nodes: [{ id: slow, path: 'true', build: ./slow.sh }]\n");
    let starting = bench.dora(["start", "a.yml", "--detach", "--name", "rig"]);
    starting.await_text("triggered");
    let stopped = bench.run("stop rig").expect_code(0);
    expect_in(&stopped.stdout, &["has been stopped"]);
    expect_in(&starting.finish().expect_code(1).stderr, &["it was stopped before its nodes were started"]);
    expect_in(&bench.run("list").expect_code(0).stdout, &["Finished"]);
    cluster.down();
}

#[test]
fn parts_of_ids_and_patterns_of_names_are_enough() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    let ids = ["camera-left", "camera-right", "arm"].map(|name| start(&bench, name));
    let listed = |pattern: &str| bench.run(&format!("list -q --name {pattern}")).expect_code(0).stdout.lines().count();
    assert_eq!(["camera-*", "*left", "a", "a?m", "x*"].map(listed), [2, 1, 3, 1, 0]);
    // All begin with the same time: the whole but the last digit is that of one.
    let (part, _) = ids[0].split_at(ids[0].len() - 1);
    expect_in(&bench.run(&format!("node info ticker -d {part}")).expect_code(0).stdout, &["camera-left"]);
    let several = bench.run(&format!("stop {}", &ids[0][..4])).expect_code(1);
    expect_in(&several.stderr, &["did you mean", &ids[0], &ids[1], &ids[2]]);
    bench.run(&format!("stop {part}")).expect_code(0);
    expect_in(&bench.run(&format!("stop {part}")).expect_code(0).stdout, &["had ended already"]);
    bench.run("stop --all").expect_code(0);
    cluster.down();
}

#[test]
fn a_machine_that_is_nearly_called_so_is_suggested() {
    let bench = Workbench::new();
    let cluster = Cluster::guard(&bench);
    bench.run("up --machine-id robot").expect_code(0);
    bench.dataflow(
        "a.yml",
        "nodes: [{ id: a, path: '{node}', args: source 1, outputs: [x], deploy: { machine: robt } }]\n",
    );
    let run = bench.run("start a.yml --detach").expect_code(1);
    expect_in(&run.stderr, &["is not the one that it names; did you mean `robot`?"]);
    cluster.down();
}

/// Ctrl-C ends the command that waits, and not what it has begun.
#[test]
fn who_does_not_wait_reads_what_goes_on() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.script("deaf.sh", "trap '' TERM; echo working; while :; do sleep 0.1; done");
    bench.dataflow("a.yml", &format!("{FLOW}  - {{ id: deaf, path: deaf.sh }}\n"));
    let starting = bench.dora(["start", "a.yml", "--detach", "--name", "rig"]);
    starting.await_text("triggered");
    starting.await_text("starting ... ");
    let watched = bench.dora(["logs", "rig", "-f"]);
    watched.await_text("deaf: working");
    starting.signal(Signal::INT);
    let starting = starting.finish().expect_code(130);
    expect_in(&starting.stderr, &["note: dataflow ", " goes on; `dora stop "]);
    let stopping = bench.dora(["stop", "rig"]);
    stopping.await_text("stopping ... ");
    stopping.signal(Signal::INT);
    expect_in(&stopping.finish().expect_code(130).stderr, &["note: the stop goes on"]);
    expect_in(&bench.run("list").expect_code(0).stdout, &["Stopping"]);
    bench.run("stop rig --force");
    cluster.down();
}

#[test]
fn a_message_of_another_type_than_the_file_declares_is_not_sent() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    let typed = FLOW.replace("outputs: [data]", "outputs: [data], output_types: { data: std/core/v1/UInt64 }");
    bench.dataflow("a.yml", &typed);
    start(&bench, "rig");
    let wrong = bench.dora(["topic", "pub", "ticker/data", "[\"a\"]"]).finish().expect_code(1);
    expect_in(&wrong.stderr, &["the message cannot be sent", "UInt64", "`ticker/data` carries `std/core/v1/UInt64`"]);
    let watched = bench.dora(["logs", "rig", "--follow", "-n", "sink"]);
    // Without a type of its own it is what the file says.
    bench.dora(["topic", "pub", "ticker/data", "[123456789]"]).finish().expect_code(0);
    watched.await_text("sink: data = 123456789");
    cluster.down();
}
