//! What was promised to users of Python.

use super::{Goals, Turn, WAKE, bytes};
use crate::figures::Latest;
use crate::table::{
    Bound::{AtLeast, AtMost, Share},
    Unit,
};
use bench_common::SIZES;

/// What a message may cost beside the wake-up of its receiver, in microseconds.
const COST: f64 = 40.0;

/// Messages above this are held against small ones.
const SMALL: usize = 1 << 20;

impl Goals<'_> {
    pub(super) fn python(&mut self) {
        self.python_latencies();
        let rate = "python_tput_queue1000";
        self.table.line(
            "Python: 8 B back to back, lossless, queue 1000",
            ">= 150 k/s",
            (self.figures.p50("dora", rate, 8), Unit::Rate, AtLeast(150e3)),
            self.others(Unit::Rate, &[("dora-rs", rate, 8)]),
        );
        let size = 4 << 20;
        let last = "python_oneway_5ms_fanout4_last";
        self.table.line(
            "Python: fan-out 1 -> 4, 4 MiB copied in, last receiver",
            "<= 700 us",
            (self.figures.p50("dora", last, size), Unit::Micros, AtMost(700.0)),
            self.others(Unit::Micros, &[("dora-rs", last, size)]),
        );
        for (what, metric, size) in [
            ("Python: 8 B back to back, lost", "python_tput_queue1000_lost", 8),
            ("Python: fan-out, messages that a receiver missed", "python_oneway_5ms_fanout4_missed", size),
            ("Python: runs that fail after 10,000 messages through recv_async", "python_recv_async_failed", 8),
        ] {
            let worst = self.figures.values("dora", metric, size, |row| row.worst);
            let others = self.others(Unit::Count, &[("dora-rs", metric, size)]);
            self.table.line(what, "0", (worst, Unit::Count, AtMost(0.0)), others);
        }
        let (first, import) = ("python_run_to_first_message", "python_import_pyarrow");
        let bound = self.figures.share(first, 8, |turn: &Latest| turn.of("floor", import, 0) + 80e3);
        self.table.line(
            "Python: `dora run` to the first message",
            "<= `import pyarrow` + 80 ms",
            (self.figures.p50("dora", first, 8), Unit::Micros, Share(bound)),
            self.others(Unit::Micros, &[("floor", import, 0), ("dora-rs", first, 8)]),
        );
    }

    fn python_latencies(&mut self) {
        let (copied, in_place) = ("python_oneway_5ms_copy", "python_oneway_5ms_inplace");
        let wake = |turn: &Turn| turn.wake() + COST;
        for size in SIZES {
            let size_words = bytes(size);
            let what = format!("Python: one way copied in, {size_words}");
            let others = [("floor", WAKE), ("dora-rs", copied)];
            self.placed((&what, "<= futex wake-up + 40 us"), (copied, size), &others, wake);
            let what = format!("Python: one way in place, {size_words}");
            let others = [("floor", WAKE), ("dora-rs", in_place)];
            if size <= SMALL {
                self.placed((&what, "<= futex wake-up + 40 us"), (in_place, size), &others, wake);
            } else {
                let small = |turn: &Turn| 2.0 * turn.of("dora", in_place, 8);
                self.placed((&what, "<= 2 times that of 8 B"), (in_place, size), &others, small);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::figures::Figures;

    #[test]
    fn start_is_held_against_the_interpreter_alone() {
        let rows = "floor,rust,python_import_pyarrow,0,300000,310000,5\n\
                    dora,python,python_run_to_first_message,8,361000,370000,5\n";
        let table = super::super::table(&Figures::of(rows));
        assert!(table.contains("| 361.0 ms | yes: 95 % of it | python_import_pyarrow 300.0 ms |"), "{table}");
    }
}
