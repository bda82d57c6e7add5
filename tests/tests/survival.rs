//! Coordinators and daemons are killed while dataflows run: nodes do not notice, and what comes next takes them up.

use std::{fs, time::Duration};

use dora_tests::{Cluster, PATIENCE, Workbench, await_end, await_gone, eventually, expect_in, halt, marked_processes};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A number every 5 ms on an edge that loses nothing, and one on an edge that may.
const FLOW: &str = "\
nodes:
  - id: ticker
    path: '{node}'
    args: ticker 600
    inputs: { tick: { source: dora/timer/millis/5, queue_size: 1000 } }
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    inputs: { data: { source: ticker/data, queue_policy: backpressure } }
";

#[track_caller]
fn start(bench: &Workbench, file: &str, name: &str) {
    bench.run(&format!("start {file} --detach --name {name}")).expect_code(0);
}

/// Starts the dataflow without an end, as `flow`; the process that sends.
#[track_caller]
fn start_endless(bench: &Workbench) -> Pid {
    bench.dataflow("flow.yml", &FLOW.replace("600", "0"));
    start(bench, "flow.yml", "flow");
    bench.process(" ticker 0")
}

/// The state of a dataflow in the list.
#[track_caller]
fn state(bench: &Workbench, name: &str) -> String {
    let list = bench.run("list --format json").expect_code(0);
    let all = list.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let found = all.filter(|dataflow| dataflow["name"] == name).map(|dataflow| dataflow["status"].clone()).next();
    found.and_then(|status| status.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A dataflow whose only node is a program that knows nothing of dora.
fn plain(bench: &Workbench, body: &str) {
    bench.script("plain.sh", body);
    bench.dataflow("plain.yml", "nodes:\n  - { id: plain, path: plain.sh }\n");
}

fn kills() -> usize {
    if std::env::var_os("DORA_TEST_FULL").is_some() { 40 } else { 3 }
}

#[test]
fn nodes_do_not_notice_that_their_daemon_is_killed() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("flow.yml", FLOW);
    start(&bench, "flow.yml", "flow");
    plain(&bench, "i=0; while [ ! -e enough ]; do i=$((i+1)); echo line $i; sleep 0.01; done; echo printed $i");
    start(&bench, "plain.yml", "plain");
    let node = bench.process("plain.sh");
    let followed = bench.dora(["logs", "flow", "--follow", "-n", "sink"]);
    followed.await_text("receiving");
    for _ in 0..kills() {
        cluster.kill("daemon");
        bench.run("up").expect_code(0);
    }
    assert_eq!(bench.process("plain.sh"), node, "it is the same process");
    expect_in(&bench.run("node list --dataflow plain").expect_code(0).stdout, &["plain"]);
    let followed = followed.finish();
    assert!(followed.code.is_some(), "it ends with the dataflow");
    expect_in(&bench.run("logs flow -n sink").expect_code(0).stdout, &["received 600 from 0 to 599, in order: true"]);
    assert_eq!(state(&bench, "flow"), "Finished");
    // Nothing of what was printed all the time is missing, and nothing is there twice.
    let following = bench.dora(["logs", "plain", "--follow", "--tail", "0"]);
    bench.write("enough", "");
    following.finish().expect_code(0);
    let logs = bench.run("logs plain").expect_code(0).stdout;
    let said: Vec<&str> = logs.lines().filter_map(|line| line.split_once("plain: ").map(|(_, text)| text)).collect();
    let (last, lines) = said.split_last().expect("lines");
    assert_eq!(*last, format!("printed {}", lines.len()));
    lines.iter().enumerate().for_each(|(index, line)| assert_eq!(*line, format!("line {}", index + 1)));
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn what_ends_without_a_daemon_is_known_to_the_next() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    plain(&bench, "while [ ! -e go ]; do sleep 0.02; done; echo bye; exit 3");
    start(&bench, "plain.yml", "plain");
    let node = bench.process("plain.sh");
    // Both are gone.
    cluster.kill("daemon");
    cluster.kill("coordinator");
    bench.write("go", "");
    await_end(node);
    bench.run("up").expect_code(0);
    bench.run("logs plain --follow").expect_code(0);
    assert_eq!(state(&bench, "plain"), "Failed");
    expect_in(&bench.run("logs plain").expect_code(0).stdout, &["bye"]);
    let ended = bench.run("stop plain");
    expect_in(&format!("{}{}", ended.stdout, ended.stderr), &["ended already", "code 3"]);
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn a_daemon_that_is_ended_leaves_its_nodes_to_the_next() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    start_endless(&bench);
    let (daemon, node) = (cluster.process("daemon"), bench.process(" ticker 0"));
    kill_process(daemon, Signal::TERM).expect("a daemon");
    await_end(daemon);
    assert_eq!(bench.process(" ticker 0"), node);
    bench.run("up").expect_code(0);
    expect_in(&bench.run("node list").expect_code(0).stdout, &["ticker", "Running"]);
    // All that can be done to nodes can be done again.
    expect_in(&bench.run("top --once").expect_code(0).stdout, &["ticker"]);
    bench.run("topic echo ticker/data --count 3").expect_code(0);
    bench.run("node stop sink").expect_code(0);
    bench.run("stop flow").expect_code(0);
    assert_eq!(state(&bench, "flow"), "Finished");
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn orphans_are_stopped_in_order_and_the_next_daemon_knows_it() {
    let bench = Workbench::new();
    let cluster = Cluster::guard(&bench);
    bench.run("up --orphan-timeout 300ms").expect_code(0);
    let node = start_endless(&bench);
    cluster.kill("daemon");
    await_end(node);
    let reports = bench.home().join("daemons/6013");
    let machine = fs::read_dir(&reports).expect("a directory").flatten().next().expect("a machine").path();
    bench.run("up").expect_code(0);
    bench.run("logs flow --follow").expect_code(0);
    assert_eq!(state(&bench, "flow"), "Finished");
    expect_in(&bench.run("logs flow").expect_code(0).stdout, &["ticker: stopped: Manual"]);
    assert_eq!(fs::read_dir(machine.join("reports")).expect("a directory").count(), 0, "it was taken");
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn a_daemon_that_hangs_holds_up_nobody_who_prints() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    // More than all queues between node and daemon hold together.
    plain(&bench, "while [ ! -e go ]; do sleep 0.02; done; seq 100000");
    start(&bench, "plain.yml", "plain");
    let (daemon, node) = (cluster.process("daemon"), bench.process("plain.sh"));
    halt(daemon);
    bench.write("go", "");
    // It has printed everything when it ends.
    await_end(node);
    kill_process(daemon, Signal::CONT).expect("a daemon");
    bench.run("logs plain --follow --tail 0").expect_code(0);
    let lines = bench.run("logs plain").expect_code(0).stdout;
    let numbers = lines.lines().filter_map(|line| line.split_once("plain: ")?.1.parse::<u32>().ok());
    assert!(numbers.eq(1..=100_000), "lines are missing");
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn who_is_attached_is_told_what_was_missed_while_the_daemon_was_gone() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    plain(&bench, "echo begun; while [ ! -e go ]; do sleep 0.02; done; echo later");
    let attached = bench.dora(["start", "plain.yml", "--attach", "--name", "plain"]);
    attached.await_text("plain: begun");
    cluster.kill("daemon");
    bench.run("up").expect_code(0);
    attached.await_text("news of machine");
    bench.write("go", "");
    attached.await_text("plain: later");
    attached.finish().expect_code(0);
    cluster.down();
}

#[test]
fn what_is_left_of_a_dataflow_without_daemon_and_keeper_ends_with_the_next_daemon() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    plain(&bench, "(setsid sleep 1000 &); exec sleep 2000");
    start(&bench, "plain.yml", "plain");
    let (leaver, node) = (bench.process("sleep 1000"), bench.process("sleep 2000"));
    cluster.kill("daemon");
    // The guard first: it would clean up.
    let processes = marked_processes(bench.mark());
    let keepers = processes.iter().filter(|(_, line)| line.contains(" keeper --lasting "));
    let keepers: Vec<Pid> = keepers.filter_map(|(pid, _)| Pid::from_raw(*pid)).collect();
    assert_eq!(keepers.len(), 2, "{processes:?}");
    keepers.iter().for_each(|keeper| kill_process(*keeper, Signal::KILL).expect("a process of ours"));
    await_end(node);
    assert_eq!(bench.process("sleep 1000"), leaver, "nobody was there to end it");
    bench.run("up").expect_code(0);
    await_end(leaver);
    bench.run("logs plain --follow --tail 0").expect_code(0);
    assert_eq!(state(&bench, "plain"), "Failed");
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn down_stops_what_a_dead_daemon_has_left() {
    for kill_both in [false, true] {
        let bench = Workbench::new();
        let cluster = Cluster::up(&bench);
        start_endless(&bench);
        cluster.kill("daemon");
        if kill_both {
            cluster.kill("coordinator");
        }
        let down = bench.run("down --force").expect_code(0);
        match kill_both {
            true => expect_in(&down.stdout, &["no coordinator", "1 dataflow ended"]),
            false => expect_in(&down.stdout, &["destroyed successfully"]),
        }
        assert_eq!(marked_processes(bench.mark()), [].into());
    }
}

#[test]
fn down_without_force_stops_nothing_although_the_coordinator_is_gone() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    let node = start_endless(&bench);
    for killed in ["coordinator", "daemon"] {
        cluster.kill(killed);
        let down = bench.run("down").expect_code(1);
        expect_in(&down.stderr, &["1 dataflow runs on", "`dora up`", "`dora down --force`"]);
    }
    assert_eq!(bench.process(" ticker 0"), node);
    bench.run("down --force").expect_code(0);
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn who_gives_up_what_nobody_can_reach_reads_so_and_the_next_daemon_stops_it() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    let node = start_endless(&bench);
    cluster.kill("daemon");
    let stop = bench.run("stop flow --force").expect_code(1);
    expect_in(&stop.stdout, &["was given up: what machine", "is stopped when its daemon is back"]);
    bench.run("up").expect_code(0);
    await_end(node);
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn down_by_force_does_not_wait_for_what_was_stopped() {
    for stopped in [&["daemon"][..], &["coordinator"], &["coordinator", "daemon"]] {
        let bench = Workbench::new();
        let cluster = Cluster::up(&bench);
        start_endless(&bench);
        stopped.iter().for_each(|verb| halt(cluster.process(verb)));
        let down = bench.run("down --force").expect_code(0);
        expect_in(&down.stderr, &["was stopped and hears nobody: it is killed"]);
        assert_eq!(marked_processes(bench.mark()), [].into());
    }
}

/// A machine under load is no reason to give a dataflow up.
#[test]
fn a_keeper_that_hangs_while_its_daemon_is_replaced_is_waited_for() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    start_endless(&bench);
    let (keeper, node) = (bench.keeper(), bench.process(" ticker 0"));
    halt(keeper);
    cluster.kill("daemon");
    bench.run("up").expect_code(0);
    expect_in(&bench.run("node list").expect_code(0).stdout, &["Unknown"]);
    kill_process(keeper, Signal::CONT).expect("a keeper");
    // It is asked for until it answers.
    eventually("it has answered", || bench.run("node list").expect_code(0).stdout.contains("Running"));
    bench.run("topic echo ticker/data --count 1").expect_code(0);
    assert_eq!(bench.process(" ticker 0"), node);
    bench.run("stop flow").expect_code(0);
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn a_keeper_that_hangs_keeps_no_stop_for_ever() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    start_endless(&bench);
    halt(bench.keeper());
    let stop = bench.run("stop flow --grace-duration 100ms").expect_code(1);
    expect_in(&format!("{}{}", stop.stdout, stop.stderr), &["keeper"]);
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

/// Whatever is killed, and when: it never runs twice, and `list` tells the truth in the end.
#[test]
fn a_start_that_is_interrupted_leaves_nothing_or_what_the_list_shows() {
    let rounds = if std::env::var_os("DORA_TEST_FULL").is_some() { 60 } else { 6 };
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("flow.yml", &FLOW.replace("600", "0"));
    for round in 0..rounds {
        let starting = bench.dora(["start", "flow.yml", "--detach", "--name", "flow"]);
        std::thread::sleep(Duration::from_millis(round as u64 * 7 % 60));
        cluster.kill(["daemon", "coordinator"][round % 2]);
        // `start` waits for the machine.
        bench.run("up").expect_code(0);
        let answer = starting.finish();
        let processes = || {
            let all = marked_processes(bench.mark());
            all.values().filter(|line| line.trim_end().ends_with(" ticker 0")).count()
        };
        let shown = state(&bench, "flow");
        if answer.code == Some(0) || shown == "Running" {
            expect_in(&bench.run("stop flow").stdout, &["has been stopped"]);
        } else {
            bench.run("stop --all");
        }
        assert!(processes() == 0, "round {round}: {shown}, {answer:?}");
        bench.run("clean --all");
    }
    cluster.down();
    await_gone(bench.mark(), PATIENCE);
}
