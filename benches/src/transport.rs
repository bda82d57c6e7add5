//! Latency and rates: how fast messages get from node to node.

use crate::bench::{Bench, System};
use crate::flow::{Node, Queue};
use crate::place::Place;
use bench_common::{BareMemory, GAP_MS, Outcome, Plan, SIZES, percentile};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What flows along an edge, and how it is measured.
pub struct Stream {
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
    pub fn one_way(metric: &str, size: usize, variant: &'static str) -> Self {
        let plan = Plan::oneway();
        let (metric, queue) = (metric.to_string(), Queue::Default);
        Self { metric, size, gap_ms: GAP_MS, variant, receive: "blocking", queue, plan }
    }

    /// One way and lossless, `count` messages with `gap_ms` in between.
    pub fn steady(metric: &str, gap_ms: u64, count: usize) -> Self {
        let stream = Self::one_way(metric, 8, "value");
        Self { gap_ms, queue: Queue::Lossless(1_000), plan: Plan { count, ..stream.plan }, ..stream }
    }

    /// Back to back, lossless.
    pub fn back_to_back(metric: String, size: usize, variant: &'static str, queue: usize, plan: Plan) -> Self {
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

    /// Its sender.
    pub fn sender(&self) -> Node {
        self.node("src", "sender").output("out")
    }

    /// A receiver, which may have another role.
    pub fn receiver_as(&self, role: &str, id: &str, source: &str) -> Node {
        self.node(id, role).input("in", source, self.queue)
    }

    fn receiver(&self, id: &str, source: &str) -> Node {
        self.receiver_as("receiver", id, source)
    }

    /// Measures it.
    pub fn run(&self, bench: &Bench, system: &System) -> Outcome<()> {
        bench.dataflow(system, &format!("{}_{}", self.metric, self.size), self.pair())
    }

    /// With a bare wake-up of the same two processes after each message.
    pub fn run_at(mut self, place: Place, bench: &Bench, system: &System) -> Outcome<()> {
        self.metric = place.metric(&self.metric);
        let memory = BareMemory::new()?;
        let nodes = place.put(self.pair()).into_iter().map(|node| node.env("BENCH_BARE", memory.path())).collect();
        bench.dataflow(system, &format!("{}_{}", self.metric, self.size), nodes)
    }

    /// Its sender and its receiver, `src` and `sink`.
    pub fn pair(&self) -> Vec<Node> {
        vec![self.sender(), self.receiver("sink", "src/out")]
    }
}

/// What a wake-up costs there, without any library.
pub fn wake(bench: &Bench, place: Place) -> Outcome<()> {
    bench.peer("floor", &format!("oneway --metric {}{}", place.metric("oneway_5ms"), place.option()))
}

/// Written in place, all sizes.
pub fn one_way(bench: &Bench) -> Outcome<()> {
    let metric = "oneway_5ms_inplace";
    let turn = |size, place: Place| {
        let peer = format!("oneway --size {size} --metric {}{}", place.metric(metric), place.option());
        bench.peer("iceoryx2", &peer)?;
        bench.each(|system| Stream::one_way(metric, size, "inplace").run_at(place, bench, system))
    };
    SIZES.into_iter().try_for_each(|size| bench.in_turn(|| Place::all().try_for_each(|place| turn(size, place))))
}

/// What async receive and chains are compared with.
fn one_hop(bench: &Bench, system: &System, place: Place) -> Outcome<()> {
    Stream::one_way("oneway_5ms_hop", 8, "value").run_at(place, bench, system)
}

/// Async receive, inside of tokio and outside.
pub fn asynchronous(bench: &Bench) -> Outcome<()> {
    let turn = |system: &System, place| {
        one_hop(bench, system, place)?;
        ["tokio", "futures"].into_iter().try_for_each(|receive| {
            let stream = Stream::one_way(&format!("oneway_5ms_async_{receive}"), 8, "value");
            Stream { receive, ..stream }.run_at(place, bench, system)
        })
    };
    bench.in_turn(|| bench.each(|system| Place::all().try_for_each(|place| turn(system, place))))
}

/// Half round trips.
pub fn ping_pong(bench: &Bench) -> Outcome<()> {
    let turn = |place: Place| {
        let metric = place.metric("pingpong_half");
        let peer = format!("pingpong --metric {metric}{}", place.option());
        bench.peer("floor", &peer)?;
        bench.peer("iceoryx2", &peer)?;
        bench.each(|system| bench.dataflow(system, &metric, place.put(players(&metric))))
    };
    bench.in_turn(|| Place::all().try_for_each(turn))
}

/// Two nodes that send each other every message back.
fn players(metric: &str) -> Vec<Node> {
    let plan = Plan::round_trips();
    let ping = Node::new("ping", "ping").input("in", "pong/out", Queue::Default).output("out");
    let ping = ping.env("BENCH_METRIC", metric).env("BENCH_WARM", plan.warm).env("BENCH_COUNT", plan.count);
    vec![ping, Node::new("pong", "pong").input("in", "ping/out", Queue::Default).output("out")]
}

/// 4 MiB copied in: after a gap, and back to back.
pub fn copied(bench: &Bench) -> Outcome<()> {
    let size = 4 << 20;
    let plan = Plan::back_to_back(size, 2000, bench.options.quick);
    bench.in_turn(|| {
        bench.peer("floor", "oneway --metric oneway_5ms_free")?;
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
    bench.in_turn(|| bench.each(|system| fan_out_once(bench, system, "oneway_5ms_fanout4", "inplace")))
}

/// Once, for one system.
pub fn fan_out_once(bench: &Bench, system: &System, metric: &str, variant: &'static str) -> Outcome<()> {
    let stream = Stream::one_way(&format!("{metric}_each"), 4 << 20, variant);
    let raw: Vec<PathBuf> = (0..4).map(|i| bench.scratch(&format!("fanout{i}.raw"))).collect::<Outcome<_>>()?;
    let sinks = raw
        .iter()
        .enumerate()
        .map(|(i, file)| stream.receiver(&format!("sink{i}"), "src/out").env("BENCH_RAW", file.display()));
    bench.dataflow(system, metric, std::iter::once(stream.sender()).chain(sinks).collect())?;
    let last = last_receivers(&raw)?;
    let csv = bench.rows_of(system);
    let (middle, worst) = (percentile(&last, 0.5), percentile(&last, 0.99));
    csv.value(&format!("{metric}_last"), stream.size, middle, worst, last.len());
    let missed = stream.plan.count as f64 - last.len() as f64;
    csv.value(&format!("{metric}_missed"), stream.size, missed, missed, stream.plan.count);
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
    let turn = |system: &System, place: Place| {
        one_hop(bench, system, place)?;
        let stream = Stream::one_way(&place.metric("oneway_5ms_chain5"), 8, "value");
        let mut nodes = vec![stream.sender()];
        let mut source = "src/out".to_string();
        for i in 1..=3 {
            nodes.push(Node::new(format!("relay{i}"), "relay").input("in", &source, Queue::Default).output("out"));
            source = format!("relay{i}/out");
        }
        nodes.push(stream.receiver("sink", &source));
        bench.dataflow(system, &stream.metric, place.put(nodes))
    };
    bench.in_turn(|| bench.each(|system| Place::all().try_for_each(|place| turn(system, place))))
}
