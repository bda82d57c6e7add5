//! The end of a dataflow, as its nodes see it.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use common::{LONG, all, name, node, start, start_with_budget};
use dora_message::{
    keeper::{QueuePolicy, ToNode},
    metadata::MetadataParameters,
};
use dora_node::{DoraNode, Event, NodeError};
use std::{sync::mpsc, thread};

fn send(node: &mut DoraNode, number: u64) -> Result<(), NodeError> {
    node.send_output("x".into(), MetadataParameters::new(), number)
}

#[test]
fn stop_overtakes_queued_inputs_which_stay_readable() {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    (0..3).for_each(|number| send(&mut a, number).unwrap());
    assert_eq!(name(&events.recv().unwrap()), "x 0");
    keeper.mail("b", ToNode::Stop);
    keeper.mail("b", ToNode::Stop);
    // The mail is read by a thread; wait for it, then look what it overtook.
    let mut seen = vec![name(&events.recv_timeout(LONG).unwrap())];
    while seen.last().is_none_or(|last| last != "stop Manual") {
        seen.push(name(&events.recv_timeout(LONG).unwrap()));
    }
    seen.extend(all(&mut events));
    let inputs: Vec<_> = seen.iter().filter(|name| name.starts_with("x ")).collect();
    assert_eq!(inputs, ["x 1", "x 2"], "all of them, in order: {seen:?}");
    assert_eq!(seen.len(), 3, "and one stop: {seen:?}");
}

#[test]
fn a_node_that_is_to_be_started_again_leaves_its_queues() {
    for kept in [false, true] {
        let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
        let (b, mut events) = nodes.pop().unwrap();
        if kept {
            keeper.mail("b", ToNode::KeepEdges);
        }
        keeper.mail("b", ToNode::Stop);
        assert_eq!(name(&events.recv_timeout(LONG).unwrap()), "stop Manual");
        drop((b, events));
        assert_eq!(keeper.is_abandoned(0), !kept);
        send(&mut nodes[0].0, 7).unwrap();
        assert_eq!(keeper.counters(0).queued, u64::from(kept), "what the next process reads");
    }
}

#[test]
fn stop_wakes_a_node_that_waits() {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let waiting = thread::spawn(move || all(&mut events));
    keeper.mail("b", ToNode::Stop);
    assert_eq!(waiting.join().unwrap(), ["stop Manual"]);
}

#[test]
fn an_input_that_closes_while_stopping_brings_no_second_stop() {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    keeper.mail("b", ToNode::Stop);
    assert_eq!(name(&events.recv_timeout(LONG).unwrap()), "stop Manual");
    send(&mut a, 1).unwrap();
    drop(a);
    assert_eq!(all(&mut events), ["x 1", "closed x"]);
}

/// A sender that fills the queue of a lossless edge, in a thread; it tells how the blocked call ended.
fn blocked_sender(mut node: DoraNode, full: usize) -> mpsc::Receiver<Result<(), NodeError>> {
    let (sender, receiver) = mpsc::channel();
    for number in 0..full as u64 {
        send(&mut node, number).unwrap();
    }
    thread::spawn(move || {
        sender.send(send(&mut node, 99)).unwrap();
        std::mem::forget(node);
    });
    receiver
}

fn lossless() -> [common::Spec; 2] {
    [node("a").output("x"), node("b").queue("x", "a/x", 2, QueuePolicy::Backpressure)]
}

#[test]
fn stop_releases_a_sender_that_waits_for_room() {
    let (keeper, mut nodes) = start(&lossless());
    let (_b, _b_events) = nodes.pop().unwrap();
    let (a, _a_events) = nodes.pop().unwrap();
    let blocked = blocked_sender(a, 2);
    assert!(matches!(blocked.try_recv(), Err(mpsc::TryRecvError::Empty)));
    keeper.mail("a", ToNode::Stop);
    let error = blocked.recv_timeout(LONG).unwrap().unwrap_err();
    assert!(matches!(&error, NodeError::Stopping { output } if output.as_str() == "x"), "{error}");
    assert_eq!(keeper.counters(0).dropped, 1);
}

#[test]
fn the_death_of_the_keeper_releases_a_sender_and_ends_the_stream_after_what_is_queued() {
    let (mut keeper, mut nodes) = start(&lossless());
    let (_b, mut b_events) = nodes.pop().unwrap();
    let (a, mut a_events) = nodes.pop().unwrap();
    let blocked = blocked_sender(a, 2);
    keeper.hang_up("a");
    assert!(matches!(blocked.recv_timeout(LONG).unwrap(), Err(NodeError::Stopping { .. })));
    let end = all(&mut a_events);
    assert!(end.len() == 1 && end[0].contains("the keeper of the dataflow is gone"), "{end:?}");
    keeper.hang_up("b");
    let end = all(&mut b_events);
    assert_eq!(end[..2], ["x 0", "x 1"]);
    assert!(end.len() == 3 && end[2].contains("the keeper of the dataflow is gone"), "{end:?}");
}

#[test]
fn a_consumer_that_drops_its_stream_blocks_nobody() {
    let (_keeper, mut nodes) = start(&lossless());
    let (_b, b_events) = nodes.pop().unwrap();
    let (a, _a_events) = nodes.pop().unwrap();
    let blocked = blocked_sender(a, 2);
    drop(b_events);
    blocked.recv_timeout(LONG).unwrap().unwrap();
}

#[test]
fn a_receiver_that_reads_lets_the_sender_go_on() {
    let (_keeper, mut nodes) = start(&lossless());
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _a_events) = nodes.pop().unwrap();
    let sender = thread::spawn(move || (0..10_000).for_each(|number| send(&mut a, number).unwrap()));
    let mut next = 0;
    while let Some(event) = events.recv() {
        if let Event::Input { data, .. } = event {
            assert_eq!(u64::try_from(&data).unwrap(), next);
            next += 1;
        }
    }
    sender.join().unwrap();
    assert_eq!(next, 10_000);
}

#[test]
fn a_spent_budget_is_an_error_that_says_so() {
    // Twice the same edge would be cheating: one consumer hoards what it received.
    let (_keeper, mut nodes) = start_with_budget(&[node("a").output("x"), node("b").input("x", "a/x")], 4 << 20);
    let (_b, mut events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    let mut hoard = Vec::new();
    let error = loop {
        match a.send_output("x".into(), MetadataParameters::new(), vec![7u8; 1 << 20]) {
            Ok(()) => hoard.push(events.recv().unwrap()),
            Err(error) => break error,
        }
        assert!(hoard.len() < 10);
    };
    assert!(!hoard.is_empty());
    let text = error.to_string();
    assert!(text.contains("output `x`") && text.contains("budget of 4194304 bytes"), "{text}");
    hoard.clear();
    a.send_output("x".into(), MetadataParameters::new(), vec![7u8; 1 << 20]).unwrap();
}
