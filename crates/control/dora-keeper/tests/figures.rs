//! What a keeper tells of a dataflow that runs, on real processes.

mod common;

use common::*;
use dora_message::{
    keeper::QueuePolicy,
    supervision::{ExitCause, Figures, FromKeeper, RestartAfter, RestartRule, ToKeeper},
};

#[test]
fn a_keeper_without_a_dataflow_knows_nothing() {
    assert_eq!(Run::idle().figures(), Figures::default());
}

#[test]
fn nodes_are_told_with_their_processes() {
    let mut run = Run::launch(&plan().helper("a", "serve").sh("plain", "exec sleep 1000").helper("b", "exit 0"));
    let pid = run.until(|packet| match packet {
        FromKeeper::Spawned { node, pid } if node.as_str() == "a" => Some(*pid),
        _ => None,
    });
    let before = run.figures();
    assert_eq!(before.nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(), ["a", "plain", "b"]);
    assert_eq!((before.nodes[0].pid, before.nodes[0].restarts), (Some(pid), 0));
    assert!(before.nodes.iter().all(|node| !node.connected), "the barrier is not passed: {before:#?}");
    run.stop(0);
    run.finish();
}

#[test]
fn edges_count_while_they_run_and_over_all_processes() {
    let rule =
        RestartRule { after: RestartAfter::Failure, max_restarts: 1, delay: None, max_delay: None, window: None };
    let plan = plan().helper("source", "send-and-abort 3").restart(rule).helper("sink", "stubborn");
    let mut run = Run::launch(&plan.edge(0, 1, 10, QueuePolicy::DropOldest));
    run.until_seen(|packet| matches!(packet, FromKeeper::Exited { .. }));
    let figures = run.figures();
    let (source, sink, edge) = (&figures.nodes[0], &figures.nodes[1], &figures.edges[0]);
    assert_eq!((source.pid, source.restarts, source.connected), (None, 1, false));
    assert!(sink.pid.is_some() && sink.connected);
    assert_eq!((source.shared_memory, sink.shared_memory), (0, 0), "its process is gone; it has sent nothing");
    assert_eq!((edge.counters.sent, edge.queued, edge.capacity), (6, 6, 10));
    assert_eq!((edge.counters.received, edge.counters.undelivered, edge.counters.bytes), (0, 0, 6 * 4096));
    run.tell(&ToKeeper::Hurry);
    let finished = run.finish();
    assert_eq!(finished.report.edges[0].undelivered, 6, "who could take them is gone");
    assert_eq!(finished.exit("sink"), (signal(15), ExitCause::Stopped));
}

#[test]
fn a_message_that_is_kept_takes_its_chunk_and_no_more() {
    let plan = plan().helper("source", "send-large-and-trim 20").helper("sink", "keep-first");
    let mut run = Run::launch(&plan.edge(0, 1, 2, QueuePolicy::DropOldest));
    // The last one is never dropped.
    run.until_line("released 19");
    let taken = run.figures().nodes[0].shared_memory;
    assert!((1 << 20..=8 << 20).contains(&taken), "{taken} of 20 MiB: what is released is used again");
    run.stop(60_000);
    run.until_line("trimmed");
    let figures = run.figures();
    assert_eq!((figures.nodes[0].shared_memory, figures.nodes[1].shared_memory), (1 << 20, 0));
    run.stop(0);
    run.finish();
}
