//! One small process per dataflow and machine: spawns the nodes, brokers their channels, reads what they print, reaps
//! them, and ends everything when it must.
//!
//! ```no_run
//! # use std::process::ExitCode;
//! // The hidden command `dora keeper` is this and nothing else:
//! fn keeper_command() -> ExitCode {
//!     dora_keeper::run()
//! }
//! ```
//!
//! It has one thread with one loop, and a second one that only writes the log files; both sleep when nothing happens. It
//! knows mechanisms only: which program runs where, and what its result means, is decided by the supervisor at the other
//! end of its socket ([`dora_message::supervision`]). What it says to nodes is [`dora_message::keeper`].
//!
//! Under `dora run` it ends with its supervisor. Under a daemon it is started with `--lasting` and goes on when that is
//! killed, hangs or is replaced: nothing of it waits for a supervisor, and the next one is let in and told what runs
//! ([`dora_message::supervision::KeeperState`]). Without one it stops its nodes after some time and leaves a file.
//!
//! In reading order: [`start`](mod@start) how it begins, `guard` who cleans up after it, `event_loop` the loop,
//! `supervisor` what it is told, `vigil` and `event_loop::orphan` how it goes on alone, `dataflow` the nodes together
//! (`barrier`, `ends`, `restarts`, `orders`, `taps`, `publish`, `stopping`, `dynamic`, `picture`), `node` one of them,
//! `spawn` and `program` its process, `listener` who knocks, `guest` a process that joins by itself, `conversation` what is
//! said to it, `broker` what it is given, `stdio`, `log` and `last_lines` what it prints, `watchdog` and `stragglers` how
//! long it may take, `restart` whether it is started again, `stop` how it ends, [`cleanup`] what it leaves behind;
//! `outbox`, `poller` and `signals` are tools.

mod broker;
pub mod cleanup;
mod conversation;
mod dataflow;
mod event_loop;
mod guard;
mod guest;
mod last_lines;
mod listener;
mod log;
mod node;
mod outbox;
mod poller;
mod program;
mod restart;
mod signals;
mod spawn;
pub mod start;
mod stdio;
mod stop;
mod stragglers;
mod supervisor;
mod vigil;
mod watchdog;

use std::process::ExitCode;

/// Is a keeper until its dataflow is over: the whole of `dora keeper`, which `--lasting` lets outlive its supervisor.
/// Standard input is the socket to the supervisor that started it with [`start::start`].
///
/// Call it from the main thread of a process that has no other thread yet: nodes die with the thread that started them.
pub fn run() -> ExitCode {
    let inheritance = spawn::Inheritance::keep_and_raise_limits();
    let settled = match start::settle(start::Bond::of_this_process()) {
        Ok(start::Settled::Guard(guard)) => return guard.stand(),
        Ok(start::Settled::Keeper(supervisor)) => Ok(supervisor),
        Err(error) => Err(error),
    };
    match settled.and_then(|supervisor| event_loop::Keeper::new(supervisor, inheritance)?.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the supervisor's; whoever starts `dora keeper` by hand reads it too.
            eprintln!("dora keeper: {error}; it is started by `dora run`, not by hand");
            ExitCode::FAILURE
        }
    }
}
