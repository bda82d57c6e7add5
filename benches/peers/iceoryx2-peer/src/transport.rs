//! Latency and rates between two processes. The receiver is this program again, with the word `answer`.

use crate::line::{Line, Receiver, Sender};
use bench_common::{Args, Csv, GAP_MS, Outcome, Plan, now_ns, pin_to_cpu, sleep_ms};
use std::process::Command;

/// What both processes must agree on.
struct Run {
    kind: String,
    name: String,
    size: usize,
    copy: bool,
    spin: bool,
    plan: Plan,
    metric: String,
}

impl Run {
    fn of(args: &Args) -> Outcome<Self> {
        let kind = args.text("of").unwrap_or(args.word()).to_string();
        let (size, quick) = (args.get("size", 8)?, args.text("quick").is_some());
        let plan = match kind.as_str() {
            "oneway" => Plan::oneway(),
            "pingpong" => Plan::round_trips(),
            _ => Plan::back_to_back(size, args.get("messages", 2_000_000)?, quick),
        };
        Ok(Self {
            size,
            plan,
            copy: args.text("copy").is_some(),
            spin: args.text("spin").is_some(),
            name: args.text("name").map_or_else(|| format!("bench/{}", std::process::id()), String::from),
            metric: args.text("metric").unwrap_or(&kind).to_string(),
            kind,
        })
    }

    /// Large messages get a short queue, so that memory stays bounded.
    fn line(&self, suffix: &str) -> Outcome<Line> {
        Line::open(&format!("{}/{suffix}", self.name), if self.size >= 16 << 20 { 4 } else { 32 })
    }

    fn take(&self, from: &Receiver) -> Outcome<(u64, u64)> {
        if self.spin { from.spin() } else { from.take() }
    }
}

/// `iceoryx2-peer oneway|pingpong|throughput`: this process sends.
pub fn measure(args: &Args) -> Outcome<()> {
    let run = Run::of(args)?;
    let mut other = Command::new(std::env::current_exe()?);
    other.args(["answer", "--of", &run.kind, "--name", &run.name]).args(["--size", &run.size.to_string()]);
    other.args(["--metric", &run.metric]);
    if let Some(count) = args.text("messages") {
        other.args(["--messages", count]);
    }
    for flag in ["copy", "spin", "quick"].into_iter().filter(|flag| args.text(flag).is_some()) {
        other.arg(format!("--{flag}"));
    }
    if let Some((mine, theirs)) = args.pin()? {
        pin_to_cpu(mine)?;
        other.args(["--cpu", &theirs.to_string()]);
    }
    let (line, back) = (run.line("go")?, run.line("back")?);
    let replies = back.receiver()?;
    let mut other = other.spawn()?;
    line.wait_for_receiver();
    let mut sender = line.sender(run.size, !run.spin)?;
    match run.kind.as_str() {
        "oneway" => (0..run.plan.total()).try_for_each(|_| {
            sleep_ms(GAP_MS);
            sender.send(run.copy).map(drop)
        })?,
        "pingpong" => round_trips(&run, &mut sender, &replies)?,
        _ => back_to_back(&run, &mut sender)?,
    }
    other.wait()?;
    Ok(())
}

fn round_trips(run: &Run, sender: &mut Sender, replies: &Receiver) -> Outcome<()> {
    let mut halves = Vec::with_capacity(run.plan.total());
    for _ in 0..run.plan.total() {
        let start = now_ns();
        sender.send(run.copy)?;
        let (_, end) = replies.take()?;
        halves.push((end - start) / 2);
    }
    Csv::new("iceoryx2").latency(&run.metric, run.size, halves.split_off(run.plan.warm));
    Ok(())
}

/// The first message makes the connection: until the receiver has seen it, a full queue would lose in silence.
fn back_to_back(run: &Run, sender: &mut Sender) -> Outcome<()> {
    sender.send(run.copy)?;
    sleep_ms(100);
    for _ in 1..run.plan.total() {
        if sender.send(run.copy)? == 0 {
            return Err("a message reached nobody".into());
        }
    }
    Ok(())
}

/// The receiving process.
pub fn answer(args: &Args) -> Outcome<()> {
    if let Some(cpu) = args.text("cpu") {
        pin_to_cpu(cpu.parse()?)?;
    }
    let run = Run::of(args)?;
    let (line, back) = (run.line("go")?, run.line("back")?);
    let receiver = line.receiver()?;
    let csv = Csv::new("iceoryx2");
    match run.kind.as_str() {
        "oneway" => {
            let mut samples = Vec::with_capacity(run.plan.total());
            for _ in 0..run.plan.total() {
                let (sent, received) = run.take(&receiver)?;
                samples.push(received - sent);
            }
            csv.latency(&run.metric, run.size, samples.split_off(run.plan.warm));
        }
        "pingpong" => {
            back.wait_for_receiver();
            let mut sender = back.sender(run.size, true)?;
            for _ in 0..run.plan.total() {
                receiver.take()?;
                sender.send(run.copy)?;
            }
            sleep_ms(100);
        }
        _ => {
            let mut first = 0;
            for _ in 0..=run.plan.warm {
                first = run.take(&receiver)?.1;
            }
            let mut last = first;
            for _ in 1..run.plan.count {
                last = run.take(&receiver)?.1;
            }
            csv.rate(&run.metric, run.size, run.plan.count - 1, last - first);
        }
    }
    Ok(())
}
