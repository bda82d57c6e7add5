//! Ctrl-C, SIGTERM and SIGHUP, however often.
//!
//! A thread waits for them, so that they work even while the main thread waits for a terminal that nobody reads. It must
//! not know what each of them means.

use std::{
    io,
    thread::{self, JoinHandle},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals},
};

/// Exit code of a process that Ctrl-C ended, as shells report it.
const EXIT_INTERRUPTED: i32 = 130;

/// A thread that waits for signals, until this is dropped.
#[derive(Debug)]
#[must_use = "signals are heard only as long as it lives"]
pub(crate) struct Listener {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Calls `heard` with the number of each signal, from 1 on; after as many as `last` ends this process at once.
pub(crate) fn on_interrupt(last: u32, heard: impl Fn(u32) + Send + 'static) -> io::Result<Listener> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let handle = signals.handle();
    let wait = move || {
        for (number, _) in (1..).zip(signals.forever()) {
            if number > last {
                // The keeper sees this process go, and leaves nothing behind.
                signal_hook::low_level::exit(EXIT_INTERRUPTED);
            }
            heard(number);
        }
    };
    let thread = thread::Builder::new().name("signals".to_owned()).stack_size(64 * 1024).spawn(wait)?;
    Ok(Listener { handle, thread: Some(thread) })
}
