//! From a submission to its end.

use dora_gateways::*;
use dora_message::{result::NodeResult, supervision::ExitStatus};

use crate::{
    daemon::{Heard, Reach},
    world::{LOOSE, PAIR, World, all, idle, named, submission, worlds},
};

#[tokio::test(start_paused = true)]
async fn a_dataflow_runs_until_its_nodes_have_ended() {
    worlds(async |world| {
        let mut machine = world.daemon("here").await;
        let id = world.dispatcher.submit(named("camera")).await.unwrap();
        let spawn = machine.expect(|heard| matches!(heard, Heard::Spawn { .. })).await;
        assert_eq!(spawn, Heard::Spawn { dataflow: id, nodes: vec!["camera".into(), "screen".into()], hold: false });
        assert_eq!(world.wait(id, DataflowState::Running).await, DataflowState::Running);
        let info = world.dispatcher.info(DataflowSelector::Only).await.unwrap();
        assert_eq!((info.summary.id, info.summary.name.as_deref(), info.summary.nodes), (id, Some("camera"), 2));
        let states: Vec<_> = info.nodes.iter().map(|node| (node.node.as_str(), &node.state, node.pid)).collect();
        assert_eq!(states, [("camera", &NodeState::Running, Some(7)), ("screen", &NodeState::Running, Some(7))]);
        assert_eq!(info.nodes[0].machine, Some(machine.name.clone()));

        machine.end_node(id, "camera", NodeResult::Success).await;
        machine.end_node(id, "screen", NodeResult::Success).await;
        assert_eq!(world.wait(id, DataflowState::Stopping).await, DataflowState::Finished);
        assert_eq!(world.states().await, [DataflowState::Finished]);
        let info = world.dispatcher.info(DataflowSelector::Name("camera".to_owned())).await.unwrap();
        assert!(info.result.is_some_and(|result| result.is_success()));
        assert_eq!(info.nodes[1].state, NodeState::Ended(NodeResult::Success));
        // A stop of what has ended tells how it ended.
        let stop = world.dispatcher.stop(DataflowSelector::Id(id), StopOptions::default()).await.unwrap();
        assert_eq!((stop.dataflow, stop.is_success()), (id, true));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_fails_the_dataflow_and_comes_first() {
    worlds(async |world| {
        let (machine, id) = world.running().await;
        machine.end_node(id, "camera", NodeResult::Success).await;
        machine.end_node(id, "screen", NodeResult::Failed(ExitStatus::Code { code: 3 })).await;
        assert_eq!(world.wait(id, DataflowState::Finished).await, DataflowState::Failed);
        let result = world.dispatcher.stop(DataflowSelector::Id(id), StopOptions::default()).await.unwrap();
        assert_eq!(result.outcome.nodes[0].node.as_str(), "screen");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_watches_from_the_start_misses_nothing_and_hears_of_the_end_last() {
    worlds(async |world| {
        let machine = world.daemon("here").await;
        let watched = Submission { watched: Some(Watching::Closely), ..submission(PAIR) };
        let id = world.dispatcher.submit(watched).await.unwrap();
        world.wait(id, DataflowState::Running).await;
        // More than any queue of the coordinator holds, and it is over before anybody asks.
        for number in 0..2000_u32 {
            machine.with(move |daemon| daemon.print(id, DataflowEvent::Warning(number.to_string()))).await;
        }
        machine.end_node(id, "camera", NodeResult::Success).await;
        machine.end_node(id, "screen", NodeResult::Success).await;
        assert_eq!(world.wait(id, DataflowState::Finished).await, DataflowState::Finished);
        let events = world.dispatcher.events(DataflowSelector::Id(id), Watching::Closely).await.unwrap();
        let mut events = all(events).await;
        assert!(matches!(events.pop(), Some(DataflowEvent::Finished(result)) if result.is_success()));
        let numbers: Vec<_> = (0..2000).map(|number| DataflowEvent::Warning(number.to_string())).collect();
        assert_eq!(events, numbers);
        // Who comes later hears of the end.
        let events = world.dispatcher.events(DataflowSelector::Id(id), Watching::Loosely).await.unwrap();
        assert_eq!(all(events).await.len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_clients_race_for_a_name_and_one_gets_it() {
    worlds(async |world| {
        let _machine = world.daemon("here").await;
        let (one, other) = (world.dispatcher.clone(), world.dispatcher.clone());
        let answers = tokio::join!(one.submit(named("camera")), other.submit(named("camera")));
        let (winner, loser) = match answers {
            (Ok(id), Err(error)) | (Err(error), Ok(id)) => (id, error),
            both => panic!("one of them gets it: {both:?}"),
        };
        assert_eq!(loser, DispatcherError::NameTaken { name: "camera".to_owned(), taken_by: winner });
        assert_eq!(world.states().await.len(), 1);
        world.dispatcher.stop(DataflowSelector::Only, StopOptions::default()).await.unwrap();
        world.dispatcher.submit(named("camera")).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_submission_that_is_sent_again_runs_once() {
    worlds(async |world| {
        let _machine = world.daemon("here").await;
        let id = DataflowId(uuid::Uuid::now_v7());
        let mine = Submission { id: Some(id), ..named("camera") };
        assert_eq!(world.dispatcher.submit(mine.clone()).await, Ok(id));
        assert_eq!(world.dispatcher.submit(mine.clone()).await, Ok(id));
        world.dispatcher.stop(DataflowSelector::Only, StopOptions::default()).await.unwrap();
        assert_eq!(world.dispatcher.submit(mine).await, Ok(id), "also when it has ended");
        assert_eq!(world.states().await, [DataflowState::Finished]);
    })
    .await;
}

/// The call is dropped at every moment of its life. Afterwards the dataflow is not there at all, or runs and is listed.
#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_in_the_middle_leaves_nothing_half_done() {
    worlds(async |world| {
        let _machine = world.daemon("here").await;
        let mut expected = 0;
        for turns in [0, 1, 2, 3, 5, 8, 13, 1000] {
            // Each turn lets everybody else do something; the last time there is time for all of it.
            let leave = async {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                if turns == 1000 {
                    idle().await;
                }
            };
            tokio::select! {
                biased;
                _ = world.submit(PAIR) => {}
                () = leave => {}
            }
            // What was begun is done when something that was asked later is.
            let running = settled(&world).await;
            assert!(running == expected || running == expected + 1, "{running} of {expected}");
            expected = running;
        }
        assert!(expected > 0, "none was let through");
    })
    .await;
}

/// How many dataflows there are, all of which run.
async fn settled(world: &World) -> usize {
    idle().await;
    let states = world.states().await;
    assert!(states.iter().all(|state| *state == DataflowState::Running), "{states:?}");
    states.len()
}

#[tokio::test(start_paused = true)]
async fn a_file_with_mistakes_is_refused_and_not_remembered() {
    worlds(async |world| {
        let _machine = world.daemon("here").await;
        let refused = world.submit("nodes:\n  - { id: a, path: a, inputs: { x: b/y } }\n").await.unwrap_err();
        let DispatcherError::Descriptor { mistakes } = &refused else { panic!("{refused:?}") };
        assert!(mistakes[0].starts_with("dataflow:2:"), "{mistakes:?}");
        let apart = "nodes:\n  - { id: a, path: a, outputs: [y], deploy: { machine: m1 } }\n  - { id: b, path: b, inputs: { x: a/y }, deploy: { machine: m2 } }\n";
        let refused = world.submit(apart).await.unwrap_err().to_string();
        assert!(refused.contains("machine `m1` and machine `m2` (by `a/y`): edges between machines"), "{refused}");
        assert_eq!(world.states().await, []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unknown_names_come_with_near_ones() {
    worlds(async |world| {
        let _machine = world.daemon("here").await;
        let id = world.dispatcher.submit(named("camera")).await.unwrap();
        world.wait(id, DataflowState::Running).await;
        let of = |name: &str| DataflowSelector::Name(name.to_owned());
        let error = world.dispatcher.info(of("camra")).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no dataflow `camra`; did you mean `camera`?");
        let options = StopOptions::default();
        let error = world.dispatcher.stop_node(DataflowSelector::Only, "scren".into(), options).await.unwrap_err();
        assert_eq!(error.to_string(), "the dataflow has no node `scren`; did you mean `screen`?");
        let output = OutputId { node: "camera".into(), output: "imge".into() };
        let query = TapQuery { outputs: vec![output], payload: false };
        let error = world.dispatcher.tap(DataflowSelector::Only, query).await.unwrap_err();
        assert_eq!(error.to_string(), "node `camera` has no output `imge`; did you mean `image`?");
        world.submit(PAIR).await.unwrap();
        let error = world.dispatcher.stop(DataflowSelector::Only, options).await.unwrap_err();
        assert_eq!(error.to_string(), "2 dataflows run; say which one");
    })
    .await;
}

/// Programs that know nothing of dora never connect, so nobody waits for that.
#[tokio::test(start_paused = true)]
async fn a_dataflow_without_messages_runs_as_soon_as_its_processes_do() {
    worlds(async |world| {
        let machine = world.daemon("here").await;
        machine.with(move |daemon| daemon.reach = Reach::Starting).await;
        let id = world.submit(LOOSE).await.unwrap();
        assert_eq!(world.wait(id, DataflowState::Running).await, DataflowState::Running);
        assert_eq!(world.node("left").await, NodeState::Running);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_state_is_seen_as_long_as_it_lasts() {
    worlds(async |world| {
        let machine = world.daemon("here").await;
        for (reach, state) in [
            (Reach::Building, DataflowState::Building),
            (Reach::Waiting, DataflowState::Building),
            (Reach::Starting, DataflowState::WaitingForReady),
            (Reach::Running, DataflowState::Running),
        ] {
            machine.with(move |daemon| daemon.reach = reach).await;
            let id = world.submit(PAIR).await.unwrap();
            // It lasts: nothing more happens by itself.
            idle().await;
            let info = world.dispatcher.info(DataflowSelector::Id(id)).await.unwrap();
            assert_eq!(info.summary.state, state, "{reach:?}");
            world.dispatcher.stop(DataflowSelector::Id(id), StopOptions::default()).await.unwrap();
        }
    })
    .await;
}
