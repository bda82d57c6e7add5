//! Somebody looks at an output of a node that runs.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use common::{Tap, node, start};
use dora_channel::Polled;
use dora_message::metadata::MetadataParameters;
use dora_node::DoraNode;

fn send(node: &mut DoraNode, number: u64) {
    node.send_output("x".into(), MetadataParameters::new(), number).unwrap();
}

/// Sends until it is seen: the mail comes when it comes.
fn send_until_seen(node: &mut DoraNode, tap: &mut Tap) -> u64 {
    for number in 0.. {
        send(node, number);
        if let Polled::Message { message, .. } = tap.consumer.poll() {
            assert_eq!(message.payload(), number.to_ne_bytes());
            return number;
        }
        std::thread::yield_now();
    }
    unreachable!()
}

#[test]
fn a_source_that_never_receives_learns_of_it() {
    let (keeper, mut nodes) = start(&[node("a").output("x")]);
    let (mut a, events) = nodes.pop().unwrap();
    drop(events);
    send(&mut a, 1);
    let mut tap = keeper.tap("a", "x", 0);
    let seen = send_until_seen(&mut a, &mut tap);
    send(&mut a, seen + 1);
    assert!(matches!(tap.consumer.poll(), Polled::Message { .. }));
    drop(tap.consumer);
    send(&mut a, seen + 2);
    assert_eq!(tap.ring.counters().sent, 2, "nobody looks any more");
}

#[test]
fn consumers_notice_nothing() {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    let mut tap = keeper.tap("a", "x", 1);
    let mut sent = 0;
    while matches!(tap.consumer.poll(), Polled::Empty) {
        send(&mut a, sent);
        assert_eq!(common::name(&events.recv().unwrap()), format!("x {sent}"));
        sent += 1;
    }
    drop(tap.consumer);
    send(&mut a, sent);
    drop(a);
    assert_eq!(common::all(&mut events)[..2], [format!("x {sent}"), "closed x".to_owned()]);
    assert_eq!(keeper.counters(0).dropped, 0);
}

#[test]
fn an_edge_that_was_not_taken_in_makes_room_for_the_next_one() {
    let (keeper, mut nodes) = start(&[node("a").output("x")]);
    let (mut a, _events) = nodes.pop().unwrap();
    let first = keeper.tap("a", "x", 0);
    let mut second = keeper.tap("a", "x", 0);
    send_until_seen(&mut a, &mut second);
    drop(first.consumer);
    // If the first one was taken in, it was before the second one came.
    let taken_in = first.ring.counters().sent;
    send(&mut a, 0);
    assert_eq!(first.ring.counters().sent, taken_in);
}

#[test]
fn an_output_that_is_closed_has_nothing_to_show() {
    let (keeper, mut nodes) = start(&[node("a").output("x").output("y")]);
    let (mut a, _events) = nodes.pop().unwrap();
    a.close_outputs(vec!["x".into()]).unwrap();
    let (mut closed, mut open) = (keeper.tap("a", "x", 0), keeper.tap("a", "y", 1));
    for number in 0.. {
        a.send_output("y".into(), MetadataParameters::new(), number as u64).unwrap();
        if !matches!(open.consumer.poll(), Polled::Empty) {
            break;
        }
        std::thread::yield_now();
    }
    assert!(matches!(closed.consumer.poll(), Polled::Closed { .. }));
}
