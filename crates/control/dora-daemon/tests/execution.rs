//! Whole runs of real processes, from the dataflow file to the outcome.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use dora_daemon::{Event, Execution, NodeResult, PrepareOptions, prepare};
use dora_gateways::{DataflowEvent, Outcome, Trouble};
use dora_message::supervision::ExitStatus;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

const HELPER: &str = env!("CARGO_BIN_EXE_dora-daemon-test-helper");
/// Longer than anything takes: it only ends tests that hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(text: &str) -> Execution {
    let loaded = dora_descriptor::parse("dataflow.yml", text, &dora_descriptor::Options::default()).unwrap();
    let mut prepared = prepare(&loaded.dataflow, Path::new("/"), &PrepareOptions::default()).unwrap();
    prepared.plan.nodes.iter_mut().for_each(|node| node.log.file = None);
    Execution::start(Path::new(HELPER), &prepared.plan).unwrap()
}

fn until(execution: &mut Execution, fits: impl Fn(&Event) -> bool) -> Event {
    loop {
        match execution.next_event(Some(PATIENCE)) {
            event if fits(&event) => return event,
            event @ (Event::Finished(_) | Event::TimedOut) => panic!("{event:?}"),
            _ => {}
        }
    }
}

fn until_line(execution: &mut Execution, expected: &str) {
    until(
        execution,
        |event| matches!(event, Event::Happened(DataflowEvent::Lines { lines, .. }) if lines.iter().any(|line| line == expected)),
    );
}

fn finish(mut execution: Execution) -> Outcome {
    loop {
        match execution.next_event(Some(PATIENCE)) {
            Event::Finished(outcome) => {
                assert!(matches!(execution.next_event(None), Event::TimedOut));
                return outcome;
            }
            Event::TimedOut => panic!("it does not end"),
            _ => {}
        }
    }
}

fn result<'a>(outcome: &'a Outcome, id: &str) -> &'a NodeResult {
    &outcome.nodes.iter().find(|node| node.node.as_str() == id).unwrap().result
}

fn witness(pid: u32) -> OwnedFd {
    pidfd_open(Pid::from_raw(pid as i32).unwrap(), PidfdFlags::empty()).unwrap()
}

fn assert_dies(process: &OwnedFd) {
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience)).unwrap(), 1, "it still lives");
}

#[test]
fn a_run_that_goes_well() {
    let outcome = finish(start("nodes: [{ id: a, path: sh, args: -c 'echo hello' }, { id: b, path: 'true' }]"));
    assert!(outcome.is_success());
    assert_eq!((outcome.nodes.len(), outcome.failures().count(), outcome.orphans_killed), (2, 0, 0));
}

#[test]
fn the_root_cause_comes_first() {
    let outcome = finish(start(
        "nodes: [{ id: victim, path: sleep, args: '1000' }, { id: cause, path: sh, args: -c 'echo broken >&2; exit 3' }]",
    ));
    let failures: Vec<_> = outcome.failures().collect();
    assert_eq!(failures[0].node.as_str(), "cause");
    assert_eq!(failures[0].result, NodeResult::Failed(ExitStatus::Code { code: 3 }));
    assert_eq!(failures[0].last_stderr, ["broken"]);
    assert!(failures[0].never_connected);
    assert!(
        matches!(&failures[1].result, NodeResult::Cascading { caused_by: Some(node), .. } if node.as_str() == "cause")
    );
    assert_eq!(failures[1].result.to_string(), "did not run because node `cause` failed");
}

#[test]
fn signals_have_names() {
    let outcome = finish(start("nodes: [{ id: a, path: sh, args: -c 'kill -SEGV $$' }]"));
    assert_eq!(result(&outcome, "a").to_string(), "was killed by SIGSEGV");
}

#[test]
fn a_program_that_vanished_after_the_check() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
    let text = format!("nodes: [{{ id: a, path: {} }}]", program.display());
    let loaded = dora_descriptor::parse("dataflow.yml", &text, &dora_descriptor::Options::default()).unwrap();
    let prepared = prepare(&loaded.dataflow, dir.path(), &PrepareOptions::default()).unwrap();
    fs::remove_file(&program).unwrap();
    let outcome = finish(Execution::start(Path::new(HELPER), &prepared.plan).unwrap());
    assert_eq!(*result(&outcome, "a"), NodeResult::NotStarted(format!("`{}` does not exist", program.display())));
}

#[test]
fn a_stop_from_another_thread() {
    let mut execution = start("nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }]");
    until_line(&mut execution, "up");
    let control = execution.control();
    std::thread::spawn(move || control.stop(Duration::from_secs(3600)));
    let outcome = finish(execution);
    assert!(outcome.is_success(), "{outcome:?}");
}

#[test]
fn a_node_that_does_not_stop() {
    let script = "nodes: [{ id: a, path: sh, args: \"-c 'trap : TERM; echo up; while :; do sleep 1000; done'\" }]";
    let mut execution = start(script);
    until_line(&mut execution, "up");
    execution.control().stop(Duration::from_millis(50));
    let outcome = finish(execution);
    assert_eq!(*result(&outcome, "a"), NodeResult::GraceExceeded);
    assert!(!outcome.is_success());
}

#[test]
fn kill_ends_it_at_once() {
    let mut execution = start("nodes: [{ id: a, path: sh, args: \"-c 'trap : TERM; echo up; sleep 1000'\" }]");
    until_line(&mut execution, "up");
    execution.control().kill();
    assert!(finish(execution).is_success());
}

#[test]
fn waking_and_timing_out() {
    let mut execution = start("nodes: [{ id: a, path: sleep, args: '1000' }]");
    until(&mut execution, |event| matches!(event, Event::Happened(DataflowEvent::Spawned { .. })));
    assert!(matches!(execution.next_event(Some(Duration::ZERO)), Event::TimedOut));
    let control = execution.control();
    std::thread::spawn(move || control.wake());
    assert!(matches!(execution.next_event(None), Event::Woken));
}

#[test]
fn dropping_ends_everything() {
    let mut execution =
        start("nodes: [{ id: a, path: sh, args: \"-c 'trap : TERM HUP; echo up; while :; do sleep 1000; done'\" }]");
    let keeper = witness(execution.keeper_pid());
    let Event::Happened(DataflowEvent::Spawned { pid, .. }) =
        until(&mut execution, |event| matches!(event, Event::Happened(DataflowEvent::Spawned { .. })))
    else {
        panic!()
    };
    let node = witness(pid);
    until_line(&mut execution, "up");
    // A control that lives on must not keep it alive.
    let _control = execution.control();
    drop(execution);
    assert_dies(&keeper);
    assert_dies(&node);
}

#[test]
fn a_keeper_that_cannot_be_started() {
    let loaded = dora_descriptor::parse("a.yml", "nodes: [{ id: a, path: 'true' }]", &Default::default()).unwrap();
    let plan = prepare(&loaded.dataflow, Path::new("/"), &PrepareOptions::default()).unwrap().plan;
    let error = Execution::start(Path::new("/does/not/exist"), &plan).unwrap_err();
    assert!(error.to_string().starts_with("cannot start `/does/not/exist keeper`"), "{error}");
}

/// A program like `dora run` in a process of its own, because it becomes a subreaper, with all processes of its dataflow.
struct Runner {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    keeper: u32,
    others: Vec<OwnedFd>,
}

impl Runner {
    fn start() -> Self {
        let text = r#"
nodes:
  - id: stopped
    path: sh
    args: -c 'echo pid $$; kill -STOP $$'
  - id: leaver
    path: sh
    args: -c "(setsid sh -c 'echo pid $$; trap \"\" TERM HUP; while :; do sleep 1000; done' &); sleep 1000"
  - id: double
    path: sh
    args: -c "(sh -c 'echo pid $$; kill -STOP $$' &); echo pid $$; sleep 1000"
"#;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, text).unwrap();
        let mut process = Command::new(HELPER).arg("run").arg(file.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut number = |word: &str| -> u32 {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(word).unwrap_or_else(|| panic!("{line}")).parse().unwrap()
        };
        let keeper = number("keeper ");
        let others = (0..4).map(|_| witness(number("pid "))).collect();
        Runner { process, lines, keeper, others }
    }
}

#[test]
fn the_keeper_is_killed() {
    let mut runner = Runner::start();
    kill_process(Pid::from_raw(runner.keeper as i32).unwrap(), Signal::KILL).unwrap();
    runner.others.iter().for_each(assert_dies);
    let rest: Vec<_> = runner.lines.map(Result::unwrap).collect();
    assert!(rest.last().unwrap().contains("KeeperDied"), "{rest:?}");
    assert_eq!(runner.process.wait().unwrap().code(), Some(1));
}

#[test]
fn the_runner_is_killed() {
    let mut runner = Runner::start();
    let keeper = witness(runner.keeper);
    runner.process.kill().unwrap();
    runner.others.iter().for_each(assert_dies);
    assert_dies(&keeper);
    runner.process.wait().unwrap();
}

#[test]
fn a_keeper_that_dies_is_a_trouble_of_its_own() {
    let mut execution = start("nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }]");
    until_line(&mut execution, "up");
    kill_process(Pid::from_raw(execution.keeper_pid() as i32).unwrap(), Signal::KILL).unwrap();
    let outcome = finish(execution);
    assert!(matches!(&outcome.trouble, Some(Trouble::KeeperDied { how }) if how.contains("SIGKILL")), "{outcome:?}");
    assert_eq!(*result(&outcome, "a"), NodeResult::Lost);
}
