//! The dora command as a library: for programs that run a dataflow themselves, such as the `run.rs` of examples.
//!
//! ```no_run
//! use dora_cli::{Executable, RunCommand};
//!
//! let mut command = RunCommand::new("dataflow.yml".to_owned());
//! command.stop_after = Some(std::time::Duration::from_secs(10));
//! command.execute()?;
//! # Ok::<(), eyre::Report>(())
//! ```
//!
//! This crate knows words, colours and exit codes; what a dataflow means is in dora-descriptor, how it is executed in
//! dora-daemon.

mod cli;
mod command;
mod error;
mod load;
mod log;
mod mermaid;
mod picture;
mod signals;
mod units;
mod unserved;
mod words;

pub use cli::main;
pub use units::{parse_duration, parse_size};
