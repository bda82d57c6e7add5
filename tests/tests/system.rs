//! Starting processes anew on purpose: by `dora system restart`, and by the units for systemd that the guide shows.

use std::{path::Path, process::Command};

use dora_tests::{
    Cluster, PATIENCE, Running, Workbench, await_gone, dora as binary, expect_in, halt, marked_processes,
    page::{Step, sections},
};
use rustix::process::{Signal, kill_process};

const TICKS: &str =
    "nodes: [{ id: node, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/5 }, outputs: [data] }]\n";

#[test]
fn a_coordinator_that_is_started_anew_leads_on() {
    let bench = Workbench::new();
    let cluster = Cluster::guard(&bench);
    bench.run("up --port 7002 --interface 127.0.0.1 --machine-id robot").expect_code(0);
    let there = |line: &str| bench.run(&format!("{line} --coordinator-port 7002"));
    bench.dataflow("flow.yml", TICKS);
    there("start flow.yml --name demo --detach").expect_code(0);
    let (node, before) = (bench.process(" ticker"), cluster.process("coordinator"));
    let id = there("list -q").expect_code(0).stdout;
    for _ in 0..2 {
        let restarted = there("system restart coordinator").expect_code(0);
        let after = cluster.process("coordinator");
        assert_eq!(restarted.stdout, format!("restarted dora coordinator, port 7002: process {after}\n"));
        assert_ne!(after, before);
        assert_eq!((bench.process(" ticker"), there("list -q --status running").stdout), (node, id.clone()));
        // It is on the network, as before, and the daemon is back.
        let line = marked_processes(bench.mark())[&after.as_raw_nonzero().get()].clone();
        expect_in(&line, &["--port=7002", "--interface=127.0.0.1", "--detached"]);
        expect_in(&there("status").expect_code(0).stdout, &["robot", "Active dataflows: 1"]);
    }
    there("stop demo").expect_code(0);
    there("down").expect_code(0);
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn a_daemon_that_is_started_anew_goes_on_with_its_nodes() {
    let bench = Workbench::new();
    let cluster = Cluster::guard(&bench);
    bench.run("up --machine-id robot --labels arm=left").expect_code(0);
    bench.dataflow("flow.yml", TICKS);
    bench.run("start flow.yml --name demo --detach").expect_code(0);
    let (node, before) = (bench.process(" ticker"), cluster.process("daemon"));
    let restarted = bench.run("system restart daemon --machine-id robot").expect_code(0);
    let after = cluster.process("daemon");
    assert_eq!(restarted.stdout, format!("restarted dora daemon, machine robot: process {after}\n"));
    assert!(after != before && bench.process(" ticker") == node);
    expect_in(&bench.run("status").expect_code(0).stdout, &["robot", "arm=left", "Active dataflows: 1"]);
    let followed = bench.dora(["logs", "demo", "--follow", "--tail", "1"]);
    followed.await_count("node: tick ", 3);
    bench.run("stop demo").expect_code(0);
    followed.finish().expect_code(0);
    expect_in(&bench.run("list").expect_code(0).stdout, &["demo", "Finished"]);
    halt(after);
    let stopped = bench.run("system restart daemon --machine-id robot").expect_code(1);
    expect_in(&stopped.stderr, &[&format!("`kill -CONT {after}` lets it go on")]);
    kill_process(after, Signal::CONT).expect("it runs");
    let other = bench.run("system restart daemon --machine-id rob").expect_code(1);
    expect_in(&other.stderr, &["no dora daemon, machine rob, runs on this host"]);
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn what_cannot_be_started_anew_is_refused() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let none = bench.run("system restart coordinator").expect_code(1);
    expect_in(&none.stderr, &["no coordinator runs on this host with port 6013"]);
    let coordinator = bench.dora(["coordinator"]);
    coordinator.await_text("Listening on port 6013 of this host");
    let by_hand = bench.run("system restart coordinator").expect_code(1);
    expect_in(&by_hand.stderr, &["was not started by `dora up`", "`systemctl restart`"]);
    coordinator.signal(Signal::TERM);
    coordinator.finish().expect_code(0);
    let far = bench.run("system restart coordinator --coordinator-addr 192.0.2.7 --insecure").expect_code(2);
    expect_in(&far.stderr, &["the coordinator at 192.0.2.7:6013 is restarted on its own host"]);
}

/// The units of the guide, for this `dora`, in this home.
fn units(bench: &Workbench) -> Vec<(String, String)> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/background.md");
    let page = std::fs::read_to_string(guide).expect("a page");
    let units = sections(&page).into_iter().flat_map(|section| section.steps).filter_map(|step| match step {
        Step::File { path, text } if path.extension().is_some_and(|ending| ending == "service") => {
            let text = text.replace("/usr/local/bin/dora", &binary().to_string_lossy());
            let text = text.replace("/var/lib/dora", &bench.home().to_string_lossy());
            Some((path.to_string_lossy().into_owned(), text))
        }
        _ => None,
    });
    units.collect()
}

/// Without systemd: what its units start works together, and ends as the units say, by a signal to the one process.
#[test]
fn what_the_units_of_the_guide_start_works_together() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let mut services = units(&bench).into_iter().map(|(name, unit)| {
        let value =
            |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key}{name}"));
        assert_eq!(value("KillMode="), "process", "{name}");
        let (variable, home) = value("Environment=").split_once('=').expect("a variable");
        let mut words = value("ExecStart=").split(' ');
        let mut command = bench.at_home(words.next().expect("a program"));
        command.args(words).env(variable, home);
        Running::start(command)
    });
    let (coordinator, daemon) = (services.next().expect("a unit"), services.next().expect("a second"));
    assert!(services.next().is_none());
    daemon.await_text("serves the coordinator at 127.0.0.1:6013");
    bench.dataflow("flow.yml", TICKS);
    bench.run("start flow.yml --name demo --detach").expect_code(0);
    let node = bench.process(" ticker");
    // Both units are restarted, one after the other.
    coordinator.signal(Signal::TERM);
    coordinator.finish().expect_code(0);
    let coordinator = bench.dora(["coordinator"]);
    coordinator.await_text("Listening on port 6013");
    daemon.signal(Signal::TERM);
    daemon.finish().expect_code(0);
    let daemon = bench.dora(["daemon"]);
    daemon.await_text("serves the coordinator at 127.0.0.1:6013");
    assert_eq!(bench.process(" ticker"), node);
    bench.run("stop demo").expect_code(0);
    assert!(!marked_processes(bench.mark()).contains_key(&node.as_raw_nonzero().get()));
    for service in [daemon, coordinator] {
        service.signal(Signal::TERM);
        service.finish().expect_code(0);
    }
    await_gone(bench.mark(), PATIENCE);
}

/// Where systemd is installed, it reads the units without a complaint.
#[test]
fn systemd_understands_the_units_of_the_guide() {
    let bench = Workbench::new();
    let units = units(&bench);
    assert_eq!(units.len(), 2);
    let paths: Vec<_> = units.iter().map(|(name, text)| bench.write(name, text)).collect();
    match Command::new("systemd-analyze").arg("verify").args(paths).output() {
        Ok(verified) => {
            let told = String::from_utf8_lossy(&verified.stderr);
            assert!(verified.status.success() && !told.contains("dora-"), "{told}");
        }
        Err(absent) => assert_eq!(absent.kind(), std::io::ErrorKind::NotFound),
    }
}
