//! Streams: of several machines, of slow readers, of readers that leave.

use dora_gateways::*;
use dora_message::result::NodeResult;
use dora_rpc::{HeartbeatConfig, Streamed};

use crate::{
    daemon::Heard,
    world::{SECOND, all, submission, worlds},
};

const SPLIT: &str = "nodes:\n  - { id: left, path: left, deploy: { machine: one } }\n  - { id: right, path: right, deploy: { machine: two } }\n";

fn warning(text: &str) -> DataflowEvent {
    DataflowEvent::Warning(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn events_of_all_machines_come_in_one_stream_and_the_end_comes_last() {
    worlds(async |world| {
        let (one, two) = (world.daemon("one").await, world.daemon("two").await);
        let watched = Submission { watched: Some(Watching::Loosely), ..submission(SPLIT) };
        let id = world.dispatcher.submit(watched).await.unwrap();
        let events = world.dispatcher.events(DataflowSelector::Only, Watching::Loosely).await.unwrap();
        world.wait(id, DataflowState::Running).await;
        one.with(move |daemon| daemon.print(id, warning("from one"))).await;
        two.with(move |daemon| daemon.print(id, warning("from two"))).await;
        one.end_node(id, "left", NodeResult::Success).await;
        two.end_node(id, "right", NodeResult::Success).await;
        let mut events = all(events).await;
        assert!(matches!(events.pop(), Some(DataflowEvent::Finished(_))));
        events.sort_by_key(|event| format!("{event:?}"));
        assert_eq!(events, [warning("from one"), warning("from two")]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_delays_no_heartbeat() {
    worlds(async |world| {
        let (mut machine, id) = world.running().await;
        let selector = DataflowSelector::Id(id);
        let unread = world.dispatcher.events(selector.clone(), Watching::Closely).await.unwrap();
        machine.expect(|heard| *heard == Heard::Watched).await;
        let query = LogQuery { follow: true, ..LogQuery::default() };
        let _unread_logs = world.dispatcher.logs(selector, query).await.unwrap();
        machine.expect(|heard| *heard == Heard::Read).await;
        let interval = HeartbeatConfig::default().interval;
        for _ in 0..10 {
            machine.with(move |it| (0..500).for_each(|_| it.print(id, warning("much")))).await;
            let beat = machine.expect(|heard| *heard == Heard::Heartbeat);
            tokio::time::timeout(interval + SECOND, beat).await.expect("a heartbeat is late");
        }
        assert!(world.dispatcher.machines().await.unwrap()[0].reachable);
        // All of it is there for who reads at last.
        world.dispatcher.stop(DataflowSelector::Only, StopOptions::default()).await.unwrap();
        assert_eq!(all(unread).await.len(), 10 * 500 + 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn taps_and_lines_come_from_the_machines_that_have_them() {
    worlds(async |world| {
        let (machine, id) = world.running().await;
        let output = OutputId { node: "camera".into(), output: "image".into() };
        let query = TapQuery { outputs: vec![output.clone()], payload: false };
        let messages = all(world.dispatcher.tap(DataflowSelector::Only, query).await.unwrap()).await;
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].from, output);
        let lines = async || {
            let lines = world.dispatcher.logs(DataflowSelector::Id(id), LogQuery::default()).await.unwrap();
            all(lines).await
        };
        assert_eq!(lines().await, [LogChunk::Missed(7)]);
        machine.end_node(id, "camera", NodeResult::Success).await;
        machine.end_node(id, "screen", NodeResult::Success).await;
        world.wait(id, DataflowState::Finished).await;
        assert_eq!(lines().await, [LogChunk::Missed(7)], "also when it has ended");
    })
    .await;
}

/// The daemon is away for a while: what it tells afterwards comes on the same stream.
#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_when_a_machine_returns() {
    worlds(async |world| {
        let (mut machine, id) = world.running().await;
        let mut events = world.dispatcher.events(DataflowSelector::Only, Watching::Loosely).await.unwrap();
        machine.expect(|heard| *heard == Heard::Watched).await;
        machine.with(|daemon| daemon.disconnect()).await;
        machine.register(&world).await.unwrap();
        machine.expect(|heard| *heard == Heard::Watched).await;
        machine.with(move |daemon| daemon.print(id, warning("again"))).await;
        assert_eq!(events.next().await, Ok(Some(Streamed::Item(warning("again")))));
    })
    .await;
}
