//! Messages that somebody sends in place of a node.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use common::{LONG, all, name, node, start};
use dora_message::{keeper::ToNode, metadata::MetadataParameters};
use std::time::Duration;

#[test]
fn they_are_inputs_like_any_other() {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x").input("y", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    keeper.publish("b", "y", 7);
    keeper.publish("b", "x", 8);
    keeper.publish("b", "z", 9); // no input of this node
    assert_eq!(name(&events.recv_timeout(LONG).unwrap()), "y 7");
    assert_eq!(name(&events.recv_timeout(LONG).unwrap()), "x 8");
    a.send_output("x".into(), MetadataParameters::new(), 1u64).unwrap();
    drop(a);
    let mut rest = all(&mut events);
    rest.sort();
    assert_eq!(rest, ["closed x", "closed y", "stop AllInputsClosed", "x 1", "y 1"]);
    assert_eq!(keeper.counters(0).sent, 1, "no edge counts them");
}

#[test]
fn a_silent_input_is_heard_again() {
    let silence = Duration::from_millis(10);
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x").timeout(silence)]);
    let (_b, mut events) = nodes.pop().unwrap();
    keeper.publish("b", "x", 1);
    assert_eq!(name(&events.recv_timeout(LONG).unwrap()), "x 1");
    assert_eq!(name(&events.recv_timeout(LONG).unwrap()), "closed x", "from its first message on");
    keeper.publish("b", "x", 2);
    assert_eq!(name(&events.recv_timeout(LONG).unwrap()), "InputRecovered { id: \"x\" }");
    assert_eq!(name(&events.recv_timeout(LONG).unwrap()), "x 2");
}

#[test]
fn of_those_that_nobody_reads_the_latest_are_kept() {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    (0..100).for_each(|number| keeper.publish("b", "x", number));
    keeper.mail("b", ToNode::Stop);
    // The mail is read by a thread: all of it has come when the last one has.
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "stop Manual") {
        seen.push(name(&events.recv_timeout(LONG).unwrap()));
    }
    assert_eq!(seen[seen.len() - 2], "x 99");
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
}
