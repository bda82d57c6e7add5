//! Waiting as an interpreter or the event loop of another language does.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use common::{LONG, node, start};
use dora_message::metadata::MetadataParameters;
use dora_node::{DoraNode, Event, EventStream, TryRecvError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

fn pair() -> (common::Keeper, DoraNode, EventStream) {
    let (keeper, mut nodes) = start(&[node("a").output("x"), node("b").input("x", "a/x")]);
    let (_b, events) = nodes.pop().unwrap();
    let (a, _) = nodes.pop().unwrap();
    (keeper, a, events)
}

fn send(node: &mut DoraNode, number: u64) {
    node.send_output("x".into(), MetadataParameters::new(), number).unwrap();
}

/// Whether the descriptor becomes readable in time.
fn is_rung(events: &EventStream, within: Duration) -> bool {
    let within = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: within.subsec_nanos().into() };
    poll(&mut [PollFd::from_borrowed_fd(events.descriptor(), PollFlags::IN)], Some(&within)).unwrap() > 0
}

#[test]
fn a_message_ends_a_blocking_wait() {
    let (_keeper, mut a, mut events) = pair();
    let (done, received) = mpsc::channel();
    thread::spawn(move || {
        let event = loop {
            match events.try_recv() {
                Err(TryRecvError::Empty) => events.wait(None, || false),
                found => break found,
            }
        };
        done.send(matches!(event, Ok(Event::Input { .. }))).unwrap();
    });
    send(&mut a, 1);
    assert!(received.recv_timeout(LONG).unwrap());
}

#[test]
fn another_source_ends_a_blocking_wait_before_or_while_it_sleeps() {
    let (_keeper, _a, mut events) = pair();
    events.wait(None, || true);
    let flag = Arc::new(AtomicBool::new(false));
    let (waker, (asleep, sleeps)) = (events.waker(), mpsc::channel());
    let seen = flag.clone();
    let waiting = thread::spawn(move || {
        while !seen.load(SeqCst) {
            asleep.send(()).unwrap();
            events.wait(None, || seen.load(SeqCst));
        }
    });
    sleeps.recv_timeout(LONG).unwrap();
    flag.store(true, SeqCst);
    waker();
    waiting.join().unwrap();
}

#[test]
fn a_wait_ends_with_its_time() {
    let (_keeper, _a, mut events) = pair();
    events.wait(Some(Duration::from_millis(1)), || false);
    assert!(matches!(events.try_recv(), Err(TryRecvError::Empty)));
}

#[test]
fn the_descriptor_tells_of_what_comes_after_the_announcement() {
    let (_keeper, mut a, mut events) = pair();
    for number in 0..3 {
        assert_eq!(events.begin_wait(|| false).unwrap().timer, None);
        assert!(!is_rung(&events, Duration::ZERO));
        send(&mut a, number);
        assert!(is_rung(&events, LONG));
        events.end_wait();
        assert!(!is_rung(&events, Duration::ZERO), "the next wait must not begin rung");
        assert!(matches!(events.try_recv(), Ok(Event::Input { .. })));
    }
    send(&mut a, 3);
    assert_eq!(events.begin_wait(|| false), None, "there is something to look at");
    assert!(matches!(events.try_recv(), Ok(Event::Input { .. })));
    assert_eq!(events.begin_wait(|| true), None);
}

#[test]
fn an_announced_wait_knows_its_timer() {
    let (_keeper, mut nodes) = start(&[node("a").timer("tick", LONG)]);
    let (_a, mut events) = nodes.pop().unwrap();
    assert_eq!(events.begin_wait(|| false), None, "the first tick is due");
    assert!(matches!(events.try_recv(), Ok(Event::Input { .. })));
    let timer = events.begin_wait(|| false).unwrap().timer.unwrap();
    assert!(timer <= LONG && timer > LONG / 2, "{timer:?}");
    events.end_wait();
}

#[test]
fn a_blocking_wait_takes_over_an_announced_one() {
    let (_keeper, mut a, mut events) = pair();
    assert!(events.begin_wait(|| false).is_some());
    send(&mut a, 1);
    events.wait(None, || false);
    assert!(matches!(events.try_recv(), Ok(Event::Input { .. })));
    assert!(events.begin_wait(|| false).is_some());
}
