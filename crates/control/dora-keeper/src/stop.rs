//! The stop ladder: ask, then SIGTERM, then SIGKILL, each at its exact time.
//!
//! It must not know of processes: it says when which step is due.

use std::time::{Duration, Instant};

/// Time that nodes have to end by themselves if nobody said how long.
pub(crate) const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// From SIGTERM to SIGKILL when somebody cannot wait.
const HURRY: Duration = Duration::from_secs(2);

/// What to do to every node that still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// How far a stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ladder {
    terminate_at: Instant,
    kill_at: Instant,
    next: Option<Step>,
}

impl Ladder {
    /// A stop that begins now: SIGTERM after `grace`, SIGKILL after half of it again.
    pub(crate) fn begin(now: Instant, grace: Duration) -> Self {
        // A century is for ever, and added to any clock it does not overflow.
        let grace = grace.min(Duration::from_secs(100 * 365 * 24 * 3600));
        let terminate_at = now + grace;
        Ladder { terminate_at, kill_at: terminate_at + grace / 2, next: Some(Step::Terminate) }
    }
    /// A stop that cannot wait: SIGTERM at once, SIGKILL soon.
    pub(crate) fn at_once(now: Instant) -> Self {
        Ladder { terminate_at: now, kill_at: now + HURRY, next: Some(Step::Terminate) }
    }
    /// A second stop may hurry the first, never delay it.
    pub(crate) fn hurry(&mut self, other: Ladder) {
        self.terminate_at = self.terminate_at.min(other.terminate_at);
        self.kill_at = self.kill_at.min(other.kill_at);
    }
    /// Begins, or hurries the stop that has begun.
    pub(crate) fn apply(self, running: &mut Option<Ladder>) {
        match running {
            Some(running) => running.hurry(self),
            none => *none = Some(self),
        }
    }
    /// When the next step is due; `None` after the last.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next.map(|step| match step {
            Step::Terminate => self.terminate_at,
            Step::Kill => self.kill_at,
        })
    }
    /// Takes the step that is due, if one is.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Step> {
        if self.deadline()? > now {
            return None;
        }
        let step = self.next;
        self.next = (step == Some(Step::Terminate)).then_some(Step::Kill);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn steps_come_in_order_and_once() {
        let start = Instant::now();
        let mut ladder = Ladder::begin(start, 10 * SECOND);
        assert_eq!(ladder.due(start + 9 * SECOND), None);
        assert_eq!(ladder.deadline(), Some(start + 10 * SECOND));
        assert_eq!(ladder.due(start + 10 * SECOND), Some(Step::Terminate));
        assert_eq!(ladder.due(start + 14 * SECOND), None);
        assert_eq!(ladder.deadline(), Some(start + 15 * SECOND));
        // Even a loop that was held up gives every step.
        assert_eq!(ladder.due(start + 99 * SECOND), Some(Step::Kill));
        assert_eq!((ladder.deadline(), ladder.due(start + 99 * SECOND)), (None, None));
    }

    #[test]
    fn a_second_stop_only_hurries() {
        let start = Instant::now();
        let mut ladder = Ladder::begin(start, 10 * SECOND);
        ladder.hurry(Ladder::begin(start + SECOND, 100 * SECOND));
        assert_eq!(ladder.deadline(), Some(start + 10 * SECOND));
        ladder.hurry(Ladder::begin(start + SECOND, 2 * SECOND));
        assert_eq!(ladder.due(start + 3 * SECOND), Some(Step::Terminate));
        assert_eq!(ladder.due(start + 4 * SECOND), Some(Step::Kill));
    }

    #[test]
    fn whoever_cannot_wait_leaves_little_time() {
        let start = Instant::now();
        let mut ladder = Ladder::begin(start, 10 * SECOND);
        ladder.hurry(Ladder::at_once(start + SECOND));
        assert_eq!(ladder.due(start + SECOND), Some(Step::Terminate));
        assert_eq!(ladder.deadline(), Some(start + 3 * SECOND));
        // SIGTERM was sent already: what is left is SIGKILL.
        let mut ladder = Ladder::begin(start, SECOND * 10);
        assert_eq!(ladder.due(start + 10 * SECOND), Some(Step::Terminate));
        ladder.hurry(Ladder::at_once(start + 11 * SECOND));
        assert_eq!(ladder.deadline(), Some(start + 13 * SECOND));
    }

    #[test]
    fn no_grace_is_too_long() {
        assert!(Ladder::begin(Instant::now(), Duration::MAX).deadline().is_some());
    }
}
