//! Timers of a node.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use common::{name, node, start};
use dora_message::{keeper::ToNode, metadata::MetadataParameters};
use dora_node::Event;
use std::time::{Duration, Instant};

#[test]
fn ticks_come_at_once_and_then_on_a_grid_that_waiting_does_not_shift() {
    const INTERVAL: Duration = Duration::from_millis(20);
    let (_keeper, mut nodes) = start(&[node("a").timer("tick", INTERVAL)]);
    let (_node, mut events) = nodes.pop().unwrap();
    let event = events.recv().unwrap();
    let Event::Input { id, metadata, data } = event else { panic!("{event:?}") };
    assert_eq!((id.as_str(), data.type_name().as_str(), data.len()), ("tick", "Null", 0));
    // The start lies at or before the first tick, so tick k must not come before k intervals after it, less the time
    // that the first tick itself was late. A machine that is busy skips ticks and so is only later.
    let first = metadata.timestamp();
    let mut last = Duration::ZERO;
    for _ in 0..10 {
        let Some(Event::Input { metadata, .. }) = events.recv() else { panic!() };
        let since = metadata.timestamp().get_diff_duration(&first);
        assert!(since > last);
        last = since;
    }
    assert!(last + INTERVAL >= INTERVAL * 10, "{last:?}");
}

#[test]
fn ticks_that_nobody_took_are_skipped() {
    const INTERVAL: Duration = Duration::from_millis(2);
    let (_keeper, mut nodes) = start(&[node("a").timer("tick", INTERVAL)]);
    let (_node, mut events) = nodes.pop().unwrap();
    let started = Instant::now();
    assert!(events.recv().is_some());
    while started.elapsed() < INTERVAL * 20 {
        std::thread::yield_now(); // busy: twenty deadlines pass
    }
    let late = events.drain().unwrap().len();
    assert!(late <= 2, "{late} ticks at once");
}

#[test]
fn a_fast_timer_and_a_full_input_share_the_node() {
    let specs = [node("s").output("x"), node("a").timer("tick", Duration::from_nanos(1)).input("x", "s/x")];
    let (_keeper, mut nodes) = start(&specs);
    let (_node, mut events) = nodes.pop().unwrap();
    let (mut source, _) = nodes.pop().unwrap();
    for number in 0..50u64 {
        source.send_output("x".into(), MetadataParameters::new(), number).unwrap();
    }
    let names: Vec<_> = (0..100).map(|_| name(&events.recv().unwrap())).collect();
    assert_eq!(names.iter().filter(|name| *name == "tick Null").count(), 50, "{names:?}");
}

#[test]
fn a_timer_keeps_a_node_alive_unless_the_dataflow_says_otherwise() {
    let receiver = |exit| {
        let spec = node("b").input("x", "a/x").timer("tick", Duration::from_millis(1));
        if exit { spec.exit_when_nodes_finish() } else { spec }
    };
    for exit in [false, true] {
        let (keeper, mut nodes) = start(&[node("a").output("x"), receiver(exit)]);
        let (_node, mut events) = nodes.pop().unwrap();
        drop(nodes);
        let mut names = Vec::new();
        while !names.contains(&"closed x".to_owned()) {
            names.push(name(&events.recv().unwrap()));
        }
        let next = name(&events.recv().unwrap());
        if exit {
            assert_eq!(next, "stop AllInputsClosed");
            assert!(events.recv().is_none());
        } else {
            assert_eq!(next, "tick Null");
            keeper.mail("b", ToNode::Stop);
            let rest: Vec<_> = std::iter::from_fn(|| events.recv()).map(|event| name(&event)).collect();
            assert_eq!(rest.last().map(String::as_str), Some("stop Manual"), "{rest:?}");
        }
    }
}

#[test]
fn an_input_that_falls_silent_is_closed_and_recovers() {
    const SILENCE: Duration = Duration::from_millis(30);
    let specs = [node("s").output("x"), node("a").input("x", "s/x").timeout(SILENCE)];
    let (_keeper, mut nodes) = start(&specs);
    let (_node, mut events) = nodes.pop().unwrap();
    let (mut source, _) = nodes.pop().unwrap();
    let mut send = |number: u64| source.send_output("x".into(), MetadataParameters::new(), number).unwrap();
    // Not before the first message.
    assert!(name(&events.recv_timeout(SILENCE * 3).unwrap()).contains("Timeout"));
    send(1);
    assert_eq!(name(&events.recv().unwrap()), "x 1");
    let heard = Instant::now();
    assert_eq!(name(&events.recv().unwrap()), "closed x");
    assert!(heard.elapsed() + Duration::from_millis(1) >= SILENCE, "{:?}", heard.elapsed());
    // Told once.
    assert!(name(&events.recv_timeout(SILENCE * 3).unwrap()).contains("Timeout"));
    send(2);
    assert_eq!(name(&events.recv().unwrap()), r#"InputRecovered { id: "x" }"#);
    assert_eq!(name(&events.recv().unwrap()), "x 2");
    assert_eq!(name(&events.recv().unwrap()), "closed x");
    // The end of a broken input is no second end, and then all are closed.
    drop(source);
    assert_eq!(common::all(&mut events), ["stop AllInputsClosed"]);
}

#[test]
fn what_was_sent_while_the_node_computed_is_no_silence() {
    const SILENCE: Duration = Duration::from_millis(10);
    let specs = [node("s").output("x"), node("a").input("x", "s/x").timeout(SILENCE)];
    let (_keeper, mut nodes) = start(&specs);
    let (_node, mut events) = nodes.pop().unwrap();
    let (mut source, _) = nodes.pop().unwrap();
    for number in 0..3u64 {
        source.send_output("x".into(), MetadataParameters::new(), number).unwrap();
    }
    for number in 0..3 {
        assert_eq!(name(&events.recv().unwrap()), format!("x {number}"));
        let computed = Instant::now();
        while computed.elapsed() < SILENCE * 2 {
            std::thread::yield_now();
        }
    }
    assert_eq!(name(&events.recv().unwrap()), "closed x");
}
