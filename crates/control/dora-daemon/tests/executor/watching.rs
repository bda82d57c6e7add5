//! Who watches a dataflow, and how much it misses.

use dora_gateways::*;

use crate::cluster::{both, lines, next, rest, until_line};

/// Prints this many lines, more than all queues between a node and its reader hold.
const MANY: usize = 200_000;

fn printing() -> String {
    let filling = "x".repeat(150);
    format!("nodes: [{{ id: a, path: seq, args: '-f %06.0f-{filling} 1 {MANY}' }}]")
}

/// The number of a line.
fn number(line: &str) -> usize {
    line[..6].parse().unwrap()
}

#[tokio::test]
async fn who_watches_closely_misses_nothing_however_slow() {
    both(async |cluster| {
        let mut master = cluster.master("master");
        let submission = Submission { watched: Some(Watching::Closely), ..cluster.submission(&printing()) };
        let dataflow = cluster.spawn(1, submission, &master).await;
        let mut events = cluster.executor.events(dataflow, Watching::Closely).await.unwrap();
        let mut read = Vec::new();
        while read.is_empty() {
            read = lines(&[next(&mut events).await.unwrap()]);
        }
        let events = rest(events).await;
        assert!(!events.iter().any(|event| matches!(event, DataflowEvent::Missed { .. })));
        read.extend(lines(&events));
        assert!(read.iter().zip(1..).all(|(line, expected)| number(line) == expected) && read.len() == MANY);
        assert!(master.finished().await.is_success());
    })
    .await;
}

#[tokio::test]
async fn who_watches_loosely_is_told_how_many_lines_are_missing() {
    both(async |cluster| {
        let mut master = cluster.master("master");
        let submission = Submission { watched: Some(Watching::Loosely), ..cluster.submission(&printing()) };
        let dataflow = cluster.spawn(1, submission, &master).await;
        let events = cluster.executor.events(dataflow, Watching::Loosely).await.unwrap();
        // The node ends although nobody reads.
        assert!(master.finished().await.is_success());
        let events = rest(events).await;
        let missed = |event: &DataflowEvent| if let DataflowEvent::Missed { lines } = event { *lines } else { 0 };
        let missed: u64 = events.iter().map(missed).sum();
        let read = lines(&events);
        assert!(missed > 0);
        assert_eq!(read.len() + missed as usize, MANY);
        assert_eq!(read.last().map(|line| number(line)), Some(MANY));
        assert!(matches!(events.last(), Some(DataflowEvent::Exited(_))));
    })
    .await;
}

#[tokio::test]
async fn who_watches_closely_and_does_not_read_holds_up_no_stop() {
    both(async |cluster| {
        let mut master = cluster.master("master");
        let submission = cluster.submission("nodes: [{ id: a, path: sh, args: -c 'exec yes' }]");
        let submission = Submission { watched: Some(Watching::Closely), ..submission };
        let dataflow = cluster.spawn(1, submission, &master).await;
        let mut events = cluster.executor.events(dataflow, Watching::Closely).await.unwrap();
        until_line(&mut events, "y").await;
        cluster.executor.stop_nodes(crate::cluster::LEADER, dataflow, vec![], StopOptions::default()).await.unwrap();
        assert!(master.finished().await.is_success());
        drop(events);
    })
    .await;
}

#[tokio::test]
async fn everybody_is_told_from_when_he_asks_and_a_reader_that_leaves_disturbs_nobody() {
    both(async |cluster| {
        let mut master = cluster.master("master");
        let text =
            "nodes: [{ id: a, path: sh, args: \"-c 'echo up; while [ ! -e go ]; do sleep 0.01; done; echo on'\" }]";
        let submission = Submission { watched: Some(Watching::Loosely), ..cluster.submission(text) };
        let dataflow = cluster.spawn(1, submission, &master).await;
        let mut first = cluster.executor.events(dataflow, Watching::Loosely).await.unwrap();
        until_line(&mut first, "up").await;
        let second = cluster.executor.events(dataflow, Watching::Closely).await.unwrap();
        drop(first);
        std::fs::write(cluster.dir.path().join("go"), "").unwrap();
        assert_eq!(lines(&rest(second).await), ["on"]);
        assert!(master.finished().await.is_success());
        let other = cluster.executor.events(DataflowId(uuid::Uuid::nil()), Watching::Loosely).await;
        assert!(matches!(other, Err(NodeExecutorError::UnknownDataflow { .. })));
    })
    .await;
}
