//! `dora topic echo`: messages as they are sent.

use std::{process::ExitCode, time::Duration};

use dora_gateways::TappedMessage;

use super::{
    Looked,
    message::{Shown, shown},
    tap::{Next, Tap, after},
    topic_name,
};
use crate::{
    client::Client,
    command::{ListFormat, print, print_json},
    error::{self, CommandError},
    stdout::while_read,
    units,
    units::show_size,
    words::counted,
};

const EXAMPLES: &str = "\
Examples:
  dora topic echo                          all outputs
  dora topic echo camera/image --count 1
  dora topic echo camera/image lidar/points --duration 10s
  dora topic echo --format json | jq .data

Messages that come faster than they are printed are left out, and how many is told; nodes never wait.";

/// Print messages as they are sent.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    looked: Looked,
    /// How messages are written.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    format: ListFormat,
    /// End after so many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time.
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    duration: Option<Duration>,
}

pub(super) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let (client, _, tap) = arguments.looked.open(true)?;
    client.block_on(while_read(show(arguments, &client, tap))).unwrap_or(Ok(()))?;
    Ok(ExitCode::SUCCESS)
}

async fn show(arguments: &Arguments, client: &Client, mut tap: Tap) -> Result<(), CommandError> {
    let until = after(arguments.duration);
    for _ in 0..arguments.count.unwrap_or(u64::MAX) {
        match tap.next(until).await.map_err(|error| client.explain(error))? {
            Next::Message(message) => write(&message, arguments.format)?,
            Next::Time | Next::End => break,
        }
    }
    Ok(())
}

fn write(message: &TappedMessage, format: ListFormat) -> Result<(), CommandError> {
    let name = topic_name(&message.from);
    if message.missed > 0 {
        let missed = counted(usize::try_from(message.missed).unwrap_or(usize::MAX), "message");
        error::tell_note(&format!("{name}: {missed} left out here, because more came than could be printed"));
    }
    let shown = match shown(name.clone(), message) {
        Ok(shown) => shown,
        Err(reason) => {
            error::tell_line(&format!("{name}: a message cannot be shown: {reason}"));
            return Ok(());
        }
    };
    match format {
        ListFormat::Json => print_json(&shown),
        ListFormat::Table => print(&line(&shown, message.len)),
    }
}

fn line(shown: &Shown, len: u64) -> String {
    let metadata = serde_json::Value::Object(shown.metadata.clone());
    match shown.data.is_null() {
        true => format!("{}\t ({}, too long to be shown)\n", shown.name, show_size(len)),
        false => format!("{}\t data={} metadata={metadata}\n", shown.name, shown.data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::topic::{message::raw, tap::tests::message};

    #[test]
    fn lines_are_those_of_the_reference() {
        let sent = serde_json::json!({ "data": [23], "metadata": { "frame": 1 } });
        let tapped = TappedMessage { message: Some(raw(&sent, None).expect("a message")), ..message(5) };
        let shown = shown("a/o".to_owned(), &tapped).expect("a message");
        assert_eq!(line(&shown, 8), "a/o\t data=[23] metadata={\"frame\":1}\n");
        let json = serde_json::to_string(&shown).expect("values");
        assert_eq!(json, r#"{"timestamp":5,"name":"a/o","data":[23],"metadata":{"frame":1}}"#);
        let long = super::shown("a/o".to_owned(), &message(5)).expect("its frame");
        assert_eq!(line(&long, 1 << 20), "a/o\t (1 MiB, too long to be shown)\n");
    }
}
