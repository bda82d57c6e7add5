//! The start barrier: nobody starts before everybody is ready, and everybody is told if that cannot be.

mod common;

use common::*;
use dora_message::supervision::{ExitCause, FromKeeper, ToKeeper};

#[test]
fn all_start_together() {
    let finished = Run::launch(&plan().helper("a", "exit 0").helper("b", "exit 0").sh("plain", "exit 0")).finish();
    let all_ready = finished.seen.iter().position(|packet| *packet == FromKeeper::AllReady).unwrap();
    let connected = |packet: &FromKeeper| lines(packet).iter().any(|line| line.contains("wired"));
    assert!(finished.seen.iter().rposition(connected).unwrap() < finished.seen.len());
    let exited = |packet: &FromKeeper| matches!(packet, FromKeeper::Exited { node, .. } if node.as_str() != "plain");
    assert!(finished.seen.iter().position(exited).unwrap() > all_ready);
    for id in ["a", "b"] {
        let (status, cause, never_connected, _) = finished.exited(id);
        assert_eq!((status, cause, never_connected), (code(0), ExitCause::Own, false));
        assert!(finished.stdout(id).contains(&format!("i am {id} with 0 inputs")));
    }
    assert_eq!(finished.warnings(), ["node `plain` exited before it connected; the others start without it"]);
}

/// Runs a node that fails before the start beside one that is fine; what the fine one is told.
fn told(plan: dora_message::supervision::LaunchPlan) -> (String, Finished) {
    let finished = Run::launch(&plan.helper("fine", "serve")).finish();
    assert_eq!(finished.exit("fine"), (code(1), ExitCause::Cascading));
    assert!(!finished.seen.contains(&FromKeeper::AllReady));
    (finished.stdout("fine"), finished)
}

#[test]
fn a_node_fails_before_it_connects() {
    let (told, finished) = told(plan().sh("bad", "echo no such device >&2; exit 3"));
    assert!(told.contains("node `bad` exited with code 3 before it connected: no such device"), "{told}");
    assert_eq!(finished.exit("bad"), (code(3), ExitCause::Own));
}

#[test]
fn a_node_is_killed_before_it_connects() {
    let (told, finished) = told(plan().sh("bad", "kill -SEGV $$"));
    assert!(told.contains("node `bad` was killed by SIGSEGV before it connected"), "{told}");
    assert_eq!(finished.exit("bad"), (signal(11), ExitCause::Own));
}

#[test]
fn a_node_fails_while_it_connects() {
    let (told, _) = told(plan().helper("bad", "faint"));
    assert!(told.contains("node `bad` exited with code 9 before all nodes were ready"), "{told}");
}

#[test]
fn a_node_says_why_it_gives_up() {
    let (told, finished) = told(plan().helper("bad", "give-up"));
    assert!(told.contains("node `bad` could not connect: no camera found"), "{told}");
    assert_eq!(finished.exit("bad"), (code(7), ExitCause::Own));
}

#[test]
fn a_node_of_another_version() {
    let (told, finished) = told(plan().helper("bad", "version 99"));
    let stdout = finished.stdout("bad");
    for text in [&told, &stdout] {
        assert!(text.contains("9.9.9 (protocol 99)") && text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    }
    assert_eq!(finished.exit("bad"), (code(1), ExitCause::Own));
}

#[test]
fn a_program_that_never_connects_ends_with_the_others() {
    let finished =
        Run::launch(&plan().sh("plain", "trap 'exit 1' TERM; sleep 1000 & wait").sh("bad", "exit 3")).finish();
    assert_eq!(finished.exit("bad"), (code(3), ExitCause::Own));
    assert!(!finished.exit("plain").0.is_success());
}

#[test]
fn nonsense_is_ignored() {
    let finished = Run::launch(&plan().helper("a", "babble")).finish();
    assert_eq!(finished.exit("a"), (code(0), ExitCause::Own));
}

#[test]
fn whom_the_others_wait_for_is_told_once() {
    let mut run = Run::launch(&plan().helper("fine", "serve").sh("mute", "exec sleep 1000"));
    run.until_seen(|packet| matches!(packet, FromKeeper::Warning { .. }));
    run.stop(1000);
    let finished = run.finish();
    let [warning] = finished.warnings()[..] else { panic!("{:?}", finished.warnings()) };
    assert!(warning.starts_with("nodes are ready and wait for `mute`, not connected after"), "{warning}");
}

#[test]
fn a_held_dataflow_starts_when_it_is_released() {
    let mut held = plan().helper("a", "exit 0").helper("b", "exit 0");
    held.hold = true;
    let mut run = Run::launch(&held);
    run.until_seen(|packet| *packet == FromKeeper::Ready);
    let figures = run.figures();
    assert!(figures.nodes.iter().all(|node| node.pid.is_some() && !node.connected), "{figures:#?}");
    assert!(!run.seen.contains(&FromKeeper::AllReady));
    run.tell(&ToKeeper::Release);
    let finished = run.finish();
    assert_eq!(finished.seen.iter().filter(|packet| **packet == FromKeeper::Ready).count(), 1);
    assert!(finished.seen.contains(&FromKeeper::AllReady));
    assert_eq!(finished.exit("a"), (code(0), ExitCause::Own));
}

#[test]
fn a_release_may_come_first() {
    let mut held = plan().helper("a", "exit 0");
    held.hold = true;
    let run = Run::launch(&held);
    run.tell(&ToKeeper::Release);
    let finished = run.finish();
    assert!(finished.seen.contains(&FromKeeper::AllReady) && !finished.seen.contains(&FromKeeper::Ready));
}

#[test]
fn a_failure_while_the_dataflow_is_held_is_one_before_the_start() {
    let mut held = plan().helper("fine", "serve").helper("bad", "serve");
    held.hold = true;
    let mut run = Run::launch(&held);
    run.until_seen(|packet| *packet == FromKeeper::Ready);
    let bad = run.figures().nodes[1].pid.unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(bad as i32).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    let finished = run.finish();
    let told = finished.stdout("fine");
    assert!(told.contains("node `bad` was killed by SIGKILL before all nodes were ready"), "{told}");
    assert_eq!(finished.exit("fine"), (code(1), ExitCause::Cascading));
    assert!(!finished.seen.contains(&FromKeeper::AllReady));
}

#[test]
fn a_held_dataflow_can_be_stopped() {
    let mut held = plan().helper("a", "serve");
    held.hold = true;
    let mut run = Run::launch(&held);
    run.until_seen(|packet| *packet == FromKeeper::Ready);
    run.stop(3_600_000);
    let finished = run.finish();
    assert!(finished.stdout("a").contains("stopped before it started"));
    assert_eq!(finished.exit("a"), (code(1), ExitCause::Stopped));
}
