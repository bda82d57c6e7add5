//! The rows of a run, and what is asked of them: medians, and shares of a bound.

use crate::place::PLACES;
use bench_common::{Outcome, Row, median};
use std::collections::HashMap;
use std::path::Path;

/// All rows of a run. A value is the median of its turns.
pub struct Figures(Vec<Row>);

/// What was measured last of each peer, metric and size.
#[derive(Default)]
pub struct Latest<'a>(HashMap<(&'a str, &'a str, usize), f64>);

impl Latest<'_> {
    /// In microseconds, messages per second, or what else the metric is; not a number if it was not measured before.
    pub fn of(&self, peer: &str, metric: &str, size: usize) -> f64 {
        self.0.get(&(peer, metric, size)).copied().unwrap_or(f64::NAN)
    }
}

impl Figures {
    /// Reads the rows of a raw.csv.
    pub fn read(file: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self::of(&text))
    }

    /// The rows in a text; what is none is skipped.
    pub fn of(text: &str) -> Self {
        Self(text.lines().filter_map(Row::parse).collect())
    }

    /// The median of what `column` gives; `None` if it was not measured.
    pub fn values(&self, peer: &str, metric: &str, size: usize, column: impl Fn(&Row) -> f64) -> Option<f64> {
        let rows = self.0.iter().filter(|row| (&*row.peer, &*row.metric, row.size) == (peer, metric, size));
        let values: Vec<f64> = rows.map(column).collect();
        (!values.is_empty()).then(|| median(values))
    }

    /// The median of the medians.
    pub fn p50(&self, peer: &str, metric: &str, size: usize) -> Option<f64> {
        self.values(peer, metric, size, |row| row.middle)
    }

    /// The worst that was seen in any turn.
    pub fn worst(&self, peer: &str, metric: &str, size: usize) -> Option<f64> {
        let rows = self.0.iter().filter(|row| (&*row.peer, &*row.metric, row.size) == (peer, metric, size));
        rows.map(|row| row.worst).max_by(f64::total_cmp)
    }

    /// A latency at each place, in microseconds.
    pub fn p50_placed(&self, peer: &str, metric: &str, size: usize) -> Option<String> {
        let values: Vec<String> = PLACES
            .iter()
            .filter_map(|place| self.p50(peer, &format!("{metric}_{place}"), size))
            .map(|value| format!("{value:.1}"))
            .collect();
        (!values.is_empty()).then(|| format!("{} us", values.join(" / ")))
    }

    /// How large a figure of ours was, as a share of a bound that is made of what was measured just before it, in the
    /// same turn. The median of the turns: what a minute does to all of them cancels out.
    pub fn share(&self, metric: &str, size: usize, bound: impl Fn(&Latest) -> f64) -> Option<f64> {
        let (mut latest, mut shares) = (Latest::default(), Vec::new());
        for row in &self.0 {
            if (&*row.peer, &*row.metric, row.size) == ("dora", metric, size) {
                shares.push(row.middle / bound(&latest));
            }
            latest.0.insert((&row.peer, &row.metric, row.size), row.middle);
        }
        shares.retain(|share| share.is_finite());
        (!shares.is_empty()).then(|| median(shares))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_of_the_same_turn() {
        let turn = |floor: u32, ours: u32| format!("floor,rust,futex,8,{floor},20,9\ndora,rust,hop,8,{ours},30,9\n");
        let share = |rows: &str| Figures::of(rows).share("hop", 8, |turn| 2.0 * turn.of("floor", "futex", 8));
        // Quick turns and slow ones: the ratio stays.
        assert_eq!(share(&(turn(10, 15) + &turn(30, 45) + &turn(10, 15))), Some(0.75));
        assert_eq!(share("dora,rust,hop,8,15,30,9\n"), None);
    }

    #[test]
    fn the_middle_of_the_turns_counts() {
        let rows = [1, 9, 3].map(|value| format!("dora,rust,hop_free,8,{value},0.1,100\n")).concat();
        let figures = Figures::of(&rows);
        assert_eq!(figures.p50("dora", "hop_free", 8), Some(3.0));
        assert_eq!(figures.p50_placed("dora", "hop", 8).as_deref(), Some("3.0 us"));
        assert_eq!(figures.p50("iceoryx2", "hop_free", 8), None);
    }
}
