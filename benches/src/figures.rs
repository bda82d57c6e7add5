//! From rows to the table of docs/performance.md: what, goal, measured, peers.

use bench_common::{Outcome, Row, SIZES, median};
use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

/// All rows of a run. A value is the median of the rounds.
pub struct Figures(Vec<Row>);

/// The bound that a figure is held to.
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// How large the figure was, as a share of the largest that it may be.
    Share(f64),
    /// Reported only.
    Free,
}
use Bound::{AtLeast, AtMost, Free, Share};

impl Bound {
    /// Of a rate the inverse counts: the time that one message takes.
    fn of_rate(self) -> Self {
        match self {
            Share(share) => Share(1.0 / share),
            other => other,
        }
    }
}

/// One message of 8 B from node to node, after a gap.
const HOP: &str = "oneway_5ms_hop";

/// What was measured last of each peer, metric and size.
#[derive(Default)]
struct Latest<'a>(HashMap<(&'a str, &'a str, usize), f64>);

impl Latest<'_> {
    fn of(&self, peer: &str, metric: &str, size: usize) -> f64 {
        self.0.get(&(peer, metric, size)).copied().unwrap_or(f64::NAN)
    }

    /// A wake-up of a process that sleeps in a futex.
    fn wake(&self) -> f64 {
        self.of("floor", "futex_oneway_5ms", 8)
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Micros,
    Rate,
    Mebibytes,
    Count,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Micros if value >= 1e4 => format!("{:.1} ms", value / 1e3),
            Self::Micros => format!("{value:.1} us"),
            Self::Rate if value >= 1e6 => format!("{:.1} M/s", value / 1e6),
            Self::Rate => format!("{:.0} k/s", value / 1e3),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::Count => format!("{value:.2}"),
        }
    }
}

impl Figures {
    /// Reads the rows of a raw.csv.
    pub fn read(file: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self(text.lines().filter_map(Row::parse).collect()))
    }

    fn values(&self, peer: &str, metric: &str, size: usize, column: impl Fn(&Row) -> f64) -> Option<f64> {
        let rows = self.0.iter().filter(|row| row.peer == peer && row.metric == metric && row.size == size);
        let values: Vec<f64> = rows.map(column).collect();
        (!values.is_empty()).then(|| median(values))
    }

    fn p50(&self, peer: &str, metric: &str, size: usize) -> Option<f64> {
        self.values(peer, metric, size, |row| row.middle)
    }

    /// Holds a figure of ours against a bound made of what was measured just before it, in the same turn. The median of
    /// the turns: what a minute does to all of them cancels out.
    fn share(&self, metric: &str, size: usize, bound: impl Fn(&Latest) -> f64) -> Bound {
        let (mut latest, mut shares) = (Latest::default(), Vec::new());
        for row in &self.0 {
            if (row.peer.as_str(), row.metric.as_str(), row.size) == ("dora", metric, size) {
                shares.push(row.middle / bound(&latest));
            }
            latest.0.insert((&row.peer, &row.metric, row.size), row.middle);
        }
        shares.retain(|share| share.is_finite());
        if shares.is_empty() { Free } else { Share(median(shares)) }
    }

    /// The whole table in Markdown; figures that were not measured are left out.
    pub fn table(&self) -> String {
        let mut table = Table::default();
        self.latencies(&mut table);
        self.rates(&mut table);
        self.graphs(&mut table);
        self.life(&mut table);
        self.logs(&mut table);
        format!("| what | goal | dora | met | others in the same run |\n|---|---|---|---|---|\n{}", table.0)
    }

    /// What the other systems gave for the same metric, or what else the figure is held against.
    fn others(&self, unit: Unit, metrics: &[(&str, &str, usize)]) -> String {
        let shown = metrics.iter().filter_map(|(peer, metric, size)| {
            let value = unit.show(self.p50(peer, metric, *size)?);
            let name = if matches!(*peer, "floor" | "dora") { metric } else { peer };
            Some(format!("{name} {value}"))
        });
        shown.collect::<Vec<_>>().join("; ")
    }

    fn latencies(&self, table: &mut Table) {
        for size in SIZES {
            let metric = "oneway_5ms_inplace";
            let others = [("floor", "futex_oneway_5ms", 8), ("iceoryx2", metric, size), ("dora-rs", metric, size)];
            let bound = self.share(metric, size, |turn| (1.5 * turn.wake()).min(turn.of("iceoryx2", metric, size)));
            table.line(
                &format!("one way in place, {}", bytes(size)),
                "<= 1.5 futex wake-ups, ahead of iceoryx2",
                (self.p50("dora", metric, size), Unit::Micros, bound),
                self.others(Unit::Micros, &others),
            );
        }
        for runtime in ["tokio", "futures"] {
            let metric = format!("oneway_5ms_async_{runtime}");
            let others = [("dora", HOP, 8), ("floor", "futex_oneway_5ms", 8), ("dora-rs", &metric, 8)];
            let bound = self.share(&metric, 8, |turn| turn.of("dora", HOP, 8) + turn.wake());
            table.line(
                &format!("async receive, {runtime}"),
                "<= blocking + 1 wake-up",
                (self.p50("dora", &metric, 8), Unit::Micros, bound),
                self.others(Unit::Micros, &others),
            );
        }
        for place in ["one_cpu", "two_cpus", "free"] {
            let metric = format!("pingpong_half_{place}");
            let floor = format!("futex_{metric}");
            let (goal, bound) = match place {
                "free" => ("reported", Free),
                _ => ("<= 1.5 futex", self.share(&metric, 8, |turn| 1.5 * turn.of("floor", &floor, 8))),
            };
            table.line(
                &format!("half a round trip, {}", place.replace('_', " ")),
                goal,
                (self.p50("dora", &metric, 8), Unit::Micros, bound),
                self.others(Unit::Micros, &[("floor", &floor, 8), ("iceoryx2", &metric, 8), ("dora-rs", &metric, 8)]),
            );
        }
        let (metric, memcpy, size) = ("oneway_5ms_copy", "memcpy_after_5ms_gap", 4 << 20);
        let others = [("floor", memcpy, size), ("iceoryx2", metric, size), ("dora-rs", metric, size)];
        let bound = self.share(metric, size, |turn| 1.2 * turn.of("floor", memcpy, size) + turn.wake());
        table.line(
            "4 MiB copied in, after a 5 ms gap",
            "<= 1.2 of that memcpy + a wake-up",
            (self.p50("dora", metric, size), Unit::Micros, bound),
            self.others(Unit::Micros, &others),
        );
    }

    fn rates(&self, table: &mut Table) {
        let size = 4 << 20;
        // Per message, so that it stands beside the memcpy.
        let micros = |peer| self.p50(peer, "tput_copy", size).map(|rate| 1e6 / rate);
        let peers =
            ["iceoryx2", "dora-rs"].into_iter().filter_map(|peer| Some(format!("; {peer} {:.1} us", micros(peer)?)));
        let bound = self.share("tput_copy", size, |turn| 1e6 / (1.3 * turn.of("floor", "memcpy_warm", size))).of_rate();
        table.line(
            "4 MiB copied in, back to back, per message",
            "<= 1.3 warm memcpy",
            (micros("dora"), Unit::Micros, bound),
            self.others(Unit::Micros, &[("floor", "memcpy_warm", size)]) + &peers.collect::<String>(),
        );
        for (queue, ring, api) in [(1000, 5e6, 2e6), (32, 2e6, 1e6)] {
            for (what, metric, goal) in [
                ("channel", format!("tput_ring_queue{queue}"), ring),
                ("send_output", format!("tput_queue{queue}"), api),
            ] {
                let others =
                    [("iceoryx2", &*metric, 8), ("iceoryx2", "tput_spin_queue32", 8), ("dora-rs", &*metric, 8)];
                table.line(
                    &format!("8 B back to back, lossless, queue {queue}, {what}"),
                    &format!(">= {}", Unit::Rate.show(goal)),
                    (self.p50("dora", &metric, 8), Unit::Rate, AtLeast(goal)),
                    self.others(Unit::Rate, if queue == 32 { &others } else { &others[2..] }),
                );
            }
        }
        for (what, metric) in [("queue 1000", "tput_queue1000_lost"), ("queue 32", "tput_queue32_lost")] {
            table.line(
                &format!("8 B back to back, {what}, lost"),
                "0",
                (self.values("dora", metric, 8, |row| row.worst), Unit::Count, AtMost(0.0)),
                self.others(Unit::Count, &[("dora-rs", metric, 8)]),
            );
        }
    }

    fn graphs(&self, table: &mut Table) {
        let (fan, chain) = ("oneway_5ms_fanout4_last", "oneway_5ms_chain5");
        table.line(
            "fan-out 1 -> 4, 4 MiB in place, last receiver",
            "<= 100 us",
            (self.p50("dora", fan, 4 << 20), Unit::Micros, AtMost(100.0)),
            self.others(Unit::Micros, &[("dora-rs", fan, 4 << 20)]),
        );
        table.line(
            "chain of 5 nodes, 8 B",
            "<= 5 times one hop",
            (self.p50("dora", chain, 8), Unit::Micros, self.share(chain, 8, |turn| 5.0 * turn.of("dora", HOP, 8))),
            self.others(Unit::Micros, &[("dora", HOP, 8), ("dora-rs", chain, 8)]),
        );
        let lost = "oneway_5ms_chain5_lost";
        table.line(
            "chain of 5 nodes, lost",
            "0",
            (self.p50("dora", lost, 8), Unit::Count, AtMost(0.0)),
            self.others(Unit::Count, &[("dora-rs", lost, 8)]),
        );
    }

    fn life(&self, table: &mut Table) {
        for (what, metric, goal, unit, limit) in [
            ("`dora run` to the first message", "run_to_first_message", "<= 40 ms", Unit::Micros, 40e3),
            (
                "51 nodes to the last first message",
                "run_51_nodes_to_last_first_message",
                "<= 300 ms",
                Unit::Micros,
                300e3,
            ),
            ("set up an edge, in a dataflow", "edge_setup", "<= 0.1 ms", Unit::Micros, 100.0),
            ("set up an edge, channel alone", "edge_setup_ring", "<= 0.1 ms", Unit::Micros, 100.0),
            ("descriptors per edge in a node", "edge_descriptors", "0", Unit::Count, 0.0),
            ("blocked sender released after kill -9", "release_after_kill", "<= 5 ms", Unit::Micros, 5e3),
            (
                "crash to the first message of the restarted node",
                "restart_to_first_message",
                "<= 30 ms",
                Unit::Micros,
                30e3,
            ),
            ("Ctrl-C to exit", "sigint_to_exit", "<= 50 ms", Unit::Micros, 50e3),
            ("Ctrl-C to exit, 51 nodes", "sigint_to_exit_51_nodes", "<= 200 ms", Unit::Micros, 200e3),
            ("wake-ups of an idle node", "idle_node_switches", "0", Unit::Count, 0.0),
            ("wake-ups of an idle keeper", "idle_keeper_switches", "0", Unit::Count, 0.0),
        ] {
            let size = if metric == "edge_setup_ring" || metric.starts_with("idle") { 0 } else { 8 };
            let others = [("iceoryx2", metric, 0), ("iceoryx2", metric, 8), ("dora-rs", metric, size)];
            let measured = (self.p50("dora", metric, size), unit, AtMost(limit));
            table.line(what, goal, measured, self.others(unit, &others));
        }
        for (what, metric, limit) in
            [("idle node", "idle_node_rss_kib", 8.0), ("idle keeper", "idle_keeper_rss_kib", 4.0)]
        {
            let mebibytes = |peer| self.p50(peer, metric, 0).map(|kib| kib / 1024.0);
            table.line(
                &format!("memory of an {what}"),
                &format!("<= {limit} MiB"),
                (mebibytes("dora"), Unit::Mebibytes, AtMost(limit)),
                mebibytes("dora-rs").map_or(String::new(), |value| format!("dora-rs {}", Unit::Mebibytes.show(value))),
            );
        }
    }
}

impl Figures {
    fn logs(&self, table: &mut Table) {
        let metric = "tput_log_lines";
        table.line(
            "lines of 100 B to log file and standard output",
            ">= 50 k/s",
            (self.p50("dora", metric, 100), Unit::Rate, AtLeast(50e3)),
            self.others(Unit::Rate, &[("dora-rs", metric, 100)]),
        );
        let (beside, without) = ("oneway_5ms_beside_flood", "oneway_5ms_without_flood");
        let bound = self.share(beside, 8, |turn| 1.5 * turn.of("dora", without, 8));
        table.line(
            "one way beside a node that prints 50 k lines/s",
            "<= 1.5 times without",
            (self.p50("dora", beside, 8), Unit::Micros, bound),
            self.others(Unit::Micros, &[("dora", without, 8), ("dora-rs", beside, 8)]),
        );
    }
}

fn bytes(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..0x10_0000 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

#[derive(Default)]
struct Table(String);

impl Table {
    /// One line, unless it was not measured. `met` is empty where there is no bound, or it was not measured.
    fn line(&mut self, what: &str, goal: &str, (measured, unit, bound): (Option<f64>, Unit, Bound), others: String) {
        let Some(value) = measured else { return };
        let word = |met| if met { "yes" } else { "no" };
        let met = match bound {
            AtMost(limit) => word(value <= limit).to_owned(),
            AtLeast(limit) => word(value >= limit).to_owned(),
            Share(share) => format!("{}, {:.0} % of it", word(share <= 1.0), share * 100.0),
            Free => String::new(),
        };
        let _ =
            writeln!(self.0, "| {what} | {goal} | {} | {met} | {} |", unit.show(value), others.trim_end_matches("; "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(csv: &str) -> String {
        Figures(csv.lines().filter_map(Row::parse).collect()).table()
    }

    #[test]
    fn goals_are_relative_to_the_floor_of_the_same_turn() {
        let turn = |floor: u32, ours: u32| {
            format!("floor,rust,futex_oneway_5ms,8,{floor},20,9\ndora,rust,oneway_5ms_inplace,8,{ours},30,9\n")
        };
        let met = turn(10, 15) + &turn(30, 40) + &turn(10, 20);
        assert!(table(&met).contains("| 20.0 us | yes, 100 % of it | futex_oneway_5ms 10.0 us |"), "{}", table(&met));
        assert!(table(&turn(10, 18)).contains("| 18.0 us | no, 120 % of it |"));
        // Within the floor's bound, but behind the peer.
        let behind = format!("iceoryx2,rust,oneway_5ms_inplace,8,12,20,9\n{}", turn(10, 15));
        assert!(table(&behind).contains("| 15.0 us | no, 125 % of it |"));
        assert!(table("dora,rust,oneway_5ms_inplace,8,15,20,9\n").contains("| 15.0 us |  |"));
    }

    #[test]
    fn the_middle_of_the_rounds_counts() {
        let rows = [1.0, 3.0, 9.0].map(|rate| format!("dora,rust,tput_queue32,8,{},0.1,100\n", rate * 1e6)).concat();
        assert!(table(&rows).contains("| >= 1.0 M/s | 3.0 M/s | yes |"));
        assert_eq!(table("").lines().count(), 2);
    }
}
