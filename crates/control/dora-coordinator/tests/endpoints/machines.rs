//! Machines: which node goes where, and what becomes of nodes when a machine is silent, returns, or is lost.

use dora_gateways::*;
use dora_message::result::NodeResult;

use crate::{
    daemon::{Heard, Reach},
    world::{LOOSE, PAIR, SECOND, World, idle, submission, until, worlds},
};

fn label(key: &str, value: &str) -> std::collections::BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

const SPLIT: &str = "nodes:\n  - { id: left, path: left, deploy: { machine: one } }\n  - { id: right, path: right, deploy: { machine: two } }\n";

async fn places(world: &World, dataflow: DataflowId) -> Vec<String> {
    let info = world.dispatcher.info(DataflowSelector::Id(dataflow)).await.unwrap();
    info.nodes.into_iter().map(|node| node.machine.unwrap().0).collect()
}

#[tokio::test(start_paused = true)]
async fn a_dataflow_stays_together_and_dataflows_spread() {
    worlds(async |world| {
        let _machines = [world.daemon("one").await, world.daemon("two").await];
        let mut used = Vec::new();
        for _ in 0..4 {
            let id = world.submit(LOOSE).await.unwrap();
            world.wait(id, DataflowState::Running).await;
            let places = places(&world, id).await;
            assert_eq!(places[0], places[1]);
            used.push(places[0].clone());
        }
        used.sort();
        assert_eq!(used, ["one", "one", "two", "two"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_goes_where_it_wants_to_and_takes_along_what_edges_join() {
    worlds(async |world| {
        let _one = world.daemon("one").await;
        let _gpu = world.daemon_with("gpu", label("gpu", "yes"), Resources::default()).await;
        let labelled = PAIR.replace("screen, path", "screen, deploy: { labels: { gpu: 'yes' } }, path");
        let id = world.submit(&labelled).await.unwrap();
        world.wait(id, DataflowState::Running).await;
        assert_eq!(places(&world, id).await, ["gpu", "gpu"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_nothing_fits_it_is_said_why() {
    worlds(async |world| {
        let end = async |descriptor: &str| {
            let id = world.submit(descriptor).await.unwrap();
            assert_eq!(world.wait(id, DataflowState::Running).await, DataflowState::Failed);
            let info = world.dispatcher.info(DataflowSelector::Id(id)).await.unwrap();
            info.result.unwrap().outcome.trouble.unwrap().to_string()
        };
        assert_eq!(end(PAIR).await, "there is no machine for node `camera`: no daemon is registered");
        let _here = world.daemon("here").await;
        let elsewhere = PAIR.replace("camera, path", "camera, deploy: { machine: robot }, path");
        let because = "there is no machine for node `camera`: machine `here` is not the one that it names";
        assert_eq!(end(&elsewhere).await, because);
        let much = PAIR.replace("camera, path", "camera, shared_memory_pool_size: 2GB, path");
        let because =
            "there is no machine for node `camera`: machine `here` has 1024 MiB of free memory, 2048 MiB are wanted";
        assert_eq!(end(&much).await, because);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nodes_of_several_machines_are_released_when_all_are_ready() {
    worlds(async |world| {
        let mut one = world.daemon("one").await;
        let mut two = world.daemon("two").await;
        let id = world.submit(SPLIT).await.unwrap();
        for (machine, node) in [(&mut one, "left"), (&mut two, "right")] {
            let spawn = machine.expect(|heard| matches!(heard, Heard::Spawn { .. })).await;
            assert_eq!(spawn, Heard::Spawn { dataflow: id, nodes: vec![node.into()], hold: true });
            machine.expect(|heard| *heard == Heard::Release).await;
        }
        one.end_node(id, "left", NodeResult::Success).await;
        idle().await;
        assert_eq!(world.states().await, [DataflowState::Running], "the other one goes on");
        two.end_node(id, "right", NodeResult::Lost).await;
        assert_eq!(world.wait(id, DataflowState::Finished).await, DataflowState::Failed);
        let info = world.dispatcher.info(DataflowSelector::Id(id)).await.unwrap();
        assert_eq!(info.result.unwrap().outcome.nodes[0].node.as_str(), "right", "the failure comes first");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_machine_is_waited_for_and_goes_on_when_it_returns() {
    worlds(async |world| {
        let (mut machine, id) = world.running().await;
        machine.with(|daemon| daemon.hangs = true).await;
        world.silence(&machine).await;
        let info = world.dispatcher.info(DataflowSelector::Only).await.unwrap();
        assert_eq!(info.nodes[0].state, NodeState::Unknown);
        assert_eq!(info.summary.state, DataflowState::Running, "its nodes may run");

        machine.with(|daemon| daemon.hangs = false).await;
        machine.register(&world).await.unwrap();
        until(async || world.node("camera").await == NodeState::Running).await;
        // Nothing was started twice, and the end is heard.
        machine.end_node(id, "camera", NodeResult::Success).await;
        machine.end_node(id, "screen", NodeResult::Success).await;
        assert_eq!(world.wait(id, DataflowState::Finished).await, DataflowState::Finished);
    })
    .await;
}

/// Nobody waits for heartbeats of a daemon whose connection has ended.
#[tokio::test(start_paused = true)]
async fn a_machine_is_silent_at_once_when_its_connection_ends_and_is_waited_for() {
    // Only in one process does the connection to an endpoint end with it.
    let world = World::new(false).await;
    let (machine, id) = world.running().await;
    machine.stop().await;
    let gone = tokio::time::Instant::now();
    world.silence(&machine).await;
    assert!(gone.elapsed() < SECOND, "{:?}", gone.elapsed());
    let info = world.dispatcher.info(DataflowSelector::Id(id)).await.unwrap();
    assert_eq!(info.nodes[0].state, NodeState::Unknown);
    let refused = world.submit(PAIR).await.unwrap();
    assert_eq!(world.wait(refused, DataflowState::Running).await, DataflowState::Failed, "it has no place");

    let waiting = tokio::spawn({
        let dispatcher = world.dispatcher.within(3600 * SECOND);
        async move { dispatcher.await_machine(MachineId("here".to_owned())).await }
    });
    idle().await;
    assert!(!waiting.is_finished());
    let _next = world.daemon("here").await;
    assert_eq!(waiting.await.unwrap(), Ok(()));
    let info = world.dispatcher.info(DataflowSelector::Id(id)).await.unwrap();
    assert_ne!(info.nodes[0].state, NodeState::Unknown, "its dataflows know it too");
}

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_a_silent_machine_when_it_returns() {
    worlds(async |world| {
        let (mut machine, id) = world.running().await;
        machine.with(|daemon| daemon.hangs = true).await;
        world.silence(&machine).await;
        let stop = world.dispatcher.stop(DataflowSelector::Only, StopOptions::default()).await;
        assert!(stop.is_err(), "nobody can say that it has ended: {stop:?}");
        machine.with(|daemon| daemon.hangs = false).await;
        machine.register(&world).await.unwrap();
        machine.expect(|heard| matches!(heard, Heard::Stop { nodes, .. } if nodes.is_empty())).await;
        assert_eq!(world.wait(id, DataflowState::Finished).await, DataflowState::Finished);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_by_force_does_not_wait_for_a_silent_machine() {
    worlds(async |world| {
        let (machine, id) = world.running().await;
        machine.with(|daemon| daemon.hangs = true).await;
        world.silence(&machine).await;
        let force = StopOptions { urgency: Urgency::Kill, ..StopOptions::default() };
        let result = world.dispatcher.stop(DataflowSelector::Only, force).await.unwrap();
        let trouble = result.outcome.trouble.expect("a trouble").to_string();
        assert!(trouble.contains("gave no sign of life when it was to be stopped"), "{trouble}");
        assert_eq!(world.wait(id, DataflowState::Failed).await, DataflowState::Failed);
    })
    .await;
}

/// While the dataflow goes on elsewhere, a machine that was given up returns with its nodes.
#[tokio::test(start_paused = true)]
async fn what_returns_after_it_was_lost_is_stopped() {
    worlds(async |world| {
        let mut one = world.daemon("one").await;
        let two = world.daemon("two").await;
        let id = world.submit(SPLIT).await.unwrap();
        world.wait(id, DataflowState::Running).await;
        one.with(|daemon| daemon.hangs = true).await;
        until(async || world.node("left").await == NodeState::Ended(NodeResult::Lost)).await;
        assert_eq!(world.states().await, [DataflowState::Running]);
        one.with(|daemon| daemon.hangs = false).await;
        one.register(&world).await.unwrap();
        one.expect(|heard| *heard == Heard::Disown).await;
        two.end_node(id, "right", NodeResult::Success).await;
        assert_eq!(world.wait(id, DataflowState::Finished).await, DataflowState::Failed);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_does_not_return_is_lost_with_its_nodes() {
    worlds(async |world| {
        let (machine, id) = world.running().await;
        machine.with(|daemon| daemon.hangs = true).await;
        assert_eq!(world.wait(id, DataflowState::Finished).await, DataflowState::Failed);
        let info = world.dispatcher.info(DataflowSelector::Id(id)).await.unwrap();
        let outcome = info.result.unwrap().outcome;
        assert!(outcome.nodes.iter().all(|node| node.result == NodeResult::Lost), "{outcome:?}");
        let trouble = outcome.trouble.unwrap().to_string();
        assert!(trouble.starts_with("machine `here`: it has given no sign of life"), "{trouble}");
        assert_eq!(world.dispatcher.machines().await.unwrap(), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_returns_without_its_nodes_has_lost_them() {
    worlds(async |world| {
        let (mut machine, id) = world.running().await;
        machine.with(|daemon| daemon.crash()).await;
        machine.incarnation += 1;
        machine.with(|daemon| daemon.hangs = true).await;
        let registration = machine.register(&world);
        assert!(tokio::time::timeout(5 * SECOND, registration).await.unwrap().is_ok(), "the one before is gone");
        assert_eq!(world.wait(id, DataflowState::Finished).await, DataflowState::Failed);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_belongs_to_the_daemon_that_lives() {
    worlds(async |world| {
        let mut machine = world.daemon("here").await;
        let taken = Err(ResourceManagerError::MachineTaken { machine: machine.name.clone() });
        for other in [7, 0] {
            machine.incarnation = other;
            assert_eq!(machine.register(&world).await, taken);
        }
        machine.incarnation = 1;
        assert!(machine.register(&world).await.is_ok(), "the same one again");
        // What nobody leads is stopped.
        let unknown = DataflowId(uuid::Uuid::from_u128(7));
        machine.with(move |daemon| daemon.adopt(unknown)).await;
        machine.register(&world).await.unwrap();
        machine.expect(|heard| *heard == Heard::Disown).await;
    })
    .await;
}

/// Nothing of it can run, because what runs is in the hands of a keeper and is declared.
#[tokio::test(start_paused = true)]
async fn a_daemon_that_is_killed_before_the_first_process_starts_anew() {
    worlds(async |world| {
        for reach in [Reach::Building, Reach::Waiting] {
            let mut machine = world.daemon("here").await;
            machine.with(move |daemon| daemon.reach = reach).await;
            let id = world.submit(PAIR).await.unwrap();
            machine.expect(|heard| matches!(heard, Heard::Spawn { .. })).await;
            idle().await;
            machine.with(|daemon| (daemon.crash(), daemon.reach = Reach::Running)).await;
            machine.register(&world).await.unwrap();
            machine.expect(|heard| matches!(heard, Heard::Spawn { .. })).await;
            assert_eq!(world.wait(id, DataflowState::Running).await, DataflowState::Running);
            world.dispatcher.stop(DataflowSelector::Id(id), StopOptions::default()).await.unwrap();
            machine.stop().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_refuses_fails_the_dataflow_with_its_reason() {
    worlds(async |world| {
        let one = world.daemon("one").await;
        let _two = world.daemon("two").await;
        one.with(|daemon| daemon.refuses = true).await;
        let id = world.dispatcher.submit(submission(SPLIT)).await.unwrap();
        assert_eq!(world.wait(id, DataflowState::Finished).await, DataflowState::Failed);
        let info = world.dispatcher.info(DataflowSelector::Id(id)).await.unwrap();
        let trouble = info.result.unwrap().outcome.trouble.unwrap().to_string();
        assert_eq!(trouble, "machine `one`: the nodes cannot be started: no keeper");
    })
    .await;
}
