//! Dataflows on a coordinator: started, listed, watched, stopped, started again, forgotten; by name and by id, by several
//! clients, and by clients that die.

use std::process::Stdio;

use dora_tests::{Cluster, Running, Workbench, eventually, expect_in, marked_processes};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A node that sends at each tick, and one that tells what it receives.
const FLOW: &str = "\
nodes:
  - id: ticker
    path: {node}
    args: ticker
    inputs: { tick: dora/timer/millis/20 }
    outputs: [data]
  - id: sink
    path: {node}
    args: tell
    inputs: { data: ticker/data }
";

/// Starts `a.yml` with this name; its id.
#[track_caller]
fn start(bench: &Workbench, name: &str) -> String {
    let run = bench.run(&format!("start a.yml --detach --name {name}")).expect_code(0);
    let id = run.stdout.lines().find_map(|line| line.strip_prefix("dataflow started: ")).expect("an id");
    assert_eq!(run.stdout, format!("dataflow start triggered: {id}\ndataflow started: {id}\n"));
    id.to_owned()
}

/// The list, for programs.
fn list(bench: &Workbench, flags: &str) -> Vec<Value> {
    let run = bench.run(&format!("list --format json {flags}")).expect_code(0);
    run.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_dataflow_lives_under_its_name_and_its_id() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    let id = start(&bench, "rig");
    let known = list(&bench, "");
    let expected = json!({ "uuid": id, "name": "rig", "status": "Running", "nodes": 2 });
    expected.as_object().expect("an object").iter().for_each(|(key, value)| assert_eq!(&known[0][key], value));
    assert_eq!(bench.run("ps -q").expect_code(0).stdout, format!("{id}\n"));
    expect_in(&bench.run("list").expect_code(0).stdout, &["UUID", "Memory", "rig", "Running"]);
    let watched = bench.dora(["logs", "rig", "--follow", "-n", "sink"]);
    watched.await_text("sink: data = ");
    let stopped = bench.run("stop rig").expect_code(0);
    assert_eq!(stopped.stdout, format!("dataflow {id} has been stopped\n"));
    let watched = watched.finish().expect_code(0);
    expect_in(&watched.stdout, &["sink: stopped: Manual"]);
    assert!(!watched.stdout.contains("ticker:"), "{}", watched.stdout);
    for name in ["rig", id.as_str()] {
        let logs = bench.run(&format!("logs {name} --grep tick")).expect_code(0);
        expect_in(&logs.stdout, &["ticker: tick 1\n"]);
        assert!(!logs.stdout.contains("sink:"), "{}", logs.stdout);
    }
    assert_eq!(bench.run("logs rig ticker --tail 1").expect_code(0).stdout.lines().count(), 1);
    assert_eq!(list(&bench, "--status finished")[0]["status"], "Finished");
    assert_eq!(list(&bench, "--status running"), Vec::<Value>::new());
}

#[test]
fn a_start_that_waits_for_ever_says_for_whom() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.script("mute.sh", "while :; do sleep 1000; done");
    bench.dataflow("a.yml", &format!("{FLOW}  - {{ id: mute, path: mute.sh }}\n"));
    let run = bench.run("start a.yml --detach --name rig").expect_code(0);
    expect_in(&run.stdout, &["dataflow start triggered: ", "dataflow started: "]);
    expect_in(&run.stderr, &["note: ", "`mute`"]);
    bench.run("stop rig --force");
}

#[test]
fn who_is_meant_is_said_or_asked_back() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    let none = bench.run("stop").expect_code(1);
    expect_in(&none.stderr, &["dora start FILE"]);
    start(&bench, "camera");
    let near = bench.run("stop camra").expect_code(1);
    expect_in(&near.stderr, &["there is no dataflow `camra`; did you mean `camera`?", "`dora list`"]);
    let node = bench.run("node info tickr").expect_code(1);
    expect_in(&node.stderr, &["no node `tickr`; did you mean `ticker`?"]);
    let node = bench.run("logs camera -n tickr").expect_code(1);
    expect_in(&node.stderr, &["no node `tickr`", "ticker"]);
    start(&bench, "second");
    let both = bench.run("stop").expect_code(1);
    expect_in(&both.stderr, &["2 dataflows run", "camera", "second"]);
    let all = bench.run("stop --all").expect_code(0);
    assert_eq!(all.stdout.matches("has been stopped").count(), 2);
    bench.run("stop camera").expect_code(0);
}

#[test]
fn of_two_that_race_for_a_name_one_gets_it() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    let both = [(); 2].map(|()| bench.dora(["start", "a.yml", "--detach", "-n", "rig"])).map(Running::finish);
    let mut codes = both.each_ref().map(|run| run.code);
    codes.sort();
    assert_eq!(codes, [Some(0), Some(1)], "{both:?}");
    let loser = both.iter().find(|run| run.code == Some(1)).expect("one of them");
    expect_in(&loser.stderr, &["is running under the name `rig`", "`--name` gives this one another name"]);
    assert_eq!(list(&bench, "").len(), 1);
}

#[test]
fn a_restart_is_a_new_run_of_the_same() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    let first = start(&bench, "rig");
    // The file is not read again.
    bench.write("a.yml", "nodes: 3");
    let run = bench.run("restart rig").expect_code(0);
    let second = run.stdout.lines().find_map(|line| line.strip_prefix("dataflow started: ")).expect("an id");
    assert_ne!(second, first);
    let known = list(&bench, "");
    let of = |id: &str| known.iter().find(|dataflow| dataflow["uuid"] == id).expect("both").clone();
    assert_eq!([&of(&first)["status"], &of(second)["status"]], ["Finished", "Running"]);
    assert_eq!(of(second)["name"], "rig");
    bench.run("stop rig").expect_code(0);
    bench.run("restart rig").expect_code(0);
    assert_eq!(list(&bench, "--status running").len(), 1);
}

#[test]
fn what_is_wrong_is_told_with_the_line_of_the_users_file() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.write("a.yml", "nodes:\n  - id: a\n    path: ./missing\n");
    let run = bench.run("start a.yml --detach").expect_code(1);
    expect_in(&run.stderr, &["a.yml:3:", "the program `./missing` does not exist"]);
    assert_eq!(list(&bench, "")[0]["status"], "Failed");
    bench.write("a.yml", "nodes:\n  - id: a\n    pth: ./missing\n");
    let run = bench.run("start a.yml --detach").expect_code(1);
    expect_in(&run.stderr, &["pth", "path"]);
    assert_eq!(list(&bench, "").len(), 1, "what is wrong with the file is found before anything is sent");
}

#[test]
fn a_failed_node_is_told_by_who_stops_it() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    let text = format!("{FLOW}  - {{ id: bad, path: {{node}}, args: fail 3 }}\n");
    bench.dataflow("a.yml", &text);
    start(&bench, "rig");
    let stopped = bench.run("stop rig").expect_code(1);
    expect_in(&stopped.stderr, &["node `bad` exited with code 3", "`dora logs "]);
    assert_eq!(list(&bench, "--status failed").len(), 1);
}

#[test]
fn clients_that_die_leave_the_dataflow_as_it_is() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    // It never connects, so that the start never ends; it ignores SIGTERM, so that the stop takes its time.
    bench.script("never.sh", "trap '' TERM; echo waiting; while :; do sleep 0.1; done");
    let text = format!(
        "{FLOW}  - {{ id: never, path: never.sh, outputs: [x] }}\n  - {{ id: last, path: {{node}}, args: tell, inputs: {{ x: never/x }} }}\n"
    );
    bench.dataflow("a.yml", &text);
    let starting = bench.dora(["start", "a.yml", "--detach", "--name", "rig"]);
    starting.await_text("dataflow start triggered");
    let follower = bench.dora(["logs", "rig", "--follow"]);
    follower.await_text("never: waiting");
    kill(&follower);
    kill(&starting);
    assert_eq!(list(&bench, "--status running").len(), 1);
    let stopping = bench.dora(["stop", "rig", "--grace-duration", "1h"]);
    await_status(&bench, "Stopping");
    kill(&stopping);
    assert_eq!(list(&bench, "")[0]["status"], "Stopping");
    bench.run("stop rig --force");
    assert!(matches!(list(&bench, "")[0]["status"].as_str(), Some("Failed" | "Finished")));
    cluster.down();
    assert_eq!(marked_processes(bench.mark()), [].into());
}

#[track_caller]
fn kill(running: &Running) {
    running.signal(Signal::KILL);
}

/// Asks until the only dataflow has this status.
#[track_caller]
fn await_status(bench: &Workbench, status: &str) {
    eventually(status, || list(bench, "")[0]["status"] == status);
}

#[test]
fn a_slow_reader_of_lines_delays_nobody() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    // More than all queues between it and a reader hold together.
    bench.script(
        "chatter.sh",
        "seq -f 'line %.0f and some words more' 100000; while :; do echo still here; sleep 0.1; done",
    );
    bench.write("a.yml", "nodes:\n  - { id: chatter, path: chatter.sh }\n");
    // The chatter never connects, so this goes on.
    let starting = bench.dora(["start", "a.yml", "--detach", "--name", "rig"]);
    starting.await_text("triggered");
    // Nobody reads its lines: it is blocked as soon as the pipe is full.
    let mut reader = bench.command(["logs", "rig", "--follow", "-n", "chatter"]);
    let mut reader = reader.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("a reader");
    let other = bench.dora(["logs", "rig", "--follow", "-n", "chatter", "--grep", "still here"]);
    other.await_count("chatter: still here", 2);
    assert_eq!(list(&bench, "--status running").len(), 1);
    // Perhaps too busy with lines to give a sign of life in time, but not held up.
    eventually("its daemon is there", || bench.run("status").expect_code(0).stdout.contains("Daemon: Running"));
    kill_process(Pid::from_child(&reader), Signal::KILL).expect("our reader");
    reader.wait().expect("ended");
    bench.run("stop rig --force");
    other.finish().expect_code(0);
    starting.finish();
}

#[test]
fn nodes_are_shown_stopped_and_started_again_one_by_one() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    start(&bench, "rig");
    let nodes = bench.run("node list --format json").expect_code(0).stdout;
    let nodes: Vec<Value> = nodes.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(nodes.len() == 2 && nodes.iter().all(|node| node["status"] == "Running"), "{nodes:?}");
    assert!(nodes[0]["pid"].as_str().is_some_and(|pid| pid.parse::<u32>().is_ok()), "{nodes:?}");
    assert_eq!(nodes[0]["dataflow"], "rig");
    let info = bench.run("node info ticker --format json").expect_code(0).stdout;
    let info: Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!(info["outputs"][0], json!({ "id": "data", "subscribers": ["sink/data"] }));
    assert_eq!(info["inputs"][0]["source"], "dora/timer/millis/20");
    let topics = bench.run("topic list").expect_code(0).stdout;
    expect_in(&topics, &["ticker  data  sink/data"]);
    let watched = bench.dora(["logs", "rig", "-f"]);
    watched.await_text("sink: data = ");
    let restarted = bench.run("node restart ticker").expect_code(0);
    assert_eq!(restarted.stdout, "Node `ticker` restart initiated\n");
    watched.await_text("sink: restarted: ticker");
    bench.run("node stop ticker").expect_code(0);
    watched.await_text("sink: closed: data");
    watched.finish().expect_code(0);
    assert_eq!(list(&bench, "")[0]["status"], "Finished");
}

#[test]
fn messages_are_looked_at_and_sent() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    start(&bench, "rig");
    let echo = bench.run("topic echo ticker/data --count 2 --format json").expect_code(0).stdout;
    let seen: Vec<Value> = echo.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let number = |message: &Value| message["data"][0].as_u64().expect("a number");
    assert_eq!((seen.len(), seen[0]["name"].as_str()), (2, Some("ticker/data")));
    assert!(number(&seen[1]) > number(&seen[0]), "{echo}");
    let hz = bench.run("topic hz --duration 500ms").expect_code(0).stdout;
    expect_in(&hz, &["topic\tavg_ms\tavg_hz\tmin_ms\tmax_ms\tstd_ms\tsamples\n", "ticker/data\t", "ALL\t"]);
    let info = bench.run("topic info ticker/data --duration 500ms").expect_code(0).stdout;
    expect_in(&info, &["Topic: ticker/data", "  sink/data", "Total messages: "]);
    assert!(!info.contains("Total messages: 0\n"), "{info}");
    let unknown = bench.run("topic echo ticker/dat").expect_code(1);
    expect_in(&unknown.stderr, &["node `ticker` has no output `dat`"]);
    let watched = bench.dora(["logs", "rig", "--follow", "-n", "sink"]);
    let message = r#"{"data":[123456789],"data_type":"UInt64"}"#;
    let sent = bench.dora(["topic", "pub", "ticker/data", message]).finish().expect_code(0);
    assert_eq!(sent.stdout, "Published to ticker/data\n");
    watched.await_text("sink: data = 123456789");
    let top: Value = serde_json::from_str(&bench.run("top --once").expect_code(0).stdout).expect("JSON");
    assert_eq!((&top[1]["node_id"], &top[1]["metrics"]["status"]), (&json!("sink"), &json!("Running")));
    assert!(top[1]["metrics"]["memory_mb"].as_f64().is_some_and(|memory| memory > 0.1), "{top}");
    assert!(top[1]["edges"][0]["received"].as_u64().is_some_and(|received| received > 0), "{top}");
    bench.run("stop rig").expect_code(0);
    watched.finish().expect_code(0);
}

/// One sends messages of a megabyte until the queue is full, the other never takes one.
const FULL: &str = "\
nodes:
  - { id: flood, path: '{node}', args: flood 1000000, outputs: [data] }
  - id: stuck
    path: {node}
    args: stuck
    inputs: { in: { source: flood/data, queue_size: 4, queue_policy: backpressure } }
";

#[test]
fn what_messages_take_is_shown_with_who_sent_them() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FULL);
    let attached = bench.dora(["start", "a.yml", "--attach", "--name", "rig"]);
    attached.await_text("flood: flooding");
    let top: Value = serde_json::from_str(&bench.run("top --once").expect_code(0).stdout).expect("JSON");
    let shared = |node: usize| top[node]["metrics"]["shared_memory_mb"].as_f64();
    assert!(shared(0).is_some_and(|shared| (1.0..8.0).contains(&shared)), "at most four are queued: {top}");
    assert_eq!(shared(1), Some(0.0), "it sends nothing: {top}");
    bench.run("stop rig --force");
    attached.finish();
}

#[test]
fn who_stays_attached_sees_everything_and_ctrl_c_stops_it() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    let attached = bench.dora(["start", "a.yml", "--attach", "--name", "rig"]);
    let run = attached.interrupt_at("sink: data = 3");
    expect_in(&run.stdout, &["dataflow start triggered: ", "ticker: tick 1", "sink: stopped: Manual"]);
    assert_eq!(list(&bench, "")[0]["status"], "Finished");
}

#[test]
fn files_travel_with_a_copied_dataflow() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    std::fs::create_dir_all(bench.path().join("data/deep")).expect("our own directory");
    bench.write("data/deep/words.txt", "hello from afar\n");
    bench.script("say.sh", "cat data/deep/words.txt; cat \"$1\"; pwd");
    bench.write("more.txt", "and more\n");
    bench.write("a.yml", "nodes:\n  - { id: say, path: say.sh, args: more.txt, env: { DATA: data } }\n");
    bench.run("start a.yml --copy --name first --detach").expect_code(0);
    let logs = bench.run("logs first --follow").expect_code(0).stdout;
    expect_in(&logs, &["say: hello from afar", "say: and more"]);
    let place = bench.home().join("work");
    expect_in(&logs, &[&*place.to_string_lossy()]);
    // What has changed is sent anew, and the copy of the first run is its own.
    bench.write("more.txt", "and other\n");
    bench.run("start a.yml --copy --name second --detach").expect_code(0);
    expect_in(&bench.run("logs second --follow").expect_code(0).stdout, &["say: and other"]);
    let kept = std::fs::read_dir(bench.home().join("artifacts")).expect("artifacts").count();
    assert!(kept >= 4, "three files, one of them twice: {kept}");
}

#[test]
fn what_has_ended_is_forgotten_when_asked() {
    let bench = Workbench::new();
    let _cluster = Cluster::up(&bench);
    bench.dataflow("a.yml", FLOW);
    start(&bench, "old");
    bench.run("stop old").expect_code(0);
    start(&bench, "new");
    let cleaned = bench.run("clean").expect_code(0);
    expect_in(&cleaned.stdout, &["UUID", "old", "Finished"]);
    expect_in(&cleaned.stderr, &["Cleaned 1 dataflow(s)."]);
    assert_eq!(list(&bench, "").iter().map(|dataflow| dataflow["name"].clone()).collect::<Vec<_>>(), ["new"]);
    expect_in(&bench.run("logs old").expect_code(1).stderr, &["there is no dataflow `old`"]);
    expect_in(&bench.run("clean").expect_code(0).stderr, &["Cleaned 0 dataflow(s)."]);
    bench.run("stop").expect_code(0);
}

#[test]
fn without_a_coordinator_every_verb_says_what_to_do() {
    let bench = Workbench::new();
    bench.dataflow("a.yml", FLOW);
    let lines = ["start a.yml", "stop", "restart", "list", "logs", "clean", "node list", "topic list", "top --once"];
    for line in lines {
        let run = bench.run(line).expect_code(1);
        expect_in(&run.stderr, &["no coordinator runs on this host with port 6013", "`dora up` starts one"]);
    }
}
