//! `dora up`, `dora down`, `dora status`: coordinator and daemon in the background, however often, and what goes wrong.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    path::Path,
    thread,
    time::Duration,
};

use dora_tests::{
    Cluster, Finished, PATIENCE, Running, Workbench, await_end, await_gone, eventually, expect_in, free_port,
    marked_processes,
};
use rustix::process::{Pid, Signal};

/// The same in another home.
fn dora_in(bench: &Workbench, home: &Path, line: &str) -> Finished {
    let mut command = bench.command(line.split_whitespace());
    command.env("DORA_HOME", home);
    Running::start(command).finish()
}

/// Starts a dataflow that runs until it is stopped, as `demo`; the process of its node.
#[track_caller]
fn start_ticking(bench: &Workbench) -> Pid {
    let ticks =
        "nodes: [{ id: node, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/5 }, outputs: [data] }]\n";
    bench.dataflow("flow.yml", ticks);
    let start = bench.run("start flow.yml --name demo").expect_code(0);
    expect_in(&start.stdout, &["dataflow started"]);
    bench.process(" ticker")
}

#[test]
fn up_returns_when_both_are_ready_and_down_when_both_are_gone() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let up = bench.run("up --machine-id robot --labels arm=left,gpu=yes").expect_code(0);
    assert_eq!(up.stdout, "started dora coordinator\nstarted dora daemon\n");
    let status = bench.run("status").expect_code(0);
    expect_in(
        &status.stdout,
        &["Coordinator: Running", "127.0.0.1:6013", "Daemon: Running", "robot", "arm=left,gpu=yes"],
    );
    expect_in(&status.stdout, &["Active dataflows: 0"]);
    let json = bench.run("system status --format json").expect_code(0);
    expect_in(
        &json.stdout,
        &[r#""coordinator":{"status":"running","address":"127.0.0.1:6013"}"#, r#""active_dataflows":0"#],
    );
    let down = bench.run("down").expect_code(0);
    expect_in(
        &down.stdout,
        &["Destroying coordinator at 127.0.0.1:6013\n", "Coordinator and daemons destroyed successfully\n"],
    );
    assert_eq!(marked_processes(bench.mark()), [].into());
    let again = bench.run("destroy").expect_code(0);
    expect_in(&again.stdout, &["nothing to do"]);
    let status = bench.run("check").expect_code(1);
    expect_in(&status.stdout, &["Coordinator: Not reached"]);
    expect_in(&status.stderr, &["no coordinator runs on this host with port 6013", "`dora up` starts one"]);
}

#[test]
fn up_again_starts_only_what_is_missing() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    let coordinator = cluster.process("coordinator");
    let again = bench.run("up").expect_code(0);
    expect_in(
        &again.stdout,
        &[&format!("dora coordinator runs already: process {coordinator}"), "dora daemon runs already"],
    );
    cluster.kill("daemon");
    let again = bench.run("up").expect_code(0);
    expect_in(&again.stdout, &["dora coordinator runs already", "started dora daemon"]);
    cluster.kill("coordinator");
    let again = bench.run("up").expect_code(0);
    expect_in(&again.stdout, &["started dora coordinator", "dora daemon runs already"]);
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn two_that_go_up_at_once_are_one() {
    let bench = Workbench::new();
    let cluster = Cluster::guard(&bench);
    let both = [bench.dora(["up"]), bench.dora(["up"])].map(|up| up.finish().expect_code(0).stdout);
    for what in
        ["started dora coordinator", "dora coordinator runs already", "started dora daemon", "dora daemon runs already"]
    {
        assert_eq!(both.iter().filter(|stdout| stdout.contains(what)).count(), 1, "{what}: {both:?}");
    }
    cluster.down();
}

#[test]
fn coordinators_with_other_ports_and_other_homes_do_not_disturb_each_other() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    let other_home = bench.path().join("other");
    bench.run("up --port 7000 --machine-id second").expect_code(0);
    dora_in(&bench, &other_home, "up --machine-id third").expect_code(0);
    expect_in(&bench.run("status --coordinator-port 7000").expect_code(0).stdout, &["second", "127.0.0.1:7000"]);
    expect_in(&bench.run("status --coordinator-addr localhost:7000").expect_code(0).stdout, &["second"]);
    expect_in(&dora_in(&bench, &other_home, "status").expect_code(0).stdout, &["third"]);
    bench.run("down").expect_code(0);
    bench.run("status").expect_code(1);
    expect_in(&bench.run("status --coordinator-port 7000").expect_code(0).stdout, &["second"]);
    expect_in(&dora_in(&bench, &other_home, "status").expect_code(0).stdout, &["third"]);
    bench.run("down --coordinator-port 7000").expect_code(0);
    dora_in(&bench, &other_home, "down").expect_code(0);
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn a_second_coordinator_or_daemon_in_the_same_place_is_refused_by_name() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    let second = bench.run("coordinator").expect_code(1);
    let coordinator = cluster.process("coordinator");
    expect_in(
        &second.stderr,
        &[&format!("a coordinator with port 6013 runs already: process {coordinator}"), "--port"],
    );
    let second = bench.run("daemon").expect_code(1);
    expect_in(&second.stderr, &[&format!("runs already: process {}", cluster.process("daemon")), "--machine-id"]);
    let up = bench.run("up --interface 127.0.0.1").expect_code(1);
    expect_in(&up.stderr, &["does not listen as asked for", "`dora down` ends it"]);
    cluster.down();
}

/// Not on a terminal, so nobody is asked.
#[test]
fn down_refuses_while_dataflows_run_unless_it_is_forced() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", "nodes:\n  - { id: beat, path: \"{node}\", args: ticker 1000000, inputs: { tick: dora/timer/millis/10 }, outputs: [ticks] }\n");
    bench.run("start a.yml --name pulse --detach").expect_code(0);
    let refused = bench.run("down").expect_code(1);
    expect_in(&refused.stderr, &["1 dataflow is running", "running: pulse", "`--force`"]);
    expect_in(&bench.run("status").expect_code(0).stdout, &["Active dataflows: 1", "pulse"]);
    let forced = bench.run("down --force").expect_code(0);
    expect_in(&forced.stdout, &["Coordinator and daemons destroyed successfully"]);
    assert_eq!(marked_processes(bench.mark()), [].into());
    bench.run("up").expect_code(0);
    expect_in(&bench.run("status").expect_code(0).stdout, &["Active dataflows: 0"]);
    expect_in(&bench.run("list").expect_code(0).stdout, &["pulse"]);
    bench.run("down").expect_code(0);
}

/// It lets its node end first: `dora up` does not take it for one that stays.
#[test]
fn what_is_just_ending_is_waited_for_and_started_anew() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.script(
        "slow.sh",
        "trap 'until [ -e enough ]; do sleep 0.02; done; exit 0' TERM; echo working; while :; do sleep 0.1; done",
    );
    bench.write("a.yml", "nodes: [{ id: slow, path: slow.sh }]\n");
    let starting = bench.dora(["start", "a.yml", "--attach", "--name", "rig"]);
    starting.await_text("slow: working");
    let before = cluster.process("daemon");
    rustix::process::kill_process(before, Signal::INT).expect("it runs");
    let instance = bench.home().join("daemons/6013");
    let told = || {
        fs::read_dir(&instance)
            .expect("a directory")
            .flatten()
            .any(|machine| fs::read_to_string(machine.path().join("instance")).is_ok_and(|text| text == "\"ending\""))
    };
    eventually("it says that it ends", told);
    let up = bench.dora(["up"]);
    up.await_text(&format!("note: process {before} is just ending; another one is started when it has"));
    bench.write("enough", "");
    let up = up.finish().expect_code(0);
    expect_in(&up.stdout, &["dora coordinator runs already", "started dora daemon"]);
    assert_ne!(cluster.process("daemon"), before);
    starting.finish();
    let (down, up) = (bench.dora(["down"]), bench.dora(["up"]));
    down.finish().expect_code(0);
    up.finish().expect_code(0);
    bench.run("down").expect_code(0);
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn a_daemon_whose_coordinator_is_gone_is_ended_too() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    cluster.kill("coordinator");
    let list = bench.run("list").expect_code(1);
    let daemon = format!("but a daemon does (process {})", cluster.process("daemon"));
    expect_in(&list.stderr, &["no coordinator runs on this host with port 6013", &daemon, "`dora up` starts one"]);
    let down = bench.run("down").expect_code(0);
    expect_in(&down.stdout, &["no coordinator at 127.0.0.1:6013; 1 daemon ended"]);
    assert_eq!(marked_processes(bench.mark()), [].into());
}

/// It is killed while a dataflow runs: the same process runs on, and the next coordinator ends it when it is asked to.
#[test]
fn a_coordinator_that_was_killed_takes_up_what_runs() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    let node = start_ticking(&bench);
    cluster.kill("coordinator");
    bench.run("up").expect_code(0);
    assert_eq!(bench.process(" ticker"), node);
    // The stop waits until the daemon has registered again.
    bench.run("stop demo --force").expect_code(0);
    assert_eq!(bench.run("list --status running --quiet").expect_code(0).stdout, "");
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

/// What it ran is unknown to the new store, so the daemon is told to stop it: nothing runs unseen.
#[test]
fn a_new_store_gets_the_daemon_that_lives() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    let node = start_ticking(&bench);
    cluster.kill("coordinator");
    let up = bench.run("up --recreate-store").expect_code(0);
    expect_in(&up.stdout, &["the store of before is ", "started dora coordinator", "dora daemon runs already"]);
    await_end(node);
    assert_eq!(bench.run("list --quiet").expect_code(0).stdout, "");
    bench.run("start flow.yml --name demo").expect_code(0);
    bench.run("stop demo").expect_code(0);
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[test]
fn an_up_that_was_killed_is_no_hindrance_to_the_next() {
    let bench = Workbench::new();
    let cluster = Cluster::guard(&bench);
    for millis in [2, 5, 10, 20, 40] {
        let killed = bench.dora(["up"]);
        thread::sleep(Duration::from_millis(millis));
        killed.signal(Signal::KILL);
        killed.finish();
        bench.run("up").expect_code(0);
        expect_in(&bench.run("status").expect_code(0).stdout, &["Coordinator: Running", "Daemon: Running"]);
        cluster.down();
    }
    assert_eq!(marked_processes(bench.mark()), [].into());
}

/// What is asked right after its return finds everything in its place.
#[test]
fn up_waits_until_a_daemon_that_lives_has_registered() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    start_ticking(&bench);
    for _ in 0..3 {
        cluster.kill("coordinator");
        bench.run("up").expect_code(0);
        expect_in(&bench.run("node list --dataflow demo").expect_code(0).stdout, &["Running"]);
        bench.run("logs demo").expect_code(0);
    }
    // A daemon that is gone is not taken for one that is there.
    cluster.kill("daemon");
    let start = bench.run("start flow.yml --name second").expect_code(1);
    expect_in(&start.stderr, &["no sign of life"]);
    let logs = bench.run("logs demo").expect_code(1);
    expect_in(&logs.stderr, &["lines of machine", "are missing here"]);
    bench.run("down --force").expect_code(0);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_store_that_is_none_is_told_and_can_be_put_aside() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    cluster.down();
    let directory = bench.home().join("coordinators/6013");
    fs::write(directory.join("store.redb"), "this is no store").expect("our own file");
    let up = bench.run("up").expect_code(1);
    expect_in(&up.stderr, &["`dora coordinator` ended before it was ready", "store.redb", "--recreate-store", "/log"]);
    let up = bench.run("up --recreate-store").expect_code(0);
    expect_in(&up.stdout, &["the store of before is ", "started dora coordinator"]);
    let kept = fs::read_dir(&directory)
        .expect("a directory")
        .flatten()
        .filter(|entry| fs::read(entry.path()).is_ok_and(|content| content == b"this is no store"));
    assert_eq!(kept.count(), 1);
    let running = bench.run("up --recreate-store").expect_code(1);
    expect_in(&running.stderr, &["runs already", "the store that is to be put aside"]);
    cluster.down();
}

#[test]
fn a_home_that_cannot_be_written_is_told_with_what_to_do() {
    let bench = Workbench::new();
    let up = dora_in(&bench, Path::new("/proc/nothing"), "up").expect_code(1);
    expect_in(&up.stderr, &["/proc/nothing/coordinators/6013", "set DORA_HOME to a directory in which you may write"]);
    let mut command = bench.command(["up"]);
    command.env_remove("DORA_HOME").env_remove("HOME");
    let up = Running::start(command).finish().expect_code(1);
    expect_in(&up.stderr, &["neither DORA_HOME nor HOME is set", "set DORA_HOME"]);
    let long = bench.path().join("a".repeat(120));
    let up = dora_in(&bench, &long, "up").expect_code(1);
    expect_in(&up.stderr, &["set DORA_HOME to a shorter one"]);
}

#[test]
fn a_coordinator_in_the_foreground_ends_in_good_order() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let coordinator = bench.dora(["coordinator", "--store", "memory"]);
    coordinator.await_text("Listening on port 6013 of this host");
    bench.run("status").expect_code(0);
    coordinator.signal(Signal::TERM);
    coordinator.finish().expect_code(0);
    assert!(!bench.home().join("coordinators/6013/socket").exists());
    assert!(!bench.home().join("coordinators/6013/store.redb").exists());
}

#[test]
fn a_daemon_in_the_foreground_waits_for_its_coordinator_and_ends_in_good_order() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let daemon = bench.dora(["daemon", "--machine-id", "patient"]);
    let coordinator = bench.dora(["coordinator"]);
    daemon.await_text("Machine `patient` serves the coordinator at 127.0.0.1:6013");
    expect_in(&bench.run("status").expect_code(0).stdout, &["patient"]);
    daemon.signal(Signal::INT);
    daemon.finish().expect_code(0);
    bench.run("down").expect_code(0);
    coordinator.finish().expect_code(0);
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn nobody_there_is_told_with_address_reason_and_next_step() {
    let bench = Workbench::new();
    let port = free_port();
    for trust in ["--insecure", ""] {
        let status = bench.run(&format!("status --coordinator-addr 127.0.0.2:{port} {trust}")).expect_code(1);
        match trust {
            "" => expect_in(&status.stderr, &["no coordinator runs on this host", &format!("dora up --port {port}")]),
            _ => expect_in(
                &status.stderr,
                &[&format!("cannot reach the coordinator at 127.0.0.2:{port}: Connection refused"), "hint: "],
            ),
        }
    }
    let unknown = bench.run("status --coordinator-addr nobody.invalid").expect_code(1);
    expect_in(&unknown.stderr, &["cannot reach the coordinator at nobody.invalid:6013: ", "hint: look at address"]);
    let mut command = bench.command(["status"]);
    command.env("DORA_COORDINATOR_ADDR", format!("[::1]:{port}"));
    expect_in(&Running::start(command).finish().expect_code(1).stderr, &["no coordinator runs on this host"]);
}

#[test]
fn what_contradicts_itself_is_refused_before_anything_happens() {
    let bench = Workbench::new();
    let contradicting = bench.run("status --coordinator-addr a:1 --coordinator-port 2").expect_code(2);
    expect_in(&contradicting.stderr, &["names port 1", "name it once"]);
    bench.run("status --coordinator-addr ws://a").expect_code(2);
    bench.run("status --coordinator-addr a --context b").expect_code(2);
    let unknown = bench.run("status --context lab").expect_code(1);
    expect_in(&unknown.stderr, &["there is no context `lab`", "dora context add"]);
    assert!(!bench.home().exists());
}

/// A peer whose version is far from ours says so in a greeting whose bytes never change.
#[test]
fn versions_that_are_too_far_apart_are_both_named() {
    let bench = Workbench::new();
    let directory = bench.home().join("coordinators/6013");
    fs::create_dir_all(&directory).expect("our own directory");
    let listener = UnixListener::bind(directory.join("socket")).expect("a free path");
    let peer = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a caller");
        let mut head = [0; 7];
        socket.read_exact(&mut head).expect("a greeting");
        assert_eq!(head[..5], *b"DORA\x01");
        socket.write_all(b"DORA\x03\x07\x00\x01\x4d\x00\x02\x00no").expect("a caller that listens");
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let status = bench.run("status").expect_code(1);
    expect_in(
        &status.stderr,
        &["speaks version 77, this is version 1", "install the same version of dora on both sides"],
    );
    peer.join().expect("a good conversation");
}
