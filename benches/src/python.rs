//! The same in Python: nodes of `python/bench_node.py`, which take the roles of `bench-node`.

use crate::bench::{Bench, System};
use crate::flow::Node;
use crate::life;
use crate::place::Place;
use crate::transport::{Stream, fan_out_once, wake};
use bench_common::{Csv, Outcome, Plan, SIZES, now_ns};
use std::process::Command;

/// Copied messages up to this size are held against the wake-up alone.
const SMALL: usize = 1 << 20;

/// An interpreter takes its time to start, so there are fewer turns.
const TURNS: usize = 3;

/// All figures.
pub fn everything(bench: &Bench) -> Outcome<()> {
    if !bench.pythons.iter().any(System::is_ours) {
        return Err("--python names no interpreter with the module; `cargo xtask bench` does".into());
    }
    for measure in [one_way, throughput, fan_out, startup, recv_async] {
        bench.await_quiet();
        for _ in 0..if bench.options.quick { 1 } else { TURNS } {
            bench.pythons.iter().try_for_each(|system| measure(bench, system))?;
        }
    }
    Ok(())
}

/// One way: copied while that is cheap, and written in place at every size.
fn one_way(bench: &Bench, system: &System) -> Outcome<()> {
    Place::all().try_for_each(|place| {
        wake(bench, place)?;
        for size in SIZES {
            if size <= SMALL {
                Stream::one_way("python_oneway_5ms_copy", size, "copy").run_at(place, bench, system)?;
            }
            Stream::one_way("python_oneway_5ms_inplace", size, "inplace").run_at(place, bench, system)?;
        }
        Ok(())
    })
}

/// 8 bytes back to back; the receiver only counts.
fn throughput(bench: &Bench, system: &System) -> Outcome<()> {
    let count = if system.is_ours() { 400_000 } else { 20_000 };
    let plan = Plan::back_to_back(8, count, bench.options.quick);
    Stream::back_to_back("python_tput_queue1000".into(), 8, "copy", 1000, plan).run(bench, system)
}

/// 4 MiB copied in, to four receivers.
fn fan_out(bench: &Bench, system: &System) -> Outcome<()> {
    fan_out_once(bench, system, "python_oneway_5ms_fanout4", "copy")
}

/// `dora run` until the first message, beside what the interpreter takes to start with Arrow.
fn startup(bench: &Bench, system: &System) -> Outcome<()> {
    let (mut imports, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..life::repeats(bench) {
        imports.push(import_pyarrow(system)?);
        let (stamps, started) = life::small_flow(bench, system, "python_run_to_first_message", 1, 0)?;
        runs.push(life::last_first(&stamps, started));
    }
    if system.is_ours() {
        Csv::to_file("floor", bench.csv()).micros("python_import_pyarrow", 0, imports);
    }
    life::row(bench, system, "python_run_to_first_message", runs);
    Ok(())
}

fn import_pyarrow(system: &System) -> Outcome<f64> {
    let python = system.python().ok_or("this system has no Python")?;
    let started = now_ns();
    match Command::new(&python).args(["-c", "import pyarrow"]).status()?.success() {
        true => Ok((now_ns() - started) as f64 / 1e3),
        false => Err(format!("{} cannot import pyarrow", python.display()).into()),
    }
}

/// 10,000 messages through `recv_async`, then the end of the interpreter: how many runs fail.
fn recv_async(bench: &Bench, system: &System) -> Outcome<()> {
    let runs = if bench.options.quick { 10 } else { 50 };
    let plan = Plan { warm: 0, count: 10_000 };
    let mut failed = 0;
    for _ in 0..runs {
        let stream = Stream::back_to_back("python_recv_async".into(), 8, "copy", 1000, plan);
        let awaiter = stream.receiver_as("awaiter", "sink", "src/out");
        let nodes: Vec<Node> = vec![stream.sender().env("BENCH_SETTLE_MS", 0), awaiter];
        failed += i32::from(!bench.start(system, "python_recv_async", nodes)?.child.wait()?.success());
    }
    let failed = f64::from(failed);
    bench.rows_of(system).value("python_recv_async_failed", 8, failed, failed, runs);
    Ok(())
}
