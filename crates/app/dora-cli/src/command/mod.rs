//! One file per command: its arguments, its help, what it does.

pub(crate) mod build;
pub(crate) mod clean;
pub(crate) mod completion;
pub(crate) mod context;
pub(crate) mod coordinator;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod expand;
pub(crate) mod graph;
mod keys;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod new;
pub(crate) mod node;
pub(crate) mod restart;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod system;
pub(crate) mod top;
pub(crate) mod topic;
pub(crate) mod up;
pub(crate) mod validate;

use std::io;

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    error::{CommandError, without_number},
    table::{self, Align},
};

/// How a result is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    #[default]
    Text,
    Json,
}

/// How a list is written: for people, or one JSON object per line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    #[default]
    Table,
    Json,
}

/// Writes a list to standard output: `row` is what programs get of an item, `cells` what people do.
fn print_rows<'a, T, R: Serialize>(
    format: ListFormat,
    head: &[(&str, Align)],
    items: &'a [T],
    row: impl Fn(&'a T) -> R,
    cells: impl Fn(&'a T) -> Vec<String>,
) -> Result<(), CommandError> {
    match format {
        ListFormat::Table => {
            let rows: Vec<Vec<String>> = items.iter().map(cells).collect();
            print(&(table::lines(head, &rows).join("\n") + "\n"))
        }
        ListFormat::Json => items.iter().try_for_each(|item| print_json(&row(item))),
    }
}

/// Writes a result to standard output. Whoever closed it does not want the rest.
fn print(text: &str) -> Result<(), CommandError> {
    write_to(&mut io::stdout().lock(), text)
}

/// The same for text with colours, which go only where they are wanted.
fn print_styled(text: &str) -> Result<(), CommandError> {
    write_to(&mut anstream::stdout().lock(), text)
}

/// Writes a result as one line of JSON.
fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    let json = serde_json::to_string(value).map_err(|error| CommandError::failed(error.to_string()))?;
    print(&format!("{json}\n"))
}

fn write_to(stdout: &mut impl io::Write, text: &str) -> Result<(), CommandError> {
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritable(&error)),
        _ => Ok(()),
    }
}

/// Standard output takes nothing: a full disk, say.
fn unwritable(error: &io::Error) -> CommandError {
    CommandError::failed(format!("cannot write to standard output: {}", without_number(&error.to_string())))
}
