//! The stop ladder on real processes. Order is checked, not time.

mod common;

use common::*;
use dora_message::supervision::{ExitCause, FromKeeper, ToKeeper};

const LONG: u64 = 3_600_000;

#[test]
fn a_node_that_listens_ends_by_itself() {
    let mut run = Run::launch(&plan().helper("a", "serve").helper("b", "serve"));
    run.until_all_ready();
    run.stop(LONG);
    let finished = run.finish();
    for id in ["a", "b"] {
        assert_eq!(finished.exit(id), (code(0), ExitCause::Stopped));
        assert!(finished.stdout(id).contains("heard 0 {\"type\":\"stop\"}"));
    }
}

#[test]
fn a_program_that_never_connected_gets_sigterm_at_once() {
    let mut run =
        Run::launch(&plan().sh("a", "trap 'echo got term; exit 0' TERM; echo up; while :; do sleep 1000 & wait; done"));
    run.until_line("up");
    run.stop(LONG);
    let finished = run.finish();
    assert!(finished.stdout("a").ends_with("got term\n"));
    assert_eq!(finished.exit("a"), (code(0), ExitCause::Stopped));
    assert!(finished.exited("a").2);
}

#[test]
fn the_rungs_come_in_order() {
    // Ignored signals stay ignored across exec: the node reads Stop, survives SIGTERM, and falls to SIGKILL. The shell
    // of its group writes down that SIGTERM came between.
    let script = format!(
        "(trap 'echo got term' TERM; echo shell up; while :; do sleep 1000 & wait; done) & trap '' TERM; exec {HELPER} node stubborn"
    );
    let mut run = Run::launch(&plan().sh("a", &script));
    run.until_line("shell up");
    run.until_all_ready();
    // Between SIGTERM and SIGKILL, half of it, the shell has its word.
    run.stop(2000);
    let finished = run.finish();
    let stdout = finished.stdout("a");
    let (stop, term) = (stdout.find("\"type\":\"stop\"").unwrap(), stdout.find("got term").unwrap());
    assert!(stop < term, "{stdout}");
    assert_eq!(finished.exit("a"), (signal(9), ExitCause::GraceExceeded));
}

#[test]
fn sigterm_ends_a_connected_node_that_does_not_listen() {
    let mut run = Run::launch(&plan().helper("a", "stubborn"));
    run.until_all_ready();
    // SIGKILL is due only after half of it again.
    run.stop(1000);
    assert_eq!(run.finish().exit("a"), (signal(15), ExitCause::Stopped));
}

#[test]
fn a_stopped_process_hears_sigterm() {
    let mut run = Run::launch(
        &plan()
            .sh("a", "trap 'echo got term; exit 0' TERM; echo up; kill -STOP $$; while :; do sleep 1000 & wait; done"),
    );
    run.until_line("up");
    run.stop(LONG);
    let finished = run.finish();
    assert!(finished.stdout("a").ends_with("got term\n"));
}

#[test]
fn kill_waits_for_nothing() {
    let mut run = Run::launch(&plan().sh("a", "trap '' TERM; echo up; while :; do sleep 1000; done"));
    run.until_line("up");
    run.tell(&ToKeeper::Kill);
    assert_eq!(run.finish().exit("a"), (signal(9), ExitCause::Stopped));
}

#[test]
fn a_second_stop_hurries() {
    let mut run = Run::launch(&plan().helper("a", "stubborn"));
    run.until_all_ready();
    run.stop(LONG);
    run.stop(0);
    let (status, cause) = run.finish().exit("a");
    assert!([(signal(15), ExitCause::Stopped), (signal(9), ExitCause::GraceExceeded)].contains(&(status, cause)));
}

#[test]
fn a_failure_during_the_stop_is_a_failure() {
    let mut run = Run::launch(&plan().sh("a", "trap 'exit 5' TERM; echo up; while :; do sleep 1000 & wait; done"));
    run.until_line("up");
    run.stop(LONG);
    assert_eq!(run.finish().exit("a"), (code(5), ExitCause::Own));
}

#[test]
fn stopped_before_the_start() {
    let mut run = Run::launch(&plan().helper("a", "serve").sh("b", "echo up; sleep 1000"));
    run.until(|packet| lines(packet).iter().any(|line| line.ends_with("{\"type\":\"wired\"}")).then_some(()));
    run.stop(LONG);
    let finished = run.finish();
    assert!(finished.stdout("a").contains("stopped before it started"));
    assert_eq!(finished.exit("a"), (code(1), ExitCause::Stopped));
    assert_eq!(finished.exit("b"), (signal(15), ExitCause::Stopped));
    assert!(!finished.seen.contains(&FromKeeper::AllReady));
}

#[test]
fn a_signal_to_the_keeper_is_a_stop() {
    let mut run = Run::launch(&plan().helper("a", "serve"));
    run.until_all_ready();
    let keeper = rustix::process::Pid::from_child(&run.keeper);
    rustix::process::kill_process(keeper, rustix::process::Signal::TERM).unwrap();
    assert_eq!(run.finish().exit("a"), (code(0), ExitCause::Stopped));
}
