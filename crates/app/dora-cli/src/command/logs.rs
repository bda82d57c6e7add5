//! `dora logs`: what nodes print, and have printed.

use std::{process::ExitCode, time::Duration};

use dora_gateways::{DataflowSelector, DispatcherGateway as _, LogChunk, LogLine, LogQuery, LogSource};
use dora_message::{id::NodeId, log::LogLevel};
use dora_rpc::{RpcStream, Streamed};

use super::unwritable;
use crate::{
    choice,
    client::{Client, CoordinatorArgs},
    error::CommandError,
    log::{self, Entry, Filter, Format, Printer, StdoutTrouble},
    stdout::while_read,
    units,
    words::counted,
};

const EXAMPLES: &str = "\
Examples:
  dora logs                            the only dataflow that runs, all nodes
  dora logs camera-rig                 by name, by id, or by the beginning of an id; also when it has ended
  dora logs camera-rig -n camera -f    one node, and what it prints from now on
  dora logs camera-rig --tail 100 --level warn
  dora logs camera-rig --since 10m --grep timeout
  dora logs camera-rig --log-format json | jq .message

Lines that come faster than they are read are left out, the oldest first, and counted in a line of
their own; the log files of the nodes have them all. Nodes never wait for whoever reads their lines.";

/// Show what nodes print, and have printed.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The dataflow; the only one that runs if none is given.
    #[arg(value_name = "UUID_OR_NAME")]
    dataflow: Option<String>,
    /// One node, as in dora 0.x.
    #[arg(value_name = "NODE", conflicts_with_all = ["node", "all_nodes"])]
    only: Option<NodeId>,
    /// Only this node; may be given several times.
    #[arg(short, long, value_name = "NODE", conflicts_with = "all_nodes")]
    node: Vec<NodeId>,
    /// All nodes: what happens without `--node` too.
    #[arg(long)]
    all_nodes: bool,
    /// And then all that come, until the dataflow ends.
    #[arg(short, long)]
    follow: bool,
    /// Only the last so many of what there is.
    #[arg(long, value_name = "LINES")]
    tail: Option<u64>,
    /// Not older than this.
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    since: Option<Duration>,
    /// Older than this.
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration, conflicts_with = "follow")]
    until: Option<Duration>,
    /// The least severe lines to show: error, warn, info, debug, trace, or stdout for everything.
    #[arg(long, value_name = "LEVEL", default_value = "stdout", value_parser = log::parse_level)]
    level: LogLevel,
    /// Only lines that contain this text.
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// How lines look.
    #[arg(long, value_name = "FORMAT", env = "DORA_LOG_FORMAT", value_enum, default_value_t)]
    log_format: Format,
    /// Levels of single nodes: `camera=warn,plot=debug`.
    #[arg(long, value_name = "NODE=LEVEL", value_delimiter = ',', value_parser = log::parse_rule)]
    log_filter: Vec<(NodeId, LogLevel)>,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

impl Arguments {
    fn query(&self) -> LogQuery {
        // What a rule about one node wants must come, whatever the others are to be spared; the filter does the rest.
        let least = self.log_filter.iter().map(|(_, level)| *level).chain([self.level]).max();
        LogQuery {
            nodes: self.only.iter().chain(&self.node).cloned().collect(),
            tail: self.tail,
            since: self.since,
            until: self.until,
            level: least.filter(|level| *level != LogLevel::Stdout),
            grep: self.grep.clone(),
            follow: self.follow,
        }
    }
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let client = Client::connect(&arguments.coordinator)?;
    let query = arguments.query();
    let selector: DataflowSelector = choice::selector(arguments.dataflow.as_deref());
    let dispatcher = client.patient();
    let lines = choice::resolved(&client, selector, async |selector| dispatcher.logs(selector, query.clone()).await)?;
    let filter = Filter::new(arguments.level, arguments.log_filter.clone());
    let printer = Printer::new(arguments.log_format, filter, uuid::Uuid::nil());
    let whole = client.block_on(while_read(show(&client, lines, printer))).unwrap_or(Ok(true))?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints lines until there are none; whether every machine was heard.
async fn show(client: &Client, mut lines: RpcStream<LogChunk>, mut printer: Printer) -> Result<bool, CommandError> {
    let mut whole = true;
    while let Some(next) = lines.next().await.map_err(|error| client.explain(error))? {
        match next {
            Streamed::Item(LogChunk::Lines(lines)) => printer.entries(lines.iter().map(entry)),
            Streamed::Item(LogChunk::Missed(count)) | Streamed::Dropped(count) => {
                printer.entries([Entry::own(None, LogLevel::Warn, missed(count)).on_stdout()]);
            }
            Streamed::Item(LogChunk::Unread { machine, reason }) => {
                whole = false;
                let text = format!("lines of machine `{machine}` are missing here: {reason}");
                printer.own(LogLevel::Warn, text);
            }
        }
        match printer.stdout_trouble() {
            None => {}
            Some(StdoutTrouble::NoReader) => break,
            Some(StdoutTrouble::Failing(error)) => return Err(unwritable(&error)),
        }
    }
    Ok(whole)
}

fn missed(count: u64) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    let count = counted(usize::try_from(count).unwrap_or(usize::MAX), "line");
    format!("{count} {verb} left out here: more came than could be read; the log files have them")
}

fn entry(line: &LogLine) -> Entry<'_> {
    let node = match &line.source {
        LogSource::Node(node) => Some(node),
        LogSource::Dora => None,
    };
    Entry::recorded(line.dataflow.0, node, line)
        .with_target(line.target.clone())
        .with_fields(line.fields.as_deref().and_then(|fields| serde_json::from_str(fields).ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use dora_gateways::DataflowId;
    use dora_message::supervision::OutputStream;

    use super::*;
    use crate::scripted::parsed;

    fn query(line: &str) -> LogQuery {
        let words: Vec<&str> = line.split_whitespace().collect();
        parsed::<Arguments>(&words).expect("a good line").query()
    }

    #[test]
    fn nodes_are_named_in_both_ways() {
        assert_eq!(query("flow camera").nodes, [NodeId::from("camera")]);
        assert_eq!(query("flow -n camera -n plot").nodes, [NodeId::from("camera"), NodeId::from("plot")]);
        assert!(query("flow --all-nodes").nodes.is_empty());
        assert!(parsed::<Arguments>(&["flow", "camera", "-n", "plot"]).is_err());
    }

    #[test]
    fn the_coordinator_sends_what_any_rule_wants() {
        assert_eq!(query("flow").level, None);
        assert_eq!(query("flow --level error").level, Some(LogLevel::Error));
        assert_eq!(query("flow --level error --log-filter a=debug").level, Some(LogLevel::Debug));
        let all = query("flow --level error --log-filter a=stdout --tail 3 --since 1m -f");
        assert_eq!((all.level, all.tail, all.since, all.follow), (None, Some(3), Some(Duration::from_secs(60)), true));
    }

    #[test]
    fn a_line_keeps_what_it_says() {
        let line = LogLine {
            dataflow: DataflowId(uuid::Uuid::nil()),
            source: LogSource::Node("camera".into()),
            time: DateTime::UNIX_EPOCH,
            level: LogLevel::Stdout,
            stream: OutputStream::Stderr,
            target: Some("lens".to_owned()),
            message: "hot".to_owned(),
            fields: Some("{\"celsius\":90}".to_owned()),
        };
        let entry = entry(&line);
        assert_eq!(entry.node, Some(&NodeId::from("camera")));
        assert!(log::line(&entry, Format::Pretty, false).contains(" stderr camera: lens hot"), "where it was printed");
        assert_eq!((&*entry.said.message, entry.said.target.as_deref()), ("hot", Some("lens")));
        assert_eq!(entry.said.fields.map(|fields| fields["celsius"].clone()), Some(90.into()));
        assert!(missed(1).starts_with("1 line was left out") && missed(2).starts_with("2 lines were left out"));
    }
}
