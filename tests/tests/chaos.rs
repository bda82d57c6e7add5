//! Any part of the control plane is killed, stopped and continued, at random and again and again, while a dataflow runs: no
//! node notices, no message is lost without a number, and nothing is left in the end.
//!
//! The seed is printed; `DORA_CHAOS_SEED` runs one again. Which process is where at which moment is not in the seed.

use std::time::{Duration, Instant};

use dora_gateways::{DataflowSelector, DispatcherCall, DispatcherGateway as _, EdgeOutcome};
use dora_rpc::{Address, Gateway, Role, RpcConfig, RpcService};
use dora_tests::{Havoc, PATIENCE, Workbench, await_gone, rounds};
use rustix::process::Pid;

/// A lossless edge and one that drops, a service, a timer.
const FLOW: &str = "\
nodes:
  - { id: pump, path: '{node}', args: pump 20, inputs: { tick: dora/timer/millis/5 }, outputs: [data] }
  - id: tally
    path: '{node}'
    args: tally
    inputs:
      all: { source: pump/data, queue_size: 50, queue_policy: backpressure }
      some: { source: pump/data, queue_size: 3 }
  - id: ask
    path: '{node}'
    args: ask
    inputs: { tick: dora/timer/millis/20, response: answer/request }
    outputs: [request]
  - { id: answer, path: '{node}', args: answer, inputs: { request: ask/request }, outputs: [request] }
  - { id: ticker, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/20 }, outputs: [data] }
";

/// Another dataflow, which comes and goes.
const EXTRA: &str =
    "nodes: [{ id: node, path: '{node}', args: ticker, inputs: { tick: dora/timer/millis/5 }, outputs: [data] }]\n";

/// Something happens to the control plane, which is whole afterwards.
fn strike(havoc: &mut Havoc<'_>) {
    let bench = havoc.bench;
    match havoc.dice.u8(..8) {
        0..6 => havoc.strike(),
        6 => {
            let verb = havoc.victim();
            println!("the {verb} is killed while another dataflow begins");
            let start = bench.dora(["start", "extra.yml", "--name", "extra", "--detach"]);
            havoc.pause(300);
            havoc.cluster.kill(verb);
            bench.run("up").expect_code(0);
            start.finish();
            end_extra(bench);
        }
        _ => {
            println!("another dataflow comes and goes");
            bench.run("start extra.yml --name extra --detach").expect_code(0);
            havoc.pause(200);
            end_extra(bench);
        }
    }
}

/// It is there, or it is not: nothing in between.
fn end_extra(bench: &Workbench) {
    let all = bench.run("list --format json").expect_code(0).stdout;
    if all.lines().any(|line| line.contains("\"extra\"") && !is_over(line)) {
        bench.run("stop extra").expect_code(0);
    }
}

/// How the dataflow has ended, by its edges.
fn edges(bench: &Workbench) -> Vec<EdgeOutcome> {
    let socket = bench.home().join("coordinators/6013/socket");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let service = RpcService::new(RpcConfig::new(Role::Client, "test"));
        let dispatcher: Gateway<DispatcherCall> =
            service.connect(&Address::unix(socket), "dispatcher").await.expect("it listens");
        let info = dispatcher.info(DataflowSelector::from("chaos")).await.expect("it is known");
        info.result.expect("it has ended").outcome.edges
    })
}

/// The numbers in the line of a node that begins so.
fn told(bench: &Workbench, begin: &str) -> [u64; 2] {
    let logs = bench.run("logs chaos").expect_code(0).stdout;
    let line = logs.lines().find_map(|line| Some(line.split_once(begin)?.1));
    let line = line.unwrap_or_else(|| panic!("no `{begin}` in {logs}"));
    let mut numbers = line.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse().ok());
    [numbers.next(), numbers.next()].map(Option::unwrap_or_default)
}

fn is_over(line: &str) -> bool {
    ["Finished", "Failed", "finished", "failed"].iter().any(|state| line.contains(state))
}

#[test]
fn whatever_is_killed_no_message_is_lost_and_nothing_is_left() {
    let bench = Workbench::new();
    let mut havoc = Havoc::up(&bench);
    bench.dataflow("chaos.yml", FLOW);
    bench.dataflow("extra.yml", EXTRA);
    bench.run("start chaos.yml --name chaos --detach").expect_code(0);
    let id = bench.run("list --status running --quiet").expect_code(0).stdout;
    let processes = || [" pump 20", " tally", " ask", " answer"].map(|role| bench.process(role));
    let before: [Pid; 4] = processes();
    let end = Instant::now() + Duration::from_secs(rounds(15, 600) as u64);
    while Instant::now() < end {
        strike(&mut havoc);
        assert_eq!(bench.run("list --status running --quiet").expect_code(0).stdout, id);
        assert_eq!(processes(), before);
        havoc.pause(300);
    }
    bench.run("stop chaos").expect_code(0);
    check(&bench);
    havoc.cluster.down();
    await_gone(bench.mark(), PATIENCE);
}

/// Every message is in a number.
fn check(bench: &Workbench) {
    let [pumped, _] = told(bench, "pumped ");
    let [all, some] = told(bench, "tallied ");
    let [asked, answered] = told(bench, "asked ");
    let edges = edges(bench);
    let counters = |input: &str| {
        let edge = edges.iter().find(|edge| edge.input.as_str() == input).expect("an edge");
        let it = &edge.counters;
        assert_eq!(it.sent, it.received + it.dropped + it.undelivered + it.lost_in_crash, "{input}: {it:?}");
        it
    };
    let (lossless, lossy) = (counters("all"), counters("some"));
    assert_eq!((lossless.received, lossless.dropped, lossless.lost_in_crash), (all, 0, 0));
    // What did not fit any more when it was stopped was not sent.
    assert!(pumped <= lossless.sent && lossless.sent <= pumped + 1, "{pumped} of {}", lossless.sent);
    assert_eq!((lossy.received, lossy.lost_in_crash), (some, 0));
    assert!(asked - answered <= 1, "{asked} asked, {answered} answered");
    let ticks = bench.run("logs chaos -n ticker").expect_code(0).stdout;
    let ticks = ticks.lines().filter_map(|line| line.split_once("tick ")?.1.trim().parse::<u64>().ok());
    let count = ticks.clone().count() as u64;
    assert!(ticks.eq(1..=count), "lines of the timer are missing");
    assert!(count > 0 && all > 0 && lossy.dropped > 0 && answered > 0, "{count} ticks, {lossless:?}, {lossy:?}");
    println!("{all} without loss, {} dropped, {answered} answers, {count} ticks", lossy.dropped);
}
