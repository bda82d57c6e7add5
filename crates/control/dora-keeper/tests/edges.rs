//! Edges on real processes: what happens to them when one end dies, and what they have counted.

mod common;

use common::*;
use dora_message::{
    keeper::QueuePolicy,
    supervision::{ExitCause, FromKeeper},
};

#[test]
fn a_crash_is_told_before_the_end_of_its_messages() {
    let plan = plan().helper("source", "send-and-abort 5").helper("sink", "receive");
    let finished = Run::launch(&plan.edge(0, 1, 10, QueuePolicy::DropOldest)).finish();
    assert_eq!(finished.exit("source"), (signal(6), ExitCause::Own));
    assert_eq!(finished.exit("sink"), (code(0), ExitCause::Own));
    let stdout = finished.stdout("sink");
    for number in 0..5 {
        assert!(stdout.contains(&format!("message {number}\n")), "{stdout}");
    }
    let failed = stdout.find("\"node_failed\",\"node\":\"source\"").unwrap();
    assert!(failed < stdout.find("closed\n").unwrap(), "{stdout}");
    let counted = &finished.report.edges[0];
    assert_eq!((counted.sent, counted.received, counted.dropped, counted.undelivered), (5, 5, 0, 0));
    assert_eq!(counted.latency.iter().sum::<u64>(), 5);
    assert_eq!(counted.bytes, 5 * 4096);
}

#[test]
fn a_blocked_sender_is_released_by_the_death_of_its_consumer() {
    let plan = plan().helper("source", "send-for-ever").helper("sink", "stubborn");
    let mut run = Run::launch(&plan.edge(0, 1, 2, QueuePolicy::Backpressure));
    let pid = run.until(|packet| match packet {
        FromKeeper::Spawned { node, pid } if node.as_str() == "sink" => Some(*pid),
        _ => None,
    });
    run.until_all_ready();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    let finished = run.finish();
    assert!(finished.stdout("source").ends_with("nobody receives\n"));
    assert_eq!(finished.exit("sink"), (signal(9), ExitCause::Own));
    let counted = &finished.report.edges[0];
    assert_eq!(counted.sent, counted.received + counted.dropped + counted.undelivered);
}

#[test]
fn a_node_that_drops_out_closes_its_edges() {
    let plan = plan().sh("source", "exit 0").helper("sink", "receive").edge(0, 1, 10, QueuePolicy::DropOldest);
    let finished = Run::launch(&plan).finish();
    assert!(finished.stdout("sink").ends_with("closed\n"));
    assert_eq!(finished.exit("sink"), (code(0), ExitCause::Own));
}
