//! Calls: answers, errors, deadlines, limits. The same over every link.

use std::{pin::Pin, task::Poll, time::Duration};

use dora_rpc::{Role, RpcConfig, RpcError, Streamed};
use tokio::task::JoinSet;

use crate::{
    link::{Link, World, config},
    scripted::{CallbackCall, Heard, Named, ScriptCall, ScriptError, ScriptGateway},
};

crate::over_every_link!(
    a_call_is_answered,
    the_error_of_a_method_arrives_as_it_is,
    each_of_many_calls_gets_its_own_answer,
    calls_of_one_caller_arrive_in_order,
    a_deadline_cancels_at_the_server,
    a_call_that_is_dropped_is_cancelled_at_the_server,
    a_request_that_is_too_large_is_refused_by_itself,
    an_answer_that_is_too_large_is_refused_by_itself,
    a_reply_that_is_dropped_is_an_error,
    a_gateway_in_an_argument_is_called_back,
    a_call_under_way_ends_with_the_endpoint,
    names_and_gateways_must_match,
    a_full_mailbox_is_said_from_outside_and_waited_for_inside,
);

async fn a_call_is_answered(link: Link) {
    let world = World::new(link).await;
    assert_eq!(world.gateway.add(2).await, Ok(2));
    assert_eq!(world.gateway.add(3).await, Ok(5));
    assert_eq!(world.server.gateway().add(1).await, Ok(6));
}

async fn the_error_of_a_method_arrives_as_it_is(link: Link) {
    let world = World::new(link).await;
    let refused = world.gateway.refuse("because".to_owned()).await;
    assert_eq!(refused, Err(ScriptError::Refused("because".to_owned())));
}

/// More than a connection has under way at once, so some wait for their turn.
async fn each_of_many_calls_gets_its_own_answer(link: Link) {
    let world = World::new(link).await;
    let mut calls = JoinSet::new();
    for number in 0..3000_u32 {
        let gateway = world.gateway.within(Duration::from_secs(60));
        calls.spawn(async move {
            let bytes = number.to_le_bytes().to_vec();
            assert_eq!(gateway.echo(bytes.clone()).await, Ok(bytes));
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
}

async fn calls_of_one_caller_arrive_in_order(link: Link) {
    let world = World::new(link).await;
    let mut follow = world.gateway.follow(1000).await.unwrap();
    let mut calls = Vec::new();
    for lines in 1..=20 {
        let mut call = Box::pin(world.gateway.push(lines));
        // Polled once: it is sent, and not awaited before the next one is.
        assert!(poll_once(&mut call).await.is_none());
        calls.push(call);
    }
    for call in calls {
        call.await.unwrap();
    }
    for lines in 1..=20_u64 {
        for line in 0..lines {
            let expected = Streamed::Item(format!("line {line}"));
            assert_eq!(follow.next().await, Ok(Some(expected)));
        }
    }
}

/// Polls a future once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| match Pin::new(&mut *future).poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn a_deadline_cancels_at_the_server(link: Link) {
    let mut world = World::new(link).await;
    // Time enough for the call to reach the server.
    let within = Duration::from_secs(2);
    let late = world.gateway.within(within).work().await;
    assert_eq!(late, Err(RpcError::Deadline { method: "work".to_owned(), within }.into()));
    assert_eq!(world.hears().await, Heard::Working);
    assert_eq!(world.hears().await, Heard::Cancelled);
    assert_eq!(world.gateway.add(1).await, Ok(1));
}

async fn a_call_that_is_dropped_is_cancelled_at_the_server(link: Link) {
    let mut world = World::new(link).await;
    let gateway = world.gateway.clone();
    let call = tokio::spawn(async move { gateway.work().await });
    assert_eq!(world.hears().await, Heard::Working);
    call.abort();
    assert_eq!(world.hears().await, Heard::Cancelled);
}

fn small(role: Role) -> RpcConfig {
    RpcConfig { message_limit: 10_000, ..config(role) }
}

async fn a_request_that_is_too_large_is_refused_by_itself(link: Link) {
    let world = World::with(link, small(Role::Coordinator)).await;
    let sent = world.gateway.echo(vec![1; 20_000]).await;
    match link {
        // Nothing becomes bytes, so there is nothing to limit.
        Link::Memory => assert_eq!(sent.map(|bytes| bytes.len()), Ok(20_000)),
        _ => assert!(matches!(
            sent,
            Err(ScriptError::Rpc(RpcError::TooLarge { what, size, limit: 10_000 })) if what == "echo" && size > 20_000
        )),
    }
    assert_eq!(world.gateway.echo(vec![1; 5_000]).await.map(|bytes| bytes.len()), Ok(5_000));
}

async fn an_answer_that_is_too_large_is_refused_by_itself(link: Link) {
    let world = World::with(link, small(Role::Coordinator)).await;
    let received = world.gateway.produce(20_000).await;
    match link {
        Link::Memory => assert_eq!(received.map(|bytes| bytes.len()), Ok(20_000)),
        _ => assert!(matches!(received, Err(ScriptError::Rpc(RpcError::TooLarge { limit: 10_000, .. })))),
    }
    assert_eq!(world.gateway.produce(100).await.map(|bytes| bytes.len()), Ok(100));
}

async fn a_reply_that_is_dropped_is_an_error(link: Link) {
    let world = World::new(link).await;
    let error = RpcError::Unanswered { method: "forget".to_owned() };
    assert_eq!(world.gateway.forget().await, Err(error.into()));
}

async fn a_gateway_in_an_argument_is_called_back(link: Link) {
    let world = World::new(link).await;
    let named = world.client.start_server("named", Named("caller")).unwrap();
    assert_eq!(world.gateway.call_back(named.gateway()).await, Ok("hello caller".to_owned()));
    named.stop().await;
    let gone = world.gateway.call_back(named.gateway()).await;
    assert!(matches!(gone, Err(ScriptError::Rpc(RpcError::Stopped { .. }))));
}

async fn a_call_under_way_ends_with_the_endpoint(link: Link) {
    let mut world = World::new(link).await;
    let gateway = world.gateway.clone();
    let call = tokio::spawn(async move { gateway.keep().await });
    assert_eq!(world.hears().await, Heard::Working);
    world.server.stop().await;
    assert_eq!(call.await.unwrap(), Err(RpcError::Unanswered { method: "keep".to_owned() }.into()));
    let later = world.gateway.add(1).await;
    assert!(matches!(later, Err(ScriptError::Rpc(RpcError::Stopped { .. }))));
}

async fn a_full_mailbox_is_said_from_outside_and_waited_for_inside(link: Link) {
    let world = World::with(link, RpcConfig { mailbox: 1, ..config(Role::Coordinator) }).await;
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let gateway = world.gateway.clone();
        calls.spawn(async move { gateway.add(1).await });
    }
    let mut served = 0;
    while let Some(call) = calls.join_next().await {
        match call.unwrap() {
            Ok(_) => served += 1,
            Err(ScriptError::Rpc(error)) => {
                assert_eq!(error, RpcError::Overloaded { endpoint: "ScriptGateway".to_owned() });
                assert_ne!(link, Link::Memory, "a caller in the same process waits");
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(served > 0);
    assert_eq!(world.gateway.add(1).await, Ok(served + 1), "each call was served once or not at all");
}

async fn names_and_gateways_must_match(link: Link) {
    let world = World::new(link).await;
    let unknown = world.client.connect::<ScriptCall>(&world.address, "scrip").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no endpoint `scrip`");
    let wrong = world.client.connect::<CallbackCall>(&world.address, "script").await.unwrap_err();
    assert_eq!(wrong.to_string(), "endpoint `script` serves ScriptGateway, not CallbackGateway");
    let taken = world.service.start_server("script", Named("other")).unwrap_err();
    assert_eq!(taken.to_string(), "there is an endpoint `script` already");
}
