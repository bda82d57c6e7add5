//! The life of an endpoint and of a service, and what the main thread does. On a paused clock.

use std::{sync::Arc, time::Duration};

use dora_rpc::{Address, LifeCycle, MainThread, Role, RpcConfig, RpcEndpoint, RpcError, RpcService, StartError};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    link::{Link, World, config},
    scripted::{Heard, Named, ScriptCall, ScriptError, ScriptGateway, Scripted},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_stopping_endpoint_finishes_its_work_and_answers_meanwhile() {
    let mut world = World::new(Link::Memory).await;
    let (gateway, server) = (world.gateway.clone(), Arc::new(world.server));
    let work = {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.work_for(5 * SECOND).await })
    };
    assert_eq!(world.heard.recv().await, Some(Heard::Working));
    let begun = Instant::now();
    let stop = {
        let server = server.clone();
        tokio::spawn(async move { server.stop().await })
    };
    assert_eq!(world.heard.recv().await, Some(Heard::Stopping));
    assert_eq!(server.life_cycle(), LifeCycle::Terminating);
    assert_eq!(gateway.add(1).await, Ok(1));
    assert_eq!(work.await.unwrap(), Ok(()));
    stop.await.unwrap();
    assert_eq!(begun.elapsed(), 5 * SECOND);
    assert_eq!(server.life_cycle(), LifeCycle::Terminated);
    let late = gateway.add(1).await;
    assert_eq!(late, Err(RpcError::Stopped { endpoint: "ScriptGateway".to_owned() }.into()));
    gateway.closed().await;
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_end_is_given_up_after_the_grace() {
    let mut world = World::with(Link::Memory, RpcConfig { grace: 3 * SECOND, ..config(Role::Coordinator) }).await;
    let gateway = world.gateway.within(60 * SECOND);
    let work = tokio::spawn(async move { gateway.work().await });
    assert_eq!(world.hears().await, Heard::Working);
    let begun = Instant::now();
    world.server.stop().await;
    assert_eq!(begun.elapsed(), 3 * SECOND);
    assert_eq!(world.hears().await, Heard::Stopping);
    assert_eq!(world.hears().await, Heard::Cancelled);
    assert_eq!(work.await.unwrap(), Err(RpcError::Unanswered { method: "work".to_owned() }.into()));
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_endpoint_and_is_told_to_the_process() {
    for in_handler in [true, false] {
        let world = World::new(Link::Memory).await;
        if in_handler {
            let answer = world.gateway.panic().await;
            assert!(matches!(answer, Err(ScriptError::Rpc(RpcError::Unanswered { .. }))));
        } else {
            let work = async { panic!("as the test wants it") };
            let executor = world.server.executor();
            executor.run_async(move |_, main| main.then(work, |_, _, ()| {})).await.unwrap();
        }
        assert_eq!(world.server.ended().await, LifeCycle::Failed);
        let failure = world.service.failed().await;
        assert_eq!(failure.to_string(), "endpoint `ScriptGateway` has panicked: as the test wants it");
        let later = world.gateway.add(1).await;
        assert!(matches!(later, Err(ScriptError::Rpc(RpcError::Stopped { .. }))));
        // The name is free again, and nothing has taken it.
        let gone = world.service.connect::<ScriptCall>(&Address::here(), "script").await.unwrap_err();
        assert_eq!(gone.to_string(), "there is no endpoint `script`");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_is_gone_is_not_begun() {
    let mut world = World::new(Link::Memory).await;
    // One thread runs everything here: the call lies in the mailbox when its time is up.
    let late = world.gateway.within(Duration::ZERO).work().await;
    assert!(matches!(late, Err(ScriptError::Rpc(RpcError::Deadline { .. }))));
    assert_eq!(world.gateway.add(1).await, Ok(1));
    assert!(world.heard.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_when_the_endpoint_ends_are_refused() {
    let world = World::with(Link::Memory, RpcConfig { mailbox: 2, ..config(Role::Coordinator) }).await;
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let gateway = world.gateway.clone();
            tokio::spawn(async move { gateway.add(1).await })
        })
        .collect();
    world.server.executor().run_async(|_, main| main.stop()).await.unwrap();
    world.server.ended().await;
    for call in calls {
        let answer = call.await.unwrap();
        assert!(matches!(answer, Ok(_) | Err(ScriptError::Rpc(RpcError::Stopped { .. }))), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_main_thread_runs_what_is_brought_to_it() {
    let world = World::new(Link::Memory).await;
    let executor = world.server.executor();
    let begun = Instant::now();
    let (done, waits) = oneshot::channel();
    executor
        .run_async(move |_, main| {
            let cancelled = main.schedule(SECOND, |_, _| panic!("it was cancelled"));
            cancelled.cancel();
            main.schedule(2 * SECOND, |_, main| {
                main.then(async { 6 }, |_, main, six| {
                    main.blocking(move || six * 7, move |_, _, answer| done.send(answer).unwrap());
                });
            });
        })
        .await
        .unwrap();
    assert_eq!(waits.await, Ok(42));
    assert_eq!(begun.elapsed(), 2 * SECOND);
    assert_eq!(executor.call(|_, _| "on the main thread").await, Ok("on the main thread"));
    world.server.stop().await;
    let stopped = RpcError::Stopped { endpoint: "ScriptGateway".to_owned() };
    assert_eq!(executor.call(|_, _| ()).await, Err(stopped.clone()));
    assert_eq!(executor.run_async(|_, _| ()).await, Err(stopped));
}

#[tokio::test(start_paused = true)]
async fn what_is_scheduled_does_not_hold_up_a_stop() {
    let world = World::new(Link::Memory).await;
    let executor = world.server.executor();
    let begun = Instant::now();
    executor.call(|_, main| drop(main.schedule(3600 * SECOND, |_, _| ()))).await.unwrap();
    world.server.stop().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// A total that would be wrong if two calls could interleave.
struct Ledger {
    total: u64,
}

impl RpcEndpoint for Ledger {
    type Call = ScriptCall;

    fn handle(&mut self, main: &mut MainThread<Self>, call: ScriptCall) {
        if let ScriptCall::Add { amount, reply } = call {
            let before = self.total;
            main.then(async move { amount }, move |ledger: &mut Self, _, amount| {
                ledger.total += amount;
                reply.ok(ledger.total);
            });
            assert_eq!(self.total, before, "nothing runs on the main thread while a handler does");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_call_and_one_serves() {
    let service = RpcService::new(config(Role::Coordinator));
    let server = service.start_server("ledger", Ledger { total: 0 }).unwrap();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let gateway = server.gateway();
            tokio::spawn(async move {
                for _ in 0..200 {
                    gateway.add(1).await.unwrap();
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(server.executor().call(|ledger, _| ledger.total).await, Ok(1600));
}

#[tokio::test]
async fn a_service_stops_in_good_order() {
    for link in Link::PORTS {
        let mut world = World::new(link).await;
        let gateway = world.gateway.clone();
        let work = tokio::spawn(async move { gateway.work_for(Duration::from_millis(50)).await });
        assert_eq!(world.hears().await, Heard::Working);
        world.service.stop().await;
        assert_eq!(work.await.unwrap(), Ok(()), "what was under way is answered");
        let late = world.gateway.add(1).await;
        assert!(matches!(late, Err(ScriptError::Rpc(RpcError::Disconnected { .. }))), "{late:?}");
        let (scripted, _) = Scripted::new();
        assert_eq!(world.service.start_server("late", scripted).unwrap_err(), StartError::Stopping);
        let refused = world.client.connect::<ScriptCall>(&world.address, "script").await.unwrap_err();
        assert!(refused.to_string().starts_with("cannot reach"), "{refused}");
    }
}

#[tokio::test]
async fn a_connection_ends_with_its_last_gateway() {
    for link in Link::PORTS {
        let world = World::with(link, RpcConfig { max_connections: 1, ..config(Role::Coordinator) }).await;
        let other = world.client.connect::<ScriptCall>(&world.address, "script").await.unwrap_err();
        assert!(other.to_string().ends_with("refuses the connection: 1 connections are open already"), "{other}");
        let (service, client, address) = (world.service, world.client, world.address);
        let closed = world.gateway.clone();
        drop((world.gateway, closed));
        // The place becomes free as soon as the service has seen the end.
        let retry = dora_rpc::RetryingRegistration::default();
        let gateway = retry.run(|| async { client.connect::<ScriptCall>(&address, "script").await }).await.unwrap();
        assert_eq!(gateway.add(1).await, Ok(1));
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_is_free_when_its_endpoint_has_ended() {
    let service = RpcService::new(config(Role::Coordinator));
    let first = service.start_server("name", Named("first")).unwrap();
    first.stop().await;
    let second = service.start_server("name", Named("second"));
    let second = match second {
        Err(StartError::NameTaken(_)) => {
            tokio::task::yield_now().await;
            service.start_server("name", Named("second")).unwrap()
        }
        other => other.unwrap(),
    };
    assert_eq!(second.life_cycle(), LifeCycle::Created);
}
