//! The supervisor looks at outputs, on real processes.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use common::*;
use dora_channel::{Consumer, InEdge, PeerArena, Policy, Polled, Waiter};
use dora_message::supervision::{Ending, ExitCause, FromKeeper, ToKeeper};

fn tap(tap: u64, node: &str, capacity: u32) -> ToKeeper {
    ToKeeper::Tap { tap, node: node.into(), output: "out".into(), capacity }
}

/// Waits for the edge of a tap.
fn opened(run: &mut Run, number: u64) -> (Consumer, Waiter) {
    let (bit, capacity) = run.until(|packet| match packet {
        FromKeeper::Tapped { tap, bit, capacity } if *tap == number => Some((*bit, *capacity)),
        _ => None,
    });
    let mut fds = std::mem::take(&mut run.fds).into_iter();
    let mut next = || fds.next().unwrap();
    let ring = next();
    let peer = PeerArena::open(next(), next()).unwrap();
    let mut consumer = Consumer::new(0);
    consumer.add_edge(InEdge::open(0, ring, capacity, Policy::DropOldest, bit.into(), peer).unwrap());
    (consumer, Waiter::open(next(), next()).unwrap())
}

/// What the edge gives until its end; the first byte of each message.
fn read((consumer, waiter): &mut (Consumer, Waiter), most: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < most {
        match consumer.poll() {
            Polled::Message { message, .. } => read.push(message.payload()[0]),
            Polled::Closed { .. } => break,
            Polled::Broken { .. } => panic!("nonsense"),
            Polled::Empty => {
                waiter.wait(|| consumer.is_ready(), None);
            }
        }
    }
    read
}

fn over(number: u64) -> impl Fn(&FromKeeper) -> Option<String> {
    move |packet| match packet {
        FromKeeper::TapOver { tap, reason } if *tap == number => Some(reason.clone()),
        _ => None,
    }
}

#[test]
fn an_output_that_nobody_reads_can_be_looked_at() {
    let mut run = Run::launch(&plan().helper("a", "send-when-tapped 3").output());
    // It waits for the process if that is not there yet.
    run.tell(&tap(7, "a", 10));
    let mut first = opened(&mut run, 7);
    assert_eq!(read(&mut first, 3), [0, 1, 2]);
    run.tell(&ToKeeper::RestartNode { node: "a".into(), ending: Ending::Kill });
    assert_eq!(read(&mut first, 1), [0; 0], "that process sends no more");
    let mut second = opened(&mut run, 7);
    assert_eq!(read(&mut second, 3), [0, 1, 2]);
    run.tell(&ToKeeper::StopNode { node: "a".into(), ending: Ending::Ask { grace_ms: 3_600_000 } });
    assert_eq!(read(&mut second, 1), [0; 0]);
    assert_eq!(run.until(over(7)), "the node has ended");
    assert_eq!(run.finish().exit("a"), (code(0), ExitCause::Stopped));
}

#[test]
fn who_looks_slowly_or_no_more_delays_nobody() {
    let mut run = Run::launch(&plan().helper("a", "send-while-tapped").output());
    run.until_all_ready();
    run.tell(&tap(1, "a", 2));
    let (mut slow, waiter) = opened(&mut run, 1);
    // One message is held, two are queued, and the others are given up.
    waiter_until(&mut slow, waiter, |slow| slow.dropped(0) > 100);
    run.tell(&ToKeeper::Untap { tap: 1 });
    drop(slow);
    run.until_line("nobody looks");
    run.tell(&tap(2, "a", 2));
    let mut second = opened(&mut run, 2);
    assert_eq!(read(&mut second, 1), [2]);
    drop(second);
    let finished = run.finish();
    assert!(finished.stdout("a").ends_with("nobody looks again\n"));
    assert_eq!(finished.exit("a"), (code(0), ExitCause::Own));
}

/// Holds the first message until something is true.
fn waiter_until(consumer: &mut Consumer, mut waiter: Waiter, fits: impl Fn(&Consumer) -> bool) {
    let held = loop {
        match consumer.poll() {
            Polled::Message { message, .. } => break message,
            _ => {
                waiter.wait(|| consumer.is_ready(), None);
            }
        }
    };
    while !fits(consumer) {
        std::thread::yield_now();
    }
    assert_eq!(held.payload(), [1; 4096], "nobody has written over it");
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let mut run = Run::launch(&plan().helper("a", "exit 0").output().helper("b", "serve"));
    run.until_seen(|packet| matches!(packet, FromKeeper::Exited { .. }));
    run.tell(&tap(1, "zed", 1));
    assert_eq!(run.until(over(1)), "the dataflow has no such node on this machine");
    run.tell(&tap(2, "b", 1));
    assert_eq!(run.until(over(2)), "the node itself sends no such output");
    run.tell(&tap(3, "a", 1));
    assert_eq!(run.until(over(3)), "the node has ended");
    run.stop(3_600_000);
    run.finish();
}

#[test]
fn a_queue_that_is_too_long_is_refused() {
    let mut run = Run::launch(&plan().helper("a", "serve").output());
    run.until_all_ready();
    run.tell(&tap(1, "a", u32::MAX));
    let reason = run.until(over(1));
    assert!(reason.contains("is longer than the limit"), "{reason}");
    run.stop(3_600_000);
    run.finish();
}
