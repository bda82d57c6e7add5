//! The machine: its clock, its CPUs, and whether it is quiet.

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// `CLOCK_MONOTONIC` in nanoseconds: the same for all processes of a machine.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Sleeps for `ms` milliseconds.
pub fn sleep_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Binds the calling thread, and the threads it starts later, to one CPU.
pub fn pin_to_cpu(cpu: usize) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// Waits until the machine was over 85 % idle for one second, at most `limit_s` seconds. False if it never was.
pub fn wait_until_quiet(limit_s: u64) -> bool {
    (0..limit_s).any(|_| {
        let before = cpu_ticks();
        sleep_ms(1000);
        let after = cpu_ticks();
        (after.idle - before.idle) as f64 >= 0.85 * (after.all - before.all) as f64
    })
}

struct CpuTicks {
    idle: u64,
    all: u64,
}

/// First line of `/proc/stat`: `cpu user nice system idle iowait ...`. Unreadable counts as quiet.
fn cpu_ticks() -> CpuTicks {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    CpuTicks { idle: ticks.iter().skip(3).take(2).sum(), all: ticks.iter().sum() }
}
