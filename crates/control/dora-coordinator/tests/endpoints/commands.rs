//! What is not about one dataflow that runs: building, files, figures, forgetting, the end.

use dora_coordinator::CoordinatorOptions;
use dora_gateways::*;
use dora_rpc::{Address, Gateway, RpcError, stream};
use dora_store::Store;
use ring::digest::{SHA256, digest};

use crate::{
    daemon::{Heard, Reach},
    world::{PAIR, World, all, named, submission, until, worlds},
};

#[tokio::test(start_paused = true)]
async fn a_build_is_done_where_the_nodes_would_go_and_holds_no_place() {
    worlds(async |world| {
        let machine = world.daemon("here").await;
        let steps = all(world.dispatcher.build(submission(PAIR)).await.unwrap()).await;
        assert_eq!(steps.len(), 3);
        assert_eq!(steps[2], BuildStep::Done);
        let places = world.dispatcher.machines().await.unwrap();
        assert_eq!(places[0].free, places[0].resources);
        machine.with(|daemon| daemon.refuses = true).await;
        let steps = all(world.dispatcher.build(submission(PAIR)).await.unwrap()).await;
        assert_eq!(steps.last(), Some(&BuildStep::Failed(Trouble::Interrupted)));
        let elsewhere = PAIR.replace("camera, path", "camera, deploy: { machine: robot }, path");
        let refused = world.dispatcher.build(submission(&elsewhere)).await.unwrap_err();
        assert!(matches!(refused, DispatcherError::NoFit { .. }), "{refused:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_forgotten_and_what_runs_is_not() {
    worlds(async |world| {
        let mut machine = world.daemon("here").await;
        let first = world.dispatcher.submit(named("first")).await.unwrap();
        world.wait(first, DataflowState::Running).await;
        world.dispatcher.stop(DataflowSelector::Only, StopOptions::default()).await.unwrap();
        let second = world.dispatcher.submit(named("second")).await.unwrap();
        let filter = ListFilter { name: Some("other".to_owned()), ..ListFilter::default() };
        assert_eq!(world.dispatcher.clean(filter).await, Ok(vec![]));
        let forgotten = world.dispatcher.clean(ListFilter::default()).await.unwrap();
        assert_eq!(forgotten.iter().map(|it| it.id).collect::<Vec<_>>(), [first]);
        machine.expect(|heard| *heard == Heard::Clean(first)).await;
        let left = world.dispatcher.list(ListFilter::default()).await.unwrap();
        assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [second]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn everything_ends_when_nothing_runs_or_it_is_forced() {
    worlds(async |world| {
        let (mut machine, id) = world.running().await;
        let refused = world.dispatcher.destroy(false).await.unwrap_err();
        assert!(matches!(&refused, DispatcherError::StillRunning { running } if running[0].id == id), "{refused:?}");
        assert_eq!(world.states().await, [DataflowState::Running]);
        assert_eq!(world.dispatcher.destroy(true).await, Ok(()));
        machine.expect(|heard| *heard == Heard::ShutDown).await;
        world.coordinator.ended().await;
        assert_eq!(world.states().await, [DataflowState::Finished]);
        let late = world.submit(PAIR).await.unwrap_err();
        assert!(matches!(late, DispatcherError::Rpc(RpcError::Stopped { .. })), "{late:?}");
        assert_eq!(world.states().await.len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn files_go_to_the_daemons_before_the_nodes_are_started() {
    for force_serialization in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let artifacts = Some(directory.path().to_owned());
        let options = CoordinatorOptions { artifacts, ..CoordinatorOptions::new(Store::in_memory().unwrap()) };
        let world = World::with(force_serialization, options).await;
        let mut machine = world.daemon("here").await;
        let content = b"print()".to_vec();
        let hash = ArtifactHash(digest(&SHA256, &content).as_ref().try_into().unwrap());
        assert_eq!(world.dispatcher.missing_artifacts(vec![hash]).await, Ok(vec![hash]));
        let send = async |hash, bytes: &[u8]| {
            let (sender, stream) = stream(4);
            sender.send(bytes.to_vec()).await.unwrap();
            drop(sender);
            world.dispatcher.upload_artifact(hash, 7, stream).await
        };
        let refused = send(ArtifactHash([7; 32]), &content).await.unwrap_err();
        assert!(matches!(refused, DispatcherError::Artifact { .. }), "{refused:?}");
        send(hash, &content).await.unwrap();
        assert_eq!(world.dispatcher.missing_artifacts(vec![hash]).await, Ok(vec![]));
        let file = Artifact { hash, size: 7, path: "camera.py".to_owned(), executable: false };
        world.dispatcher.submit(Submission { artifacts: vec![file], ..submission(PAIR) }).await.unwrap();
        let heard = machine.expect(|it| matches!(it, Heard::Artifact(_) | Heard::Spawn { .. })).await;
        assert_eq!(heard, Heard::Artifact(content));
        world.service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn figures_of_all_machines_come_together_and_missing_ones_are_named() {
    worlds(async |world| {
        let (_one, two) = (world.daemon("one").await, world.daemon("two").await);
        let metrics: Gateway<MetricQueryServiceCall> =
            world.service.connect(&Address::here(), "metrics").await.unwrap();
        let names = |snapshot: MetricsSnapshot| {
            let machines: Vec<_> = snapshot.machines.into_iter().map(|it| it.machine.0).collect();
            let missing: Vec<_> = snapshot.missing.into_iter().map(|it| it.0).collect();
            (machines, missing)
        };
        let all = metrics.snapshot(MetricQuery::default()).await.unwrap();
        assert_eq!(names(all), (vec!["one".to_owned(), "two".to_owned()], vec![]));
        two.with(|daemon| daemon.hangs = true).await;
        let missing = async || {
            let some = metrics.snapshot(MetricQuery::default()).await.unwrap();
            assert_eq!(names(some), (vec!["one".to_owned()], vec!["two".to_owned()]));
        };
        missing().await;
        world.silence(&two).await;
        missing().await;
        // Once the machine is lost, nobody can know the dataflow.
        let dataflow = DataflowId(uuid::Uuid::from_u128(7));
        let unknown = Err(MetricsError::UnknownDataflow { dataflow });
        let query = || MetricQuery { dataflow: Some(dataflow), nodes: vec![] };
        until(async || metrics.snapshot(query()).await == unknown).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn savepoints_are_refused_by_name() {
    worlds(async |world| {
        let refused = world.dispatcher.savepoint(DataflowSelector::Only).await.unwrap_err();
        assert_eq!(refused.to_string(), "savepoint is not served by this version");
        let refused = world.dispatcher.missing_artifacts(vec![]).await.unwrap_err();
        assert!(matches!(refused, DispatcherError::NotServed { .. }));
    })
    .await;
}

/// A dataflow that only others join runs as soon as they can.
#[tokio::test(start_paused = true)]
async fn a_dataflow_of_dynamic_nodes_runs_at_once() {
    worlds(async |world| {
        let machine = world.daemon("here").await;
        machine.with(|daemon| daemon.reach = Reach::Waiting).await;
        let id = world.submit("nodes:\n  - { id: guest, path: dynamic, outputs: [x] }\n").await.unwrap();
        assert_eq!(world.wait(id, DataflowState::Running).await, DataflowState::Running);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn files_travel_unless_all_machines_see_them() {
    worlds(async |world| {
        let sees = async || world.dispatcher.sees(Origin::default()).await.unwrap();
        let _one = world.daemon("one").await;
        let two = world.daemon("two").await;
        assert!(sees().await);
        two.with(|daemon| daemon.hangs = true).await;
        assert!(!sees().await, "it may not");
        two.with(|daemon| (daemon.hangs, daemon.sees) = (false, false)).await;
        assert!(!sees().await);
    })
    .await;
}
