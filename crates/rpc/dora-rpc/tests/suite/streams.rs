//! Streams: order, gaps, ends, and that a slow reader costs nobody else anything.

use std::time::Duration;

use dora_rpc::{ReaderGone, RpcError, RpcStream, Streamed, stream};
use tokio::time::Instant;

use crate::{
    link::{Link, World},
    scripted::{Heard, ScriptGateway},
};

crate::over_every_link!(
    items_arrive_in_order_up_to_the_end,
    what_a_slow_reader_misses_is_counted,
    a_slow_reader_delays_no_call,
    the_writer_learns_that_its_reader_is_gone,
    an_upload_loses_nothing,
    a_stream_ends_with_its_connection,
);

async fn read_all(stream: &mut RpcStream<String>) -> (u64, u64, Option<String>) {
    let (mut read, mut dropped, mut last) = (0, 0, None);
    while let Some(entry) = stream.next().await.unwrap() {
        match entry {
            Streamed::Item(line) => (read, last) = (read + 1, Some(line)),
            Streamed::Dropped(lost) => dropped += lost,
        }
    }
    (read, dropped, last)
}

async fn items_arrive_in_order_up_to_the_end(link: Link) {
    let world = World::new(link).await;
    let mut stream = world.gateway.follow(2000).await.unwrap();
    world.gateway.push(1500).await.unwrap();
    world.gateway.end().await.unwrap();
    for line in 0..1500 {
        assert_eq!(stream.next().await, Ok(Some(Streamed::Item(format!("line {line}")))));
    }
    assert_eq!(stream.next().await, Ok(None));
    assert_eq!(stream.next().await, Ok(None));
}

async fn what_a_slow_reader_misses_is_counted(link: Link) {
    let world = World::new(link).await;
    let mut stream = world.gateway.follow(10).await.unwrap();
    world.gateway.push(100_000).await.unwrap();
    world.gateway.end().await.unwrap();
    let (read, dropped, last) = read_all(&mut stream).await;
    assert_eq!(read + dropped, 100_000);
    // 10 lie in the queue of the writer, and up to 256 are under way on a connection.
    assert!((10..=10 + 256).contains(&read), "{read} lines were read");
    assert_eq!(last.as_deref(), Some("line 99999"));
}

/// The reader of a stream never reads. Calls on the same connection, heartbeats say, are answered all the same.
async fn a_slow_reader_delays_no_call(link: Link) {
    let world = World::new(link).await;
    let _unread = world.gateway.follow(1000).await.unwrap();
    let before = Instant::now();
    for round in 1..=20 {
        world.gateway.push(10_000).await.unwrap();
        assert_eq!(world.gateway.within(Duration::from_secs(60)).add(1).await, Ok(round));
    }
    if matches!(link, Link::Memory | Link::Serialized) {
        // The clock is paused: it would have moved if anybody had waited for it.
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}

async fn the_writer_learns_that_its_reader_is_gone(link: Link) {
    let mut world = World::new(link).await;
    let stream = world.gateway.follow(10).await.unwrap();
    world.gateway.push(1).await.unwrap();
    drop(stream);
    // The next call comes after the end of the reader, on the same connection.
    world.gateway.push(1).await.unwrap();
    assert_eq!(world.hears().await, Heard::WriterSaw(ReaderGone));
}

async fn an_upload_loses_nothing(link: Link) {
    let world = World::new(link).await;
    let (sender, parts) = stream(4);
    let writer = tokio::spawn(async move {
        for part in 1..=5000 {
            sender.send(part).await.unwrap();
        }
    });
    let sum = world.gateway.within(Duration::from_secs(60)).upload(parts).await;
    assert_eq!(sum, Ok(5000 * 5001 / 2));
    writer.await.unwrap();
}

async fn a_stream_ends_with_its_connection(link: Link) {
    let world = World::new(link).await;
    let mut stream = world.gateway.follow(10).await.unwrap();
    world.gateway.push(2).await.unwrap();
    world.service.stop().await;
    assert_eq!(stream.next().await, Ok(Some(Streamed::Item("line 0".to_owned()))));
    assert_eq!(stream.next().await, Ok(Some(Streamed::Item("line 1".to_owned()))));
    // In order, if the end came before the connection went.
    let end = stream.next().await;
    assert!(matches!(end, Ok(None) | Err(RpcError::Disconnected { .. })), "{end:?}");
}
