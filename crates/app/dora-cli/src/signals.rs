//! Ctrl-C, SIGTERM and SIGHUP: the first stops the dataflow, the second kills it, the third ends this process at once.
//!
//! A thread waits for them, so that they work even while the main thread waits for a terminal that nobody reads.

use std::{io, thread};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// Exit code after the third: as shells report a process that Ctrl-C ended.
const EXIT_INTERRUPTED: i32 = 130;

/// Calls `stop` at the first signal and `kill` at the second.
pub(crate) fn on_interrupt(
    stop: impl FnOnce() + Send + 'static,
    kill: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let wait = move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            stop();
        }
        if signals.next().is_some() {
            kill();
        }
        if signals.next().is_some() {
            // The keeper sees this process go, and leaves nothing behind.
            signal_hook::low_level::exit(EXIT_INTERRUPTED);
        }
    };
    thread::Builder::new().name("signals".to_owned()).stack_size(64 * 1024).spawn(wait).map(drop)
}
