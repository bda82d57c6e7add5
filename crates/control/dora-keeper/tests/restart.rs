//! Restarts as the supervisor sees them, on real processes.

mod common;

use std::time::Duration;

use common::*;
use dora_message::{
    keeper::QueuePolicy,
    supervision::{ExitCause, ExitStatus, FromKeeper, RestartAfter, RestartRule},
};

fn rule(after: RestartAfter, max_restarts: u32, delay: Option<Duration>) -> RestartRule {
    RestartRule { after, max_restarts, delay, max_delay: None, window: None }
}

/// How each process ended that was followed by another one, with the number and the delay of the restart.
fn restarts(finished: &Finished) -> Vec<(ExitStatus, u32, u64)> {
    let restart = |packet: &FromKeeper| match packet {
        FromKeeper::Restarting { status, restart, delay_ms, .. } => Some((status.clone(), *restart, *delay_ms)),
        _ => None,
    };
    finished.seen.iter().filter_map(restart).collect()
}

#[test]
fn processes_follow_each_other_until_the_limit() {
    let script = r#"echo "$DORA_NODE_CONFIG" | tr , '\n' | grep restart_count; exit 3"#;
    let rule = rule(RestartAfter::Failure, 2, Some(Duration::from_millis(5)));
    let finished = Run::launch(&plan().sh("a", script).restart(rule)).finish();
    assert_eq!(restarts(&finished), [(code(3), 1, 5), (code(3), 2, 10)]);
    let counts: Vec<String> = finished.stdout("a").lines().map(|line| line.replace(['}', '"'], "")).collect();
    assert_eq!(counts, ["restart_count:0", "restart_count:1", "restart_count:2"]);
    assert_eq!(finished.exit("a"), (code(3), ExitCause::Own));
    assert_eq!(finished.warnings(), ["node `a`: max restarts (2) exceeded, giving up"]);
    let spawned = finished.seen.iter().filter(|packet| matches!(packet, FromKeeper::Spawned { .. })).count();
    assert_eq!(spawned, 3);
}

#[test]
fn success_is_no_failure() {
    let finished = Run::launch(&plan().sh("a", "exit 0").restart(rule(RestartAfter::Failure, 0, None))).finish();
    assert_eq!((restarts(&finished), finished.exit("a")), (vec![], (code(0), ExitCause::Own)));
}

#[test]
fn a_stop_ends_the_wait() {
    let rule = rule(RestartAfter::AnyEnd, 0, Some(Duration::from_secs(100_000)));
    let mut run = Run::launch(&plan().helper("b", "serve").sh("a", "exit 3").restart(rule));
    run.until(|packet| matches!(packet, FromKeeper::Restarting { .. }).then_some(()));
    run.stop(1000);
    let finished = run.finish();
    assert_eq!(finished.exit("a"), (code(3), ExitCause::NotRestarted));
}

#[test]
fn a_node_whose_inputs_have_ended_is_not_started_again() {
    let always = rule(RestartAfter::AnyEnd, 0, None);
    let plan = plan().helper("source", "send-and-abort 3").helper("sink", "receive").restart(always);
    let finished = Run::launch(&plan.edge(0, 1, 10, QueuePolicy::DropOldest)).finish();
    assert_eq!((restarts(&finished), finished.exit("sink")), (vec![], (code(0), ExitCause::Own)));
}

#[test]
fn the_barrier_waits_for_a_node_that_fails_at_first() {
    // The second process never connects, and ends well only when the other node is asked to stop.
    let dir = std::env::temp_dir().join(format!("dora-keeper-restart-{}", std::process::id()));
    let script = format!("mkdir {0} && exit 3; rmdir {0}; exit 0", dir.display());
    let rule = rule(RestartAfter::Failure, 0, Some(Duration::from_millis(50)));
    let mut run = Run::launch(&plan().helper("b", "serve").sh("a", &script).restart(rule));
    run.until_all_ready();
    let restarted = run.seen.iter().any(|packet| matches!(packet, FromKeeper::Restarting { restart: 1, .. }));
    assert!(restarted, "{:#?}", run.seen);
    run.stop(1000);
    assert_eq!(run.finish().exit("a"), (code(0), ExitCause::Own));
}
