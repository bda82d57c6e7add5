//! Clients that leave in the middle of a command, at any moment of it: the coordinator goes on as if nothing had been
//! asked, or as if the answer had been read.

use std::pin::Pin;

use dora_gateways::*;

use crate::world::{PAIR, World, idle, named, submission, worlds};

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Every command, about the dataflow `camera`.
fn commands(world: &World) -> Vec<(&'static str, Call)> {
    let it = || DataflowSelector::from("camera");
    let options = StopOptions::default();
    let output = || OutputId { node: "camera".into(), output: "image".into() };
    let message = || RawMessage { tag: 1, header: vec![], payload: vec![] };
    let mut calls: Vec<(&'static str, Call)> = Vec::new();
    let mut add = |name, call: Call| calls.push((name, call));
    macro_rules! call {
        ($method:ident($($argument:expr),*)) => {{
            let dispatcher = world.dispatcher.clone();
            add(stringify!($method), Box::pin(async move { drop(dispatcher.$method($($argument),*).await) }));
        }};
    }
    call!(missing_artifacts(vec![ArtifactHash([7; 32])]));
    call!(list(ListFilter::default()));
    call!(info(it()));
    call!(machines());
    call!(logs(it(), LogQuery { follow: true, ..LogQuery::default() }));
    call!(events(it(), Watching::Closely));
    call!(tap(it(), TapQuery::default()));
    call!(publish(it(), output(), message()));
    call!(build(submission(PAIR)));
    call!(restart_node(it(), "camera".into(), options));
    call!(stop_node(it(), "camera".into(), options));
    call!(clean(ListFilter::default()));
    call!(submit(submission(PAIR)));
    call!(restart(it(), options));
    call!(stop(it(), options));
    call!(destroy(false));
    calls
}

#[tokio::test(start_paused = true)]
async fn a_client_may_leave_in_the_middle_of_every_command() {
    worlds(async |world| {
        let _machine = world.daemon("here").await;
        for turns in [0, 1, 2, 4, 8, 16, 1000] {
            let _ = world.dispatcher.submit(named("camera")).await;
            for (name, call) in commands(&world) {
                let leave = async {
                    for _ in 0..turns {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    biased;
                    () = call => {}
                    () = leave => {}
                }
                idle().await;
                let states = world.states().await;
                let is_whole =
                    |state: &DataflowState| matches!(state, DataflowState::Running | DataflowState::Finished);
                assert!(states.iter().all(is_whole), "{name} after {turns}: {states:?}");
            }
            for running in world.dispatcher.list(ListFilter::default()).await.unwrap() {
                let result = world.dispatcher.stop(DataflowSelector::Id(running.id), StopOptions::default()).await;
                assert!(result.unwrap().is_success());
            }
            let places = world.dispatcher.machines().await.unwrap();
            assert_eq!(places[0].free, places[0].resources, "nobody holds a place");
        }
    })
    .await;
}
