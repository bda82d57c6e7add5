//! Runs named steps one after the other, tells what happens, and sums up at the end.
//!
//! Knows nothing of what a step does.

use std::fmt;
use std::time::{Duration, Instant};

/// Why a step did not succeed.
#[derive(Debug)]
pub enum Trouble {
    /// It ran and found something wrong.
    Failed(String),
    /// It could not run on this machine: what is missing, and how to get it.
    NotPossible(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::NotPossible(why) => write!(f, "not possible here: {why}"),
        }
    }
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// What a step returns.
pub type Outcome = Result<(), Trouble>;

/// The steps done so far, in order.
#[derive(Default)]
pub struct Report {
    steps: Vec<(String, Duration, Outcome)>,
}

impl Report {
    /// Announces a step, runs it, and keeps its outcome. A step that fails does not stop the ones after it.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) {
        println!("\n== {}. {name}", self.steps.len() + 1);
        let start = Instant::now();
        let outcome = work();
        let took = start.elapsed();
        match &outcome {
            Ok(()) => println!("== ok: {name}, {}", in_words(took)),
            Err(trouble) => println!("== {trouble}"),
        }
        self.steps.push((name.to_owned(), took, outcome));
    }

    /// Whether a step of this name has succeeded.
    pub fn succeeded(&self, name: &str) -> bool {
        self.steps.iter().any(|(step, _, outcome)| step == name && outcome.is_ok())
    }

    /// Prints one line per step. Fails if any step failed; what was not possible here is said, and is no failure.
    pub fn finish(self) -> Outcome {
        println!("\n== Summary");
        let width = self.steps.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let mut failed = Vec::new();
        let mut total = Duration::ZERO;
        for (name, took, outcome) in &self.steps {
            total += *took;
            let (verdict, why) = match outcome {
                Ok(()) => ("ok", ""),
                Err(Trouble::NotPossible(why)) => ("not possible here", why.as_str()),
                Err(Trouble::Failed(why)) => {
                    failed.push(name.as_str());
                    ("FAILED", why.as_str())
                }
            };
            let separator = if why.is_empty() { "" } else { ": " };
            println!("   {name:width$}  {:>11}  {verdict}{separator}{}", in_words(*took), first_line(why));
        }
        println!("   {:width$}  {:>11}", "together", in_words(total));
        if failed.is_empty() { Ok(()) } else { Err(Trouble::Failed(format!("failed: {}", failed.join(", ")))) }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_report_and_the_others_still_run() {
        let mut report = Report::default();
        let mut ran = false;
        report.step("first", || Err(Trouble::Failed("broken".to_owned())));
        report.step("second", || {
            ran = true;
            Ok(())
        });
        assert!(ran);
        assert!(!report.succeeded("first") && report.succeeded("second"));
        assert_eq!(report.finish().map_err(|trouble| trouble.to_string()), Err("failed: first".to_owned()));
    }

    #[test]
    fn what_is_not_possible_is_no_failure() {
        let mut report = Report::default();
        report.step("only", || Err(Trouble::NotPossible("no network".to_owned())));
        assert!(!report.succeeded("only"));
        assert!(report.finish().is_ok());
    }

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(in_words(Duration::from_millis(1_540)), "1.5 s");
        assert_eq!(in_words(Duration::from_secs(125)), "2 min 05 s");
    }
}
