//! A supervisor is killed, and nothing happens; the next one knows all of it.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};

use common::{lasting::*, *};
use dora_channel::os::packet::{self, Blocking};
use dora_message::{
    keeper::QueuePolicy::Backpressure,
    supervision::{
        Claim, ClaimAnswer, Ending, ExitCause, FromKeeper, KeeperState, LaunchPlan, NodeLife, Refusal, RestartAfter,
        RestartRule, SUPERVISION_VERSION, StartState, ToKeeper,
    },
};
use rustix::process::{Pid, Signal, kill_process};

const GRACE: u64 = 3_600_000;

fn send(socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    packet::send(socket.as_fd(), bytes, &[], Blocking::Yes)
}

fn number(finished: &Finished, id: &str, word: &str) -> u64 {
    let text = finished.stdout(id);
    let line = text.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("{word}: {text}"));
    line.parse().unwrap()
}

fn always() -> RestartRule {
    RestartRule { after: RestartAfter::AnyEnd, max_restarts: 0, delay: None, max_delay: None, window: None }
}

#[test]
fn messages_flow_on_and_none_is_lost() {
    for _ in 0..rounds() {
        let plan = plan().helper("sender", "stream").output().helper("receiver", "count");
        let mut run = supervised(lasting(plan.edge(0, 1, 10, Backpressure))).until_all_ready();
        run.kill();
        let (mut link, state) = run.attach(2);
        assert_eq!((state.start, state.stopping), (StartState::Passed, false));
        let pids = state.nodes.iter().map(|node| match node.life {
            NodeLife::Running { pid: Some(pid), connected: true } => Witness::of(pid),
            ref other => panic!("{other:?}"),
        });
        let pids: Vec<Witness> = pids.collect();
        // Nobody supervises, twice.
        let before = link.figures().edges[0].counters.received;
        drop(link);
        let (mut link, _) = run.attach(3);
        while link.figures().edges[0].counters.received < before + 1000 {}
        pids.iter().for_each(Witness::sees_life);
        link.stop(GRACE);
        let finished = link.finish();
        let (sent, received) = (number(&finished, "sender", "sent "), number(&finished, "receiver", "received "));
        let counters = &finished.report.edges[0];
        assert_eq!((sent, counters.sent, counters.received), (received, received, received));
        assert_eq!((counters.dropped, counters.undelivered), (0, 0));
        run.is_gone();
    }
}

/// Prints numbered lines until it is asked to stop, and keeps them.
fn printer(file: &Path) -> LaunchPlan {
    let script = "n=0; trap 'echo total $n; exit 0' TERM; while :; do n=$((n+1)); echo line $n; done";
    let mut plan = lasting(plan().sh("a", script));
    plan.nodes[0].log.file = Some(file.to_owned());
    plan
}

/// Whether a log file holds all lines of a [`printer`].
fn assert_complete(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let messages = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["msg"].clone());
    let messages: Vec<String> = messages.map(|message| message.as_str().unwrap().to_owned()).collect();
    let (last, all) = messages.split_last().unwrap();
    assert_eq!(*last, format!("total {}", all.len()));
    let numbered = all.iter().zip(1..).all(|(line, number)| *line == format!("line {number}"));
    assert!(numbered, "lines are missing");
}

#[test]
fn a_program_prints_on_and_no_line_is_missing() {
    for _ in 0..rounds().min(40) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log_a.jsonl");
        let mut run = supervised(printer(&file)).until_line("line 100");
        run.kill();
        let len = || fs::metadata(&file).map_or(0, |file| file.len());
        let before = len();
        // More than pipe and queues hold together: it would stand still if anybody were waited for.
        until(|| len() > before + 2_000_000);
        let (mut link, _) = run.attach(2);
        link.until(|packet| lines(packet).first().map(|_| ()));
        link.stop(GRACE);
        assert_eq!(link.finish().exit("a"), (code(0), ExitCause::Stopped));
        assert_complete(&file);
        run.is_gone();
    }
}

/// Something outside of the keeper's protocol.
fn until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "it never comes true");
        std::thread::yield_now();
    }
}

#[test]
fn a_supervisor_that_reads_nothing_holds_nobody_up_and_may_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (file, done) = (dir.path().join("log_a.jsonl"), dir.path().join("done"));
    let script = format!("seq 300000; touch {}; exec sleep 1000", done.display());
    let mut plan = lasting(plan().sh("a", &script).sh("b", "exit 3").restart(always()));
    plan.nodes[0].log.file = Some(file.clone());
    let mut run = Run::launch(&plan);
    // All of it is printed, and the other node is started again and again, while nothing is read here.
    until(|| done.exists());
    let mut missed = 0;
    let mut told = 0;
    while told + missed < 300_000 {
        match run.next().unwrap() {
            FromKeeper::Lines { node, lines, partial, .. } if node.as_str() == "a" => {
                told += lines.len() as u64 - u64::from(partial);
            }
            FromKeeper::Missed { node, lines } if node.as_str() == "a" => missed += lines,
            _ => {}
        }
    }
    assert_eq!(told + missed, 300_000);
    assert!(missed > 100_000, "{missed}");
    run.tell(&ToKeeper::Kill);
    run.finish();
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 300_000);
}

#[test]
fn a_supervisor_that_never_reads_is_let_go_of_and_may_claim_again() {
    let plan = lasting(plan().sh("a", "exec sleep 1000"));
    let mut run = Run::launch(&plan);
    run.until(|packet| matches!(packet, FromKeeper::Spawned { .. }).then_some(()));
    // Each is answered by a warning.
    let nobody = ToKeeper::StopNode { node: "n".repeat(1000).as_str().into(), ending: Ending::Kill };
    let nobody = serde_json::to_vec(&nobody).unwrap();
    let mut count = 0;
    while send(&run.socket, &nobody).is_ok() {
        count += 1;
        assert!(count < 100_000);
    }
    let (link, state) = attach(&plan, 1);
    assert!(matches!(state.nodes[0].life, NodeLife::Running { .. }));
    link.tell(&ToKeeper::Kill);
    link.finish();
    run.keeper.wait().unwrap();
}

#[test]
fn restarts_go_on_and_are_counted() {
    for _ in 0..rounds() {
        let mut run = supervised(lasting(plan().sh("a", "exit 3").restart(always()).sh("b", "exec sleep 1000")));
        run.until(|packet| matches!(packet, FromKeeper::Restarting { .. }).then_some(()));
        run.kill();
        let (link, before) = run.attach(2);
        drop(link);
        // Of the restarts between two supervisors only the number is told.
        let restarts = |state: &KeeperState| state.nodes[0].restarts;
        let mut incarnation = 2;
        let (mut link, after) = loop {
            incarnation += 1;
            let (link, state) = run.attach(incarnation);
            if restarts(&state) > restarts(&before) + 2 {
                break (link, state);
            }
        };
        let next = link.until(|packet| match packet {
            FromKeeper::Restarting { restart, .. } => Some(*restart),
            _ => None,
        });
        // The next one, or the one that is due when its process has ended already.
        assert!((restarts(&after)..=restarts(&after) + 1).contains(&next), "{next} {}", restarts(&after));
        link.stop(GRACE);
        assert_eq!(link.finish().exit("a").1, ExitCause::NotRestarted);
        run.is_gone();
    }
}

#[test]
fn the_start_goes_on() {
    for _ in 0..rounds() {
        let dir = tempfile::tempdir().unwrap();
        let late = format!("until [ -e {0}/go ]; do sleep 0.02; done; exec {HELPER} node serve", dir.path().display());
        let held = LaunchPlan { hold: true, ..plan().helper("early", "serve").sh("late", &late) };
        let mut run = supervised(lasting(held));
        run.until(|packet| matches!(packet, FromKeeper::Spawned { node, .. } if node.as_str() == "late").then_some(()));
        run.kill();
        let (mut link, state) = run.attach(2);
        assert_eq!(state.start, StartState::Waiting);
        fs::write(dir.path().join("go"), "").unwrap();
        link.until_seen(|packet| *packet == FromKeeper::Ready);
        drop(link);
        let (mut link, state) = run.attach(3);
        assert_eq!(state.start, StartState::Held);
        link.tell(&ToKeeper::Release);
        link.until_all_ready();
        link.stop(GRACE);
        assert_eq!(link.finish().exit("late"), (code(0), ExitCause::Stopped));
        run.is_gone();
    }
}

#[test]
fn a_stop_goes_on() {
    for _ in 0..rounds() {
        let plan = lasting(plan().helper("a", "serve").helper("b", "stubborn"));
        let mut run = Run::launch(&plan);
        run.until_all_ready();
        run.stop(GRACE);
        run.until(|packet| matches!(packet, FromKeeper::Exited { .. }).then_some(()));
        drop(run.link);
        let (link, state) = attach(&plan, 2);
        assert!(state.stopping);
        assert_eq!((state.ends.len(), state.ends[0].node.as_str(), state.ends[0].cause), (1, "a", ExitCause::Stopped));
        link.tell(&ToKeeper::Hurry);
        assert_eq!(link.finish().exit("b").1, ExitCause::Stopped);
        assert!(run.keeper.wait().unwrap().success());
    }
}

#[test]
fn only_a_later_supervisor_takes_the_place_of_another() {
    let plan = lasting(plan().helper("a", "serve"));
    let mut first = Run::launch(&plan);
    first.until_all_ready();
    let claim = |incarnation| claim(&plan, &Claim { version: SUPERVISION_VERSION, incarnation });
    assert_eq!(claim(1).unwrap_err(), Refusal::Superseded { incarnation: 1 });
    first.figures();
    first.until_line(r#"heard 0 {"type":"start"}"#);
    let (second, _) = attach(&plan, 7);
    // The first one reads the end, and can do nothing.
    assert_eq!(first.next(), None);
    let kill = serde_json::to_vec(&ToKeeper::Kill).unwrap();
    assert!(send(&first.socket, &kill).is_err());
    drop(second);
    // Nor can it come back, although nobody supervises now.
    assert_eq!(claim(6).unwrap_err(), Refusal::Superseded { incarnation: 7 });
    let (mut third, state) = attach(&plan, 7);
    assert!(matches!(state.nodes[0].life, NodeLife::Running { connected: true, .. }));
    third.figures();
    third.stop(GRACE);
    assert_eq!(third.finish().exit("a"), (code(0), ExitCause::Stopped));
    assert!(first.keeper.wait().unwrap().success());
}

#[test]
fn orders_of_one_who_was_replaced_are_not_read() {
    let plan = lasting(plan().helper("a", "serve"));
    let mut first = Run::launch(&plan);
    first.until_all_ready();
    // It hangs while another one comes; then it wakes, and gives an order on a connection that it takes for its own.
    let claim = serde_json::to_vec(&Claim { version: SUPERVISION_VERSION, incarnation: 2 }).unwrap();
    let socket = knock(&plan, &claim);
    assert!(matches!(answer(&socket), Some((ClaimAnswer::Granted { .. }, _))));
    let kill = serde_json::to_vec(&ToKeeper::Kill).unwrap();
    let _ = send(&first.socket, &kill);
    let mut second = Link::new(socket);
    assert!(second.figures().nodes[0].pid.is_some());
    second.stop(GRACE);
    assert_eq!(second.finish().exit("a"), (code(0), ExitCause::Stopped), "it was asked and not killed");
    first.keeper.wait().unwrap();
}

#[test]
fn neighbouring_versions_are_taken_and_nonsense_is_shown_out() {
    let plan = lasting(plan().helper("a", "serve"));
    let mut run = Run::launch(&plan);
    run.until_all_ready();
    let claim = |version| format!(r#"{{"version":{version},"incarnation":9,"from_the_future":[1]}}"#);
    for refused in [0, SUPERVISION_VERSION + 2] {
        let socket = knock(&plan, claim(refused).as_bytes());
        assert!(matches!(answer(&socket), Some((ClaimAnswer::Refused { refusal: Refusal::Version, .. }, _))));
    }
    for nonsense in [&b"{}"[..], b"\xff", br#"{"type":"who_is","node":"a"}"#, &[b'x'; 60_000]] {
        assert!(answer(&knock(&plan, nonsense)).is_none());
    }
    run.figures();
    let socket = knock(&plan, claim(SUPERVISION_VERSION + 1).as_bytes());
    assert!(matches!(answer(&socket), Some((ClaimAnswer::Granted { .. }, _))));
    let link = Link::new(socket);
    link.stop(GRACE);
    link.finish();
    run.keeper.wait().unwrap();
}

/// A plan whose keeper waits for so long, and then leaves its report here.
fn impatient(mut plan: LaunchPlan, file: &Path, timeout: Duration) -> LaunchPlan {
    plan = lasting(plan);
    let lasting = plan.lasting.as_mut().unwrap();
    (lasting.orphan_timeout, lasting.report_file) = (Some(timeout), Some(file.to_owned()));
    plan
}

fn report(file: &Path) -> KeeperState {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn after_the_time_without_a_supervisor_the_nodes_are_stopped_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..rounds() {
        // Its directory is made when it is needed.
        let file = dir.path().join("reports").join(round.to_string());
        let nodes = plan().helper("a", "serve").helper("b", "exit 3");
        let mut run = supervised(impatient(nodes, &file, Duration::from_millis(100))).until_all_ready();
        run.kill();
        run.is_gone();
        let state = report(&file);
        assert_eq!((state.stopping, &state.plan), (true, &run.plan));
        let cause = |id: &str| state.ends.iter().find(|end| end.node.as_str() == id).map(|end| end.cause);
        assert_eq!((cause("a"), cause("b")), (Some(ExitCause::Stopped), Some(ExitCause::Own)));
        assert!(state.report.is_some());
        assert!(state.warnings.iter().any(|warning| warning.contains("no daemon has come for 100ms")), "{state:?}");
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), round + 1, "nothing else is there");
    }
}

#[test]
fn who_comes_in_time_stops_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report");
    let timeout = Duration::from_secs(3);
    let mut run = supervised(impatient(plan().helper("a", "serve"), &file, timeout)).until_all_ready();
    run.kill();
    let (mut link, state) = run.attach(2);
    assert!(!state.stopping);
    // What it has printed so far; then nothing happens.
    while link.is_readable(timeout) {
        link.next();
    }
    assert!(link.figures().nodes[0].connected);
    link.stop(GRACE);
    link.finish();
    run.is_gone();
    assert!(!file.exists(), "somebody has taken it");
}

#[test]
fn an_end_that_nobody_saw_is_kept_for_who_comes() {
    for _ in 0..rounds() {
        let plan = plan().sh("a", "echo why >&2; exit 3").sh("b", "exit 0");
        let plan = lasting(plan);
        let mut run = Run::launch(&plan);
        run.until(|packet| matches!(packet, FromKeeper::Spawned { node, .. } if node.as_str() == "b").then_some(()));
        drop(run.link);
        // However early or late somebody comes: it is told of every end once, here or there.
        let (link, state) = attach(&plan, 2);
        let before = state.ends;
        let finished = link.finish();
        let after = finished.seen.iter().filter(|packet| matches!(packet, FromKeeper::Exited { .. })).count();
        assert_eq!(before.len() + after, 2, "{before:?} {:?}", finished.seen);
        assert!(run.keeper.wait().unwrap().success());
    }
}

#[test]
fn a_report_that_was_not_taken_is_told_again() {
    let plan = lasting(plan().sh("a", "exit 3"));
    let mut run = Run::launch(&plan);
    run.until(|packet| matches!(packet, FromKeeper::Finished { .. }).then_some(()));
    // It dies before it could do anything with it.
    drop(run.link);
    let (link, state) = attach(&plan, 2);
    assert_eq!((state.ends.len(), state.ends[0].status.clone()), (1, code(3)));
    assert!(state.report.is_some());
    assert!(link.finish().seen.iter().all(|packet| matches!(packet, FromKeeper::Finished { .. })));
    assert!(run.keeper.wait().unwrap().success());
}

#[test]
fn an_end_that_nobody_asks_for_is_left_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report");
    let mut run = supervised(impatient(plan().sh("a", "exit 3"), &file, Duration::from_millis(100)));
    run.until(|packet| matches!(packet, FromKeeper::Exited { .. }).then_some(()));
    run.kill();
    run.is_gone();
    let state = report(&file);
    assert_eq!((state.stopping, state.ends[0].status.clone()), (false, code(3)));
}

#[test]
fn a_keeper_that_is_killed_without_a_supervisor_leaves_nothing() {
    for _ in 0..rounds() {
        let mut run = supervised(lasting(escapers()));
        let mut witnesses = Vec::new();
        while witnesses.len() < ESCAPERS {
            let pids = run.until(|packet| Some(lines(packet).to_vec()).filter(|lines| !lines.is_empty()));
            let pids = pids.iter().filter_map(|line| line.strip_prefix("pid ")?.parse().ok());
            witnesses.extend(pids.map(Witness::of));
        }
        run.kill();
        let (link, state) = run.attach(2);
        drop(link);
        witnesses.iter().for_each(Witness::sees_life);
        assert!(!dora_keeper::cleanup::abandoned().contains(&run.plan.dataflow_id), "it has a keeper");
        kill_process(Pid::from_raw(state.keeper as i32).unwrap(), Signal::KILL).unwrap();
        witnesses.iter().for_each(Witness::sees_death);
        run.is_gone();
    }
}

#[test]
fn a_guard_that_is_killed_takes_nothing_with_it() {
    let plan = lasting(plan().helper("a", "serve"));
    let mut run = Run::launch(&plan);
    run.until_all_ready();
    let keeper = Witness::of(run.keeper_pid());
    run.keeper.kill().unwrap();
    run.keeper.wait().unwrap();
    run.figures();
    run.stop(GRACE);
    assert_eq!(run.link.finish().exit("a"), (code(0), ExitCause::Stopped));
    keeper.sees_death();
}

#[test]
fn what_nobody_heard_is_told_to_who_comes() {
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.01; done; exit 3", go.display());
    let twice = RestartRule { max_restarts: 2, ..always() };
    let plan = lasting(plan().sh("a", &script).restart(twice).sh("b", "exec sleep 1000"));
    let mut run = Run::launch(&plan);
    run.until(|packet| matches!(packet, FromKeeper::Spawned { node, .. } if node.as_str() == "b").then_some(()));
    drop(run.link);
    fs::write(go, "").unwrap();
    let mut incarnation = 1;
    let (link, state) = loop {
        incarnation += 1;
        let (link, state) = attach(&plan, incarnation);
        if !state.ends.is_empty() {
            break (link, state);
        }
    };
    // Some supervisor between may have heard of it.
    let heard = |text: &str| text == "node `a`: max restarts (2) exceeded, giving up";
    assert!(state.warnings.iter().all(|warning| heard(warning)) && state.warnings.len() <= 1, "{:?}", state.warnings);
    assert_eq!(state.nodes[0].restarts, 2);
    link.tell(&ToKeeper::Kill);
    link.finish();
    run.keeper.wait().unwrap();
}

#[test]
fn a_keeper_alone_sleeps() {
    let mut run = supervised(lasting(plan().helper("a", "serve").sh("b", "exec sleep 1000")));
    run.until(|packet| matches!(packet, FromKeeper::Spawned { node, .. } if node.as_str() == "b").then_some(()));
    run.kill();
    let (link, state) = run.attach(2);
    drop(link);
    assert!(falls_asleep(state.keeper), "it is woken again and again");
    let (link, _) = run.attach(3);
    link.tell(&ToKeeper::Kill);
    link.finish();
    run.is_gone();
}

#[test]
fn who_looked_at_an_output_and_died_holds_nothing() {
    let plan = lasting(plan().helper("a", "send-while-tapped").output());
    let mut run = Run::launch(&plan);
    run.until_all_ready();
    for (incarnation, line) in [(2, "nobody looks"), (3, "nobody looks again")] {
        run.tell(&ToKeeper::Tap { tap: 1, node: "a".into(), output: "out".into(), capacity: 4 });
        run.until(|packet| matches!(packet, FromKeeper::Tapped { .. }).then_some(()));
        // What has come with it is never opened: its reader can say nothing.
        run.link = attach(&plan, incarnation).0;
        run.until_line(line);
    }
    run.tell(&ToKeeper::Kill);
    run.finish();
}
