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

mod artifacts;
mod background;
mod building;
mod choice;
mod cli;
mod client;
mod command;
mod diary;
mod error;
mod figures;
mod fill;
mod histogram;
mod home;
mod load;
mod lockfile;
mod log;
mod mermaid;
mod picture;
mod port_holder;
mod processes;
mod progress;
mod python_module;
#[cfg(test)]
mod scripted;
mod signals;
mod silence;
mod stdout;
mod table;
mod units;
mod unserved;
mod watch;
mod words;

pub use cli::main;
pub use command::run::RunCommand;
pub use dora_descriptor::model::LogLevel;
pub use log::Format as LogFormat;
pub use units::{parse_duration, parse_size};

/// A command that a program can execute.
pub trait Executable {
    /// Does what the `dora` command would do, and reports failure as an error instead of an exit code.
    ///
    /// Signals of this process are listened to from then on, and lines go to its standard streams.
    fn execute(self) -> eyre::Result<()>;
}

impl Executable for RunCommand {
    fn execute(self) -> eyre::Result<()> {
        match command::run::execute(self) {
            Ok(code) if code == std::process::ExitCode::SUCCESS => Ok(()),
            Ok(_) => Err(eyre::eyre!("the dataflow failed")),
            Err(error) => Err(eyre::eyre!(error)),
        }
    }
}

/// Runs a dataflow file. `uv` runs its Python nodes through uv.
pub fn run(dataflow: String, uv: bool) -> eyre::Result<()> {
    let mut command = RunCommand::new(dataflow);
    command.uv = uv;
    command.execute()
}
