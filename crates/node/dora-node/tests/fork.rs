//! A node that forks. One test: a fork takes the whole process with it.
#![allow(unsafe_code, clippy::unwrap_used)]

mod common;

use common::{node, start};
use dora_message::metadata::MetadataParameters;
use dora_node::{DataSample, DoraNode, Event, EventStream, NodeError};

/// Runs in the child; what went wrong is the exit code.
fn child(mut node: DoraNode, mut events: EventStream, held: Event, sample: DataSample) -> i32 {
    let Event::Input { data, .. } = &held else { return 1 };
    if <&[u8]>::try_from(data).ok() != Some([5; 10_000].as_slice()) {
        return 2;
    }
    if !matches!(node.send_output("x".into(), MetadataParameters::new(), 1u8), Err(NodeError::Forked(_))) {
        return 3;
    }
    if !matches!(node.allocate_data_sample(10_000), Err(NodeError::Forked(_))) {
        return 4;
    }
    match events.recv() {
        Some(Event::Error(text)) if text.contains("forked") => {}
        _ => return 5,
    }
    if events.recv().is_some() || !events.is_empty() || !events.drain_drop_counts().is_empty() {
        return 6;
    }
    if node.close_outputs(vec!["x".into()]).is_ok() || DoraNode::init_from_env().is_ok() {
        return 7;
    }
    drop((node, events, held, sample)); // touches nothing that is not mapped here
    0
}

#[test]
fn a_child_reads_what_the_node_held_and_is_no_node() {
    let (keeper, mut nodes) = start(&[node("a").output("x").input("loop", "a/x")]);
    let (mut node, mut events) = nodes.pop().unwrap();
    for _ in 0..2 {
        node.send_output_raw("x".into(), MetadataParameters::new(), 10_000, |bytes| bytes.fill(5)).unwrap();
    }
    let held = events.recv().unwrap();
    let sample = node.allocate_data_sample(10_000).unwrap();
    // SAFETY: the child runs our code on its only thread, with what it inherits, and ends with `_exit`. The test
    // process has other threads, but none that holds a lock which the child needs: they sleep in system calls.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| child(node, events, held, sample)));
        // SAFETY: ends the child without running the test harness a second time.
        unsafe { libc::_exit(outcome.unwrap_or(100)) };
    }
    assert!(pid > 0);
    let mut status = 0;
    // SAFETY: waits for our own child.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "killed by signal {}", libc::WTERMSIG(status));
    assert_eq!(libc::WEXITSTATUS(status), 0);
    // The parent goes on, and its message is still its own.
    let Event::Input { data, .. } = &held else { panic!() };
    assert_eq!(<&[u8]>::try_from(data).unwrap(), [5; 10_000]);
    drop((held, sample));
    assert!(matches!(events.recv(), Some(Event::Input { .. })));
    node.send_output("x".into(), MetadataParameters::new(), 1u8).unwrap();
    assert!(matches!(events.recv(), Some(Event::Input { .. })));
    assert_eq!(keeper.counters(0).received, 3);
}
