//! What an edge costs to set up, and how long a blocked sender waits for a dead receiver.

use crate::line::Line;
use bench_common::{Args, Csv, Outcome, median, now_ns, sleep_ms};
use iceoryx2::prelude::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const EDGES: usize = 50;
const ROOT: &str = "/dev/shm/iceoryx2-bench";

/// How often the monitor of [`release`] looks for dead processes.
const MONITOR_MS: u64 = 10;

/// `iceoryx2-peer setup`: both ends of each edge in this process; the descriptors are those of both. Its files lie on a
/// tmpfs: on a disk each is synced, which would take 28 ms.
pub fn setup() -> Outcome<()> {
    let mut config = Config::default();
    config.global.set_root_path(&Path::new(ROOT.as_bytes())?);
    let node = NodeBuilder::new().config(&config).create::<ipc::Service>()?;
    let descriptors = open_descriptors()?;
    let (mut kept, mut micros) = (Vec::new(), Vec::new());
    for i in 0..EDGES {
        let start = now_ns();
        let line = Line::on(&node, &format!("bench/setup/{}/{i}", std::process::id()), 10)?;
        let (receiver, sender) = (line.receiver()?, line.sender(4096, true)?);
        micros.push((now_ns() - start) as f64 / 1e3);
        kept.push((line, receiver, sender));
    }
    let per_edge = (open_descriptors()? - descriptors) as f64 / EDGES as f64;
    let worst = micros.iter().copied().fold(0.0, f64::max);
    let csv = Csv::new("iceoryx2");
    csv.value("edge_setup", 0, median(micros), worst, EDGES);
    csv.value("edge_descriptors", 0, per_edge, per_edge, EDGES);
    drop((kept, node));
    std::fs::remove_dir_all(ROOT)?;
    Ok(())
}

fn open_descriptors() -> std::io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

/// `iceoryx2-peer release`: a sender blocked on a full queue while its receiver is killed.
///
/// Nothing in iceoryx2 watches for the death by itself: a process has to clean up after dead ones. Here a thread does
/// so every 10 ms, which is the best case that an application can arrange.
pub fn release(rounds: usize) -> Outcome<()> {
    let mut micros = Vec::new();
    for round in 0..rounds {
        let name = format!("bench/release/{}/{round}", std::process::id());
        let line = Line::open(&name, 2)?;
        let mut other =
            Command::new(std::env::current_exe()?).args(["hold", "--name", &name]).stdout(Stdio::piped()).spawn()?;
        let output = other.stdout.take().ok_or("no output of the holder")?;
        BufReader::new(output).read_line(&mut String::new())?;
        let mut sender = line.sender(8, false)?;
        sleep_ms(100);
        let killer = std::thread::spawn(move || -> Result<u64, String> {
            let monitor = NodeBuilder::new().create::<ipc::Service>().map_err(|error| error.to_string())?;
            sleep_ms(300);
            let killed = now_ns();
            other.kill().and_then(|()| other.wait()).map_err(|error| error.to_string())?;
            while monitor.try_cleanup_dead_nodes().cleanups == 0 {
                sleep_ms(MONITOR_MS);
            }
            Ok(killed)
        });
        let mut returned = now_ns();
        // The queue takes two; a later one blocks until the receiver is known to be dead, then reaches nobody.
        while sender.send(true)? > 0 {
            returned = now_ns();
        }
        returned = returned.max(now_ns());
        let killed = killer.join().map_err(|_| "the killer failed")??;
        micros.push(returned.saturating_sub(killed) as f64 / 1e3);
    }
    let worst = micros.iter().copied().fold(0.0, f64::max);
    let csv = Csv::new("iceoryx2");
    csv.value("release_after_kill", 8, median(micros), worst, rounds);
    Ok(())
}

/// The process that is killed: connected, but takes nothing.
pub fn hold(args: &Args) -> Outcome<()> {
    let line = Line::open(args.text("name").unwrap_or_default(), 2)?;
    let receiver = line.receiver()?;
    println!("ready");
    loop {
        receiver.connect()?;
        sleep_ms(5);
    }
}
