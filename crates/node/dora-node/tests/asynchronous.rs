//! Receiving without blocking the thread, in several executors.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
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

#[test]
fn one_stream_in_several_runtimes_and_blocking_between() {
    let (_keeper, mut node, mut events) = pair();
    let mut expected = 0;
    let mut round_trip = |receive: &mut dyn FnMut(&mut EventStream) -> Option<Event>| {
        let number = expected;
        expected += 1;
        thread::scope(|scope| {
            scope.spawn(|| send(&mut node, number));
            assert_eq!(name(&receive(&mut events).unwrap()), format!("x {number}"));
        });
    };
    for _ in 0..3 {
        let runtime = current_thread();
        round_trip(&mut |events| runtime.block_on(events.recv_async()));
        round_trip(&mut |events| block_on(events.recv_async()));
        round_trip(&mut |events| events.recv());
        round_trip(&mut |events| runtime.block_on(events.next()));
        drop(runtime);
        round_trip(&mut |events| block_on(events.next()));
        round_trip(&mut |events| current_thread().block_on(events.recv_async_timeout(LONG)));
    }
}

struct CountWakes(AtomicUsize);
impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_future_that_is_dropped_half_way_loses_nothing() {
    let (_keeper, mut node, mut events) = pair();
    let wakes = Arc::new(CountWakes(AtomicUsize::new(0)));
    let waker = Waker::from(wakes.clone());
    for number in 0..50 {
        {
            let mut future = pin!(events.recv_async());
            assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
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

#[test]
fn an_idle_wait_is_not_woken() {
    let (_keeper, mut node, mut events) = pair();
    let wakes = Arc::new(CountWakes(AtomicUsize::new(0)));
    let waker = Waker::from(wakes.clone());
    let mut future = pin!(events.recv_async());
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let before = wakes.0.load(SeqCst);
    thread::sleep(Duration::from_millis(50)); // what must not happen cannot be awaited
    assert_eq!(wakes.0.load(SeqCst), before, "woken without a reason");
    send(&mut node, 1);
    let started = std::time::Instant::now();
    while wakes.0.load(SeqCst) == before {
        assert!(started.elapsed() < LONG);
        thread::yield_now();
    }
    let Poll::Ready(Some(event)) = future.as_mut().poll(&mut Context::from_waker(&waker)) else { panic!() };
    assert_eq!(name(&event), "x 1");
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
