//! What was promised of recovery.

use super::Goals;
use crate::table::{Bound, Unit};
use Bound::{AtMost, Share};

/// Daemons register again and adopt within this time, in microseconds.
const LIMIT_US: f64 = 5e6;

/// How much longer than undisturbed messages may take: less than turns without any kill differ by.
const NOISE: f64 = 1.5;

impl Goals<'_> {
    pub(super) fn recovery(&mut self) {
        for (fault, killed) in [("coordinator", "the coordinator"), ("daemon", "the daemon"), ("both", "both")] {
            for (metric, until) in [("up_after", "`dora up` returns"), ("recovered_after", "all nodes are seen again")]
            {
                let metric = format!("{metric}_{fault}");
                let p50 = self.figures.p50("dora", &metric, 8).map_or(String::new(), |p50| Unit::Micros.show(p50));
                let worst = self.figures.worst("dora", &metric, 8);
                let what = format!("kill -9 of {killed}, then `dora up`: until {until}, max");
                self.table.line(&what, "<= 5 s", (worst, Unit::Micros, AtMost(LIMIT_US)), format!("p50 {p50}"));
            }
        }
        let [quiet, commands, kills] =
            ["undisturbed", "beside_commands", "beside_kills"].map(|beside| format!("oneway_1ms_{beside}"));
        let p50 = |metric: &str| self.figures.p50("dora", metric, 8);
        let p99 = |metric: &str| self.figures.values("dora", metric, 8, |row| row.worst);
        let others = |of: &dyn Fn(&str) -> Option<f64>| {
            let shown = [("undisturbed", &quiet), ("beside the same commands, without kills", &commands)];
            let shown =
                shown.map(|(name, metric)| of(metric).map(|value| format!("{name} {}", Unit::Micros.show(value))));
            shown.into_iter().flatten().collect::<Vec<_>>().join("; ")
        };
        let lines = [("p50", p50(&kills), p50(&quiet), others(&p50)), ("p99", p99(&kills), p99(&quiet), others(&p99))];
        for (which, killed, quiet, others) in lines {
            let share = killed.zip(quiet).map(|(killed, quiet)| killed / (NOISE * quiet));
            let what = format!("one way, 8 B, 1 kHz, beside kills of coordinator and daemon, {which}");
            self.table.line(&what, "<= 1.5 times undisturbed", (killed, Unit::Micros, Share(share)), others);
        }
        let lost = self.figures.worst("dora", &format!("{kills}_lost"), 8);
        self.table.line("the same, lost", "0", (lost, Unit::Count, AtMost(0.0)), String::new());
    }
}
