//! The daemon as an endpoint: what a coordinator asks of a machine.
//!
//! In reading order: `daemon` the whole as its process holds it, `options` what it is started with; `registration` how a
//! coordinator comes to know it; `endpoint` and `asked` what it is asked. A dataflow is a `run`, shared between the endpoint and a
//! `worker`, the thread that finds its `place`, takes its `part` of the dataflow, builds and prepares it, has a keeper run it
//! and follows that to the end (`follow`). Keepers outlive the daemon (`keeping`), and the next one takes them up (`takeover`). What
//! happens goes to a `feed`, which has a `queue` for each subscriber, and to a `board`, from which `report` tells the
//! master; a `stopper` stops it whatever it is doing. `building` is also what is built without being started.
//!
//! What is asked of a dataflow besides: its lines (`logs`; `recent` are the last ones, a `record` tells where they are kept
//! after its end), its `metrics` (`figures` of its keeper, `processes` as the system counts them), and what its outputs send
//! (`taps`). `shutdown` is the end of it all; `orphans` are those whose daemon does not come back.
//!
//! Handlers never wait: what does is in threads and tasks of its own. Nothing here prints.

mod asked;
mod board;
mod building;
mod daemon;
mod endpoint;
mod feed;
mod figures;
mod follow;
mod keeping;
mod logs;
mod metrics;
mod now;
mod options;
mod orphans;
mod part;
mod place;
mod processes;
mod queue;
mod recent;
mod record;
mod registration;
mod report;
mod run;
mod shutdown;
mod stopper;
mod takeover;
mod taps;
mod trouble;
mod worker;

pub use daemon::Daemon;
pub use options::{DaemonOptions, Home, Lasting};
pub use orphans::{Orphan, stop_orphans};
pub use place::file_identity;
pub use registration::RegistrationError;
