//! How a node starts, and how it does not.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{os::fd::AsRawFd, thread};

use common::{Keeper, node};
use dora_message::keeper::{FromNode, NodeConfig, ToNode};
use dora_node::{ConnectError, DoraNode, NodeError};

fn refused(error: NodeError) -> String {
    match error {
        NodeError::Connect(ConnectError::Refused(reason)) => reason,
        other => panic!("{other}"),
    }
}

fn prepared() -> (Keeper, NodeConfig) {
    let (keeper, mut ends) = Keeper::prepare(&[node("a").output("x"), node("b").input("x", "a/x")], 1 << 20);
    let config = keeper.node_config(1, ends.pop().unwrap());
    (keeper, config)
}

#[test]
fn init_returns_when_all_are_ready() {
    let (keeper, config) = prepared();
    keeper.say_all(1);
    let node = thread::spawn(move || DoraNode::init(config).unwrap());
    assert!(matches!(keeper.hear(1), Some(FromNode::Hello { .. })));
    assert_eq!(keeper.hear(1), Some(FromNode::Ready));
    assert!(!node.is_finished());
    keeper.say_bytes(1, b"{\"type\":\"news from a later version\"}");
    keeper.say(1, &ToNode::Start, &[]);
    let (node, events) = node.join().unwrap();
    assert_eq!(node.id().as_str(), "b");
    drop(node);
    drop(events);
    assert_eq!(keeper.hear(1), None, "the node hangs up when both halves are gone");
}

#[test]
fn a_refusal_is_passed_on_as_it_is() {
    for before_wiring in [true, false] {
        let (keeper, config) = prepared();
        if !before_wiring {
            keeper.say_all(1);
        }
        keeper.say(1, &ToNode::Refused { reason: "node `a` exited before it was ready".to_owned() }, &[]);
        assert_eq!(refused(DoraNode::init(config).unwrap_err()), "node `a` exited before it was ready");
    }
}

#[test]
fn the_death_of_the_keeper_ends_the_start() {
    let (mut keeper, config) = prepared();
    keeper.say_all(1);
    keeper.hang_up("b");
    let error = DoraNode::init(config).unwrap_err();
    assert!(matches!(error, NodeError::Connect(ConnectError::KeeperGone)), "{error}");
}

#[test]
fn a_keeper_that_contradicts_itself_hears_why_the_node_gives_up() {
    let (keeper, config) = prepared();
    // Welcome without the descriptors that it promises.
    keeper.say(1, &ToNode::Welcome { version: 1, config_len: 10, budget_slot: 0 }, &[]);
    let error = DoraNode::init(config).unwrap_err();
    assert!(error.to_string().contains("did not send the configuration"), "{error}");
    assert!(matches!(keeper.hear(1), Some(FromNode::Hello { .. })));
    assert_eq!(keeper.hear(1), Some(FromNode::Failed { reason: error.to_string() }));
}

#[test]
fn a_process_is_one_node_and_only_if_it_was_started_as_one() {
    let (keeper, config) = prepared();
    let taken = config.clone();
    keeper.say_all(1);
    keeper.say(1, &ToNode::Start, &[]);
    let node = DoraNode::init(config).unwrap();
    let error = DoraNode::init(taken.clone()).unwrap_err();
    assert!(matches!(error, NodeError::Connect(ConnectError::Taken)), "{error}");
    drop(node);
    let file = std::fs::File::open("/dev/null").unwrap();
    let error = DoraNode::init(NodeConfig { keeper_fd: file.as_raw_fd(), ..taken }).unwrap_err();
    assert!(error.to_string().contains("is not a connection to a dataflow"), "{error}");
}

#[test]
fn no_descriptor_is_kept_per_edge() {
    let inputs = (0..40).fold(node("b"), |spec, at| spec.input(&format!("x{at}"), &format!("a/x{at}")));
    let outputs = (0..40).fold(node("a"), |spec, at| spec.output(&format!("x{at}")));
    let (keeper, ends) = Keeper::prepare(&[outputs, inputs], 1 << 20);
    let configs: Vec<_> = ends.into_iter().enumerate().map(|(at, end)| keeper.node_config(at, end)).collect();
    let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut nodes = Vec::new();
    for (number, config) in configs.into_iter().enumerate() {
        keeper.say_all(number);
        keeper.say(number, &ToNode::Start, &[]);
        nodes.push(DoraNode::init(config).unwrap());
    }
    let after = std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Per node: eventfd, arena, holders. Per peer: its eventfd. Other tests of this file run at the same time.
    assert!(after < before + 40, "{before} -> {after}");
}
