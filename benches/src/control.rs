//! The control plane: how long its commands take, what it costs while nothing happens, how fast lines come through.

use crate::bench::Bench;
use crate::cluster::Cluster;
use crate::flow::{Node, Queue};
use crate::life::{Stamps, cpu_ns, last_first, read_stamps, repeats, row, status_field};
use bench_common::{Outcome, now_ns, sleep_ms};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

/// Lines that the printer prints while they are followed.
const LINES: usize = 300_000;

/// Commands, idleness, lines.
pub fn everything(bench: &Bench) -> Outcome<()> {
    for system in &bench.systems {
        eprintln!("{} up", system.label);
        let mut ups = Vec::new();
        for _ in 0..repeats(bench) {
            ups.push(Cluster::up(bench, system)?.up_us);
        }
        row(bench, system, "up", ups);
        let cluster = Cluster::up(bench, system)?;
        for (sinks, suffix) in [(1, ""), (50, "_51_nodes")] {
            start_and_stop(&cluster, sinks, suffix)?;
        }
        idle(&cluster)?;
        lines(&cluster)?;
    }
    Ok(())
}

/// `dora start --detach` until the last first message; then `dora stop`.
fn start_and_stop(cluster: &Cluster<'_>, sinks: usize, suffix: &str) -> Outcome<()> {
    let (bench, system) = (cluster.bench, cluster.system);
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..repeats(bench) {
        let stamps = bench.scratch("stamps")?;
        let source = Node::new("src", "ticker").input("tick", "dora/timer/millis/10", Queue::Default).output("out");
        let mut nodes = vec![source.env("BENCH_TICKS", u32::MAX)];
        nodes.extend((0..sinks).map(|i| {
            let sink = Node::new(format!("sink{i}"), "stamp").env("BENCH_STAMPS", stamps.display());
            sink.input("in", "src/out", Queue::Default)
        }));
        let name = format!("control{suffix}");
        let file = bench.flow(system, &name, nodes)?;
        eprintln!("{} start{suffix}", system.label);
        let started = now_ns();
        cluster.timed(&["start", "--detach", "--name", &name, &file.to_string_lossy()])?;
        starts.push(last_first(&await_firsts(&stamps, sinks)?, started));
        stops.push(cluster.timed(&["stop", &name])?);
    }
    row(bench, system, &format!("start_to_first_message{suffix}"), starts);
    row(bench, system, &format!("stop{suffix}"), stops);
    Ok(())
}

fn await_firsts(stamps: &Path, sinks: usize) -> Outcome<Stamps> {
    let deadline = now_ns() + 60_000_000_000;
    loop {
        let found = read_stamps(stamps)?;
        if found.get("first").map_or(0, Vec::len) >= sinks {
            return Ok(found);
        }
        if now_ns() > deadline {
            return Err("the nodes do not start".into());
        }
        sleep_ms(5);
    }
}

/// Memory and processor time of coordinator and daemon while a dataflow idles.
fn idle(cluster: &Cluster<'_>) -> Outcome<()> {
    let (bench, system) = (cluster.bench, cluster.system);
    let window_ms = if bench.options.quick { 5_000 } else { 20_000 };
    let waiting = |id: &str, source: &str| Node::new(id, "idle").input("in", source, Queue::Default).output("out");
    let file = bench.flow(system, "control_idle", vec![waiting("a", "b/out"), waiting("b", "a/out")])?;
    cluster.timed(&["start", "--detach", "--name", "idle", &file.to_string_lossy()])?;
    sleep_ms(2_000);
    for role in ["coordinator", "daemon"] {
        let pid = cluster.process(role)?;
        let before = cpu_ns(pid);
        sleep_ms(window_ms);
        let permille = cpu_ns(pid).saturating_sub(before) as f64 / (window_ms as f64 * 1e3);
        let memory = status_field(pid, "VmRSS").unwrap_or(0) as f64;
        let threads = status_field(pid, "Threads").unwrap_or(0) as f64;
        bench.rows_of(system).value(&format!("idle_{role}_rss_kib"), 0, memory, threads, 1);
        bench.rows_of(system).value(&format!("idle_{role}_cpu_permille"), 0, permille, permille, window_ms as usize);
    }
    cluster.timed(&["stop", "idle"]).map(drop)
}

/// Lines per second from a node to `dora logs --follow`, and how many of them were left out.
fn lines(cluster: &Cluster<'_>) -> Outcome<()> {
    let (bench, system) = (cluster.bench, cluster.system);
    let printer = Node::new("printer", "printer").env("BENCH_METRIC", "tput_control_printed").env("BENCH_SIZE", 100);
    let file = bench.flow(system, "control_lines", vec![printer.env("BENCH_COUNT", LINES)])?;
    eprintln!("{} logs --follow", system.label);
    let started = now_ns();
    cluster.timed(&["start", "--detach", "--name", "lines", &file.to_string_lossy()])?;
    let mut follow = cluster.command(&["logs", "lines", "--follow", "--node", "printer"]);
    let mut follow = follow.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let shown = follow.stdout.take().map_or(0, |stdout| BufReader::new(stdout).split(b'\n').count());
    let seconds = (now_ns() - started) as f64 / 1e9;
    if !follow.wait()?.success() {
        return Err("dora logs failed".into());
    }
    let rows = bench.rows_of(system);
    rows.value("tput_logs_follow", 100, shown as f64 / seconds, shown as f64 * 100.0 / seconds / 1e9, shown);
    let missed = LINES.saturating_sub(shown) as f64;
    rows.value("logs_follow_missed", 100, missed, missed, LINES);
    Ok(())
}
