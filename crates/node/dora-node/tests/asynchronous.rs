//! Receiving without blocking the thread, in several executors.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Waker},
    thread,
    time::Duration,
};

use common::{LONG, name, node, start};
use dora_message::{
    keeper::{QueuePolicy, ToNode},
    metadata::MetadataParameters,
};
use dora_node::{
    DoraNode, Event, EventStream,
    merged::{Either, MergeExternal, MergeExternalSend, MergedEvent},
};
use futures::{FutureExt, StreamExt, executor::block_on, stream};

fn pair() -> (common::Keeper, DoraNode, EventStream) {
    let lossless = node("b").queue("x", "a/x", 8, QueuePolicy::Backpressure);
    let (keeper, mut nodes) = start(&[node("a").output("x"), lossless]);
    let (_b, events) = nodes.pop().unwrap();
    let (a, _) = nodes.pop().unwrap();
    (keeper, a, events)
}

fn send(node: &mut DoraNode, number: u64) {
    node.send_output("x".into(), MetadataParameters::new(), number).unwrap();
}

const COUNT: u64 = 2000;

fn sender(mut node: DoraNode) -> thread::JoinHandle<()> {
    thread::spawn(move || (0..COUNT).for_each(|number| send(&mut node, number)))
}

async fn count(mut events: EventStream) -> u64 {
    let mut next = 0;
    while let Some(event) = events.recv_async().await {
        if let Event::Input { data, .. } = event {
            assert_eq!(u64::try_from(&data).unwrap(), next);
            next += 1;
        }
    }
    next
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn in_tokio_with_one_thread() {
    let (_keeper, node, events) = pair();
    let sender = sender(node);
    assert_eq!(current_thread().block_on(count(events)), COUNT);
    sender.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_tokio_with_many_threads() {
    let (_keeper, node, events) = pair();
    let sender = sender(node);
    assert_eq!(tokio::spawn(count(events)).await.unwrap(), COUNT);
    sender.join().unwrap();
}

#[test]
fn without_tokio() {
    let (_keeper, node, events) = pair();
    let sender = sender(node);
    assert_eq!(block_on(count(events)), COUNT);
    sender.join().unwrap();
}

#[test]
fn in_tokio_without_io() {
    let (_keeper, node, events) = pair();
    let sender = sender(node);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(count(events)), COUNT);
    sender.join().unwrap();
}

/// Tells when the future waits for the first time.
fn announcing<T>(future: impl Future<Output = T>, waiting: mpsc::Sender<()>) -> impl Future<Output = T> {
    let mut future = Box::pin(future);
    poll_fn(move |cx| {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            let _ = waiting.send(());
        }
        polled
    })
}

#[test]
fn one_stream_in_several_runtimes_and_blocking_between() {
    type Receive<'a> = &'a mut dyn FnMut(&mut EventStream, mpsc::Sender<()>) -> Option<Event>;
    let (_keeper, mut node, mut events) = pair();
    let (done, is_done) = mpsc::channel();
    // In a thread: a stream that waits in a runtime that nobody drives would wait for ever.
    thread::spawn(move || {
        let mut number = 0;
        let mut round_trip = |receive: Receive<'_>| {
            let (waiting, is_waiting) = mpsc::channel();
            thread::scope(|scope| {
                let node = &mut node;
                scope.spawn(move || {
                    let _ = is_waiting.recv(); // fails at once where receiving blocks
                    send(node, number);
                });
                assert_eq!(name(&receive(&mut events, waiting).unwrap()), format!("x {number}"));
            });
            number += 1;
        };
        for _ in 0..3 {
            let runtime = current_thread();
            round_trip(&mut |events, waiting| runtime.block_on(announcing(events.recv_async(), waiting)));
            round_trip(&mut |events, waiting| block_on(announcing(events.recv_async(), waiting)));
            round_trip(&mut |events, waiting| {
                drop(waiting);
                events.recv()
            });
            round_trip(&mut |events, waiting| runtime.block_on(announcing(events.next(), waiting)));
            let other = current_thread();
            round_trip(&mut |events, waiting| other.block_on(announcing(events.next(), waiting)));
            drop((runtime, other));
            round_trip(&mut |events, waiting| block_on(announcing(events.next(), waiting)));
        }
        done.send(()).unwrap();
    });
    is_done.recv_timeout(LONG).unwrap();
}

#[test]
fn a_future_that_is_dropped_half_way_loses_nothing() {
    let (_keeper, mut node, mut events) = pair();
    for number in 0..50 {
        {
            let mut future = pin!(events.recv_async());
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        send(&mut node, number);
        let event = match number % 4 {
            0 => events.recv(),
            1 => block_on(events.recv_async()),
            2 => events.try_recv().ok(),
            _ => events.recv_timeout(LONG),
        };
        assert_eq!(name(&event.unwrap()), format!("x {number}"));
    }
    assert!(events.recv_async().now_or_never().is_none());
}

/// Receives two messages and waits for a third; how often it was asked while nothing came.
async fn polls_while_idle(node: &mut DoraNode, events: &mut EventStream) -> usize {
    let polls = Arc::new(AtomicUsize::new(0));
    let (counted, mut waits) = (polls.clone(), 0);
    let mut future = Box::pin(async {
        for number in 0..2 {
            assert_eq!(name(&events.recv_async().await.unwrap()), format!("x {number}"));
        }
        events.recv_async_timeout(Duration::from_millis(100)).await
    });
    let third = poll_fn(move |cx| {
        counted.fetch_add(1, SeqCst);
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() && waits < 2 {
            send(node, waits);
            waits += 1;
        }
        polled
    });
    assert!(name(&third.await.unwrap()).contains("Timeout"));
    polls.load(SeqCst)
}

#[test]
fn an_idle_wait_is_not_woken() {
    // Each message and the timeout wake once; what the reactors add of their own is little, a spin is not.
    let (_keeper, mut node, mut events) = pair();
    let polls = current_thread().block_on(polls_while_idle(&mut node, &mut events));
    assert!(polls < 12, "{polls} polls in tokio");
    let (_keeper, mut node, mut events) = pair();
    let polls = block_on(polls_while_idle(&mut node, &mut events));
    assert!(polls < 12, "{polls} polls elsewhere");
}

#[test]
fn timers_and_timeouts_fire_in_every_executor() {
    const INTERVAL: Duration = Duration::from_millis(3);
    let ticks = |mut events: EventStream| async move {
        for _ in 0..5 {
            assert_eq!(name(&events.recv_async().await.unwrap()), "tick Null");
        }
    };
    let lone = || {
        let (keeper, mut nodes) = start(&[node("a").timer("tick", INTERVAL)]);
        (keeper, nodes.pop().unwrap())
    };
    let (_keeper, (_node, events)) = lone();
    current_thread().block_on(ticks(events));
    let (_keeper, (_node, events)) = lone();
    block_on(ticks(events));
    for run in [0, 1] {
        let (_keeper, _node, mut events) = pair();
        let timeout = events.recv_async_timeout(INTERVAL);
        let event = if run == 0 { current_thread().block_on(timeout) } else { block_on(timeout) };
        assert!(name(&event.unwrap()).contains("Timeout event stream error"));
    }
}

#[test]
fn mail_wakes_an_async_wait() {
    let (keeper, _node, mut events) = pair();
    keeper.mail("b", ToNode::Stop);
    let seen = current_thread().block_on(async { events.by_ref().map(|event| name(&event)).collect::<Vec<_>>().await });
    assert_eq!(seen, ["stop Manual"]);
}

#[test]
fn other_streams_are_merged() {
    let (_keeper, mut node, events) = pair();
    send(&mut node, 1);
    drop(node);
    let merged = events.merge_external(stream::iter(["one", "two"])).merge_external(stream::iter([7u8]));
    let text = |event: MergedEvent<Either<&str, u8>>| match event {
        MergedEvent::Dora(event) => name(&event),
        MergedEvent::External(Either::First(text)) => text.to_owned(),
        MergedEvent::External(Either::Second(number)) => number.to_string(),
    };
    let mut seen: Vec<String> = block_on(merged.map(text).collect());
    seen.sort();
    assert_eq!(seen, ["7", "closed x", "one", "stop AllInputsClosed", "two", "x 1"]);
    assert_eq!(Either::<u8, u8>::Second(3).flatten(), 3);
}

#[test]
fn merged_streams_change_threads() {
    let (_keeper, mut node, events) = pair();
    send(&mut node, 1);
    drop(node);
    let merged = events.merge_external_send(stream::iter(["one"]));
    let seen = thread::spawn(move || block_on(merged.collect::<Vec<_>>()).len());
    assert_eq!(seen.join().unwrap(), 4);
}

#[test]
fn both_halves_change_threads() {
    fn sendable<T: Send + Sync>() {}
    sendable::<DoraNode>();
    sendable::<EventStream>();
    sendable::<Event>();
    sendable::<dora_node::DataSample>();
}
