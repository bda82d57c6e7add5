//! How far something is: on a terminal a line that changes, elsewhere a few plain lines.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use crate::error::tell_line;

/// What is done sooner needs no line on a terminal.
const PATIENCE: Duration = Duration::from_millis(400);
/// Between two changes of that line.
const PAUSE: Duration = Duration::from_millis(100);
/// What is done sooner needs no line elsewhere.
const PLAIN_PATIENCE: Duration = Duration::from_secs(2);
/// Elsewhere each line is so many times later than the one before, so that there are few.
const FEWER: u32 = 4;

/// The line, or the lines. On a terminal it is wiped away when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    place: Place,
    due: Instant,
    shown: bool,
}

/// Where it is shown.
#[derive(Debug)]
enum Place {
    Terminal,
    /// A file, or a pipe.
    Plain {
        pause: Duration,
    },
}

impl Progress {
    pub(crate) fn new() -> Self {
        match io::stderr().is_terminal() {
            true => Self::at(Place::Terminal, PATIENCE),
            false => Self::at(Place::Plain { pause: PLAIN_PATIENCE }, PLAIN_PATIENCE),
        }
    }

    fn at(place: Place, patience: Duration) -> Self {
        Self { place, due: Instant::now() + patience, shown: false }
    }

    /// Shows what `line` says, if it is time to.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        self.due = now + self.pause();
        match self.place {
            Place::Plain { .. } => tell_line(&line()),
            Place::Terminal => {
                self.shown = true;
                let mut stderr = io::stderr().lock();
                let _ = write!(stderr, "\r\x1b[2K{}", line()).and_then(|()| stderr.flush());
            }
        }
    }

    /// Until the next line.
    fn pause(&mut self) -> Duration {
        match &mut self.place {
            Place::Terminal => PAUSE,
            Place::Plain { pause } => {
                *pause *= FEWER;
                *pause
            }
        }
    }

    /// Waits for something, and tells now and then how long it has been waited for; on a terminal every second.
    pub(crate) async fn waiting<T>(mut self, what: &str, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = timeout_at(self.due, &mut work).await {
                return done;
            }
            self.tell(|| format!("{what} ... {} s", started.elapsed().as_secs()));
            if let Place::Terminal = self.place {
                self.due = Instant::now() + Duration::from_secs(1);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn where_there_is_no_terminal_lines_are_few() {
        let began = Instant::now();
        let mut progress = Progress::at(Place::Plain { pause: PLAIN_PATIENCE }, PLAIN_PATIENCE);
        let mut told = Vec::new();
        for second in 0..200 {
            tokio::time::sleep_until(began + Duration::from_secs(second)).await;
            progress.tell(|| {
                told.push(second);
                "far".to_owned()
            });
        }
        assert_eq!(told, [2, 10, 42, 170]);
    }
}
