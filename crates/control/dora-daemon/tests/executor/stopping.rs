//! Every way to end a dataflow before it ends by itself.

use std::time::Duration;

use dora_gateways::*;
use dora_message::result::NodeResult;

use crate::cluster::{Cluster, LEADER, Master, both, until_line};

const STUBBORN: &str =
    "nodes: [{ id: a, path: sh, args: \"-c 'trap : TERM; echo up; while :; do sleep 1000; done'\" }]";
const HOUR: Duration = Duration::from_secs(3600);

/// Runs a dataflow until it says "up".
async fn up(cluster: &Cluster, text: &str) -> (DataflowId, Master) {
    let master = cluster.master("master");
    let submission = Submission { watched: Some(Watching::Loosely), ..cluster.submission(text) };
    let dataflow = cluster.spawn(1, submission, &master).await;
    let mut events = cluster.executor.events(dataflow, Watching::Loosely).await.unwrap();
    until_line(&mut events, "up").await;
    (dataflow, master)
}

#[tokio::test]
async fn nodes_are_asked() {
    both(async |cluster| {
        let (dataflow, mut master) =
            up(&cluster, "nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }]").await;
        cluster.stop(dataflow, HOUR, Urgency::Ask).await;
        assert!(master.finished().await.is_success());
    })
    .await;
}

#[tokio::test]
async fn the_grace_is_theirs() {
    both(async |cluster| {
        let (dataflow, mut master) = up(&cluster, STUBBORN).await;
        cluster.stop(dataflow, Duration::from_millis(50), Urgency::Ask).await;
        assert_eq!(master.finished().await.nodes[0].result, NodeResult::GraceExceeded);
    })
    .await;
}

#[tokio::test]
async fn more_urgency_takes_the_place_of_less_and_not_the_other_way_round() {
    both(async |cluster| {
        let (dataflow, mut master) = up(&cluster, STUBBORN).await;
        cluster.stop(dataflow, HOUR, Urgency::Ask).await;
        master.until("a", &NodeState::Stopping).await;
        cluster.stop(dataflow, HOUR, Urgency::Kill).await;
        let options = StopOptions { grace: Some(HOUR), urgency: Urgency::Ask };
        let late = cluster.executor.stop_nodes(LEADER, dataflow, Vec::new(), options).await;
        // It may have ended, and the master know it.
        assert!(matches!(late, Ok(()) | Err(NodeExecutorError::UnknownDataflow { .. })), "{late:?}");
        master.finished().await;
    })
    .await;
}

#[tokio::test]
async fn haste_needs_no_stop_before_it() {
    both(async |cluster| {
        let (dataflow, mut master) =
            up(&cluster, "nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }]").await;
        cluster.stop(dataflow, HOUR, Urgency::Hurry).await;
        assert!(master.finished().await.is_success());
    })
    .await;
}

#[tokio::test]
async fn a_stop_ends_the_build() {
    both(async |cluster| {
        let mut master = cluster.master("master");
        let text = "nodes: [{ id: a, path: 'true', build: \"sh -c 'echo up; sleep 1000'\" }]";
        let submission = Submission { watched: Some(Watching::Loosely), ..cluster.submission(text) };
        let dataflow = cluster.spawn(1, submission, &master).await;
        let mut events = cluster.executor.events(dataflow, Watching::Loosely).await.unwrap();
        loop {
            let event = crate::cluster::next(&mut events).await.expect("the build says something");
            if matches!(event, DataflowEvent::Build(BuildEvent { progress: Progress::Output { .. }, .. })) {
                break;
            }
        }
        cluster.stop(dataflow, HOUR, Urgency::Ask).await;
        assert_eq!(master.finished().await.trouble, Some(Trouble::Interrupted));
    })
    .await;
}

#[tokio::test]
async fn a_keeper_that_does_not_obey_is_killed() {
    both(async |cluster| {
        let (dataflow, mut master) =
            up(&cluster, "nodes: [{ id: a, path: sh, args: -c 'echo up; echo $PPID >keeper; exec sleep 1000' }]").await;
        let keeper = cluster.dir.path().join("keeper");
        let pid = loop {
            match std::fs::read_to_string(&keeper).ok().and_then(|text| text.trim().parse().ok()) {
                Some(pid) => break pid,
                None => tokio::task::yield_now().await,
            }
        };
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        cluster.stop(dataflow, HOUR, Urgency::Kill).await;
        let outcome = master.finished().await;
        assert!(matches!(outcome.trouble, Some(Trouble::KeeperDied { .. })), "{outcome:?}");
    })
    .await;
}

#[tokio::test]
async fn shutting_down_stops_everything_and_takes_nothing_more() {
    both(async |cluster| {
        let (_, mut master) = up(&cluster, "nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }]").await;
        cluster.executor.shut_down(LEADER, StopOptions::default()).await.unwrap();
        assert!(master.finished().await.is_success());
        let spawn = crate::cluster::spawn(2, cluster.submission("nodes: [{ id: a, path: 'true' }]"), &master);
        let refused = cluster.executor.spawn_nodes(LEADER, spawn).await.unwrap_err();
        assert!(matches!(refused, NodeExecutorError::Spawn { .. }), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn one_node_is_stopped_and_one_is_started_again() {
    both(async |cluster| {
        let text =
            "nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }, { id: b, path: sleep, args: '1000' }]";
        let (dataflow, mut master) = up(&cluster, text).await;
        let options = StopOptions::default();
        cluster.executor.restart_nodes(LEADER, dataflow, vec!["a".into()], options).await.unwrap();
        while master.until("a", &NodeState::Starting).await.restarts != 1 {}
        cluster.executor.stop_nodes(LEADER, dataflow, vec!["b".into()], options).await.unwrap();
        master.until("b", &NodeState::Ended(NodeResult::Success)).await;
        let observed = cluster.executor.observed().await.unwrap();
        assert_eq!(observed[0].nodes[0].state, NodeState::Starting);
        cluster.executor.stop_nodes(LEADER, dataflow, vec![], options).await.unwrap();
        assert!(master.finished().await.is_success());
    })
    .await;
}
