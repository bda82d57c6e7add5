//! `dora topic info`: what an output sends, how much of it, and to whom.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use dora_descriptor::Dataflow;
use dora_gateways::{DispatcherError, OutputId, TappedMessage};
use serde::Serialize;

use super::{
    Looked, list,
    tap::{Next, Tap, after},
    topic_name,
};
use crate::{
    command::{OutputFormat, print, print_json},
    error::CommandError,
    load,
    progress::Progress,
    units,
};

const EXAMPLES: &str = "\
Examples:
  dora topic info camera/image
  dora topic info --duration 1s            all outputs
  dora topic info camera/image --format json";

/// Show what outputs send: type, rate, bandwidth, consumers.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    looked: Looked,
    /// How long they are looked at.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = units::parse_duration)]
    duration: Duration,
    /// How it is written; JSON is one object per line.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    format: OutputFormat,
}

/// An output as programs read it.
#[derive(Debug, PartialEq, Serialize)]
struct Report {
    name: String,
    /// URN of the type, if the dataflow file says it.
    #[serde(rename = "type")]
    type_urn: Option<String>,
    publisher: String,
    hz: f64,
    /// `node/input`.
    subscribers: Vec<String>,
    messages: u64,
    /// Megabits per second.
    bandwidth_mbps: f64,
}

/// What was seen of an output.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Seen {
    messages: u64,
    bytes: u64,
}

impl Seen {
    /// What was left out counts like the one that came.
    fn note(&mut self, message: &TappedMessage) {
        let count = message.missed + 1;
        self.messages += count;
        self.bytes += message.len * count;
    }
}

pub(super) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let (client, info, tap) = arguments.looked.open(false)?;
    let dataflow = load::of_coordinator(&info)?;
    let seen = client.run(Progress::new().waiting("looking", look(tap, arguments.duration)))?;
    for report in reports(&dataflow, &arguments.looked.topics, &seen, arguments.duration) {
        match arguments.format {
            OutputFormat::Json => print_json(&report)?,
            OutputFormat::Text => print(&text(&report))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn look(mut tap: Tap, time: Duration) -> Result<BTreeMap<OutputId, Seen>, DispatcherError> {
    let until = after(Some(time));
    let mut seen: BTreeMap<OutputId, Seen> = BTreeMap::new();
    while let Next::Message(message) = tap.next(until).await? {
        seen.entry(message.from.clone()).or_default().note(&message);
    }
    Ok(seen)
}

fn reports(dataflow: &Dataflow, wanted: &[OutputId], seen: &BTreeMap<OutputId, Seen>, time: Duration) -> Vec<Report> {
    let seconds = time.as_secs_f64().max(f64::MIN_POSITIVE);
    let report = |topic: list::Topic| {
        let id = OutputId { node: topic.node.clone(), output: topic.name.clone() };
        let Seen { messages, bytes } = seen.get(&id).copied().unwrap_or_default();
        let output = dataflow.node(&topic.node).and_then(|node| node.outputs.get(&topic.name));
        Report {
            name: topic_name(&id),
            type_urn: output.and_then(|output| output.type_urn.clone()),
            publisher: topic.node.to_string(),
            hz: messages as f64 / seconds,
            subscribers: topic.subscribers,
            messages,
            bandwidth_mbps: bytes as f64 * 8.0 / 1e6 / seconds,
        }
    };
    let topics = list::topics(dataflow).into_iter();
    let is_wanted = |topic: &list::Topic| {
        wanted.is_empty() || wanted.iter().any(|id| (&id.node, &id.output) == (&topic.node, &topic.name))
    };
    topics.filter(is_wanted).map(report).collect()
}

fn text(report: &Report) -> String {
    let subscribers = match report.subscribers.as_slice() {
        [] => "  -".to_owned(),
        all => all.iter().map(|subscriber| format!("  {subscriber}")).collect::<Vec<_>>().join("\n"),
    };
    format!(
        "Topic: {}\nType: {}\nPublisher: {} ({:.2} Hz)\nSubscribers:\n{subscribers}\nStatistics:\n  Total messages: {}\n  \
         Bandwidth: {:.3} Mbps\n",
        report.name,
        report.type_urn.as_deref().unwrap_or("-"),
        report.publisher,
        report.hz,
        report.messages,
        report.bandwidth_mbps
    )
}

#[cfg(test)]
mod tests {
    use dora_descriptor::Options;

    use super::*;
    use crate::command::topic::tap::tests::message;

    #[test]
    fn what_was_seen_becomes_rates() {
        let text_of_file = "
nodes:
  - { id: camera, path: camera.py, outputs: [image, sound] }
  - { id: plot, path: plot.py, inputs: { picture: camera/image } }";
        let loaded = dora_descriptor::parse("dataflow.yml", text_of_file, &Options::default()).expect("a dataflow");
        let mut seen = Seen::default();
        seen.note(&message(1));
        seen.note(&TappedMessage { missed: 8, ..message(2) });
        let wanted = message(1).from;
        let seen = [(wanted.clone(), seen)].into();
        let reports = reports(&loaded.dataflow, &[wanted], &seen, Duration::from_secs(2));
        assert_eq!(reports.len(), 1);
        expect_test::expect![[r#"
            Topic: camera/image
            Type: -
            Publisher: camera (5.00 Hz)
            Subscribers:
              plot/picture
            Statistics:
              Total messages: 10
              Bandwidth: 0.040 Mbps
        "#]]
        .assert_eq(&text(&reports[0]));
        assert_eq!(super::reports(&loaded.dataflow, &[], &seen, Duration::from_secs(2)).len(), 2);
    }
}
