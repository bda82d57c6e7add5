//! Messages in place of a node, on real processes.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::os::fd::AsFd;

use common::*;
use dora_channel::os::{
    memory::memfd_with,
    packet::{self, Blocking},
};
use dora_message::{
    keeper::{LooseMessage, QueuePolicy},
    supervision::{FromKeeper, ToKeeper},
};

fn publish(run: &Run, node: &str) {
    let message = LooseMessage { tag: 1, len: 4, header_len: 0 };
    let order = ToKeeper::Publish { node: node.into(), output: "out".into(), message };
    let memory = memfd_with("message", b"abcd").unwrap();
    packet::send(run.socket.as_fd(), &serde_json::to_vec(&order).unwrap(), &[memory.as_fd()], Blocking::Yes).unwrap();
}

#[test]
fn every_consumer_of_the_output_gets_it() {
    let nodes = plan().helper("a", "serve").output().helper("b", "serve").helper("c", "serve").helper("d", "serve");
    let mut run = Run::launch(&nodes.edge(0, 1, 1, QueuePolicy::Backpressure).edge(0, 3, 1, QueuePolicy::DropOldest));
    run.until_all_ready();
    publish(&run, "a");
    publish(&run, "b");
    run.until_seen(|packet| matches!(packet, FromKeeper::Warning { .. }));
    run.stop(3_600_000);
    let finished = run.finish();
    for (id, expected) in [("a", false), ("b", true), ("c", false), ("d", true)] {
        let heard = finished.stdout(id).contains("heard 1 {\"type\":\"message\",\"input\":\"in\",\"stamp_ns\":");
        assert_eq!(heard, expected, "{id}");
    }
    assert_eq!(finished.warnings(), ["nothing is sent on `b/out`: the node itself has no such output"]);
    assert!(finished.report.edges.iter().all(|edge| edge.sent == 0));
}
