//! Many: of dataflows one after the other, which leave nothing behind, and of machines and nodes at once.

use std::{fmt::Write as _, time::Instant};

use dora_gateways::*;
use dora_rpc::{Address, Gateway, RpcError};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

use crate::{
    daemon::{Heard, Reach},
    world::{Machine, PAIR, SECOND, World},
};

fn full() -> bool {
    std::env::var_os("DORA_TEST_FULL").is_some()
}

#[tokio::test(start_paused = true)]
async fn what_has_run_leaves_nothing_behind() {
    let begun = Instant::now();
    drop(dora_store::Store::in_memory().unwrap());
    println!("a store in memory: {:?}", begun.elapsed());
    let world = World::new(false).await;
    let mut machine = world.daemon("here").await;
    let run = async || {
        let begun = Instant::now();
        let watched = Submission { watched: Some(Watching::Closely), ..crate::world::submission(PAIR) };
        let id = world.dispatcher.submit(watched).await.unwrap();
        let events = world.dispatcher.events(DataflowSelector::Only, Watching::Closely).await.unwrap();
        world.wait(id, DataflowState::Running).await;
        let running = begun.elapsed();
        world.dispatcher.stop(DataflowSelector::Only, StopOptions::default()).await.unwrap();
        crate::world::all(events).await;
        running
    };
    let settled = async || {
        // What is counted is what outlives every deadline, so they have to pass.
        tokio::time::sleep(60 * SECOND).await;
        Handle::current().metrics().num_alive_tasks()
    };
    run().await;
    let before = settled().await;
    let (runs, mut took) = (if full() { 1000 } else { 100 }, std::time::Duration::ZERO);
    for _ in 0..runs {
        took += run().await;
        while machine.heard.try_recv().is_ok() {}
    }
    println!("from submission to running: {:?}, on average of {runs}", took / runs);
    assert_eq!(settled().await, before, "tasks");
    let last = world.dispatcher.list(ListFilter::default()).await.unwrap()[0].id;
    let master: Result<Gateway<DataflowMasterCall>, _> =
        world.service.connect(&Address::here(), &format!("master/{last}")).await;
    assert!(master.is_err_and(
        |error| error.to_string() == RpcError::UnknownEndpoint { name: format!("master/{last}") }.to_string()
    ));
    let places = world.dispatcher.machines().await.unwrap();
    assert_eq!(places[0].free, places[0].resources);
    world.service.stop().await;
}

fn cpu_ms() -> i64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// With `DORA_TEST_FULL`, 1,000 daemons and 10,000 nodes. What it takes is printed, and not judged.
#[tokio::test(start_paused = true)]
async fn a_large_dataflow_on_many_machines_runs() {
    let (machines, nodes) = if full() { (1000, 10) } else { (100, 10) };
    let world = World::new(false).await;
    let mut daemons = Vec::new();
    for machine in 0..machines {
        let mut daemon = Machine::start(&world.service, &format!("m{machine}"));
        daemon.register(&world).await.unwrap();
        daemons.push(daemon);
    }
    let mut descriptor = "nodes:\n".to_owned();
    for machine in 0..machines {
        for node in 0..nodes {
            let _ = writeln!(descriptor, "  - {{ id: n{machine}-{node}, path: p, deploy: {{ machine: m{machine} }} }}");
        }
    }
    let (begun, cpu) = (Instant::now(), cpu_ms());
    let id = world.submit(&descriptor).await.unwrap();
    assert_eq!(world.wait(id, DataflowState::Running).await, DataflowState::Running);
    println!(
        "{machines} machines, {} nodes: running after {:?}, {} ms of CPU",
        machines * nodes,
        begun.elapsed(),
        cpu_ms() - cpu
    );
    let running = world.dispatcher.info(DataflowSelector::Only).await.unwrap();
    assert_eq!(running.nodes.iter().filter(|node| node.state == NodeState::Running).count(), machines * nodes);

    // What is measured is what happens while nothing is asked: after the start, ten rounds of heartbeats.
    tokio::time::sleep(10 * SECOND).await;
    daemons.iter_mut().for_each(|daemon| while daemon.heard.try_recv().is_ok() {});
    let cpu = cpu_ms();
    tokio::time::sleep(20 * SECOND).await;
    println!("a round of heartbeats: {} ms of CPU", (cpu_ms() - cpu) / 10);
    for daemon in &mut daemons {
        let beats = std::iter::from_fn(|| daemon.heard.try_recv().ok()).filter(|it| *it == Heard::Heartbeat).count();
        assert!((9..=11).contains(&beats), "{beats} heartbeats in ten intervals");
    }
    let stopped = world.dispatcher.within(60 * SECOND).stop(DataflowSelector::Only, StopOptions::default()).await;
    assert_eq!(stopped.unwrap().outcome.nodes.len(), machines * nodes);
    world.service.stop().await;
}

/// Many small dataflows at once, spread over machines.
#[tokio::test(start_paused = true)]
async fn many_dataflows_run_at_once() {
    let (machines, dataflows) = if full() { (1000, 1000) } else { (20, 60) };
    let world = World::new(false).await;
    let mut daemons = Vec::new();
    for machine in 0..machines {
        let mut daemon = Machine::start(&world.service, &format!("m{machine}"));
        daemon.register(&world).await.unwrap();
        daemon.with(|daemon| daemon.reach = Reach::Running).await;
        daemons.push(daemon);
    }
    let mut descriptor = "nodes:\n".to_owned();
    (0..10).for_each(|node| {
        let _ = writeln!(descriptor, "  - {{ id: n{node}, path: p }}");
    });
    let begun = Instant::now();
    let mut ids = Vec::new();
    for _ in 0..dataflows {
        ids.push(world.submit(&descriptor).await.unwrap());
    }
    for id in ids {
        assert_eq!(world.wait(id, DataflowState::Running).await, DataflowState::Running);
    }
    println!("{dataflows} dataflows on {machines} machines: running after {:?}", begun.elapsed());
    let mut spread = Vec::new();
    for daemon in &mut daemons {
        let spawns = std::iter::from_fn(|| daemon.heard.try_recv().ok());
        spread.push(spawns.filter(|heard| matches!(heard, Heard::Spawn { .. })).count());
    }
    assert!(spread.iter().all(|count| *count == dataflows / machines), "{spread:?}");
    world.service.stop().await;
}
