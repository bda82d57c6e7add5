//! How long one node may take: to connect, to call the API again, to end after its inputs have.
//!
//! Each limit is a deadline of the keeper's loop, so it is kept exactly; a node without limits costs nothing. It must not
//! know of processes or shared memory: it is told what happened and says when something is overdue.
//!
//! # What counts as a sign of life
//! A node is healthy while one of its threads is in a call of the API: it receives, waits for an event however long, or
//! waits to send. Outside of these calls it may stay for `health_check_timeout`. A process that is stopped (SIGSTOP) is
//! not healthy wherever it stands. So a node that nobody sends anything to is never killed, and one that hangs in its
//! own code always is; a node that computes for long must have a longer timeout. Messages could not tell the two apart:
//! an idle node sends none, and a hanging one may have a thread that does.

use std::time::{Duration, Instant};

use dora_message::supervision::{Limit, Limits, Overdue};

/// What a node shows when its health is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sign {
    /// A thread of it is in a call of the API.
    InCall,
    /// The last call ended then; `None` before the first.
    Outside(Option<Instant>),
}

/// The limits of one process of a node.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limits: Limits,
    startup: Option<Instant>,
    /// When messages began to flow.
    started: Option<Instant>,
    /// When the process was stopped, if it is.
    stopped: Option<Instant>,
    /// When the node's health is looked at next.
    look: Option<Instant>,
    finish: Option<Instant>,
}

fn after(moment: Instant, limit_ms: Option<u64>) -> Option<Instant> {
    // What no clock can tell is for ever.
    moment.checked_add(Duration::from_millis(limit_ms?))
}

impl Watchdog {
    /// For a process that starts now.
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        let startup = after(now, limits.startup_ms);
        Watchdog { limits, startup, started: None, stopped: None, look: None, finish: None }
    }
    /// The node has mapped its edges.
    pub(crate) fn connected(&mut self) {
        self.startup = None;
    }
    /// Messages flow.
    pub(crate) fn started(&mut self, now: Instant) {
        self.connected();
        self.started = Some(now);
        self.look = after(now, self.limits.health_ms);
    }
    /// The process was stopped by a signal.
    pub(crate) fn stopped(&mut self, now: Instant) {
        self.stopped.get_or_insert(now);
    }
    /// It goes on.
    pub(crate) fn continued(&mut self) {
        self.stopped = None;
    }
    /// The node has dropped its connection: it makes no calls any more.
    pub(crate) fn disconnected(&mut self) {
        self.look = None;
    }
    /// The inputs of the node have ended, and no node is left that would go on by itself.
    pub(crate) fn inputs_ended(&mut self, now: Instant) {
        if self.finish.is_none() {
            self.finish = after(now, self.limits.finish_ms);
        }
    }
    /// The node is being ended: nothing is overdue any more.
    pub(crate) fn off(&mut self) {
        (self.startup, self.look, self.finish) = (None, None, None);
    }

    /// When [`Self::due`] may find something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.startup, self.look, self.finish].into_iter().flatten().min()
    }

    /// What the node has taken too long for, if anything; after that the watchdog is off.
    pub(crate) fn due(&mut self, now: Instant, sign: impl FnOnce() -> Sign) -> Option<Overdue> {
        let limit = if self.startup.is_some_and(|at| at <= now) {
            Limit::Startup
        } else if self.look.is_some_and(|at| at <= now) && self.is_silent(now, sign()) {
            Limit::Health
        } else if self.finish.is_some_and(|at| at <= now) {
            Limit::Finish
        } else {
            return None;
        };
        self.off();
        let ms = match limit {
            Limit::Startup => self.limits.startup_ms,
            Limit::Health => self.limits.health_ms,
            Limit::Finish => self.limits.finish_ms,
        };
        ms.map(|ms| Overdue { limit, ms })
    }

    /// Looks at the node's health, and sets the time of the next look: the first moment at which it could be silent for
    /// too long.
    fn is_silent(&mut self, now: Instant, sign: Sign) -> bool {
        let since = match sign {
            Sign::InCall => self.stopped,
            Sign::Outside(left) => left.max(self.started),
        };
        self.look = after(since.unwrap_or(now), self.limits.health_ms);
        self.look.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ALL: Limits = Limits { startup_ms: Some(2_000), health_ms: Some(3_000), finish_ms: Some(5_000) };

    fn no_sign() -> Sign {
        panic!("nobody asked for its health")
    }
    fn overdue(limit: Limit, ms: u64) -> Option<Overdue> {
        Some(Overdue { limit, ms })
    }

    #[test]
    fn a_node_without_limits_has_no_deadline() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(Limits::default(), now);
        watchdog.started(now);
        watchdog.inputs_ended(now);
        assert_eq!(watchdog.deadline(), None);
    }

    #[test]
    fn a_node_must_connect_in_time() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(ALL, start);
        assert_eq!(watchdog.deadline(), Some(start + 2 * SECOND));
        assert_eq!(watchdog.due(start + SECOND, no_sign), None);
        assert_eq!(watchdog.due(start + 2 * SECOND, no_sign), overdue(Limit::Startup, 2_000));
        assert_eq!(watchdog.deadline(), None);
        let mut watchdog = Watchdog::new(ALL, start);
        watchdog.connected();
        assert_eq!(watchdog.due(start + 9 * SECOND, no_sign), None);
    }

    #[test]
    fn waiting_is_healthy_and_hanging_is_not() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(ALL, start);
        watchdog.started(start);
        assert_eq!(watchdog.due(start + 3 * SECOND, || Sign::InCall), None);
        assert_eq!(watchdog.deadline(), Some(start + 6 * SECOND));
        // It left a call at 4: overdue at 7, exactly.
        let left = || Sign::Outside(Some(start + 4 * SECOND));
        assert_eq!(watchdog.due(start + 6 * SECOND, left), None);
        assert_eq!(watchdog.deadline(), Some(start + 7 * SECOND));
        assert_eq!(watchdog.due(start + 7 * SECOND, left), overdue(Limit::Health, 3_000));
    }

    #[test]
    fn a_node_that_never_calls_hangs_from_the_start() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(ALL, start);
        watchdog.started(start + SECOND);
        assert_eq!(watchdog.deadline(), Some(start + 4 * SECOND));
        assert_eq!(watchdog.due(start + 4 * SECOND, || Sign::Outside(None)), overdue(Limit::Health, 3_000));
    }

    #[test]
    fn a_stopped_process_is_not_healthy_even_while_it_waits() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(ALL, start);
        watchdog.started(start);
        watchdog.stopped(start + 2 * SECOND);
        assert_eq!(watchdog.due(start + 3 * SECOND, || Sign::InCall), None);
        assert_eq!(watchdog.deadline(), Some(start + 5 * SECOND));
        watchdog.continued();
        assert_eq!(watchdog.due(start + 5 * SECOND, || Sign::InCall), None);
        watchdog.stopped(start + 6 * SECOND);
        assert_eq!(watchdog.due(start + 9 * SECOND, || Sign::InCall), overdue(Limit::Health, 3_000));
    }

    #[test]
    fn a_node_must_end_after_its_inputs() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(ALL, start);
        watchdog.started(start);
        watchdog.disconnected();
        watchdog.inputs_ended(start + SECOND);
        watchdog.inputs_ended(start + 2 * SECOND);
        assert_eq!(watchdog.due(start + 6 * SECOND, no_sign), overdue(Limit::Finish, 5_000));
    }

    #[test]
    fn no_limit_is_too_long() {
        let limits = Limits { startup_ms: Some(u64::MAX), ..Limits::default() };
        let _ = Watchdog::new(limits, Instant::now()).deadline();
    }
}
