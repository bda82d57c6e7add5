//! In which order events come.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use common::{LONG, all, name, node, start};
use dora_channel::{Outgoing, Payload};
use dora_message::{
    arrow::TypeTag,
    keeper::ToNode,
    metadata::{GOAL_ID, MetadataParameters, Parameter, REQUEST_ID},
};
use dora_node::{DoraNode, StreamSegment, TryRecvError};
use std::time::Duration;

fn send(node: &mut DoraNode, output: &str, number: u64) {
    node.send_output(output.into(), MetadataParameters::new(), number).unwrap();
}

#[test]
fn the_end_comes_after_everything_queued() {
    let (_keeper, mut nodes) =
        start(&[node("a").output("x").output("y"), node("b").input("x", "a/x").input("y", "a/y")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
    assert!(events.is_empty());
    for number in 0..3 {
        send(&mut a, "x", number);
    }
    send(&mut a, "y", 7);
    assert!(!events.is_empty());
    drop(a);
    assert_eq!(
        all(&mut events),
        ["x 0", "y 7", "x 1", "closed y", "x 2", "closed x", "stop AllInputsClosed"],
        "inputs in turn, each in order, its end last"
    );
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Closed);
    assert!(events.recv().is_none() && events.drain().is_none());
}

#[test]
fn a_flush_withdraws_what_was_not_received_but_for_what_somebody_waits_for() {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    let mut stream = StreamSegment::new();
    let of = |key: &str| MetadataParameters::from([(key.to_owned(), Parameter::String("7".to_owned()))]);
    let plain = MetadataParameters::new;
    let parameters = [
        plain(),
        plain(),
        of(REQUEST_ID),
        stream.chunk(true),
        of(GOAL_ID),
        stream.flush(),
        stream.chunk(false),
        plain(),
    ];
    for (number, parameters) in (0_u64..).zip(parameters) {
        if number == 1 {
            assert_eq!(name(&events.recv().unwrap()), "x 0");
        }
        a.send_output("x".into(), parameters, number).unwrap();
    }
    drop(a);
    assert_eq!(all(&mut events), ["x 2", "x 4", "x 5", "x 6", "x 7", "closed x", "stop AllInputsClosed"]);
    let counters = keeper.counters(0);
    assert_eq!((counters.sent, counters.received, counters.dropped, counters.queued), (8, 6, 2, 0));
    assert_eq!(events.drain_drop_counts(), [("x".into(), 2)].into());
}

#[test]
fn one_output_closes_alone() {
    let (_keeper, mut nodes) =
        start(&[node("a").output("x").output("y"), node("b").input("x", "a/x").input("y", "a/y")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    a.close_outputs(vec!["x".into()]).unwrap();
    send(&mut a, "x", 1);
    send(&mut a, "y", 2);
    let now: Vec<_> = events.drain().unwrap().iter().map(name).collect();
    assert_eq!(now, ["closed x", "y 2"]);
}

#[test]
fn a_failure_is_told_before_the_inputs_that_it_closes_and_after_what_they_held() {
    let specs = [
        node("a").output("x").output("y"),
        node("c").output("z"),
        node("b").input("x", "a/x").input("y", "a/y").input("z", "c/z"),
    ];
    let (keeper, mut nodes) = start(&specs);
    let (_b, mut events) = nodes.pop().unwrap();
    let (c, _) = nodes.pop().unwrap();
    let (mut a, _a_events) = nodes.pop().unwrap();
    send(&mut a, "x", 1);
    send(&mut a, "x", 2);
    std::mem::forget(a); // killed: its outputs are closed by nobody
    keeper.died("a", Some("exited with code 3"));
    let mut seen: Vec<_> = (0..5).map(|_| name(&events.recv().unwrap())).collect();
    assert_eq!(seen.remove(0), "x 1");
    let failed = seen.iter().position(|event| event == r#"failed a ["x", "y"] exited with code 3"#);
    let first_closed = seen.iter().position(|event| event.starts_with("closed"));
    assert!(failed < first_closed, "{seen:?}");
    let last_of_x = seen.iter().position(|event| event == "x 2");
    assert!(last_of_x < seen.iter().position(|event| event == "closed x"), "{seen:?}");
    drop(c);
    assert_eq!(all(&mut events), ["closed z", "stop AllInputsClosed"]);
}

#[test]
fn a_failure_after_the_outputs_were_closed_is_told_too() {
    let (keeper, mut nodes) =
        start(&[node("a").output("x"), node("c").output("z"), node("b").input("x", "a/x").input("z", "c/z")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (_c, _) = nodes.pop().unwrap();
    drop(nodes);
    assert_eq!(name(&events.recv_timeout(LONG).unwrap()), "closed x");
    keeper.died("a", Some("exited with code 1"));
    assert_eq!(name(&events.recv_timeout(LONG).unwrap()), r#"failed a ["x"] exited with code 1"#);
}

#[test]
fn mail_is_told_in_order_and_news_from_elsewhere_are_not() {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    keeper.mail("b", ToNode::NodeFailed { node: "stranger".into(), error: "bad".into() });
    keeper.mail("b", ToNode::ParamUpdate { key: "gain".into(), value: serde_json::json!(1.5) });
    keeper.mail("b", ToNode::ParamDeleted { key: "gain".into() });
    keeper.say_bytes(1, br#"{"type":"from_the_future","much":true}"#);
    keeper.mail("b", ToNode::Reload { operator: None });
    keeper.mail("b", ToNode::NodeRestarted { node: "a".into() });
    let told: Vec<_> = (0..4).map(|_| name(&events.recv_timeout(LONG).unwrap())).collect();
    assert_eq!(
        told,
        [
            r#"ParamUpdate { key: "gain", value: Number(1.5) }"#,
            r#"ParamDeleted { key: "gain" }"#,
            "Reload { operator_id: None }",
            r#"NodeRestarted { id: "a" }"#,
        ]
    );
}

#[test]
fn a_timeout_is_an_error_event_and_loses_nothing() {
    let (_keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    let text = name(&events.recv_timeout(Duration::from_millis(5)).unwrap());
    assert!(text.starts_with(r#"Error("Timeout event stream error: "#), "{text}");
    send(&mut a, "x", 1);
    assert_eq!(name(&events.recv_timeout(Duration::ZERO).unwrap()), "x 1");
}

#[test]
fn drops_are_counted_per_input_once() {
    let specs = [node("a").output("x"), node("b").queue("x", "a/x", 2, dora_message::keeper::QueuePolicy::DropOldest)];
    let (keeper, mut nodes) = start(&specs);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    (0..5).for_each(|number| send(&mut a, "x", number));
    assert_eq!(events.drain_drop_counts(), [("x".into(), 3)].into());
    assert_eq!(events.drain_drop_counts(), [].into());
    (5..8).for_each(|number| send(&mut a, "x", number));
    drop(a);
    assert_eq!(all(&mut events), ["x 6", "x 7", "closed x", "stop AllInputsClosed"]);
    assert_eq!(events.drain_drop_counts(), [("x".into(), 3)].into(), "also when the input is closed");
    assert_eq!(keeper.counters(0).dropped, 6);
}

#[test]
fn messages_that_cannot_be_read_are_skipped_with_an_error() {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let mut impostor = keeper.impostor(0);
    let tags = [99, TypeTag::UInt64.into(), TypeTag::UInt64.into(), TypeTag::Bool.into()];
    for (tag, len) in tags.into_iter().zip([8, 7, 8, 1]) {
        let payload = Payload::Inline { bytes: [7; 24], len };
        impostor.send(0, Outgoing { tag, stamp_ns: 1, payload }).unwrap();
    }
    let seen: Vec<_> = events.drain().unwrap().iter().map(name).collect();
    assert_eq!(seen.len(), 4);
    assert!(seen[0].contains("a message of input `x` cannot be read: payload type 99 is unknown"), "{}", seen[0]);
    assert!(seen[1].contains("a payload of 7 bytes is no UInt64 array"), "{}", seen[1]);
    assert_eq!(seen[2], "x 506381209866536711");
    assert!(seen[3].contains("neither 0 nor 1"), "{}", seen[3]);
}

#[test]
fn an_input_that_contradicts_itself_is_closed_with_an_error() {
    let (keeper, mut nodes) =
        start(&[node("a").output("x").output("y"), node("b").input("x", "a/x").input("y", "a/y")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    keeper.spoil(0);
    send(&mut a, "y", 1);
    drop(a);
    let mut seen = all(&mut events);
    let error = seen.iter().position(|event| event.contains("input `x` is broken")).unwrap();
    assert_eq!(seen.remove(error + 1), "closed x", "{seen:?}");
    seen.remove(error);
    assert_eq!(seen, ["y 1", "closed y", "stop AllInputsClosed"]);
}
