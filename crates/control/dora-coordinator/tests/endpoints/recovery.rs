//! A coordinator ends; what runs goes on; the next one takes it up.

use std::path::Path;

use dora_coordinator::CoordinatorOptions;
use dora_gateways::*;
use dora_message::result::NodeResult;
use dora_rpc::{FencingToken, Role, RpcConfig, RpcService};
use dora_store::Store;
use tokio::time::Instant;

use crate::{
    daemon::Heard,
    world::{Machine, SECOND, World, idle, named, until},
};

async fn world(store: &Path) -> World {
    World::with(false, CoordinatorOptions::new(Store::open(store).unwrap())).await
}

/// It stops at once, whatever runs and whoever waits.
async fn stop(world: &World) {
    let begun = Instant::now();
    world.service.stop().await;
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

/// A daemon outside of the coordinator's service, which outlives it.
async fn daemon(world: &World) -> Machine {
    let service = RpcService::new(RpcConfig::new(Role::Daemon, "daemon"));
    let mut machine = Machine::start(&service, "here");
    machine.register_with(world.coordinator.resource_manager()).await.unwrap();
    machine
}

#[tokio::test(start_paused = true)]
async fn the_next_coordinator_takes_up_what_runs() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let first = world(&store).await;
    let mut machine = daemon(&first).await;
    let id = first.dispatcher.submit(named("camera")).await.unwrap();
    first.wait(id, DataflowState::Running).await;
    machine.expect(|heard| matches!(heard, Heard::Spawn { .. })).await;
    let waiting = tokio::spawn({
        let dispatcher = first.dispatcher.within(60 * SECOND);
        async move { dispatcher.wait(id, vec![DataflowState::Finished]).await }
    });
    idle().await;
    stop(&first).await;
    assert!(waiting.await.unwrap().is_err(), "it is not told that the dataflow has ended");
    drop(first);

    let second = world(&store).await;
    assert_eq!(second.states().await, [DataflowState::Running]);
    let info = second.dispatcher.info(DataflowSelector::Only).await.unwrap();
    assert_eq!(info.nodes[0].state, NodeState::Unknown, "its machine has not registered yet");
    machine.register_with(second.coordinator.resource_manager()).await.unwrap();
    // It is told who leads from now on, and starts nothing again.
    machine.expect(|heard| matches!(heard, Heard::Spawn { .. })).await;
    until(async || second.node("camera").await == NodeState::Running).await;
    let info = second.dispatcher.info(DataflowSelector::Only).await.unwrap();
    assert_eq!((&info.nodes[0].state, info.nodes[0].attempt), (&NodeState::Running, Some(Attempt(1))));
    stop(&second).await;
    drop(second);

    let third = world(&store).await;
    machine.register_with(third.coordinator.resource_manager()).await.unwrap();
    machine.expect(|heard| matches!(heard, Heard::Spawn { .. })).await;
    machine.end_node(id, "camera", NodeResult::Success).await;
    machine.end_node(id, "screen", NodeResult::Success).await;
    assert_eq!(third.wait(id, DataflowState::Finished).await, DataflowState::Finished);
    stop(&third).await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_return_after_a_restart_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let first = world(&store).await;
    let _machine = daemon(&first).await;
    let id = first.dispatcher.submit(named("camera")).await.unwrap();
    first.wait(id, DataflowState::Running).await;
    first.service.stop().await;
    drop(first);
    let second = world(&store).await;
    assert_eq!(second.wait(id, DataflowState::Finished).await, DataflowState::Failed);
    let info = second.dispatcher.info(DataflowSelector::Id(id)).await.unwrap();
    assert!(info.result.unwrap().outcome.nodes.iter().all(|node| node.result == NodeResult::Lost));
    second.dispatcher.submit(named("camera")).await.unwrap();
    second.service.stop().await;
}

/// It ended before it knew where the nodes would go: nothing can have been started.
#[tokio::test(start_paused = true)]
async fn what_was_submitted_and_not_begun_is_begun() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::open(&path).unwrap();
    let id = DataflowId(uuid::Uuid::now_v7());
    let mut record = dora_store::DataflowRecord::new(id, chrono::DateTime::UNIX_EPOCH, named("camera"));
    record.nodes = 2;
    store.submit(&record).unwrap();
    drop(store);
    let first = world(&path).await;
    // Its machine comes back later than the coordinator.
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(first.states().await, [DataflowState::Building]);
    let mut machine = daemon(&first).await;
    assert_eq!(first.wait(id, DataflowState::Running).await, DataflowState::Running);
    machine.expect(|heard| matches!(heard, Heard::Spawn { .. })).await;
    first.service.stop().await;
}

/// The same where no machine comes back, and where it was to be stopped.
#[tokio::test(start_paused = true)]
async fn what_was_not_begun_waits_for_machines_and_not_for_ever() {
    for stop in [None, Some(StopOptions::default())] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let store = Store::open(&path).unwrap();
        let id = DataflowId(uuid::Uuid::now_v7());
        let mut record = dora_store::DataflowRecord::new(id, chrono::DateTime::UNIX_EPOCH, named("camera"));
        (record.nodes, record.stop) = (2, stop);
        store.submit(&record).unwrap();
        drop(store);
        let (world, begun) = (world(&path).await, Instant::now());
        assert!(world.wait(id, DataflowState::Finished).await.is_final());
        let waited = begun.elapsed() > 50 * SECOND;
        assert_eq!(waited, stop.is_none(), "{:?}", begun.elapsed());
        world.service.stop().await;
    }
}

/// A daemon that serves a later leader has nothing to do with an earlier one.
#[tokio::test(start_paused = true)]
async fn a_daemon_of_a_later_leader_is_not_taken() {
    let world = World::new(false).await;
    let leader = world.coordinator.leader();
    let service = RpcService::new(RpcConfig::new(Role::Daemon, "daemon"));
    let mut machine = Machine::start(&service, "here");
    for (epoch, nonce) in [(leader.epoch + 1, leader.nonce), (leader.epoch, leader.nonce ^ 1)] {
        machine.served = Some(FencingToken { epoch, nonce });
        let refused = machine.register_with(world.coordinator.resource_manager()).await;
        assert!(matches!(refused, Err(ResourceManagerError::Stale(_))), "{refused:?}");
    }
    machine.served = Some(leader);
    machine.register_with(world.coordinator.resource_manager()).await.unwrap();
}

/// A version that does not understand its file any longer cannot lead it: it says so, and what runs is stopped.
#[tokio::test(start_paused = true)]
async fn what_is_not_understood_any_longer_has_failed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::open(&path).unwrap();
    let id = DataflowId(uuid::Uuid::now_v7());
    let odd = Submission { descriptor: "nodes: 7".to_owned(), ..named("camera") };
    store.submit(&dora_store::DataflowRecord::new(id, chrono::DateTime::UNIX_EPOCH, odd)).unwrap();
    drop(store);
    let world = world(&path).await;
    until(async || world.states().await == [DataflowState::Failed]).await;
    let info = world.dispatcher.info(DataflowSelector::from("camera")).await.unwrap();
    assert!(matches!(info.result.unwrap().outcome.trouble, Some(Trouble::CannotRun(_))));
    let service = RpcService::new(RpcConfig::new(Role::Daemon, "daemon"));
    let mut machine = Machine::start(&service, "here");
    machine.with(move |daemon| daemon.adopt(id)).await;
    machine.register_with(world.coordinator.resource_manager()).await.unwrap();
    machine.expect(|heard| *heard == Heard::Disown).await;
    stop(&world).await;
}
