//! The channel alone, below the node API: this process is keeper and producer, the consumer is this program again.
//!
//! ```text
//! ring-bench throughput [--queue N] [--messages N] [--pin A,B] [--metric NAME] [--quick]   8 B inline, lossless
//! ring-bench setup      [--metric NAME] [--quick]                                          one edge, both ends
//! ```

use bench_common::{Args, Csv, Outcome, Plan, now_ns, pin_to_cpu};
use dora_channel::broker::{BrokeredEdge, Budget, NodeChannels};
use dora_channel::{
    Arena, BudgetMemory, Consumer, InEdge, OutEdge, Outgoing, Payload, PeerArena, Policy, Polled, Producer, Waiter,
    Waker,
};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;

const BUDGET: u64 = 64 << 20;

fn main() -> Outcome<()> {
    let args = Args::of_process(&["quick"]);
    match args.word() {
        "throughput" => produce(&args),
        "consume" => consume(&args),
        "setup" => set_up(&args),
        word => Err(format!("expected throughput or setup, found `{word}`").into()),
    }
}

fn plan(args: &Args) -> Outcome<Plan> {
    Ok(Plan::back_to_back(8, args.get("messages", 10_000_000)?, args.text("quick").is_some()))
}

fn copy_of(fd: BorrowedFd<'_>) -> std::io::Result<OwnedFd> {
    fd.try_clone_to_owned()
}

fn producer_of(node: &NodeChannels, budget: &Budget) -> Outcome<Producer> {
    let memory = BudgetMemory::map(budget.fd())?;
    Ok(Producer::new(Arena::open(copy_of(node.arena())?, copy_of(node.holders())?, memory, 0)?, 1))
}

/// Sends numbers as fast as the consumer takes them.
fn produce(args: &Args) -> Outcome<()> {
    let (queue, plan) = (args.get("queue", 1000u32)?, plan(args)?);
    let budget = Budget::create(BUDGET, 1)?;
    let (here, there) = (NodeChannels::create("a", BUDGET)?, NodeChannels::create("b", BUDGET)?);
    let edge = BrokeredEdge::create(queue)?;
    let ring = edge.ring().ok_or("an edge without a descriptor")?;
    let waker = Arc::new(Waker::open(copy_of(there.bell())?, copy_of(there.eventfd())?)?);
    let mut producer = producer_of(&here, &budget)?;
    producer.add_edge(0, OutEdge::open(copy_of(ring)?, queue, Policy::Backpressure, 0, waker)?);

    // Memory is opened by the number that it has here; an eventfd cannot be, so it travels as standard input.
    let parts = [ring, here.arena_read_only(), here.holders(), there.bell()].map(|fd| fd.as_raw_fd().to_string());
    let mut consumer = Command::new(std::env::current_exe()?);
    consumer.arg("consume").args(["--of", &std::process::id().to_string(), "--parts", &parts.join(",")]);
    consumer.args(["--queue", &queue.to_string(), "--messages", args.text("messages").unwrap_or("10000000")]);
    consumer.args(["--metric", args.text("metric").unwrap_or("tput_ring")]);
    if args.text("quick").is_some() {
        consumer.arg("--quick");
    }
    if let Some((mine, theirs)) = args.pin()? {
        pin_to_cpu(mine)?;
        consumer.args(["--cpu", &theirs.to_string()]);
    }
    let mut consumer = consumer.stdin(Stdio::from(copy_of(there.eventfd())?)).spawn()?;
    for i in 0..plan.total() as u64 {
        let mut bytes = [0; dora_channel::INLINE_LEN];
        bytes[..8].copy_from_slice(&i.to_ne_bytes());
        producer.send(0, Outgoing { tag: 1, stamp_ns: i, payload: Payload::Inline { bytes, len: 8 } })?;
    }
    producer.close();
    if consumer.wait()?.success() { Ok(()) } else { Err("the consumer failed".into()) }
}

/// The consumer's process: checks that nothing is lost or out of order, and reports the rate.
fn consume(args: &Args) -> Outcome<()> {
    if let Some(cpu) = args.text("cpu") {
        pin_to_cpu(cpu.parse()?)?;
    }
    let (queue, plan, of) = (args.get("queue", 1000u32)?, plan(args)?, args.text("of").unwrap_or_default());
    let open = |number: &str, write: bool| -> std::io::Result<OwnedFd> {
        let path = format!("/proc/{of}/fd/{number}");
        Ok(if write { OpenOptions::new().read(true).write(true).open(path)? } else { File::open(path)? }.into())
    };
    let parts: Vec<&str> = args.text("parts").unwrap_or_default().split(',').collect();
    let &[ring, arena, holders, bell] = parts.as_slice() else { return Err("--parts: expected four numbers".into()) };
    let peer = PeerArena::open(open(arena, false)?, open(holders, true)?)?;
    let mut waiter = Waiter::open(open(bell, true)?, copy_of(std::io::stdin().as_fd())?)?;
    let mut consumer = Consumer::new(0);
    consumer.add_edge(InEdge::open(0, open(ring, true)?, queue, Policy::Backpressure, 0, peer)?);

    let (mut next, mut first, mut last) = (0u64, 0, 0);
    loop {
        match consumer.poll() {
            Polled::Message { message, .. } => {
                if message.payload() != next.to_ne_bytes() {
                    return Err(format!("message {next} is missing").into());
                }
                if next == plan.warm as u64 {
                    first = now_ns();
                }
                next += 1;
            }
            Polled::Empty => _ = waiter.wait(|| consumer.is_ready(), None),
            Polled::Closed { .. } => break,
            Polled::Broken { .. } => return Err("the edge is broken".into()),
        }
        if next == plan.total() as u64 && last == 0 {
            last = now_ns();
        }
    }
    Csv::new("dora").rate(args.text("metric").unwrap_or("tput_ring"), 8, plan.count - 1, last.saturating_sub(first));
    Ok(())
}

/// Creates edges between two nodes and opens both ends of each.
fn set_up(args: &Args) -> Outcome<()> {
    let budget = Budget::create(BUDGET, 1)?;
    let (from, to) = (NodeChannels::create("a", BUDGET)?, NodeChannels::create("b", BUDGET)?);
    let waker = Arc::new(Waker::open(copy_of(to.bell())?, copy_of(to.eventfd())?)?);
    let peer = PeerArena::open(copy_of(from.arena_read_only())?, copy_of(from.holders())?)?;
    let (mut producer, mut consumer) = (producer_of(&from, &budget)?, Consumer::new(0));
    let mut spans = Vec::new();
    for bit in 0..if args.text("quick").is_some() { 50 } else { 200 } {
        let start = now_ns();
        let edge = BrokeredEdge::create(10)?;
        let ring = edge.ring().ok_or("an edge without a descriptor")?;
        producer.add_edge(0, OutEdge::open(copy_of(ring)?, 10, Policy::DropOldest, bit, waker.clone())?);
        consumer.add_edge(InEdge::open(0, copy_of(ring)?, 10, Policy::DropOldest, bit, peer.clone())?);
        spans.push(now_ns() - start);
    }
    Csv::new("dora").latency(args.text("metric").unwrap_or("edge_setup_ring"), 0, spans);
    Ok(())
}
