//! Stopping, in every state and more urgently.

use dora_gateways::*;

use crate::{
    daemon::{Heard, Reach},
    world::{PAIR, SECOND, idle, named, until, worlds},
};

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_dataflow_in_every_state() {
    worlds(async |world| {
        let mut machine = world.daemon("here").await;
        for reach in [Reach::Building, Reach::Waiting, Reach::Starting, Reach::Running] {
            machine.with(move |daemon| daemon.reach = reach).await;
            // At once, and when it has got as far as it gets.
            for settled in [false, true] {
                let id = world.submit(PAIR).await.unwrap();
                if settled {
                    idle().await;
                }
                let result = world.dispatcher.stop(DataflowSelector::Only, StopOptions::default()).await.unwrap();
                let stopped_before = result.outcome.trouble == Some(Trouble::Interrupted);
                assert!(result.is_success() || stopped_before, "{reach:?} {settled:?}: {result:?}");
                assert_eq!(result.dataflow, id);
                if !stopped_before {
                    machine.expect(|heard| matches!(heard, Heard::Stop { nodes, .. } if nodes.is_empty())).await;
                }
            }
        }
        let places = world.dispatcher.machines().await.unwrap();
        assert_eq!(places[0].free, places[0].resources);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_more_urgent_goes_to_the_daemon_at_once() {
    worlds(async |world| {
        let mut machine = world.daemon("here").await;
        machine.with(|daemon| daemon.obeys = false).await;
        let id = world.dispatcher.submit(named("camera")).await.unwrap();
        world.wait(id, DataflowState::Running).await;
        let stop = |urgency| {
            let dispatcher = world.dispatcher.within(3600 * SECOND);
            let options = StopOptions { grace: None, urgency };
            tokio::spawn(async move { dispatcher.stop(DataflowSelector::from("camera"), options).await })
        };
        let mut told = async |urgency| {
            let is_it = |heard: &Heard| matches!(heard, Heard::Stop { options, .. } if options.urgency == urgency);
            machine.expect(is_it).await
        };
        let first = stop(Urgency::Ask);
        told(Urgency::Ask).await;
        let second = stop(Urgency::Hurry);
        told(Urgency::Hurry).await;
        let third = stop(Urgency::Kill);
        told(Urgency::Kill).await;
        for stop in [first, second, third] {
            assert!(stop.await.unwrap().unwrap().is_success());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_runs_the_same_submission_under_a_new_id() {
    worlds(async |world| {
        let _machine = world.daemon("here").await;
        let first = world.dispatcher.submit(named("camera")).await.unwrap();
        world.wait(first, DataflowState::Running).await;
        let second = world.dispatcher.restart(DataflowSelector::Only, StopOptions::default()).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(world.wait(second, DataflowState::Running).await, DataflowState::Running);
        let info = world.dispatcher.info(DataflowSelector::from("camera")).await.unwrap();
        assert_eq!(info.summary.id, second);
        assert_eq!(world.states().await, [DataflowState::Running, DataflowState::Finished]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn single_nodes_are_stopped_and_started_again() {
    worlds(async |world| {
        let (mut machine, _) = world.running().await;
        let options = StopOptions::default();
        world.dispatcher.restart_node(DataflowSelector::Only, "camera".into(), options).await.unwrap();
        machine.expect(|heard| *heard == Heard::Restart { nodes: vec!["camera".into()] }).await;
        world.dispatcher.stop_node(DataflowSelector::Only, "camera".into(), options).await.unwrap();
        machine.expect(|heard| matches!(heard, Heard::Stop { nodes, .. } if nodes == &["camera".into()])).await;
        until(async || matches!(world.node("camera").await, NodeState::Ended(_))).await;
        let info = world.dispatcher.info(DataflowSelector::Only).await.unwrap();
        assert_eq!(info.nodes[1].state, NodeState::Running, "the other one goes on");
        assert_eq!(info.summary.state, DataflowState::Running);
        let again = world.dispatcher.restart_node(DataflowSelector::Only, "camera".into(), options).await;
        assert!(again.unwrap_err().to_string().contains("node `camera` has ended"));
    })
    .await;
}
