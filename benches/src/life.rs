//! Start, set-up of edges, death and idleness of a dataflow.

use crate::bench::{Bench, System, end};
use crate::flow::{Node, Queue};
use bench_common::{Outcome, median, now_ns, sleep_ms};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Values that nodes wrote beside their rows, by name.
pub type Stamps = BTreeMap<String, Vec<u64>>;

/// What the nodes have written so far.
pub fn read_stamps(file: &Path) -> Outcome<Stamps> {
    let mut stamps = Stamps::new();
    for line in fs::read_to_string(file)?.lines() {
        let (what, value) = line.split_once(',').ok_or("a stamp without a comma")?;
        stamps.entry(what.into()).or_default().push(value.parse()?);
    }
    Ok(stamps)
}

fn only(stamps: &Stamps, what: &str) -> Outcome<u64> {
    stamps.get(what).and_then(|values| values.first()).copied().ok_or_else(|| format!("no node wrote `{what}`").into())
}

/// Runs a source with `sinks` sinks, and `spare` further edges to the first of them.
/// Returns the stamps and when `dora run` was started.
pub fn small_flow(bench: &Bench, system: &System, name: &str, sinks: usize, spare: usize) -> Outcome<(Stamps, u64)> {
    let file = bench.scratch("stamps")?;
    // Peers may lose what is sent before a sink listens, so the source goes on until all are surely there.
    let (tick_ms, ticks) = if system.is_ours() { (10, 100) } else { (20, 20 + 10 * sinks) };
    let mut source = Node::new("src", "ticker").input("tick", format!("dora/timer/millis/{tick_ms}"), Queue::Default);
    source = source.output("out").env("BENCH_TICKS", ticks).env("BENCH_STAMPS", file.display());
    source = (0..spare).fold(source, |source, i| source.output(format!("spare{i}")));
    let mut nodes = vec![source];
    for i in 0..sinks {
        let sink = Node::new(format!("sink{i}"), "stamp").env("BENCH_STAMPS", file.display());
        let sink = sink.input("in", "src/out", Queue::Default);
        let further = if i == 0 { spare } else { 0 };
        nodes.push(
            (0..further).fold(sink, |sink, i| sink.input(format!("spare{i}"), format!("src/spare{i}"), Queue::Default)),
        );
    }
    let mut running = bench.start(system, name, nodes)?;
    running.child.wait()?;
    let stamps = read_stamps(&file)?;
    match stamps.get("first").map_or(0, Vec::len) {
        found if found == sinks => Ok((stamps, running.started_ns)),
        found => Err(format!("{name}: {found} of {sinks} sinks got a message").into()),
    }
}

/// Microseconds from then until the last sink has its first message.
pub fn last_first(stamps: &Stamps, started: u64) -> f64 {
    let last = stamps.get("first").and_then(|times| times.iter().max()).copied().unwrap_or(0);
    last.saturating_sub(started) as f64 / 1e3
}

/// How often what is slow is repeated.
pub fn repeats(bench: &Bench) -> usize {
    if bench.options.quick { 2 } else { 5 }
}

/// Median and worst of several values, as one row.
pub fn row(bench: &Bench, system: &System, metric: &str, values: Vec<f64>) {
    let (worst, count) = (values.iter().copied().fold(0.0, f64::max), values.len());
    bench.rows_of(system).value(metric, 8, median(values), worst, count);
}

/// `dora run` until the first message, and until 50 sinks have theirs.
pub fn startup(bench: &Bench) -> Outcome<()> {
    for (metric, sinks) in [("run_to_first_message", 1), ("run_51_nodes_to_last_first_message", 50)] {
        for system in &bench.systems {
            let mut micros = Vec::new();
            for _ in 0..repeats(bench) {
                let (stamps, started) = small_flow(bench, system, metric, sinks, 0)?;
                micros.push(last_first(&stamps, started));
            }
            row(bench, system, metric, micros);
        }
    }
    Ok(())
}

/// What one more edge costs: the difference between 201 edges and one, in time to the first message and in descriptors.
pub fn edges(bench: &Bench) -> Outcome<()> {
    const SPARE: usize = 200;
    bench.ring("setup --metric edge_setup_ring")?;
    for system in &bench.systems {
        let (mut micros, mut descriptors) = (Vec::new(), Vec::new());
        for _ in 0..repeats(bench) {
            let (one, one_started) = small_flow(bench, system, "edges1", 1, 0)?;
            let (many, many_started) = small_flow(bench, system, "edges201", 1, SPARE)?;
            micros.push((last_first(&many, many_started) - last_first(&one, one_started)) / SPARE as f64);
            let grown =
                |what| -> Outcome<f64> { Ok((only(&many, what)? as f64 - only(&one, what)? as f64) / SPARE as f64) };
            descriptors.push(grown("source_descriptors")?.max(grown("sink_descriptors")?));
        }
        row(bench, system, "edge_setup", micros);
        row(bench, system, "edge_descriptors", descriptors);
    }
    bench.peer("iceoryx2", "setup")
}

/// A sender blocked on a full queue while its consumer kills itself.
pub fn release(bench: &Bench) -> Outcome<()> {
    for system in &bench.systems {
        let mut micros = Vec::new();
        for _ in 0..repeats(bench) {
            let file = bench.scratch("stamps")?;
            let stamped = |node: Node| node.env("BENCH_STAMPS", file.display());
            let sender = stamped(Node::new("src", "blocked").output("out"));
            let stuck = stamped(Node::new("sink", "stuck").input("in", "src/out", Queue::Lossless(2)));
            // The run fails, as a node of it was killed.
            bench.start(system, "release_after_kill", vec![sender, stuck])?.child.wait()?;
            let stamps = read_stamps(&file)?;
            micros.push((only(&stamps, "released")? as f64 - only(&stamps, "killed")? as f64) / 1e3);
        }
        row(bench, system, "release_after_kill", micros);
    }
    bench.peer("iceoryx2", "release")
}

/// A node that dies is started again: from its death to the first message of the next attempt.
pub fn restart(bench: &Bench) -> Outcome<()> {
    for system in &bench.systems {
        let mut micros = Vec::new();
        for _ in 0..repeats(bench) {
            let file = bench.scratch("stamps")?;
            let stamped = |node: Node| node.env("BENCH_STAMPS", file.display());
            let mortal = stamped(Node::new("src", "mortal").output("out").rule("restart_policy", "on-failure"));
            // Peers restart only what has an input.
            let mortal = mortal.input("tick", "dora/timer/millis/500", Queue::Default);
            let watcher = stamped(Node::new("sink", "watcher").input("in", "src/out", Queue::Default));
            bench.start(system, "restart_to_first_message", vec![mortal, watcher])?.child.wait()?;
            let stamps = read_stamps(&file)?;
            micros.push((only(&stamps, "revived")? as f64 - only(&stamps, "killed")? as f64) / 1e3);
        }
        row(bench, system, "restart_to_first_message", micros);
    }
    Ok(())
}

/// From SIGINT to the exit of `dora run`, with nodes that end when they are asked to.
pub fn stop(bench: &Bench) -> Outcome<()> {
    for (metric, sinks) in [("sigint_to_exit", 1), ("sigint_to_exit_51_nodes", 50)] {
        for system in &bench.systems {
            let mut micros = Vec::new();
            for _ in 0..repeats(bench) {
                micros.push(stop_one(bench, system, metric, sinks)?);
            }
            row(bench, system, metric, micros);
        }
    }
    Ok(())
}

fn stop_one(bench: &Bench, system: &System, name: &str, sinks: usize) -> Outcome<f64> {
    let file = bench.scratch("stamps")?;
    let source = Node::new("src", "ticker").input("tick", "dora/timer/millis/20", Queue::Default).output("out");
    let mut nodes = vec![source.env("BENCH_TICKS", u32::MAX)];
    nodes.extend((0..sinks).map(|i| {
        let sink = Node::new(format!("sink{i}"), "stamp").env("BENCH_STAMPS", file.display());
        sink.input("in", "src/out", Queue::Default)
    }));
    let mut run = bench.start(system, name, nodes)?.child;
    let deadline = now_ns() + 60_000_000_000;
    while read_stamps(&file)?.get("first").map_or(0, Vec::len) < sinks {
        if now_ns() > deadline {
            end(run)?;
            return Err(format!("{name}: the nodes do not start").into());
        }
        sleep_ms(20);
    }
    let pid = rustix::process::Pid::from_child(&run);
    let asked = now_ns();
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    run.wait()?;
    Ok((now_ns() - asked) as f64 / 1e3)
}

/// Memory and wake-ups of every process of a dataflow in which nothing happens.
pub fn idle(bench: &Bench) -> Outcome<()> {
    let window_ms = if bench.options.quick { 3_000 } else { 10_000 };
    for system in &bench.systems {
        let waiting = |id: &str, source: &str| Node::new(id, "idle").input("in", source, Queue::Default).output("out");
        let run = bench.start(system, "idle", vec![waiting("a", "b/out"), waiting("b", "a/out")])?.child;
        sleep_ms(2_000);
        let processes = descendants(run.id())?;
        let before: Vec<_> = processes.iter().map(|pid| context_switches(*pid)).collect();
        sleep_ms(window_ms);
        let (csv, node) = (bench.rows_of(system), system.node_name());
        if processes.iter().all(|pid| kind_of(*pid, run.id(), &node) != "node") {
            end(run)?;
            return Err("the nodes are not running".into());
        }
        for (pid, before) in processes.iter().zip(before) {
            let switches = context_switches(*pid).saturating_sub(before) as f64;
            let kind = kind_of(*pid, run.id(), &node);
            let (memory, threads) = (status_field(*pid, "VmRSS").unwrap_or(0) as f64, status_field(*pid, "Threads"));
            csv.value(&format!("idle_{kind}_rss_kib"), 0, memory, threads.unwrap_or(0) as f64, 1);
            csv.value(&format!("idle_{kind}_switches"), 0, switches, switches, window_ms as usize);
        }
        end(run)?;
    }
    Ok(())
}

/// `run`, `keeper`, `node` or the name of the program.
fn kind_of(pid: u32, run: u32, node: &str) -> String {
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = command.split('\0');
    let program = words.next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    match program {
        _ if pid == run => "run".into(),
        program if program == node => "node".into(),
        _ if words.any(|word| word == "keeper") || program.contains("keeper") => "keeper".into(),
        program => program.replace(',', "_"),
    }
}

/// `root` and all processes below it.
fn descendants(root: u32) -> Outcome<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) {
            parents.extend(status_field(pid, "PPid").map(|parent| (pid, parent as u32)));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, above)| *above == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found)
}

/// A number in the status of a process.
pub fn status_field(pid: u32, field: &str) -> Option<u64> {
    number_after(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, field)
}

fn number_after(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Time that the threads of a process have spent on a CPU, in nanoseconds.
pub fn cpu_ns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let spent = |text: String| text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
    tasks.filter_map(|task| spent(fs::read_to_string(task.path().join("schedstat")).ok()?)).sum()
}

/// How often the threads of a process were given a CPU and left it.
fn context_switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    texts
        .flat_map(|status| {
            ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|field| number_after(&status, field))
        })
        .flatten()
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_status_of_a_process() {
        let status = "VmRSS:\t    1234 kB\nThreads:\t3\nvoluntary_ctxt_switches:\t17\nnonvoluntary_ctxt_switches:\t4\n";
        assert_eq!(number_after(status, "VmRSS"), Some(1234));
        assert_eq!(number_after(status, "nonvoluntary_ctxt_switches"), Some(4));
        assert_eq!(number_after(status, "Vm"), None);
        assert!(descendants(std::process::id()).unwrap().contains(&std::process::id()));
    }
}
