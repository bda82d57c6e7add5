//! Lines of the table: what, goal, measured, whether the goal was met, and what others gave.

use std::fmt::Write;

/// The bound that a figure is held to.
pub enum Bound {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
    /// How large the figure was, as a share of the largest that it may be; `None` where the bound was not measured.
    Share(Option<f64>),
}

/// What a figure counts.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Microseconds.
    Micros,
    /// Per second.
    Rate,
    /// MiB.
    Mebibytes,
    /// A number.
    Count,
}

impl Unit {
    /// A value for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Micros if value >= 1e4 => format!("{:.1} ms", value / 1e3),
            Self::Micros => format!("{value:.1} us"),
            Self::Rate if value >= 1e6 => format!("{:.1} M/s", value / 1e6),
            Self::Rate => format!("{:.0} k/s", value / 1e3),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::Count => format!("{value:.2}"),
        }
    }
}

/// The table in Markdown.
#[derive(Default)]
pub struct Table(String);

impl Table {
    /// The table with its head.
    pub fn text(&self) -> String {
        format!("| what | goal | dora | met | others in the same run |\n|---|---|---|---|---|\n{}", self.0)
    }

    /// One line, unless it was not measured.
    pub fn line(&mut self, what: &str, goal: &str, (value, unit, bound): (Option<f64>, Unit, Bound), others: String) {
        let Some(value) = value else { return };
        let met = match bound {
            Bound::AtMost(limit) => word(value <= limit).to_owned(),
            Bound::AtLeast(limit) => word(value >= limit).to_owned(),
            Bound::Share(share) => met(share.as_slice()),
        };
        self.row(what, goal, &unit.show(value), &met, &others);
    }

    /// One line as it is.
    pub fn row(&mut self, what: &str, goal: &str, measured: &str, met: &str, others: &str) {
        let _ = writeln!(self.0, "| {what} | {goal} | {measured} | {met} | {} |", others.trim_end_matches("; "));
    }
}

fn word(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

/// Whether no share is above the whole, and how large each is; nothing where there is none.
pub fn met(shares: &[f64]) -> String {
    if shares.is_empty() {
        return String::new();
    }
    let percents: Vec<String> = shares.iter().map(|share| format!("{:.0}", share * 100.0)).collect();
    format!("{}: {} % of it", word(shares.iter().all(|share| *share <= 1.0)), percents.join(" / "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_must_be_within_its_bound() {
        assert_eq!(met(&[0.8, 1.0]), "yes: 80 / 100 % of it");
        assert_eq!(met(&[0.8, 1.2]), "no: 80 / 120 % of it");
        assert_eq!(met(&[]), "");
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        let mut table = Table::default();
        table.line("a", ">= 1.0 M/s", (Some(3e6), Unit::Rate, Bound::AtLeast(1e6)), String::new());
        table.line("b", "0", (None, Unit::Count, Bound::AtMost(0.0)), String::new());
        assert_eq!(table.text().lines().skip(2).collect::<Vec<_>>(), ["| a | >= 1.0 M/s | 3.0 M/s | yes |  |"]);
    }
}
