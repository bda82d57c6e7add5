//! Lines of nodes, and of dora itself, on their way to the terminal.
//!
//! `entry` says what a line means, `filter` whether it is wanted, `format` how it looks, `printer` writes it.

mod entry;
mod filter;
mod format;
mod printer;

pub(crate) use entry::Entry;
pub(crate) use filter::{Filter, parse_level, parse_rule};
pub use format::Format;
pub(crate) use format::line;
pub(crate) use printer::{Printer, StdoutTrouble};
