//! What was promised, held against what was measured: the table of docs/performance.md.

mod python;
mod recovery;

use crate::figures::{Figures, Latest};
use crate::place::PLACES;
use crate::table::{Bound, Table, Unit, met};
use Bound::{AtLeast, AtMost, Share};
use bench_common::SIZES;

/// One message of 8 B from node to node, after a gap.
const HOP: &str = "oneway_5ms_hop";

/// What a process in a futex takes to wake up, after a gap: measured by a program of its own.
const WAKE: &str = "futex_oneway_5ms";

/// A bare wake-up between the two processes of a metric, in between their messages: the floor of that metric.
fn beside(metric: &str) -> String {
    format!("futex_beside_{metric}")
}

/// The whole table in Markdown; figures that were not measured are left out.
///
/// Three figures in one field are those of both ends on one CPU, on two, and where the scheduler puts them. Goals are held
/// against the first two.
pub fn table(figures: &Figures) -> String {
    let mut goals = Goals { figures, table: Table::default() };
    goals.latencies();
    goals.rates();
    goals.graphs();
    goals.life();
    goals.logs();
    goals.control();
    goals.recovery();
    goals.python();
    goals.table.text()
}

struct Goals<'a> {
    figures: &'a Figures,
    table: Table,
}

/// What was measured just before a figure, at the same place.
struct Turn<'a> {
    latest: &'a Latest<'a>,
    place: &'static str,
}

impl Turn<'_> {
    fn of(&self, peer: &str, metric: &str, size: usize) -> f64 {
        self.latest.of(peer, &format!("{metric}_{}", self.place), size)
    }

    fn wake(&self) -> f64 {
        self.of("floor", WAKE, 8)
    }

    fn beside(&self, metric: &str, size: usize) -> f64 {
        self.of("floor", &beside(metric), size)
    }
}

impl Goals<'_> {
    /// What the other systems gave for the same metric, or what else a figure is held against.
    fn others(&self, unit: Unit, metrics: &[(&str, &str, usize)]) -> String {
        let shown = metrics.iter().filter_map(|(peer, metric, size)| {
            Some(format!("{} {}", name(peer, metric), unit.show(self.figures.p50(peer, metric, *size)?)))
        });
        shown.collect::<Vec<_>>().join("; ")
    }

    /// A latency that was measured at each place. The scheduler's choice is reported only: it differs from turn to turn.
    fn placed(
        &mut self,
        (what, goal): (&str, &str),
        (metric, size): (&str, usize),
        others: &[(&str, &str)],
        bound: impl Fn(&Turn) -> f64,
    ) {
        let Some(measured) = self.figures.p50_placed("dora", metric, size) else { return };
        let share = |place: &&'static str| {
            let bound = |latest: &Latest| bound(&Turn { latest, place });
            self.figures.share(&format!("{metric}_{place}"), size, bound)
        };
        let shares: Vec<f64> = PLACES.iter().filter(|place| **place != "free").filter_map(share).collect();
        let shown = others.iter().filter_map(|(peer, other)| {
            // What is no figure of the same metric is measured with 8 B.
            let size = if other.ends_with(metric) { size } else { 8 };
            Some(format!("{} {}", name(peer, other), self.figures.p50_placed(peer, other, size)?))
        });
        let shown = shown.collect::<Vec<_>>().join("; ");
        self.table.row(what, goal, &measured, &met(&shares), &shown);
    }

    fn latencies(&mut self) {
        let metric = "oneway_5ms_inplace";
        for size in SIZES {
            let bound = |turn: &Turn| (1.5 * turn.beside(metric, size)).min(turn.of("iceoryx2", metric, size));
            let what = format!("one way in place, {}", bytes(size));
            let others = [("floor", &*beside(metric)), ("iceoryx2", metric), ("dora-rs", metric)];
            self.placed((&what, "<= 1.5 futex wake-ups, ahead of iceoryx2"), (metric, size), &others, bound);
        }
        for runtime in ["tokio", "futures"] {
            let (what, metric) = (format!("async receive, {runtime}"), format!("oneway_5ms_async_{runtime}"));
            let bound = |turn: &Turn| turn.of("dora", HOP, 8) + turn.beside(HOP, 8);
            let others = [("dora", HOP), ("floor", &*beside(HOP)), ("dora-rs", &metric)];
            self.placed((&what, "<= blocking + 1 wake-up"), (&metric, 8), &others, bound);
        }
        let (metric, futex) = ("pingpong_half", "futex_pingpong_half");
        let others = [("floor", futex), ("iceoryx2", metric), ("dora-rs", metric)];
        let bound = |turn: &Turn| 1.5 * turn.of("floor", futex, 8);
        self.placed(("half a round trip", "<= 1.5 futex"), (metric, 8), &others, bound);
        let (metric, memcpy, size) = ("oneway_5ms_copy", "memcpy_after_5ms_gap", 4 << 20);
        let others = [("floor", memcpy, size), ("iceoryx2", metric, size), ("dora-rs", metric, size)];
        let bound = |turn: &Latest| 1.2 * turn.of("floor", memcpy, size) + turn.of("floor", "futex_oneway_5ms_free", 8);
        let bound = self.figures.share(metric, size, bound);
        self.table.line(
            "4 MiB copied in, after a 5 ms gap",
            "<= 1.2 of that memcpy + a wake-up",
            (self.figures.p50("dora", metric, size), Unit::Micros, Share(bound)),
            self.others(Unit::Micros, &others),
        );
    }

    fn rates(&mut self) {
        let size = 4 << 20;
        // Per message, so that it stands beside the memcpy.
        let micros = |peer| self.figures.p50(peer, "tput_copy", size).map(|rate| 1e6 / rate);
        let peers =
            ["iceoryx2", "dora-rs"].into_iter().filter_map(|peer| Some(format!("; {peer} {:.1} us", micros(peer)?)));
        // The share of a rate is that of its inverse, the time of one message.
        let bound = self.figures.share("tput_copy", size, |turn| 1e6 / (1.3 * turn.of("floor", "memcpy_warm", size)));
        let bound = bound.map(f64::recip);
        self.table.line(
            "4 MiB copied in, back to back, per message",
            "<= 1.3 warm memcpy",
            (micros("dora"), Unit::Micros, Share(bound)),
            self.others(Unit::Micros, &[("floor", "memcpy_warm", size)]) + &peers.collect::<String>(),
        );
        for (queue, ring, api) in [(1000, 5e6, 2e6), (32, 2e6, 1e6)] {
            for (what, metric, goal) in [
                ("channel", format!("tput_ring_queue{queue}"), ring),
                ("send_output", format!("tput_queue{queue}"), api),
            ] {
                let others =
                    [("iceoryx2", &*metric, 8), ("iceoryx2", "tput_spin_queue32", 8), ("dora-rs", &*metric, 8)];
                self.table.line(
                    &format!("8 B back to back, lossless, queue {queue}, {what}"),
                    &format!(">= {}", Unit::Rate.show(goal)),
                    (self.figures.p50("dora", &metric, 8), Unit::Rate, AtLeast(goal)),
                    self.others(Unit::Rate, if queue == 32 { &others } else { &others[2..] }),
                );
            }
        }
        for (what, metric) in [("queue 1000", "tput_queue1000_lost"), ("queue 32", "tput_queue32_lost")] {
            self.table.line(
                &format!("8 B back to back, {what}, lost"),
                "0",
                (self.figures.values("dora", metric, 8, |row| row.worst), Unit::Count, AtMost(0.0)),
                self.others(Unit::Count, &[("dora-rs", metric, 8)]),
            );
        }
    }

    fn graphs(&mut self) {
        let (fan, chain) = ("oneway_5ms_fanout4_last", "oneway_5ms_chain5");
        self.table.line(
            "fan-out 1 -> 4, 4 MiB in place, last receiver",
            "<= 100 us",
            (self.figures.p50("dora", fan, 4 << 20), Unit::Micros, AtMost(100.0)),
            self.others(Unit::Micros, &[("dora-rs", fan, 4 << 20)]),
        );
        let others = [("dora", HOP), ("dora-rs", chain)];
        let bound = |turn: &Turn| 5.0 * turn.of("dora", HOP, 8);
        self.placed(("chain of 5 nodes, 8 B", "<= 5 times one hop"), (chain, 8), &others, bound);
        let lost = "oneway_5ms_chain5_free_lost";
        self.table.line(
            "chain of 5 nodes, lost",
            "0",
            (self.figures.p50("dora", lost, 8), Unit::Count, AtMost(0.0)),
            self.others(Unit::Count, &[("dora-rs", lost, 8)]),
        );
    }

    fn life(&mut self) {
        let micros = |what, metric, goal, limit| (what, metric, goal, Unit::Micros, limit);
        let none = |what, metric| (what, metric, "0", Unit::Count, 0.0);
        for (what, metric, goal, unit, limit) in [
            micros("`dora run` to the first message", "run_to_first_message", "<= 40 ms", 40e3),
            micros("51 nodes to the last first message", "run_51_nodes_to_last_first_message", "<= 300 ms", 300e3),
            micros("set up an edge, in a dataflow", "edge_setup", "<= 0.1 ms", 100.0),
            micros("set up an edge, channel alone", "edge_setup_ring", "<= 0.1 ms", 100.0),
            none("descriptors per edge in a node", "edge_descriptors"),
            micros("blocked sender released after kill -9", "release_after_kill", "<= 5 ms", 5e3),
            micros("crash to the first message of the restarted node", "restart_to_first_message", "<= 30 ms", 30e3),
            micros("Ctrl-C to exit", "sigint_to_exit", "<= 50 ms", 50e3),
            micros("Ctrl-C to exit, 51 nodes", "sigint_to_exit_51_nodes", "<= 200 ms", 200e3),
            none("wake-ups of an idle node", "idle_node_switches"),
            none("wake-ups of an idle keeper", "idle_keeper_switches"),
        ] {
            let size = if metric == "edge_setup_ring" || metric.starts_with("idle") { 0 } else { 8 };
            let others = [("iceoryx2", metric, 0), ("iceoryx2", metric, 8), ("dora-rs", metric, size)];
            let measured = (self.figures.p50("dora", metric, size), unit, AtMost(limit));
            self.table.line(what, goal, measured, self.others(unit, &others));
        }
        self.memory("idle node", "idle_node_rss_kib", 8.0);
        self.memory("idle keeper", "idle_keeper_rss_kib", 4.0);
    }

    fn logs(&mut self) {
        let metric = "tput_log_lines";
        self.table.line(
            "lines of 100 B to log file and standard output",
            ">= 50 k/s",
            (self.figures.p50("dora", metric, 100), Unit::Rate, AtLeast(50e3)),
            self.others(Unit::Rate, &[("dora-rs", metric, 100)]),
        );
        let (beside, without) = ("oneway_5ms_beside_flood", "oneway_5ms_without_flood");
        let bound = self.figures.share(beside, 8, |turn| 1.5 * turn.of("dora", without, 8));
        self.table.line(
            "one way beside a node that prints 50 k lines/s",
            "<= 1.5 times without",
            (self.figures.p50("dora", beside, 8), Unit::Micros, Share(bound)),
            self.others(Unit::Micros, &[("dora", without, 8), ("dora-rs", beside, 8)]),
        );
    }
}

impl Goals<'_> {
    fn control(&mut self) {
        for (what, metric, size, goal, unit, bound) in [
            ("`dora up`", "up", 8, "<= 120 ms", Unit::Micros, AtMost(120e3)),
            (
                "`dora start --detach` to the first message",
                "start_to_first_message",
                8,
                "<= 40 ms",
                Unit::Micros,
                AtMost(40e3),
            ),
            (
                "`dora start --detach`, 51 nodes to the last first message",
                "start_to_first_message_51_nodes",
                8,
                "<= 350 ms",
                Unit::Micros,
                AtMost(350e3),
            ),
            ("`dora stop`", "stop", 8, "<= 40 ms", Unit::Micros, AtMost(40e3)),
            ("`dora stop`, 51 nodes", "stop_51_nodes", 8, "reported", Unit::Micros, AtMost(f64::INFINITY)),
            ("lines of 100 B to `dora logs --follow`", "tput_logs_follow", 100, ">= 50 k/s", Unit::Rate, AtLeast(50e3)),
            ("those left out, and told", "logs_follow_missed", 100, "reported", Unit::Count, AtMost(f64::INFINITY)),
            (
                "processor time of an idle coordinator",
                "idle_coordinator_cpu_permille",
                0,
                "<= 1 per mille",
                Unit::Count,
                AtMost(1.0),
            ),
            (
                "processor time of an idle daemon",
                "idle_daemon_cpu_permille",
                0,
                "<= 1 per mille",
                Unit::Count,
                AtMost(1.0),
            ),
        ] {
            let measured = (self.figures.p50("dora", metric, size), unit, bound);
            self.table.line(what, goal, measured, self.others(unit, &[("dora-rs", metric, size)]));
        }
        self.memory("idle coordinator", "idle_coordinator_rss_kib", 15.0);
        self.memory("idle daemon", "idle_daemon_rss_kib", 20.0);
    }

    /// Memory of a process that has nothing to do.
    fn memory(&mut self, what: &str, metric: &str, limit: f64) {
        let mebibytes = |peer| self.figures.p50(peer, metric, 0).map(|kib| kib / 1024.0);
        self.table.line(
            &format!("memory of an {what}"),
            &format!("<= {limit} MiB"),
            (mebibytes("dora"), Unit::Mebibytes, AtMost(limit)),
            mebibytes("dora-rs").map_or(String::new(), |value| format!("dora-rs {}", Unit::Mebibytes.show(value))),
        );
    }
}

/// How a figure is called beside ours.
fn name<'a>(peer: &'a str, metric: &'a str) -> &'a str {
    match peer {
        "floor" if metric.starts_with("futex_beside") => "bare wake-up",
        "floor" | "dora" => metric,
        _ => peer,
    }
}

fn bytes(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..0x10_0000 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_relative_to_the_floor_of_the_same_turn_and_place() {
        let turn = |place: &str, floor: u32, peer: u32, ours: u32| {
            format!(
                "floor,rust,futex_beside_oneway_5ms_inplace_{place},8,{floor},20,9\niceoryx2,rust,oneway_5ms_inplace_{place},8,{peer},20,9\n\
                 dora,rust,oneway_5ms_inplace_{place},8,{ours},30,9\n"
            )
        };
        let line = |rows: &str| table(&Figures::of(rows)).lines().nth(2).map(String::from);
        let both = turn("one_cpu", 10, 20, 15) + &turn("two_cpus", 40, 80, 30) + &turn("free", 10, 20, 90);
        assert_eq!(
            line(&both).as_deref(),
            Some(
                "| one way in place, 8 B | <= 1.5 futex wake-ups, ahead of iceoryx2 | 15.0 / 30.0 / 90.0 us | \
                 yes: 100 / 50 % of it | bare wake-up 10.0 / 40.0 / 10.0 us; iceoryx2 20.0 / 80.0 / 20.0 us |"
            )
        );
        // Within the floor's bound, but behind the peer.
        assert!(line(&turn("one_cpu", 10, 12, 15)).is_some_and(|line| line.contains("no: 125 % of it")));
    }
}
