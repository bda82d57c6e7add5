//! Lines that nodes print and have printed.

use std::time::Duration;

use dora_gateways::*;
use dora_message::log::LogLevel;
use dora_rpc::RpcStream;

use crate::cluster::{Cluster, LEADER, Master, both, next, rest};

async fn ask(cluster: &Cluster, dataflow: DataflowId, query: LogQuery) -> RpcStream<LogChunk> {
    cluster.executor.logs(dataflow, query).await.unwrap()
}

/// The lines of chunks, none of which may say that lines are missing.
fn messages(chunks: Vec<LogChunk>) -> Vec<String> {
    let lines = |chunk| match chunk {
        LogChunk::Lines(lines) => lines,
        other => panic!("not lines: {other:?}"),
    };
    chunks.into_iter().flat_map(lines).map(|line| line.message).collect()
}

/// Runs a dataflow to its end, which the daemon forgets then.
async fn ran(cluster: &Cluster, text: &str) -> DataflowId {
    let (dataflow, mut master) = cluster.run(text).await;
    assert!(master.finished().await.is_success());
    while !cluster.executor.observed().await.unwrap().is_empty() {}
    dataflow
}

#[tokio::test]
async fn a_dataflow_that_has_ended_has_its_lines() {
    both(async |cluster| {
        let said = r#"{\"timestamp\":\"2020-01-01T00:00:00Z\",\"level\":\"WARN\",\"message\":\"hot\",\"celsius\":90}"#;
        let dataflow = ran(
            &cluster,
            &format!(
                "nodes: [{{ id: a, path: echo, args: \"'{said}'\" }}, {{ id: b, path: sh, args: -c 'echo one; echo two' }}]"
            ),
        )
        .await;
        let lines = async |query| messages(rest(ask(&cluster, dataflow, query).await).await);
        let all = lines(LogQuery::default()).await;
        assert_eq!(all, ["hot", "one", "two"]);
        assert_eq!(lines(LogQuery { tail: Some(1), ..LogQuery::default() }).await, ["two"]);
        assert_eq!(lines(LogQuery { level: Some(LogLevel::Warn), ..LogQuery::default() }).await, ["hot"]);
        assert_eq!(lines(LogQuery { grep: Some("wo".to_owned()), ..LogQuery::default() }).await, ["two"]);
        assert_eq!(lines(LogQuery { nodes: vec!["b".into()], ..LogQuery::default() }).await, ["one", "two"]);
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(lines(LogQuery { since: hour, ..LogQuery::default() }).await, ["one", "two"]);
        assert_eq!(lines(LogQuery { until: hour, ..LogQuery::default() }).await, ["hot"]);
        assert_eq!(lines(LogQuery { follow: true, ..LogQuery::default() }).await, all);
        let chunks = rest(ask(&cluster, dataflow, LogQuery { tail: Some(3), ..LogQuery::default() }).await).await;
        let Some(LogChunk::Lines(lines)) = chunks.into_iter().next() else { panic!("no lines") };
        assert_eq!(lines[0].fields.as_deref(), Some("{\"celsius\":90}"));
        assert_eq!(lines[0].source, LogSource::Node("a".into()));
    })
    .await;
}

#[tokio::test]
async fn what_a_dataflow_left_is_removed_when_it_has_ended_and_then_unknown() {
    both(async |cluster| {
        let (running, mut master) = cluster.run("nodes: [{ id: a, path: sleep, args: '1000' }]").await;
        let refused = cluster.executor.clean(LEADER, running).await.unwrap_err();
        assert_eq!(refused, NodeExecutorError::StillRuns { dataflow: running });
        master.until("a", &NodeState::Starting).await;
        cluster.stop(running, Duration::from_secs(60), Urgency::Ask).await;
        master.finished().await;
        master.server.stop().await;
        let mut master = cluster.master("another");
        let submission = cluster.submission("nodes: [{ id: a, path: echo, args: hello }]");
        let dataflow = cluster.spawn(2, submission, &master).await;
        master.finished().await;
        while !cluster.executor.observed().await.unwrap().is_empty() {}
        assert!(cluster.out(dataflow).is_dir());
        cluster.executor.clean(LEADER, dataflow).await.unwrap();
        cluster.executor.clean(LEADER, dataflow).await.unwrap();
        assert!(!cluster.out(dataflow).exists());
        let unknown = cluster.executor.logs(dataflow, LogQuery::default()).await.unwrap_err();
        assert_eq!(unknown, NodeExecutorError::UnknownDataflow { dataflow });
    })
    .await;
}

#[tokio::test]
async fn what_is_being_stopped_is_removed_when_it_has_ended() {
    both(async |cluster| {
        let script = "trap : TERM; echo here; while [ ! -e go ]; do sleep 0.01; done";
        let (dataflow, mut master) =
            cluster.run(&format!("nodes: [{{ id: a, path: sh, args: \"-c '{script}'\" }}]")).await;
        master.until("a", &NodeState::Starting).await;
        next(&mut ask(&cluster, dataflow, LogQuery { follow: true, ..LogQuery::default() }).await).await.unwrap();
        cluster.stop(dataflow, Duration::from_secs(60), Urgency::Ask).await;
        let executor = cluster.executor.clone();
        let clean = tokio::spawn(async move { executor.clean(LEADER, dataflow).await });
        master.until("a", &NodeState::Stopping).await;
        while !cluster.out(dataflow).is_dir() {
            tokio::task::yield_now().await;
        }
        assert!(!clean.is_finished(), "{:?}", clean.await);
        std::fs::write(cluster.dir.path().join("go"), "").unwrap();
        clean.await.unwrap().unwrap();
        assert!(!cluster.out(dataflow).exists());
        master.finished().await;
        std::fs::remove_file(cluster.dir.path().join("go")).unwrap();
    })
    .await;
}

/// A node that prints numbers in bursts until there is a file `stop`.
fn counting(rules: &str) -> String {
    let script =
        "i=0; while [ ! -e stop ]; do for n in 1 2 3 4 5 6 7 8 9 10; do i=$((i+1)); echo $i; done; sleep 0.002; done";
    format!("nodes: [{{ id: a, path: sh, args: \"-c '{script}'\"{rules} }}]")
}

/// Begins to follow, again and again while the node prints; what each follower was told.
async fn followed(cluster: &Cluster, dataflow: DataflowId, mut master: Master) -> Vec<Vec<usize>> {
    let follow = || LogQuery { nodes: vec!["a".into()], follow: true, ..LogQuery::default() };
    let mut followers = Vec::new();
    for _ in 0..20 {
        let mut lines = ask(cluster, dataflow, follow()).await;
        let first = next(&mut lines).await.unwrap();
        followers.push(tokio::spawn(async move { [vec![first], rest(lines).await].concat() }));
    }
    std::fs::write(cluster.dir.path().join("stop"), "").unwrap();
    assert!(master.finished().await.is_success());
    let mut told = Vec::new();
    for follower in followers {
        told.push(messages(follower.await.unwrap()).iter().map(|line| line.parse().unwrap()).collect());
    }
    std::fs::remove_file(cluster.dir.path().join("stop")).unwrap();
    told
}

#[tokio::test]
async fn who_follows_is_told_every_line_once_whenever_he_begins() {
    both(async |cluster| {
        let (dataflow, master) = cluster.run(&counting("")).await;
        for lines in followed(&cluster, dataflow, master).await {
            let wrong = lines.iter().zip(1..).find(|(line, expected)| **line != *expected);
            assert_eq!(wrong, None, "of {}", lines.len());
        }
    })
    .await;
}

#[tokio::test]
async fn who_follows_files_of_which_the_oldest_are_removed_misses_none_of_the_others() {
    both(async |cluster| {
        let rules = ", max_log_size: 8KB, max_rotated_files: 3";
        let (dataflow, master) = cluster.run(&counting(rules)).await;
        for lines in followed(&cluster, dataflow, master).await {
            let wrong = lines.windows(2).find(|pair| pair[0] + 1 != pair[1]);
            assert_eq!(wrong, None, "of {}", lines.len());
        }
    })
    .await;
}

#[tokio::test]
async fn who_follows_and_does_not_read_delays_neither_nodes_nor_heartbeats() {
    const MANY: usize = 300_000;
    both(async |cluster| {
        let filling = "x".repeat(150);
        let text = format!("nodes: [{{ id: a, path: seq, args: '-f %06.0f-{filling} 1 {MANY}' }}]");
        let mut master = cluster.master("master");
        let dataflow = cluster.spawn(1, cluster.submission(&text), &master).await;
        let query = LogQuery { nodes: vec!["a".into()], follow: true, ..LogQuery::default() };
        let lines = ask(&cluster, dataflow, query).await;
        assert!(master.finished().await.is_success());
        cluster.executor.heartbeat(LEADER).await.unwrap();
        let (mut read, mut missed) = (0, 0);
        for chunk in rest(lines).await {
            match chunk {
                LogChunk::Lines(lines) => read += lines.len(),
                LogChunk::Missed(lines) => missed += lines as usize,
                LogChunk::Unread { reason, .. } => panic!("{reason}"),
            }
        }
        assert_eq!(read + missed, MANY);
        assert!(missed > 0, "all were read");
    })
    .await;
}
