//! `dora topic hz`: how often messages come, and how regularly.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use dora_gateways::{OutputId, TappedMessage};

use super::{
    Looked,
    tap::{Next, Tap, after},
    topic_name,
};
use crate::{
    client::{Client, CtrlC},
    command::{keys::Keys, print},
    error::CommandError,
    stdout::while_read,
    table::{self, Align},
    units,
};

const EXAMPLES: &str = "\
Examples:
  dora topic hz                            all outputs, every second, until `q` or Ctrl-C
  dora topic hz camera/image --window 100
  dora topic hz --duration 5s              measure, then print one table for programs (TSV)

Intervals are those between two messages as they were sent; the last --window of each output count.";

/// How often the table is shown while it goes on.
const PERIOD: Duration = Duration::from_secs(1);

/// Measure how often messages are sent.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    looked: Looked,
    /// Intervals that count.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Measure for this time, and print the result once.
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    duration: Option<Duration>,
}

pub(super) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let (client, _, tap) = arguments.looked.open(false)?;
    let mut meter = Meter::new(arguments.window as usize);
    match arguments.duration {
        Some(duration) => {
            client.block_on(measure(&client, tap, &mut meter, duration))?;
            print(&tsv(&meter))?;
        }
        None => show_on(&client, tap, &mut meter)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(client: &Client, mut tap: Tap, meter: &mut Meter, time: Duration) -> Result<(), CommandError> {
    let until = after(Some(time));
    while let Next::Message(message) = tap.next(until).await.map_err(|error| client.explain(error))? {
        meter.note(&message);
    }
    Ok(())
}

/// Shows the table until the dataflow ends, or somebody has seen enough.
fn show_on(client: &Client, tap: Tap, meter: &mut Meter) -> Result<(), CommandError> {
    let unusable = |error| CommandError::failed(format!("the terminal cannot be used: {error}"));
    let Some(mut keys) = Keys::of_terminal().map_err(unusable)? else {
        return client.block_on(while_read(refresh(client, tap, meter, "\n"))).unwrap_or(Ok(()));
    };
    // SIGTERM must not leave the terminal as it is now.
    let mut ctrl_c = CtrlC::listen()?;
    client.block_on(async {
        tokio::select! {
            biased;
            () = keys.quit() => Ok(()),
            _ = ctrl_c.next() => Ok(()),
            shown = refresh(client, tap, meter, "\r\n") => shown,
        }
    })
}

async fn refresh(client: &Client, mut tap: Tap, meter: &mut Meter, line_end: &'static str) -> Result<(), CommandError> {
    let mut screen = Screen { line_end, lines: 0 };
    let mut due = after(Some(PERIOD));
    loop {
        match tap.next(due).await.map_err(|error| client.explain(error))? {
            Next::Message(message) => meter.note(&message),
            Next::Time => {
                screen.show(&people(meter))?;
                due = due.map(|due| due + PERIOD);
            }
            Next::End => return screen.show(&people(meter)),
        }
    }
}

/// The table, again and again in its place where that is possible.
struct Screen {
    /// What ends a line on it.
    line_end: &'static str,
    lines: usize,
}

impl Screen {
    fn show(&mut self, lines: &[String]) -> Result<(), CommandError> {
        let up = match self.lines {
            count if count > 0 && io::stdout().is_terminal() => format!("\x1b[{count}A\x1b[J"),
            _ => String::new(),
        };
        self.lines = lines.len();
        print(&format!("{up}{}{}", lines.join(self.line_end), self.line_end))
    }
}

/// The last intervals of each output.
struct Meter {
    window: usize,
    topics: BTreeMap<OutputId, Times>,
}

#[derive(Default)]
struct Times {
    last_ns: Option<u64>,
    intervals_ns: VecDeque<u64>,
}

/// Of some intervals, in milliseconds.
#[derive(Debug, PartialEq)]
struct Statistics {
    avg: f64,
    min: f64,
    max: f64,
    std: f64,
    samples: usize,
}

impl Meter {
    fn new(window: usize) -> Self {
        Self { window, topics: BTreeMap::new() }
    }

    fn note(&mut self, message: &TappedMessage) {
        let times = self.topics.entry(message.from.clone()).or_default();
        // The interval to one that was not seen is not that to the last one that was.
        if let Some(last) = times.last_ns.filter(|_| message.missed == 0) {
            times.intervals_ns.push_back(message.time_ns.saturating_sub(last));
            if times.intervals_ns.len() > self.window {
                times.intervals_ns.pop_front();
            }
        }
        times.last_ns = Some(message.time_ns);
    }

    /// Each output with its statistics, then all of them together.
    fn rows(&self) -> impl Iterator<Item = (String, Option<Statistics>)> {
        let topics = self.topics.iter().map(|(topic, times)| (topic_name(topic), statistics(&times.intervals_ns)));
        let all: VecDeque<u64> = self.topics.values().flat_map(|times| times.intervals_ns.iter().copied()).collect();
        topics.chain([("ALL".to_owned(), statistics(&all))])
    }
}

fn statistics(intervals_ns: &VecDeque<u64>) -> Option<Statistics> {
    let ms: Vec<f64> = intervals_ns.iter().map(|nanos| *nanos as f64 / 1e6).collect();
    let samples = ms.len();
    if samples == 0 {
        return None;
    }
    let avg = ms.iter().sum::<f64>() / samples as f64;
    let variance = ms.iter().map(|value| (value - avg).powi(2)).sum::<f64>() / samples as f64;
    let (min, max) = ms.iter().fold((f64::INFINITY, 0.0_f64), |(min, max), value| (min.min(*value), max.max(*value)));
    Some(Statistics { avg, min, max, std: variance.sqrt(), samples })
}

impl Statistics {
    fn hz(&self) -> f64 {
        if self.avg > 0.0 { 1000.0 / self.avg } else { 0.0 }
    }

    fn cells(&self) -> [String; 6] {
        let number = |value: f64| format!("{value:.3}");
        let Self { avg, min, max, std, samples } = self;
        [number(*avg), number(self.hz()), number(*min), number(*max), number(*std), samples.to_string()]
    }
}

const HEAD: [&str; 7] = ["topic", "avg_ms", "avg_hz", "min_ms", "max_ms", "std_ms", "samples"];

fn cells(name: String, statistics: Option<Statistics>) -> Vec<String> {
    let cells = statistics.map_or_else(|| [const { String::new() }; 6].map(|_| "-".to_owned()), |known| known.cells());
    std::iter::once(name).chain(cells).collect()
}

fn tsv(meter: &Meter) -> String {
    let rows = meter.rows().map(|(name, statistics)| cells(name, statistics).join("\t"));
    let head = HEAD.join("\t");
    std::iter::once(head).chain(rows).map(|line| line + "\n").collect()
}

fn people(meter: &Meter) -> Vec<String> {
    let head: Vec<(&str, Align)> =
        HEAD.iter().map(|title| (*title, if *title == "topic" { Align::Left } else { Align::Right })).collect();
    let rows: Vec<Vec<String>> =
        meter.rows().filter(|(name, _)| name != "ALL").map(|(name, statistics)| cells(name, statistics)).collect();
    table::lines(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::topic::tap::tests::message;

    #[test]
    fn the_last_intervals_count() {
        let mut meter = Meter::new(2);
        for millisecond in [0, 100, 110, 130] {
            meter.note(&message(millisecond));
        }
        let expected = "topic\tavg_ms\tavg_hz\tmin_ms\tmax_ms\tstd_ms\tsamples\n\
                        camera/image\t15.000\t66.667\t10.000\t20.000\t5.000\t2\n\
                        ALL\t15.000\t66.667\t10.000\t20.000\t5.000\t2\n";
        assert_eq!(tsv(&meter), expected);
        assert_eq!(people(&meter).len(), 2);
    }

    #[test]
    fn one_message_has_no_interval_and_a_gap_is_none() {
        let mut meter = Meter::new(5);
        meter.note(&message(5));
        assert!(tsv(&meter).contains("camera/image\t-\t-"));
        meter.note(&TappedMessage { missed: 3, ..message(500) });
        meter.note(&message(510));
        assert!(tsv(&meter).contains("camera/image\t10.000\t100.000"));
    }
}
