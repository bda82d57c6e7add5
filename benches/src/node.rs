//! A benchmark node of many roles, against the public node API alone: `bench-node` for this project, and the same source
//! for dora-rs in `peers/dora-rs`. What it does is set by environment variables, which the driver writes into the flow.
//!
//! | `BENCH_ROLE` | inputs, outputs | does |
//! |---|---|---|
//! | `sender` | -, `out` | sends `BENCH_SIZE` bytes each `BENCH_GAP_MS` (0: back to back) |
//! | `receiver` | `in`, - | a latency row, or a rate row when the gap is 0, and what was lost |
//! | `ping` | `in`, `out` | half round trips |
//! | `pong`, `relay` | `in`, `out` | forwards each message as it came |
//! | `ticker` | `tick`, `out` | sends a number at once, and with each of `BENCH_TICKS` ticks |
//! | `stamp` | `in`, - | writes the time of its start, set-up and first message, and its open descriptors |
//! | `blocked` | -, `out` | sends until a call took over 200 ms, then writes the time that this call returned |
//! | `stuck` | `in`, - | receives nothing; kills itself with SIGKILL after a second |
//! | `mortal` | any, `out` | sends a message, then kills itself; the next attempt only sends |
//! | `watcher` | `in`, - | writes the time of the second message, and ends |
//! | `idle` | any | waits for the end |
//! | `printer` | - | prints `BENCH_COUNT` lines of `BENCH_SIZE` bytes, `BENCH_LINES_PER_MS` at a time (0: all at once), and a rate row |
//!
//! `BENCH_VARIANT`: `inplace` writes 8 bytes into the message, `copy` copies the whole payload in, `value` sends one
//! number as an Arrow array. `BENCH_BARE`: the memory of a bare bell, which is rung after each message. `BENCH_RECV`: `blocking`, `tokio` or `futures`. `BENCH_CPU`: the CPU to stay on.

use bench_common::{Bare, Csv, GAP_MS, Outcome, Plan, now_ns, pin_to_cpu, sleep_ms};
use dora_node_api::{DoraArray, DoraNode, Event, EventStream, MetadataParameters, dora_core::config::DataId};
use std::{fs::OpenOptions, io::Write, str::FromStr};

/// Runs the role of this process until its dataflow ends.
pub fn run() -> Outcome<()> {
    let started = now_ns();
    if let Some(cpu) = text("BENCH_CPU") {
        pin_to_cpu(cpu.parse()?)?;
    }
    let (node, events) = DoraNode::init_from_env()?;
    let ready = now_ns();
    match text("BENCH_ROLE").as_deref() {
        Some("sender") => send_all(node),
        Some("receiver") => receive_all(events),
        Some("ping") => ping(node, events),
        Some("pong" | "relay") => relay(node, events),
        Some("ticker") => tick(node, events),
        Some("stamp") => stamp_first(events, started, ready),
        Some("blocked") => send_until_released(node),
        Some("stuck") => die(),
        Some("mortal") => send_and_die(node),
        Some("watcher") => watch(events),
        Some("idle") => idle(events),
        Some("printer") => print_lines(),
        role => Err(format!("BENCH_ROLE: unknown role {role:?}").into()),
    }
}

fn text(key: &str) -> Option<String> {
    std::env::var(key).ok().filter(|value| !value.is_empty())
}

fn number<T: FromStr>(key: &str, default: T) -> T {
    text(key).and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn output() -> DataId {
    DataId::from("out".to_string())
}

fn plan() -> Plan {
    Plan { warm: number("BENCH_WARM", 20), count: number("BENCH_COUNT", 400) }
}

fn send_all(mut node: DoraNode) -> Outcome<()> {
    let (out, gap) = (output(), number("BENCH_GAP_MS", GAP_MS));
    let variant = text("BENCH_VARIANT").unwrap_or_default();
    let bare = bare()?;
    let mut payload = vec![7u8; number("BENCH_SIZE", 8)];
    sleep_ms(number("BENCH_SETTLE_MS", 200));
    for _ in 0..plan().total() {
        if gap > 0 {
            sleep_ms(gap);
        }
        let (now, parameters) = (now_ns(), MetadataParameters::default());
        match variant.as_str() {
            "value" => node.send_output(out.clone(), parameters, now)?,
            "copy" => {
                payload[..8].copy_from_slice(&now.to_ne_bytes());
                node.send_output_bytes(out.clone(), parameters, payload.len(), &payload)?;
            }
            _ => node.send_output_raw(out.clone(), parameters, payload.len(), |message| {
                message[..8].copy_from_slice(&now.to_ne_bytes());
            })?,
        }
        if let Some(bare) = &bare {
            sleep_ms(gap);
            bare.ring()?;
        }
    }
    Ok(())
}

/// The bell that is rung in between the messages, if one is.
fn bare() -> Outcome<Option<Bare>> {
    Ok(text("BENCH_BARE").map(|path| Bare::open(&path)).transpose()?)
}

/// The time that the sender wrote, whether it sent a number or bytes.
fn sent_at(data: &DoraArray, is_number: bool) -> Option<u64> {
    if is_number {
        return u64::try_from(data).ok();
    }
    let bytes: &[u8] = data.try_into().ok()?;
    bytes.first_chunk().map(|stamp| u64::from_ne_bytes(*stamp))
}

fn receive_all(events: EventStream) -> Outcome<()> {
    let (plan, gap) = (plan(), number("BENCH_GAP_MS", GAP_MS));
    let is_number = text("BENCH_VARIANT").as_deref() == Some("value");
    let mut samples = Vec::with_capacity(if gap > 0 { plan.total() } else { 0 });
    let (mut bare, mut wakes) = (bare()?, Vec::new());
    let (mut seen, mut first, mut last) = (0, 0, 0);
    for_each_event(events, |event| {
        if let Event::Input { data, .. } = event {
            last = now_ns();
            if seen == plan.warm {
                first = last;
            }
            seen += 1;
            if gap > 0 {
                samples.extend(sent_at(&data, is_number).map(|sent| (sent, last - sent)));
            }
            drop(data);
            wakes.extend(bare.as_mut().map(Bare::wait));
        }
    })?;
    let (csv, metric, size) = (Csv::new("dora"), text("BENCH_METRIC").unwrap_or_default(), number("BENCH_SIZE", 8));
    let measured = samples.split_off(plan.warm.min(samples.len()));
    if !wakes.is_empty() {
        let wakes = wakes.split_off(plan.warm.min(wakes.len()));
        Csv::named("floor").latency(&format!("futex_beside_{metric}"), size, wakes);
    }
    if gap > 0 {
        record("BENCH_RAW", &measured.iter().map(|(sent, span)| format!("{sent},{span}\n")).collect::<String>())?;
        csv.latency(&metric, size, measured.into_iter().map(|(_, span)| span).collect());
    } else {
        csv.rate(&metric, size, seen.saturating_sub(plan.warm + 1), last - first);
    }
    let lost = plan.total() as f64 - seen as f64;
    csv.value(&format!("{metric}_lost"), size, lost, lost, plan.total());
    Ok(())
}

/// Calls `act` with every event until the stream ends, in the way that `BENCH_RECV` names.
fn for_each_event(mut events: EventStream, mut act: impl FnMut(Event)) -> Outcome<()> {
    match text("BENCH_RECV").as_deref().unwrap_or("blocking") {
        "blocking" => {
            while let Some(event) = events.recv() {
                act(event);
            }
        }
        "tokio" => tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(await_all(events, act)),
        "futures" => dora_node_api::futures::executor::block_on(await_all(events, act)),
        way => return Err(format!("BENCH_RECV: unknown way `{way}`").into()),
    }
    Ok(())
}

async fn await_all(mut events: EventStream, mut act: impl FnMut(Event)) {
    while let Some(event) = events.recv_async().await {
        act(event);
    }
}

/// Waits for the next message; false if the dataflow ends instead.
fn next_input(events: &mut EventStream) -> bool {
    loop {
        match events.recv() {
            Some(Event::Input { .. }) => return true,
            Some(Event::Stop(_)) | None => return false,
            Some(_) => {}
        }
    }
}

fn ping(mut node: DoraNode, mut events: EventStream) -> Outcome<()> {
    let (out, plan) = (output(), plan());
    let mut halves = Vec::with_capacity(plan.total());
    sleep_ms(number("BENCH_SETTLE_MS", 200));
    for _ in 0..plan.total() {
        let start = now_ns();
        node.send_output(out.clone(), MetadataParameters::default(), start)?;
        if !next_input(&mut events) {
            break;
        }
        halves.push((now_ns() - start) / 2);
    }
    let measured = halves.split_off(plan.warm.min(halves.len()));
    Csv::new("dora").latency(&text("BENCH_METRIC").unwrap_or_default(), 8, measured);
    Ok(())
}

fn relay(mut node: DoraNode, mut events: EventStream) -> Outcome<()> {
    let out = output();
    while let Some(event) = events.recv() {
        if let Event::Input { data, .. } = event {
            node.send_output(out.clone(), MetadataParameters::default(), data)?;
        }
    }
    Ok(())
}

fn tick(mut node: DoraNode, mut events: EventStream) -> Outcome<()> {
    let out = output();
    for _ in 0..number("BENCH_TICKS", 100) {
        node.send_output(out.clone(), MetadataParameters::default(), now_ns())?;
        if !next_input(&mut events) {
            break;
        }
    }
    record("BENCH_STAMPS", &format!("source_descriptors,{}\n", open_descriptors()?))
}

fn stamp_first(mut events: EventStream, started: u64, ready: u64) -> Outcome<()> {
    while let Some(event) = events.recv() {
        if let Event::Input { .. } = event {
            let (first, descriptors) = (now_ns(), open_descriptors()?);
            let rows = format!("started,{started}\nready,{ready}\nfirst,{first}\nsink_descriptors,{descriptors}\n");
            record("BENCH_STAMPS", &rows)?;
            break;
        }
    }
    idle(events)
}

fn send_until_released(mut node: DoraNode) -> Outcome<()> {
    let out = output();
    loop {
        let start = now_ns();
        // The call that was blocked may return an error: its consumer is gone. Its return is what counts.
        let result = node.send_output(out.clone(), MetadataParameters::default(), start);
        let end = now_ns();
        if end - start > 200_000_000 {
            return record("BENCH_STAMPS", &format!("released,{end}\n"));
        }
        result?;
    }
}

fn die() -> Outcome<()> {
    sleep_ms(1000);
    record("BENCH_STAMPS", &format!("killed,{}\n", now_ns()))?;
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
    Ok(())
}

/// Prints lines in bursts every ten milliseconds, by the clock.
fn print_lines() -> Outcome<()> {
    const BURST_MS: u64 = 10;
    let (count, size): (usize, usize) = (number("BENCH_COUNT", 100_000), number("BENCH_SIZE", 100));
    let burst = number("BENCH_LINES_PER_MS", 0_usize) * BURST_MS as usize;
    let line = format!("{:.>1$}\n", " a line of a log", size.saturating_sub(1));
    let (started, mut bursts) = (now_ns(), 0);
    let mut out = std::io::stdout().lock();
    for printed in 1..=count {
        out.write_all(line.as_bytes())?;
        if burst > 0 && printed % burst == 0 {
            bursts += 1;
            sleep_ms((bursts * BURST_MS).saturating_sub((now_ns() - started) / 1_000_000));
        }
    }
    Csv::new("dora").rate(&text("BENCH_METRIC").unwrap_or_default(), size, count, now_ns() - started);
    Ok(())
}

fn send_and_die(mut node: DoraNode) -> Outcome<()> {
    let died_before = std::fs::read_to_string(text("BENCH_STAMPS").unwrap_or_default())?.contains("killed");
    node.send_output(output(), MetadataParameters::default(), now_ns())?;
    if died_before { Ok(()) } else { die() }
}

fn watch(mut events: EventStream) -> Outcome<()> {
    if next_input(&mut events) && next_input(&mut events) {
        record("BENCH_STAMPS", &format!("revived,{}\n", now_ns()))?;
    }
    Ok(())
}

fn idle(mut events: EventStream) -> Outcome<()> {
    while events.recv().is_some() {}
    Ok(())
}

fn open_descriptors() -> std::io::Result<usize> {
    // The directory itself is open while it is read.
    Ok(std::fs::read_dir("/proc/self/fd")?.count() - 1)
}

/// Appends `rows` to the file that the variable `key` names, in one write; nothing if it is not set.
fn record(key: &str, rows: &str) -> Outcome<()> {
    let Some(path) = text(key) else { return Ok(()) };
    Ok(OpenOptions::new().create(true).append(true).open(path)?.write_all(rows.as_bytes())?)
}
