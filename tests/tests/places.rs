//! Which coordinator a command means, and what it says when that one does not answer: because it hangs, because its
//! directory is gone, because the port is that of somebody else.

use std::{fs, path::Path};

use dora_tests::{Cluster, Finished, Running, Workbench, expect_in, free_port, halt, marked_processes};
use rustix::process::{Signal, kill_process};

/// The same with a variable.
fn dora_with(bench: &Workbench, name: &str, value: impl AsRef<std::ffi::OsStr>, line: &str) -> Finished {
    let mut command = bench.command(line.split_whitespace());
    command.env(name, value);
    Running::start(command).finish()
}

#[test]
fn a_relative_home_is_one_place_for_commands_and_for_what_they_start() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let dora = |line| dora_with(&bench, "DORA_HOME", "here", line);
    dora("up").expect_code(0);
    expect_in(&dora("status").expect_code(0).stdout, &["Coordinator: Running", "Daemon: Running"]);
    assert!(bench.path().join("here/coordinators/6013/socket").exists());
    assert!(!bench.path().join("here/here").exists());
    dora("down").expect_code(0);
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn a_coordinator_that_hangs_is_told_with_its_process_and_what_to_do() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    let coordinator = cluster.process("coordinator");
    halt(coordinator);
    for line in ["list", "up", "down"] {
        let hung = bench.run(line).expect_code(1);
        let who = format!("(process {coordinator}) does not answer: no answer within 2s");
        expect_in(&hung.stderr, &[&who, &format!("`kill -CONT {coordinator}` lets it go on")]);
    }
    let doctor = bench.run("doctor").expect_code(0);
    expect_in(&doctor.stdout, &["warning  port 6013: ", "does not answer", "what to do: the process is stopped"]);
    kill_process(coordinator, Signal::CONT).expect("it runs");
    bench.run("list").expect_code(0);
    cluster.down();
}

#[test]
fn processes_whose_directory_is_gone_are_found_and_ended() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    let processes = ["coordinator", "daemon"].map(|verb| format!("process {}", cluster.process(verb)));
    fs::remove_dir_all(bench.home()).expect("our own directory");
    let list = bench.run("list").expect_code(1);
    expect_in(&list.stderr, &[&processes[0], "was removed", "`dora down --force` ends what is left of it"]);
    let up = bench.run("up").expect_code(1);
    expect_in(&up.stderr, &[&processes[0], "its directory was removed", "`dora down --force`"]);
    let down = bench.run("down").expect_code(1);
    expect_in(&down.stderr, &[&processes[0], &processes[1], "the directories were removed"]);
    let doctor = bench.run("doctor");
    expect_in(&doctor.stdout, &[&format!("  {}: ", processes[0]), "no command reaches it"]);
    let down = bench.run("down --force").expect_code(0);
    expect_in(&down.stdout, &["ended: ", &processes[0], &processes[1]]);
    assert_eq!(marked_processes(bench.mark()), [].into());
    bench.run("up").expect_code(0);
    cluster.down();
}

#[test]
fn a_port_of_another_home_is_told_with_what_is_needed() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let (port, elsewhere) = (free_port(), bench.path().join("elsewhere"));
    let up = bench.run(&format!("up --interface 127.0.0.1 --port {port}")).expect_code(0);
    let dora_there = |line: &str| dora_with(&bench, "DORA_HOME", &elsewhere, line);
    let named = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("status --coordinator-addr {host}:{port}"));
    let own = format!("DORA_HOME={}", bench.home().display());
    for line in &named {
        let unknown = dora_there(line).expect_code(1);
        expect_in(&unknown.stderr, &["(dora coordinator ", &format!("--port={port}"), "listens on that port"]);
        expect_in(&unknown.stderr, &[&own, "`dora context add` line, with fingerprint and token"]);
    }
    let invitation = up.stdout.lines().map(str::trim).find(|line| line.starts_with("dora context add "));
    dora_there(invitation.expect("it is on the network").trim_start_matches("dora ")).expect_code(0);
    for line in &named {
        dora_there(line).expect_code(0);
    }
}

#[test]
fn up_starts_the_coordinator_that_all_commands_mean() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let address = |host: &str, line| dora_with(&bench, "DORA_COORDINATOR_ADDR", host, line);
    let elsewhere = address("192.0.2.7", "up").expect_code(2);
    expect_in(&elsewhere.stderr, &["192.0.2.7:6013 is not this host", "DORA_COORDINATOR_ADDR"]);
    assert!(!bench.home().exists(), "nothing was begun");
    address("127.0.0.1:7001", "up").expect_code(0);
    assert!(bench.home().join("coordinators/7001/socket").exists());
    address("localhost:7001", "list").expect_code(0);
    address("127.0.0.1:7001", "down").expect_code(0);
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn what_has_no_effect_is_said() {
    let bench = Workbench::new();
    let cluster = Cluster::guard(&bench);
    let up = bench.run("up --insecure").expect_code(0);
    expect_in(&up.stderr, &["note: `--insecure` has no effect without `--interface`"]);
    bench.run("context add far --coordinator-addr 192.0.2.7 --insecure --use").expect_code(0);
    let up = bench.run("up").expect_code(0);
    expect_in(&up.stderr, &["note: commands mean the coordinator of context `far`"]);
    bench.run("context use local").expect_code(0);
    cluster.down();
}

#[test]
fn two_that_go_down_at_once_both_end_well() {
    let bench = Workbench::new();
    for _ in 0..3 {
        let _cluster = Cluster::up(&bench);
        let both = [bench.dora(["down"]), bench.dora(["down"])];
        for down in both {
            down.finish().expect_code(0);
        }
        assert_eq!(marked_processes(bench.mark()), [].into());
    }
}

#[test]
fn a_home_that_is_a_link_is_the_same_home() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let (real, link) = (bench.path().join("real"), bench.path().join("link"));
    fs::create_dir(&real).expect("our own directory");
    std::os::unix::fs::symlink(&real, &link).expect("our own link");
    let in_home = |home: &Path, line| dora_with(&bench, "DORA_HOME", home, line);
    in_home(&link, "up").expect_code(0);
    in_home(&real, "list").expect_code(0);
    fs::remove_dir_all(real.join("coordinators")).expect("our own directory");
    expect_in(&in_home(&link, "list").expect_code(1).stderr, &["was removed"]);
    in_home(&link, "down --force").expect_code(0);
    assert_eq!(marked_processes(bench.mark()), [].into());
}
