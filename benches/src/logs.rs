//! A node that prints a lot: how many lines per second reach file and standard output, and what that costs its peers.

use crate::bench::Bench;
use crate::flow::{Node, Queue};
use bench_common::{GAP_MS, Outcome, Plan};

/// Length of a line, its newline included.
const LINE: usize = 100;
/// Lines per millisecond beside which messages are measured.
const FLOOD_PER_MS: usize = 50;

/// As many lines as possible; then messages without a flood, and beside one.
pub fn lines(bench: &Bench) -> Outcome<()> {
    let plan = Plan::oneway();
    let count = if bench.options.quick { 100_000 } else { 1_000_000 };
    // As long as the messages take, and a little longer.
    let flood = FLOOD_PER_MS * (plan.total() * GAP_MS as usize + 500);
    bench.in_turn(|| {
        bench.each(|system| {
            bench.dataflow(system, "log_lines", vec![printer("tput_log_lines", count, 0)])?;
            bench.dataflow(system, "log_without_flood", pair("oneway_5ms_without_flood", plan))?;
            let mut beside = pair("oneway_5ms_beside_flood", plan);
            beside.push(printer("tput_log_lines_beside_messages", flood, FLOOD_PER_MS));
            bench.dataflow(system, "log_beside_flood", beside)
        })
    })
}

fn printer(metric: &str, count: usize, per_ms: usize) -> Node {
    let node = Node::new("printer", "printer").env("BENCH_METRIC", metric).env("BENCH_SIZE", LINE);
    // Rotated, so that a benchmark does not fill the disk.
    node.env("BENCH_COUNT", count).env("BENCH_LINES_PER_MS", per_ms).rule("max_log_size", "20MB")
}

/// A sender and a receiver of small messages.
fn pair(metric: &str, plan: Plan) -> Vec<Node> {
    let planned = |node: Node| {
        let node = node.env("BENCH_METRIC", metric).env("BENCH_VARIANT", "value").env("BENCH_GAP_MS", GAP_MS);
        node.env("BENCH_WARM", plan.warm).env("BENCH_COUNT", plan.count)
    };
    let sender = planned(Node::new("src", "sender")).output("out");
    vec![sender, planned(Node::new("sink", "receiver")).input("in", "src/out", Queue::Default)]
}
