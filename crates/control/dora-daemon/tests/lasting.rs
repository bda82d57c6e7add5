//! Daemons that are killed, hang or hand over, while their dataflows go on.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use dora_daemon::{
    AdoptError, Adopted, Event, Execution, NodeResult, Owner, PrepareOptions, adoptable, incarnation, prepare,
    read_report,
};
use dora_gateways::{DataflowEvent, NodeState, Outcome, Trouble};
use dora_message::supervision::{ExitStatus, LastingPlan, LaunchPlan, Refusal};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

const HELPER: &str = env!("CARGO_BIN_EXE_dora-daemon-test-helper");
/// Longer than anything takes: it only ends tests that hang.
const PATIENCE: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(3600);

/// A few, or many where somebody has the time.
fn rounds() -> usize {
    if std::env::var_os("DORA_TEST_FULL").is_some() { 200 } else { 3 }
}

/// The home of a daemon, and what runs for it. Dropping it leaves nothing that runs.
struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Machine { home: tempfile::tempdir().unwrap() }
    }
    fn owner(&self) -> Owner {
        Owner::of(self.home.path())
    }
    fn report(&self) -> PathBuf {
        self.home.path().join("reports/one.json")
    }
    /// What the daemon with this number starts.
    fn plan(&self, text: &str, incarnation: u64) -> LaunchPlan {
        let loaded = dora_descriptor::parse("dataflow.yml", text, &dora_descriptor::Options::default()).unwrap();
        let mut plan = prepare(&loaded.dataflow, Path::new("/"), &PrepareOptions::default()).unwrap().plan;
        plan.nodes.iter_mut().for_each(|node| node.log.file = None);
        plan.lasting = Some(LastingPlan {
            owner: self.owner().as_str().to_owned(),
            incarnation,
            // What a test leaves that was killed ends then.
            orphan_timeout: Some(2 * PATIENCE),
            report_file: Some(self.report()),
            supervisor_data: "{\"attempt\":3}".to_owned(),
        });
        plan
    }
    /// A daemon in a process of its own, that has read this line if there is one to come.
    fn daemon(&self, plan: &LaunchPlan, line: &str) -> Daemon {
        let file = self.home.path().join("plan.json");
        fs::write(&file, serde_json::to_vec(plan).unwrap()).unwrap();
        let mut process = Command::new(HELPER).arg("daemon").arg(&file).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut daemon = Daemon { process, lines, guard: None };
        let guard = daemon.until("keeper ");
        daemon.guard = Some(witness(guard.parse().unwrap()));
        if !line.is_empty() {
            daemon.until(line);
        }
        daemon
    }
    fn adopt(&self, plan: &LaunchPlan, incarnation: u64) -> Result<Adopted, AdoptError> {
        Execution::adopt(&self.owner(), plan.dataflow_id, incarnation)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for dataflow in adoptable(&self.owner()).unwrap() {
            if let Ok(mut adopted) = Execution::adopt(&self.owner(), dataflow, u64::MAX) {
                adopted.execution.kill();
            }
        }
    }
}

struct Daemon {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    guard: Option<OwnedFd>,
}

impl Daemon {
    /// The rest of the next line that begins so.
    fn until(&mut self, beginning: &str) -> String {
        let rest = |line: std::io::Result<String>| line.unwrap().strip_prefix(beginning).map(str::to_owned);
        self.lines.by_ref().find_map(rest).unwrap_or_else(|| panic!("no `{beginning}`"))
    }
    /// Kills it with SIGKILL.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
    fn assert_keeper_is_gone(&self) {
        assert_dies(self.guard.as_ref().unwrap());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn witness(pid: u32) -> OwnedFd {
    pidfd_open(Pid::from_raw(pid as i32).unwrap(), PidfdFlags::empty()).unwrap()
}

fn ends_within(process: &OwnedFd, time: Duration) -> bool {
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&time)).unwrap() == 1
}

fn assert_dies(process: &OwnedFd) {
    assert!(ends_within(process, PATIENCE), "it still lives");
}

fn assert_lives(process: &OwnedFd) {
    assert!(!ends_within(process, Duration::ZERO), "it is dead");
}

fn until<T>(execution: &mut Execution, fits: impl Fn(&Event) -> Option<T>) -> T {
    loop {
        let event = execution.next_event(Some(PATIENCE));
        if let Some(found) = fits(&event) {
            return found;
        }
        assert!(!matches!(event, Event::Finished(_) | Event::LetGo | Event::TimedOut), "{event:?}");
    }
}

fn until_line(execution: &mut Execution, expected: &str) {
    until(execution, |event| match event {
        Event::Happened(DataflowEvent::Lines { lines, .. }) => lines.iter().any(|line| line == expected).then_some(()),
        _ => None,
    });
}

/// The outcome; the keeper is dismissed.
fn finish(mut execution: Execution) -> Outcome {
    until(&mut execution, |event| match event {
        Event::Finished(outcome) => Some(outcome.clone()),
        _ => None,
    })
}

const TALKER: &str =
    "nodes: [{ id: a, path: sh, args: \"-c 'echo up; while read x < FIFO; do echo $x; done; exec sleep 1000'\" }]";

/// A node that says what is written into the file that comes with it.
fn talker(dir: &Path) -> (String, PathBuf) {
    let fifo = dir.join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    (TALKER.replace("FIFO", &fifo.display().to_string()), fifo)
}

#[test]
fn a_daemon_is_killed_and_the_next_one_goes_on() {
    for round in 0..rounds() {
        let machine = Machine::new();
        let (text, fifo) = talker(machine.home.path());
        let plan = machine.plan(&text, incarnation());
        let mut daemon = machine.daemon(&plan, "up");
        daemon.kill();
        assert_eq!(adoptable(&machine.owner()).unwrap(), [plan.dataflow_id]);
        let mut adopted = machine.adopt(&plan, incarnation()).unwrap();
        assert_eq!(adopted.plan, plan);
        assert!(!adopted.stopping && adopted.warnings.is_empty());
        let node = &adopted.nodes[0];
        let NodeState::Starting = node.state else { panic!("{node:?}") };
        let process = witness(node.pid.unwrap());
        // It talks to the new one. Every other time it is asked to end, and is let go of before.
        fs::write(&fifo, "hello\n").unwrap();
        until_line(&mut adopted.execution, "hello");
        if round % 2 == 1 {
            adopted.execution.control().stop(GRACE);
            drop(adopted);
            adopted = machine.adopt(&plan, incarnation()).unwrap();
        }
        adopted.execution.control().stop(GRACE);
        let outcome = finish(adopted.execution);
        assert!(outcome.is_success(), "{outcome:?}");
        assert_dies(&process);
        daemon.assert_keeper_is_gone();
        assert!(adoptable(&machine.owner()).unwrap().is_empty());
        assert!(!machine.report().exists());
    }
}

/// What comes out at the end is what would have, had the daemon lived.
#[test]
fn the_outcome_is_the_same() {
    let machine = Machine::new();
    let go = machine.home.path().join("go");
    let text = format!(
        "\
nodes:
  - {{ id: fine, path: 'true' }}
  - {{ id: victim, path: sleep, args: '1000' }}
  - {{ id: cause, path: sh, args: \"-c 'echo up; until [ -e {} ]; do sleep 0.01; done; echo broken >&2; exit 3'\" }}
  - {{ id: guest, path: dynamic }}
",
        go.display()
    );
    let undisturbed = {
        let mut plan = machine.plan(&text, 1);
        plan.lasting = None;
        let mut execution = Execution::start(Path::new(HELPER), &plan).unwrap();
        until_line(&mut execution, "up");
        fs::write(&go, "").unwrap();
        finish(execution)
    };
    fs::remove_file(&go).unwrap();
    let plan = machine.plan(&text, 1);
    let mut daemon = machine.daemon(&plan, "up");
    daemon.kill();
    // Nobody sees any of the ends.
    fs::write(&go, "").unwrap();
    let mut incarnation = 1;
    let adopted = loop {
        incarnation += 1;
        let adopted = machine.adopt(&plan, incarnation).unwrap();
        if adopted.nodes.iter().filter(|node| matches!(node.state, NodeState::Ended(_))).count() == 3 {
            break adopted;
        }
    };
    let cause = &adopted.nodes[2];
    assert_eq!((&cause.state, cause.pid), (&NodeState::Ended(NodeResult::Failed(ExitStatus::Code { code: 3 })), None));
    assert_eq!(adopted.nodes[3].state, NodeState::Waiting);
    let outcome = finish(adopted.execution);
    assert_eq!(outcome, undisturbed);
    assert_eq!(
        (outcome.nodes[0].node.as_str(), &outcome.nodes[0].last_stderr[..]),
        ("cause", &["broken".to_owned()][..])
    );
    assert!(outcome.nodes.iter().any(
        |node| matches!(&node.result, NodeResult::Cascading { caused_by: Some(cause), .. } if cause.as_str() == "cause")
    ));
    daemon.assert_keeper_is_gone();
}

#[test]
fn what_nobody_took_is_left_in_a_file() {
    let machine = Machine::new();
    let mut plan = machine.plan("nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }]", 1);
    plan.lasting.as_mut().unwrap().orphan_timeout = Some(Duration::from_millis(50));
    let mut daemon = machine.daemon(&plan, "up");
    daemon.kill();
    daemon.assert_keeper_is_gone();
    assert!(matches!(machine.adopt(&plan, 2), Err(AdoptError::Gone)));
    let report = read_report(&machine.report()).unwrap();
    assert_eq!(report.plan, plan);
    assert!(report.outcome.is_success() && report.warnings[0].contains("no daemon"), "{report:?}");
    assert_eq!((report.outcome.nodes.len(), &report.outcome.nodes[0].result), (1, &NodeResult::Success));
    assert!(read_report(Path::new("/does/not/exist")).unwrap_err().to_string().starts_with("cannot read"));
    fs::write(machine.report(), "{}").unwrap();
    assert!(read_report(&machine.report()).unwrap_err().to_string().contains("is not what a keeper leaves"));
}

#[test]
fn a_daemon_that_hangs_is_replaced_and_can_do_nothing_when_it_wakes() {
    let machine = Machine::new();
    let plan = machine.plan("nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }]", 1);
    let mut daemon = machine.daemon(&plan, "up");
    let pid = Pid::from_child(&daemon.process);
    kill_process(pid, Signal::STOP).unwrap();
    assert!(matches!(machine.adopt(&plan, 1), Err(AdoptError::Refused(Refusal::Superseded { incarnation: 1 }))));
    let mut adopted = machine.adopt(&plan, 2).unwrap();
    let node = witness(adopted.nodes[0].pid.unwrap());
    kill_process(pid, Signal::CONT).unwrap();
    // It learns that, tries to kill everything, and ends.
    daemon.until("let go");
    assert!(daemon.process.wait().unwrap().success());
    adopted.execution.control().ask_figures(7);
    until(&mut adopted.execution, |event| matches!(event, Event::Figures { serial: 7, .. }).then_some(()));
    assert_lives(&node);
    adopted.execution.control().kill();
    assert!(finish(adopted.execution).is_success());
    assert_dies(&node);
}

#[test]
fn daemons_do_not_take_each_others_keepers() {
    let (here, there) = (Machine::new(), Machine::new());
    let plan = here.plan("nodes: [{ id: a, path: sleep, args: '1000' }]", 1);
    let execution = Execution::start(Path::new(HELPER), &plan).unwrap();
    assert!(adoptable(&there.owner()).unwrap().is_empty());
    assert!(matches!(there.adopt(&plan, 9), Err(AdoptError::Gone)));
    // Who drops it goes, and leaves the dataflow.
    drop(execution);
    let adopted = here.adopt(&plan, 2).unwrap();
    adopted.execution.control().kill();
    assert!(finish(adopted.execution).is_success());
    assert!(adoptable(&here.owner()).unwrap().is_empty());
}

#[test]
fn an_adopted_keeper_that_dies_is_a_trouble_of_its_own() {
    an_adopted_keeper_dies(false);
}

/// Nobody is there any more whom it belonged to.
#[test]
fn nothing_is_left_of_an_adopted_keeper_and_its_guard() {
    an_adopted_keeper_dies(true);
}

fn an_adopted_keeper_dies(without_guard: bool) {
    let machine = Machine::new();
    let text = r#"
nodes:
  - id: a
    path: sh
    args: -c "(setsid sh -c 'echo pid $$; trap \"\" TERM HUP; while :; do sleep 1000; done' &); sleep 1000"
"#;
    let plan = machine.plan(text, 1);
    let mut daemon = machine.daemon(&plan, "");
    let leaver = witness(daemon.until("pid ").parse().unwrap());
    daemon.kill();
    let mut adopted = machine.adopt(&plan, 2).unwrap();
    let node = witness(adopted.nodes[0].pid.unwrap());
    if without_guard {
        let guard = Pid::from_raw(adopted.execution.keeper_pid() as i32).unwrap();
        kill_process(guard, Signal::KILL).unwrap();
        daemon.assert_keeper_is_gone();
        assert_lives(&leaver);
    }
    adopted.execution.kill();
    let outcome = until(&mut adopted.execution, |event| match event {
        Event::Finished(outcome) => Some(outcome.clone()),
        _ => None,
    });
    assert!(matches!(outcome.trouble, Some(Trouble::KeeperDied { .. })), "{outcome:?}");
    assert_eq!(outcome.nodes[0].result, NodeResult::Lost);
    assert_dies(&node);
    assert_dies(&leaver);
    daemon.assert_keeper_is_gone();
}

#[test]
fn a_keeper_that_is_stopped_does_not_answer_and_may_be_asked_again() {
    let machine = Machine::new();
    let plan = machine.plan("nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }]", 1);
    let mut daemon = machine.daemon(&plan, "up");
    daemon.kill();
    let adopted = machine.adopt(&plan, 2).unwrap();
    let node = adopted.nodes[0].pid.unwrap();
    drop(adopted);
    // The parent of the node.
    let status = fs::read_to_string(format!("/proc/{node}/status")).unwrap();
    let keeper = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    let keeper = Pid::from_raw(keeper).unwrap();
    kill_process(keeper, Signal::STOP).unwrap();
    assert!(matches!(machine.adopt(&plan, 3), Err(AdoptError::Silent)));
    kill_process(keeper, Signal::CONT).unwrap();
    // Whether or not the first question comes before this one.
    let adopted = machine.adopt(&plan, 3).unwrap();
    adopted.execution.control().kill();
    assert!(finish(adopted.execution).is_success());
}

#[test]
fn the_outcome_is_kept_until_the_execution_is_dropped() {
    let machine = Machine::new();
    let plan = machine.plan("nodes: [{ id: a, path: sh, args: -c 'exit 3' }]", 1);
    let mut execution = Execution::start(Path::new(HELPER), &plan).unwrap();
    let outcome = until(&mut execution, |event| match event {
        Event::Finished(outcome) => Some(outcome.clone()),
        _ => None,
    });
    // This daemon dies before it has told anybody: to the keeper that looks as if another one took its place.
    let adopted = machine.adopt(&plan, 2).unwrap();
    assert_eq!(adopted.nodes[0].state, NodeState::Ended(NodeResult::Failed(ExitStatus::Code { code: 3 })));
    assert_eq!(finish(adopted.execution), outcome);
    assert!(adoptable(&machine.owner()).unwrap().is_empty());
}
