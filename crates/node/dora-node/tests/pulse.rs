//! What a node shows of being alive: it is in a call of the API while it waits, however it waits, and not otherwise.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Waker},
    time::Instant,
};

use common::{Keeper, LONG, name, node, start};
use dora_message::metadata::MetadataParameters;
use dora_node::{DoraNode, EventStream};
use futures::Stream;

fn dataflow() -> (Keeper, DoraNode, EventStream) {
    let (keeper, mut nodes) = start(&[node("s").output("x"), node("a").input("x", "s/x")]);
    let (_, events) = nodes.pop().unwrap();
    let (source, _) = nodes.pop().unwrap();
    (keeper, source, events)
}

fn send(source: &mut DoraNode) {
    source.send_output("x".into(), MetadataParameters::new(), 1_u64).unwrap();
}

#[test]
fn a_node_that_blocks_is_in_a_call() {
    let (keeper, mut source, mut events) = dataflow();
    assert!(!keeper.is_in_call("a") && !keeper.is_in_call("s"));
    std::thread::scope(|scope| {
        let received = scope.spawn(|| name(&events.recv().unwrap()));
        let started = Instant::now();
        while !keeper.is_in_call("a") {
            assert!(started.elapsed() < LONG);
            std::thread::yield_now(); // nothing tells of it
        }
        send(&mut source);
        assert_eq!(received.join().unwrap(), "x 1");
    });
    assert!(!keeper.is_in_call("a") && !keeper.is_in_call("s"));
}

#[test]
fn a_future_that_waits_is_in_a_call_until_it_is_dropped() {
    let (keeper, _source, mut events) = dataflow();
    let mut cx = Context::from_waker(Waker::noop());
    {
        let mut waiting = pin!(events.recv_async());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        assert!(keeper.is_in_call("a"));
    }
    assert!(!keeper.is_in_call("a"), "whoever has dropped the future computes");
}

#[test]
fn a_stream_that_is_pending_is_in_a_call_until_it_gives_something() {
    let (keeper, mut source, mut events) = dataflow();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut events).poll_next(&mut cx).is_pending());
    assert!(keeper.is_in_call("a"));
    send(&mut source);
    assert!(Pin::new(&mut events).poll_next(&mut cx).is_ready());
    assert!(!keeper.is_in_call("a"));
    assert!(Pin::new(&mut events).poll_next(&mut cx).is_pending());
    assert!(events.try_recv().is_err());
    assert!(!keeper.is_in_call("a"), "another call has ended since");
}
