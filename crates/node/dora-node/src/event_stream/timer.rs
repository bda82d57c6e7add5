//! Timers of a node, on absolute deadlines: they do not drift, and ticks that nobody had time for are skipped.
//!
//! It must not know what time it is: the caller reads the clock.

/// The timers of a node.
#[derive(Debug, Default)]
pub(super) struct Timers(Vec<Timer>);

#[derive(Debug)]
struct Timer {
    input: usize,
    start_ns: u64,
    interval_ns: u64,
    next_ns: u64,
}

impl Timers {
    /// Adds a timer whose first tick is due at `start_ns` and the k-th one `k * interval_ns` later.
    pub(super) fn add(&mut self, input: usize, start_ns: u64, interval_ns: u64) {
        self.0.push(Timer { input, start_ns, interval_ns: interval_ns.max(1), next_ns: start_ns });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next tick is due.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        self.0.iter().map(|timer| timer.next_ns).min()
    }

    /// The input of a timer whose tick is due. Its next tick is the first one after now.
    pub(super) fn due(&mut self, now_ns: u64) -> Option<usize> {
        let timer = self.0.iter_mut().min_by_key(|timer| timer.next_ns)?;
        if timer.next_ns > now_ns {
            return None;
        }
        let passed = (now_ns - timer.start_ns) / timer.interval_ns;
        timer.next_ns = timer.start_ns.saturating_add((passed + 1).saturating_mul(timer.interval_ns));
        Some(timer.input)
    }

    /// No more ticks.
    pub(super) fn stop(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_keep_to_the_grid_however_late_they_are_taken() {
        let mut timers = Timers::default();
        timers.add(7, 1000, 100);
        let mut now = 1000;
        let mut deadlines = Vec::new();
        for late in [0, 30, 99, 0, 50] {
            assert_eq!(timers.due(now - 1), None);
            assert_eq!(timers.due(now + late), Some(7));
            now = timers.deadline_ns().unwrap();
            deadlines.push(now);
        }
        assert_eq!(deadlines, [1100, 1200, 1300, 1400, 1500]);
    }

    #[test]
    fn missed_ticks_are_skipped() {
        let mut timers = Timers::default();
        timers.add(0, 0, 10);
        assert_eq!(timers.due(1005), Some(0));
        assert_eq!(timers.due(1005), None);
        assert_eq!(timers.deadline_ns(), Some(1010));
    }

    #[test]
    fn the_earliest_timer_is_served_first_so_none_starves() {
        let mut timers = Timers::default();
        timers.add(0, 0, 1);
        timers.add(1, 0, 1000);
        let served: Vec<_> = (0..10).map(|_| timers.due(5000)).collect();
        assert!(served.contains(&Some(1)), "{served:?}");
        timers.stop();
        assert!(timers.is_empty());
    }
}
