//! What executes dataflows on one machine: finds the programs, starts a keeper, follows what it reports, and says in the
//! end how each node fared.
//!
//! ```no_run
//! use std::path::Path;
//! use dora_daemon::{Event, Execution, PrepareOptions, become_subreaper, prepare};
//! use dora_gateways::DataflowEvent;
//!
//! let loaded = dora_descriptor::load(Path::new("dataflow.yml"), &dora_descriptor::Options::default())?;
//! let prepared = prepare(&loaded.dataflow, Path::new("."), &PrepareOptions::default())?;
//! become_subreaper()?;
//! let mut execution = Execution::start(&std::env::current_exe()?, &prepared.plan)?;
//! loop {
//!     match execution.next_event(None) {
//!         Event::Happened(DataflowEvent::Lines { node, lines, .. }) => println!("{node}: {lines:?}"),
//!         Event::Finished(outcome) => break assert!(outcome.is_success()),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order: [`Build`] brings what is not there yet; [`prepare()`](fn@prepare) from a dataflow to a launch plan;
//! [`Keeper`] the process that executes it; [`Execution`] what happens; [`Adopted`] what runs already; [`Outcome`](dora_gateways::Outcome) how it ended;
//! [`Daemon`] all of that as an endpoint that a coordinator drives. This crate decides
//! (policy); how processes are made and channels brokered is in dora-keeper. It must not know of terminals, colours or
//! exit codes of commands.

mod adopted;
mod adoption;
mod build;
mod execution;
mod executor;
mod keeper;
mod lines;
mod outcome;
mod prepare;
mod python;
mod tap;

pub use adopted::{Adopted, AdoptedNode, LeftReport, ReportError, read_report};
pub use adoption::become_subreaper;
pub use build::{
    Build, BuildControl, BuildError, BuildOptions, BuildProblem, FailedLine, Pins, PinsError, Refresh, Sources,
};
pub use dora_message::result::NodeResult;
pub use execution::{Event, Execution};
pub use executor::{Daemon, DaemonOptions, Home, Lasting, Orphan, RegistrationError, file_identity, stop_orphans};
pub use keeper::{AdoptError, Control, Keeper, KeeperError, Owner, Received, adoptable, incarnation};
pub use prepare::{Mistake, PrepareError, PrepareOptions, Prepared, Problem, default_memory_budget, prepare};
pub use python::{Imported, Interpreter, PythonModule, Stranger, imported, interpreter};
pub use tap::{TapEnd, TapReader, Tapped};
