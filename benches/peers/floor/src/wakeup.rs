//! Wake-ups between two processes: one way with a gap, and back and forth.
//!
//! The second process is this program again. It gets the shared page by path, and with eventfd the two counters as its
//! standard input and output.

use crate::{bell::Bell, shared};
use bench_common::{Args, Csv, GAP_MS, Outcome, Plan, now_ns, pin_to_cpu, sleep_ms};
use rustix::event::{EventfdFlags, eventfd};
use std::io::{stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// `floor oneway` and `floor pingpong`: measures with another process and prints one row.
pub fn measure(args: &Args) -> Outcome<()> {
    let (kind, metric) = (args.text("bell").unwrap_or("futex"), args.text("metric").unwrap_or(args.word()));
    let plan = plan(args);
    let (page, _file, path) = shared::create()?;
    let mut other = Command::new(std::env::current_exe()?);
    other.arg("answer").args(["--page", &path, "--bell", kind, "--of", args.word()]);
    if args.text("quick").is_some() {
        other.arg("--quick");
    }
    if let Some((mine, theirs)) = args.pin()? {
        pin_to_cpu(mine)?;
        other.args(["--cpu", &theirs.to_string()]);
    }
    let (go, mut back) = match kind {
        "futex" => (Bell::futex(&page.go.0), Bell::futex(&page.back.0)),
        "eventfd" => {
            let (go, back) = (eventfd(0, EventfdFlags::CLOEXEC)?, eventfd(0, EventfdFlags::CLOEXEC)?);
            other.stdin(Stdio::from(go.try_clone()?)).stdout(Stdio::from(back.try_clone()?));
            (Bell::Eventfd(go), Bell::Eventfd(back))
        }
        _ => return Err(format!("--bell: expected futex or eventfd, found `{kind}`").into()),
    };
    let mut other = other.spawn()?;
    back.wait()?;
    let samples = match args.word() {
        "oneway" => one_way(&go, &mut back, plan, &page.stamp)?,
        _ => round_trips(&go, &mut back, plan)?,
    };
    other.wait()?;
    let samples = samples.unwrap_or_else(|| page.samples[..plan.count].iter().map(|ns| ns.load(SeqCst)).collect());
    Csv::new("floor").latency(&format!("{kind}_{metric}"), 8, samples);
    Ok(())
}

/// The second process.
pub fn answer(args: &Args) -> Outcome<()> {
    if let Some(cpu) = args.text("cpu") {
        pin_to_cpu(cpu.parse()?)?;
    }
    let page = shared::open(args.text("page").unwrap_or_default())?;
    let (mut go, back) = match args.text("bell") {
        Some("eventfd") => (Bell::Eventfd(own(stdin())?), Bell::Eventfd(own(stdout())?)),
        _ => (Bell::futex(&page.go.0), Bell::futex(&page.back.0)),
    };
    back.ring()?;
    let plan = plan(args);
    for i in 0..plan.total() {
        go.wait()?;
        if args.text("of") == Some("oneway") {
            let span = now_ns() - page.stamp.load(SeqCst);
            if i >= plan.warm {
                page.samples[i - plan.warm].store(span, SeqCst);
            }
        }
        back.ring()?;
    }
    Ok(())
}

fn plan(args: &Args) -> Plan {
    match args.text("of").unwrap_or(args.word()) {
        "oneway" => Plan::oneway(),
        _ => Plan::round_trips(),
    }
}

fn own(fd: impl AsFd) -> std::io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

/// The receiver measures: its samples lie in the page.
fn one_way(go: &Bell, back: &mut Bell, plan: Plan, stamp: &AtomicU64) -> Outcome<Option<Vec<u64>>> {
    for _ in 0..plan.total() {
        sleep_ms(GAP_MS);
        stamp.store(now_ns(), SeqCst);
        go.ring()?;
        back.wait()?;
    }
    Ok(None)
}

/// The sender measures: half of each round trip.
fn round_trips(go: &Bell, back: &mut Bell, plan: Plan) -> Outcome<Option<Vec<u64>>> {
    let mut halves = Vec::with_capacity(plan.total());
    for _ in 0..plan.total() {
        let start = now_ns();
        go.ring()?;
        back.wait()?;
        halves.push((now_ns() - start) / 2);
    }
    Ok(Some(halves.split_off(plan.warm)))
}
