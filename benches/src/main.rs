//! `dora-bench`: measures everything that docs/performance.md states, in one run, and prints its table.
//!
//! The systems take turns: for each figure the floor of the machine, dora and its peers follow one another, several times
//! and briefly, so that a noisy minute hits them alike. What is held against a floor or a peer is held against its value of
//! the same turn. What is measured runs in processes of its own: `bench-node`, `ring-bench` and the
//! programs of benches/peers. This program starts them, waits, and reads the rows that they wrote.

mod bench;
mod cluster;
mod control;
mod figures;
mod flow;
mod goals;
mod life;
mod logs;
mod options;
mod place;
mod python;
mod recovery;
mod table;
mod transport;

use bench::Bench;
use bench_common::Outcome;
use figures::Figures;
use options::{GROUPS, HELP, Options};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dora-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// False if a group could not be measured.
fn run() -> Outcome<bool> {
    let Some(options) = Options::parse(std::env::args().skip(1))? else {
        print!("{HELP}");
        return Ok(true);
    };
    if let Some(file) = &options.table {
        print!("{}", goals::table(&Figures::read(file)?));
        return Ok(true);
    }
    let bench = Bench::new(options)?;
    let mut failed = Vec::new();
    for round in 1..=bench.options.rounds {
        for group in GROUPS.iter().filter(|group| bench.options.groups.iter().any(|wanted| wanted == *group)) {
            eprintln!("-- {group}, round {round} of {}", bench.options.rounds);
            bench.await_quiet();
            if let Err(error) = measure(&bench, group) {
                eprintln!("   {group}: {error}");
                failed.push(format!("{group}, round {round}: {error}"));
            }
        }
    }
    let mut table = format!("{}\n\n{}", machine(), goals::table(&Figures::read(bench.csv())?));
    for failure in &failed {
        table += &format!("\nNot measured: {failure}\n");
    }
    std::fs::write(bench.options.out.join("table.md"), &table)?;
    print!("{table}");
    eprintln!("raw figures: {}", bench.csv().display());
    Ok(failed.is_empty())
}

fn measure(bench: &Bench, group: &str) -> Outcome<()> {
    match group {
        "oneway" => transport::one_way(bench),
        "async" => transport::asynchronous(bench),
        "pingpong" => transport::ping_pong(bench),
        "copy" => transport::copied(bench),
        "throughput" => transport::throughput(bench),
        "fanout" => transport::fan_out(bench),
        "chain" => transport::chain(bench),
        "startup" => life::startup(bench),
        "edges" => life::edges(bench),
        "release" => life::release(bench),
        "restart" => life::restart(bench),
        "stop" => life::stop(bench),
        "idle" => life::idle(bench),
        "logs" => logs::lines(bench),
        "control" => control::everything(bench),
        "recovery" => recovery::everything(bench),
        "python" => python::everything(bench),
        _ => Err("no such group".into()),
    }
}

/// The processor, the number of CPUs and the kernel.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{}, {count} CPUs, Linux {}", model.unwrap_or("unknown processor"), kernel.trim())
}
