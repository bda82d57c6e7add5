//! Whether and when a node is started again: the restart rule, applied to one end after the other.
//!
//! It must not know of processes: it is told when one started and how it ended, and says what comes next. What the rule
//! cannot know (the dataflow stops, no input is open any more) is for the caller to ask before.

use std::time::{Duration, Instant};

use dora_message::supervision::{ExitStatus, RestartAfter, RestartRule};

/// A process that fails sooner than this after its start is in a loop that costs more than it does.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The same for a process that ends well.
const SHORT_WORK: Duration = Duration::from_millis(100);
/// In such a loop the restarts after the first one wait at least this long, twice as long each time.
const LOOP_DELAY: Duration = Duration::from_millis(10);
/// The longest wait that a loop causes by itself.
const LONGEST_LOOP_DELAY: Duration = Duration::from_secs(1);

/// What comes after the end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The node is started again.
    Restart(Restart),
    /// It would be, but it was restarted that often already.
    Exceeded {
        /// The limit.
        max_restarts: u32,
    },
    /// It is not started again.
    Over,
}

/// A restart that is due at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restart {
    /// When.
    pub(crate) at: Instant,
    /// The wait until then.
    pub(crate) delay: Duration,
    /// Its number, from 1.
    pub(crate) number: u32,
}

/// The restarts of one node.
#[derive(Debug, Clone)]
pub(crate) struct Restarts {
    rule: Option<RestartRule>,
    started: Instant,
    /// All restarts so far.
    total: u32,
    /// Restarts since `window_start`.
    counted: u32,
    window_start: Instant,
    /// Processes in a row that ended soon after their start.
    short_lives: u32,
}

impl Restarts {
    /// A process that no rule applies to has ended: the next one is another.
    pub(crate) fn another(&mut self) {
        self.total += 1;
    }
    /// For a node whose first process starts now.
    pub(crate) fn new(rule: Option<RestartRule>, now: Instant) -> Self {
        Restarts { rule, started: now, total: 0, counted: 0, window_start: now, short_lives: 0 }
    }
    /// Restarts so far: how many processes of the node came before the present one.
    pub(crate) fn count(&self) -> u32 {
        self.total
    }
    /// The process of the node ended because another one is wanted: whatever the rule says, and without being counted by it.
    pub(crate) fn ordered(&mut self, now: Instant) -> Restart {
        self.total += 1;
        Restart { at: now, delay: Duration::ZERO, number: self.total }
    }
    /// A process of the node starts now.
    pub(crate) fn started(&mut self, now: Instant) {
        self.started = now;
    }
    /// A process of the node has ended, or could not be started.
    pub(crate) fn ended(&mut self, now: Instant, status: &ExitStatus) -> Verdict {
        let failed = !status.is_success();
        let Some(rule) = self.rule.as_ref().filter(|rule| failed || rule.after == RestartAfter::AnyEnd) else {
            return Verdict::Over;
        };
        if rule.window.is_some_and(|window| now.saturating_duration_since(self.window_start) > window) {
            self.counted = 0;
        }
        if rule.max_restarts > 0 && self.counted >= rule.max_restarts {
            return Verdict::Exceeded { max_restarts: rule.max_restarts };
        }
        if self.counted == 0 {
            self.window_start = now;
        }
        let is_short = now.saturating_duration_since(self.started) < if failed { SHORT_LIFE } else { SHORT_WORK };
        let least = if is_short { loop_delay(self.short_lives) } else { Duration::ZERO };
        self.short_lives = if is_short { self.short_lives.saturating_add(1) } else { 0 };
        let delay = asked_delay(rule, self.counted).max(least);
        self.counted += 1;
        self.total += 1;
        // What no clock can tell is for ever, and a century is for ever.
        let at = now.checked_add(delay).unwrap_or(now + Duration::from_secs(100 * 365 * 24 * 3600));
        Verdict::Restart(Restart { at, delay, number: self.total })
    }
}

/// The rule's delay before a restart, `earlier` ones having been counted.
fn asked_delay(rule: &RestartRule, earlier: u32) -> Duration {
    let doubled = rule.delay.unwrap_or_default().saturating_mul(2_u32.saturating_pow(earlier));
    doubled.min(rule.max_delay.unwrap_or(Duration::MAX))
}

fn loop_delay(earlier: u32) -> Duration {
    match earlier.checked_sub(1) {
        None => Duration::ZERO,
        Some(exponent) => LOOP_DELAY.saturating_mul(1 << exponent.min(20)).min(LONGEST_LOOP_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const FAILED: ExitStatus = ExitStatus::Code { code: 3 };
    const FINE: ExitStatus = ExitStatus::Code { code: 0 };

    fn rule(after: RestartAfter) -> RestartRule {
        RestartRule { after, max_restarts: 0, delay: None, max_delay: None, window: None }
    }
    /// A node and the time; each end comes this long after its start.
    struct Life {
        restarts: Restarts,
        now: Instant,
    }
    impl Life {
        fn new(rule: RestartRule) -> Self {
            let now = Instant::now();
            Life { restarts: Restarts::new(Some(rule), now), now }
        }
        /// The wait before the restart; `None`: there is none.
        fn ends_after(&mut self, lived: Duration, status: &ExitStatus) -> Option<Duration> {
            self.now += lived;
            match self.restarts.ended(self.now, status) {
                Verdict::Restart(restart) => {
                    assert_eq!((restart.at, restart.number), (self.now + restart.delay, self.restarts.count()));
                    self.now = restart.at;
                    self.restarts.started(self.now);
                    Some(restart.delay)
                }
                _ => None,
            }
        }
    }

    #[test]
    fn the_policy_decides_which_ends_count() {
        let mut never = Restarts::new(None, Instant::now());
        assert_eq!(never.ended(Instant::now(), &FAILED), Verdict::Over);
        let mut on_failure = Life::new(rule(RestartAfter::Failure));
        assert_eq!(on_failure.ends_after(SECOND, &FAILED), Some(Duration::ZERO));
        assert_eq!(on_failure.ends_after(SECOND, &ExitStatus::Signal { signal: 9 }), Some(Duration::ZERO));
        assert_eq!(on_failure.ends_after(SECOND, &FINE), None);
        let mut always = Life::new(rule(RestartAfter::AnyEnd));
        assert_eq!(always.ends_after(SECOND, &FINE), Some(Duration::ZERO));
        assert_eq!(always.ends_after(SECOND, &FAILED), Some(Duration::ZERO));
        assert_eq!(always.restarts.count(), 2);
    }

    #[test]
    fn delays_double_up_to_their_limit() {
        let delay = Some(SECOND);
        let mut life = Life::new(RestartRule { delay, max_delay: Some(5 * SECOND), ..rule(RestartAfter::Failure) });
        let delays: Vec<_> = (0..5).filter_map(|_| life.ends_after(SECOND, &FAILED)).collect();
        assert_eq!(delays, [SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND, 5 * SECOND]);
        let mut endless = Life::new(RestartRule { delay, ..rule(RestartAfter::Failure) });
        for _ in 0..80 {
            let Verdict::Restart(restart) = endless.restarts.ended(endless.now, &FAILED) else { panic!("no restart") };
            assert!(restart.at > endless.now);
        }
    }

    #[test]
    fn restarts_are_limited() {
        let mut life = Life::new(RestartRule { max_restarts: 2, ..rule(RestartAfter::AnyEnd) });
        assert!(life.ends_after(SECOND, &FAILED).is_some() && life.ends_after(SECOND, &FINE).is_some());
        assert_eq!(life.restarts.ended(life.now, &FAILED), Verdict::Exceeded { max_restarts: 2 });
        assert_eq!(life.restarts.count(), 2);
    }

    #[test]
    fn a_delay_that_nobody_asked_for_stays_none_however_often_it_doubles() {
        let mut life = Life::new(rule(RestartAfter::Failure));
        for _ in 0..100 {
            assert_eq!(life.ends_after(60 * SECOND, &FAILED), Some(Duration::ZERO));
        }
    }

    #[test]
    fn a_window_forgets_restarts_and_their_delays() {
        let window = Some(10 * SECOND);
        let limited = RestartRule { max_restarts: 2, delay: Some(SECOND), window, ..rule(RestartAfter::Failure) };
        let mut life = Life::new(limited);
        assert_eq!(life.ends_after(SECOND, &FAILED), Some(SECOND));
        assert_eq!(life.ends_after(SECOND, &FAILED), Some(2 * SECOND));
        assert_eq!(life.ends_after(20 * SECOND, &FAILED), Some(SECOND), "the window is over");
        assert_eq!(life.ends_after(SECOND, &FAILED), Some(2 * SECOND));
        assert_eq!(life.ends_after(SECOND, &FAILED), None);
        assert_eq!(life.restarts.count(), 4);
    }

    #[test]
    fn a_loop_slows_down_by_itself() {
        let soon = Duration::from_millis(5);
        let mut life = Life::new(rule(RestartAfter::AnyEnd));
        let delays: Vec<_> = (0..10).filter_map(|_| life.ends_after(soon, &FAILED)).map(|d| d.as_millis()).collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(life.ends_after(2 * SECOND, &FAILED), Some(Duration::ZERO), "it has lived");
        assert_eq!(life.ends_after(soon, &FAILED), Some(Duration::ZERO));
        assert_eq!(life.ends_after(soon, &FINE), Some(LOOP_DELAY), "work that takes no time is a loop as well");
        assert_eq!(life.ends_after(SECOND / 2, &FINE), Some(Duration::ZERO), "it has done something");
    }
}
