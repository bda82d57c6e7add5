//! The disk of the store is full for a while.

use dora_coordinator::CoordinatorOptions;
use dora_gateways::*;
use dora_store::{Store, testing::Disk};

use crate::world::{World, named, until};

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_while_it_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let disk = Disk::default();
    let world = World::with(false, CoordinatorOptions::new(disk.open(&path).unwrap())).await;
    let (_machine, id) = world.running().await;

    disk.fill(true);
    let is_refused = |error: &DispatcherError, what: &str| {
        assert!(matches!(error, DispatcherError::Store { reason } if reason.contains(what)), "{error}");
    };
    is_refused(&world.dispatcher.submit(named("late")).await.unwrap_err(), "cannot be read or written");
    for _ in 0..2 {
        let stop = world.dispatcher.stop(DataflowSelector::Id(id), StopOptions::default()).await;
        is_refused(&stop.unwrap_err(), "all nodes have ended, but this cannot be written");
    }

    // With room again it is written without being asked for, and the next coordinator knows it.
    disk.fill(false);
    until(async || world.states().await == [DataflowState::Finished]).await;
    let late = world.dispatcher.submit(named("late")).await.unwrap();
    world.wait(late, DataflowState::Running).await;
    world.service.stop().await;
    drop(world);
    let remembered = Store::open(&path).unwrap().all().unwrap();
    let states: Vec<_> = remembered.iter().map(|record| (record.id, record.state)).collect();
    assert_eq!(states, [(late, DataflowState::Running), (id, DataflowState::Finished)]);
}
