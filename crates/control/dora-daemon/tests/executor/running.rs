//! Dataflows that come to their end, or not even to their start.

use dora_gateways::*;
use dora_message::{result::NodeResult, supervision::ExitStatus};

use crate::cluster::{FORMER, LEADER, News, both, lines, rest, spawn};

#[tokio::test]
async fn a_run_that_goes_well() {
    both(async |cluster| {
        let mut master = cluster.master("master");
        let submission =
            cluster.submission("nodes: [{ id: a, path: sh, args: -c 'echo hello' }, { id: b, path: 'true' }]");
        let submission = Submission { watched: Some(Watching::Closely), ..submission };
        let dataflow = cluster.spawn(1, submission, &master).await;
        let events = rest(cluster.executor.events(dataflow, Watching::Loosely).await.unwrap()).await;
        assert!(
            matches!(&events[0], DataflowEvent::Planned { plan, .. } if plan.nodes[0].env.is_empty()),
            "{events:?}"
        );
        assert_eq!(lines(&events), ["hello"]);
        let outcome = master.finished().await;
        assert!(outcome.is_success(), "{outcome:?}");
        assert_eq!(outcome.nodes.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn states_are_told_and_each_is_newer_than_the_one_before() {
    both(async |cluster| {
        let (_, mut master) = cluster.run("nodes: [{ id: a, path: sh, args: -c 'exit 3' }]").await;
        let (mut latest, mut last) = (0, None);
        let outcome = loop {
            match master.news.recv().await.unwrap() {
                News::Changed(updates) => {
                    assert_eq!(updates.len(), 1);
                    assert!(updates[0].sequence > latest && updates[0].attempt == Attempt(1));
                    (latest, last) = (updates[0].sequence, Some(updates[0].state.clone()));
                }
                News::Finished(outcome) => break outcome,
            }
        };
        let failed = NodeResult::Failed(ExitStatus::Code { code: 3 });
        assert_eq!(last, Some(NodeState::Ended(failed.clone())));
        assert_eq!(outcome.nodes[0].result, failed);
    })
    .await;
}

#[tokio::test]
async fn mistakes_are_told_with_their_keys() {
    both(async |cluster| {
        let (dataflow, mut master) = cluster
            .run("nodes: [{ id: a, path: ./nothing }, { id: b, path: sh, deploy: { working_dir: gone } }]")
            .await;
        let outcome = master.finished().await;
        let Some(Trouble::Mistakes(mistakes)) = &outcome.trouble else { panic!("{outcome:?}") };
        let keys: Vec<_> = mistakes.iter().map(|mistake| mistake.key.as_deref().unwrap()).collect();
        assert_eq!(keys, ["path", "deploy"]);
        assert!(mistakes[0].message.starts_with("the program `./nothing` does not exist"), "{mistakes:?}");
        assert!(outcome.nodes.iter().all(|node| node.result == NodeResult::Lost));
        assert!(!cluster.out(dataflow).exists());
    })
    .await;
}

#[tokio::test]
async fn a_text_that_is_no_dataflow_is_trouble() {
    both(async |cluster| {
        let (_, mut master) = cluster.run("nodes: [{ id: a }]").await;
        let outcome = master.finished().await;
        assert!(matches!(&outcome.trouble, Some(Trouble::CannotRun(text)) if text.contains("path")), "{outcome:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_built_is_told_and_a_build_that_fails_is_trouble() {
    both(async |cluster| {
        let mut master = cluster.master("master");
        let text = "nodes: [{ id: a, path: 'true', build: \"sh -c 'echo built; exit 3'\" }]";
        let submission = Submission { watched: Some(Watching::Closely), ..cluster.submission(text) };
        let dataflow = cluster.spawn(1, submission, &master).await;
        let events = rest(cluster.executor.events(dataflow, Watching::Closely).await.unwrap()).await;
        let is_line = |event: &DataflowEvent| {
            matches!(event, DataflowEvent::Build(BuildEvent { progress: Progress::Output { text, .. }, .. }) if text == "built")
        };
        assert!(events.iter().any(is_line), "{events:?}");
        let outcome = master.finished().await;
        let Some(Trouble::Build(mistake)) = &outcome.trouble else { panic!("{outcome:?}") };
        assert_eq!((mistake.key.as_deref(), mistake.last_lines.as_slice()), (Some("build"), &["built".to_owned()][..]));
    })
    .await;
}

#[tokio::test]
async fn what_was_built_before_is_not_built_again() {
    both(async |cluster| {
        let mut master = cluster.master("master");
        let text = "nodes: [{ id: a, path: 'true', build: 'false' }]";
        let submission = Submission { build: BuildMode::Nothing, ..cluster.submission(text) };
        cluster.spawn(1, submission, &master).await;
        assert!(master.finished().await.is_success());
    })
    .await;
}

#[tokio::test]
async fn a_node_of_another_machine_is_left_alone_and_an_edge_to_it_refused() {
    both(async |cluster| {
        let text = "nodes: [{ id: a, path: 'true', outputs: [x] }, { id: b, path: 'true', inputs: { in: a/x } }, { id: c, path: 'true' }]";
        for (number, (here, well)) in [("c", true), ("b", false)].into_iter().enumerate() {
            let mut master = cluster.master(here);
            let mut spawn = spawn(number as u128, cluster.submission(text), &master);
            spawn.nodes = vec![(here.into(), Attempt(1))];
            cluster.executor.spawn_nodes(LEADER, spawn).await.unwrap();
            let outcome = master.finished().await;
            assert_eq!((outcome.is_success(), outcome.nodes.len()), (well, 1), "{outcome:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn asked_twice_it_starts_once_and_the_second_master_is_told() {
    both(async |cluster| {
        let first = cluster.master("first");
        let submission = cluster.submission("nodes: [{ id: a, path: sh, args: -c 'echo up; exec sleep 1000' }]");
        let dataflow = cluster.spawn(1, submission.clone(), &first).await;
        let mut second = cluster.master("second");
        cluster.executor.spawn_nodes(LEADER, spawn(1, submission.clone(), &second)).await.unwrap();
        let pid = second.until("a", &NodeState::Starting).await.pid;
        let observed = cluster.executor.observed().await.unwrap();
        assert_eq!((observed.len(), observed[0].nodes.len()), (1, 1));
        let mut other = spawn(1, submission, &second);
        other.nodes[0].1 = Attempt(2);
        let refused = cluster.executor.spawn_nodes(LEADER, other).await.unwrap_err();
        assert!(matches!(refused, NodeExecutorError::Spawn { .. }), "{refused}");
        let mut third = cluster.master("third");
        cluster
            .executor
            .spawn_nodes(LEADER, spawn(1, cluster.submission("nodes: [{ id: a, path: sh }]"), &third))
            .await
            .unwrap();
        assert_eq!(third.until("a", &NodeState::Starting).await.pid, pid);
        cluster.executor.stop_nodes(LEADER, dataflow, vec![], StopOptions::default()).await.unwrap();
        assert!(third.finished().await.is_success());
    })
    .await;
}

#[tokio::test]
async fn placements_that_have_ended_make_room_for_newer_ones() {
    both(async |cluster| {
        let mut master = cluster.master("master");
        // Nobody asks for what is watched: it is kept for a while.
        let submission = cluster.submission("nodes: [{ id: a, path: 'true' }]");
        let submission = Submission { watched: Some(Watching::Loosely), ..submission };
        for attempt in 1..=2 {
            let mut spawn = spawn(1, submission.clone(), &master);
            spawn.nodes[0].1 = Attempt(attempt);
            cluster.executor.spawn_nodes(LEADER, spawn).await.unwrap();
            assert!(master.finished().await.is_success());
        }
        let observed = cluster.executor.observed().await.unwrap();
        assert_eq!(observed[0].nodes[0].attempt, Attempt(2));
        let stopped =
            cluster.executor.stop_nodes(LEADER, observed[0].dataflow, vec!["a".into()], StopOptions::default());
        stopped.await.unwrap();
        cluster.executor.shut_down(LEADER, StopOptions::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_former_leader_is_refused_whatever_it_wants() {
    both(async |cluster| {
        let (dataflow, mut master) = cluster.run("nodes: [{ id: a, path: sleep, args: '1000' }]").await;
        master.until("a", &NodeState::Starting).await;
        let executor = &cluster.executor;
        let options = StopOptions::default();
        let spawn = spawn(2, cluster.submission("nodes: [{ id: a, path: 'true' }]"), &master);
        let refusals = [
            executor.heartbeat(FORMER).await,
            executor.spawn_nodes(FORMER, spawn).await,
            executor.release(FORMER, dataflow).await,
            executor.stop_nodes(FORMER, dataflow, vec![], options).await,
            executor.shut_down(FORMER, options).await,
        ];
        for refused in refusals {
            assert!(matches!(refused, Err(NodeExecutorError::Stale(_))), "{refused:?}");
        }
        assert_eq!(executor.observed().await.unwrap().len(), 1);
        executor.stop_nodes(LEADER, dataflow, vec![], options).await.unwrap();
        assert!(master.finished().await.is_success());
    })
    .await;
}
