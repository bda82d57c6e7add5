//! A line on the terminal that tells how far something is. Where standard error is no terminal there is none.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// What is done sooner needs no line.
const PATIENCE: Duration = Duration::from_millis(400);
/// Between two changes of the line.
const PAUSE: Duration = Duration::from_millis(100);

/// The line. It is wiped away when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    due: Instant,
    shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), due: Instant::now() + PATIENCE, shown: false }
    }

    /// Shows what `line` says, if it is time to.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.terminal && now >= self.due {
            (self.due, self.shown) = (now + PAUSE, true);
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[2K{}", line()).and_then(|()| stderr.flush());
        }
    }

    /// Waits for something, and tells every second how long it has been waited for.
    pub(crate) async fn waiting<T>(mut self, what: &str, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let mut work = std::pin::pin!(work);
        loop {
            if !self.terminal {
                return work.await;
            }
            let next = self.due.into();
            match tokio::time::timeout_at(next, &mut work).await {
                Ok(done) => return done,
                Err(_) => {
                    self.tell(|| format!("{what} ... {} s", started.elapsed().as_secs()));
                    self.due = Instant::now() + Duration::from_secs(1);
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[2K").and_then(|()| stderr.flush());
        }
    }
}
