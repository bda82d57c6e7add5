//! Latency and rates: how fast messages get from node to node.

use crate::bench::{Bench, System};
use crate::flow::{Node, Queue};
use bench_common::{GAP_MS, Outcome, Plan, SIZES, percentile};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What flows along an edge, and how it is measured.
struct Stream {
    metric: String,
    size: usize,
    gap_ms: u64,
    variant: &'static str,
    receive: &'static str,
    queue: Queue,
    plan: Plan,
}

impl Stream {
    /// One way with a gap: the receiver is blocked when a message comes.
    fn one_way(metric: &str, size: usize, variant: &'static str) -> Self {
        let plan = Plan::oneway();
        let (metric, queue) = (metric.to_string(), Queue::Default);
        Self { metric, size, gap_ms: GAP_MS, variant, receive: "blocking", queue, plan }
    }

    /// Back to back, lossless.
    fn back_to_back(metric: String, size: usize, variant: &'static str, queue: usize, plan: Plan) -> Self {
        Self { metric, size, gap_ms: 0, variant, receive: "blocking", queue: Queue::Lossless(queue), plan }
    }

    fn node(&self, id: &str, role: &str) -> Node {
        Node::new(id, role)
            .env("BENCH_METRIC", &self.metric)
            .env("BENCH_SIZE", self.size)
            .env("BENCH_GAP_MS", self.gap_ms)
            .env("BENCH_VARIANT", self.variant)
            .env("BENCH_RECV", self.receive)
            .env("BENCH_WARM", self.plan.warm)
            .env("BENCH_COUNT", self.plan.count)
    }

    fn sender(&self) -> Node {
        self.node("src", "sender").output("out")
    }

    fn receiver(&self, id: &str, source: &str) -> Node {
        self.node(id, "receiver").input("in", source, self.queue)
    }

    fn run(&self, bench: &Bench, system: &System) -> Outcome<()> {
        let name = format!("{}_{}", self.metric, self.size);
        bench.dataflow(system, &name, vec![self.sender(), self.receiver("sink", "src/out")])
    }
}

/// Written in place, all sizes; everybody in turn at each size.
pub fn one_way(bench: &Bench) -> Outcome<()> {
    SIZES.into_iter().try_for_each(|size| {
        bench.in_turn(|| {
            bench.peer("floor", "oneway --metric oneway_5ms")?;
            bench.peer("iceoryx2", &format!("oneway --size {size} --metric oneway_5ms_inplace"))?;
            bench.each(|system| Stream::one_way("oneway_5ms_inplace", size, "inplace").run(bench, system))
        })
    })
}

/// What async receive and chains are compared with.
fn one_hop(bench: &Bench, system: &System) -> Outcome<()> {
    bench.peer("floor", "oneway --metric oneway_5ms")?;
    Stream::one_way("oneway_5ms_hop", 8, "value").run(bench, system)
}

/// Async receive, inside of tokio and outside.
pub fn asynchronous(bench: &Bench) -> Outcome<()> {
    bench.in_turn(|| {
        bench.each(|system| {
            one_hop(bench, system)?;
            ["tokio", "futures"].into_iter().try_for_each(|receive| {
                let stream = Stream::one_way(&format!("oneway_5ms_async_{receive}"), 8, "value");
                Stream { receive, ..stream }.run(bench, system)
            })
        })
    })
}

/// Half round trips: both sides on one CPU, on two, and where the scheduler puts them.
pub fn ping_pong(bench: &Bench) -> Outcome<()> {
    let two = std::thread::available_parallelism()?.get() > 1;
    let places = [("one_cpu", Some((0, 0))), ("two_cpus", Some((0, 1)).filter(|_| two)), ("free", None)];
    places.into_iter().filter(|(place, _)| two || *place != "two_cpus").try_for_each(|(place, pin)| {
        let metric = format!("pingpong_half_{place}");
        let pinned = pin.map_or(String::new(), |(a, b)| format!("--pin {a},{b}"));
        bench.in_turn(|| {
            bench.peer("floor", &format!("pingpong --metric {metric} {pinned}"))?;
            bench.peer("iceoryx2", &format!("pingpong --metric {metric} {pinned}"))?;
            bench.each(|system| bench.dataflow(system, &metric, players(&metric, pin)))
        })
    })
}

/// Two nodes that send each other every message back.
fn players(metric: &str, pin: Option<(usize, usize)>) -> Vec<Node> {
    let plan = Plan::round_trips();
    let ping = Node::new("ping", "ping").input("in", "pong/out", Queue::Default).output("out");
    let ping = ping.env("BENCH_METRIC", metric).env("BENCH_WARM", plan.warm).env("BENCH_COUNT", plan.count);
    let pong = Node::new("pong", "pong").input("in", "ping/out", Queue::Default).output("out");
    match pin {
        Some((a, b)) => vec![ping.env("BENCH_CPU", a), pong.env("BENCH_CPU", b)],
        None => vec![ping, pong],
    }
}

/// 4 MiB copied in: after a gap, and back to back.
pub fn copied(bench: &Bench) -> Outcome<()> {
    let size = 4 << 20;
    let plan = Plan::back_to_back(size, 2000, bench.options.quick);
    bench.in_turn(|| {
        bench.peer("floor", "oneway --metric oneway_5ms")?;
        bench.peer("floor", &format!("memcpy --size {size}"))?;
        bench.peer("iceoryx2", &format!("oneway --copy --size {size} --metric oneway_5ms_copy"))?;
        bench.peer("iceoryx2", &format!("throughput --copy --size {size} --messages 2000 --metric tput_copy"))?;
        bench.each(|system| {
            Stream::one_way("oneway_5ms_copy", size, "copy").run(bench, system)?;
            Stream::back_to_back("tput_copy".into(), size, "copy", 8, plan).run(bench, system)
        })
    })
}

/// 8 bytes back to back without loss: the channel alone, the node API, and the peers.
pub fn throughput(bench: &Bench) -> Outcome<()> {
    bench.in_turn(|| {
        [1000, 32].into_iter().try_for_each(|queue| {
            bench.ring(&format!("throughput --queue {queue} --metric tput_ring_queue{queue}"))?;
            bench.each(|system| {
                let count = if system.is_ours() { 2_000_000 } else { 100_000 };
                let plan = Plan::back_to_back(8, count, bench.options.quick);
                Stream::back_to_back(format!("tput_queue{queue}"), 8, "value", queue, plan).run(bench, system)
            })
        })?;
        bench.peer("iceoryx2", "throughput --metric tput_queue32")?;
        bench.peer("iceoryx2", "throughput --spin --metric tput_spin_queue32")
    })
}

/// 4 MiB in place to four receivers; the latency of a message is that of its last receiver.
pub fn fan_out(bench: &Bench) -> Outcome<()> {
    bench.in_turn(|| bench.each(|system| fan_out_once(bench, system)))
}

fn fan_out_once(bench: &Bench, system: &System) -> Outcome<()> {
    let stream = Stream::one_way("oneway_5ms_fanout4_each", 4 << 20, "inplace");
    let raw: Vec<PathBuf> = (0..4).map(|i| bench.scratch(&format!("fanout{i}.raw"))).collect::<Outcome<_>>()?;
    let sinks = raw
        .iter()
        .enumerate()
        .map(|(i, file)| stream.receiver(&format!("sink{i}"), "src/out").env("BENCH_RAW", file.display()));
    bench.dataflow(system, "fanout4", std::iter::once(stream.sender()).chain(sinks).collect())?;
    let last = last_receivers(&raw)?;
    bench.rows_of(system).value(
        "oneway_5ms_fanout4_last",
        stream.size,
        percentile(&last, 0.5),
        percentile(&last, 0.99),
        last.len(),
    );
    Ok(())
}

/// For each message that all receivers got: the longest latency in microseconds, ascending.
fn last_receivers(raw: &[PathBuf]) -> Outcome<Vec<f64>> {
    let mut messages: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for file in raw {
        for line in std::fs::read_to_string(file)?.lines() {
            let (sent, span) = line.split_once(',').ok_or("a raw row without a comma")?;
            messages.entry(sent.parse()?).or_default().push(span.parse()?);
        }
    }
    let full = messages.into_values().filter(|spans| spans.len() == raw.len());
    let mut last: Vec<f64> = full.filter_map(|spans| spans.into_iter().max()).map(|ns| ns as f64 / 1e3).collect();
    last.sort_by(f64::total_cmp);
    Ok(last)
}

/// A source, three relays and a sink.
pub fn chain(bench: &Bench) -> Outcome<()> {
    bench.in_turn(|| {
        bench.each(|system| {
            one_hop(bench, system)?;
            let stream = Stream::one_way("oneway_5ms_chain5", 8, "value");
            let mut nodes = vec![stream.sender()];
            let mut source = "src/out".to_string();
            for i in 1..=3 {
                nodes.push(Node::new(format!("relay{i}"), "relay").input("in", &source, Queue::Default).output("out"));
                source = format!("relay{i}/out");
            }
            nodes.push(stream.receiver("sink", &source));
            bench.dataflow(system, "chain5", nodes)
        })
    })
}
