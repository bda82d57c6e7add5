//! A process: its tasks have a runtime and a clock of their own. It is killed by dropping it; it hangs while it is not run,
//! and finds then that time has passed.

use std::time::Duration;

use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, advance, sleep_until},
};

use crate::trace::Ms;

pub struct Host {
    runtime: Runtime,
    /// What its clock showed at its start.
    base: Instant,
    born: Ms,
    /// Its milliseconds in a thousand of ours.
    rate: u64,
    /// Its own time.
    local: Ms,
    frozen: bool,
}

impl Host {
    pub fn new(now: Ms, rate: u64) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let base = runtime.block_on(async { Instant::now() });
        Self { runtime, base, born: now, rate, local: 0, frozen: false }
    }

    /// Does something in its runtime, which takes no time.
    pub fn enter<T>(&self, action: impl FnOnce() -> T) -> T {
        let _guard = self.runtime.enter();
        action()
    }

    /// Lets it live until now.
    pub fn run(&mut self, now: Ms) {
        if !self.frozen {
            self.local = self.local_at(now);
            let until = self.base + Duration::from_millis(self.local);
            self.runtime.block_on(async { sleep_until(until).await });
        }
    }

    /// It is stopped by a signal.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// It goes on, and its clock has gone on all the while.
    pub fn thaw(&mut self, now: Ms) {
        let missed = self.local_at(now) - self.local;
        (self.frozen, self.local) = (false, self.local + missed);
        self.runtime.block_on(async { advance(Duration::from_millis(missed)).await });
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// A little later than before in any case: else nothing would be done.
    fn local_at(&self, now: Ms) -> Ms {
        ((now - self.born) * self.rate / 1000).max(self.local + 1)
    }
}
