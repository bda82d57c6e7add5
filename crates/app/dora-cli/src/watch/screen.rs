//! Events in, lines out.

use std::time::{Duration, Instant};

use dora_descriptor::model::LogLevel;
use dora_gateways::{DataflowEvent, NodeOutcome, Outcome};
use dora_message::{
    id::NodeId,
    result::NodeResult,
    supervision::{ExitStatus, LaunchPlan},
};

use super::{dynamic, explain, failures, summary};
use crate::{
    building,
    log::{Printer, StdoutTrouble},
};

/// How much is shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Detail {
    /// Everything.
    pub verbose: bool,
    /// Warnings that the user has read already.
    pub told: Vec<String>,
}

/// Nobody reads what is shown any more.
pub(super) struct NoReader;

/// Shows what happens.
pub(crate) struct Screen {
    printer: Printer,
    detail: Detail,
    /// What was started, of each machine that said so.
    plans: Vec<LaunchPlan>,
    /// Nodes that have failed by themselves.
    failed: usize,
    /// When messages began to flow.
    started: Option<Instant>,
}

impl Screen {
    pub(crate) fn new(printer: Printer, detail: Detail) -> Self {
        Self { printer, detail, plans: Vec::new(), failed: 0, started: None }
    }

    /// Shows something that happened.
    pub(super) fn show(&mut self, event: DataflowEvent) -> Result<(), NoReader> {
        match event {
            DataflowEvent::Lines { node, stream, time_ns, lines } => {
                self.printer.node_lines(&node, stream, time_ns, &lines);
                return self.stdout_works();
            }
            DataflowEvent::Missed { lines } => {
                let message = format!("{lines} lines came faster than they could be shown; the log files have them");
                self.printer.own(LogLevel::Warn, message);
            }
            DataflowEvent::Build(event) => {
                let (level, line) = building::words(event);
                self.printer.own(level, line);
            }
            DataflowEvent::Planned { plan, .. } => {
                if self.detail.verbose {
                    explain::lines(&plan).into_iter().for_each(|line| self.printer.own(LogLevel::Info, line));
                }
                self.plans.push(*plan);
            }
            DataflowEvent::Spawned { node, pid } => self.detail(format!("node `{node}` is process {pid}")),
            DataflowEvent::AllReady => self.all_ready(),
            DataflowEvent::Restarting { node, status, restart, delay } => {
                if self.detail.verbose || is_told(restart) {
                    self.printer.own(LogLevel::Warn, restart_words(&node, &status, restart, delay));
                }
            }
            DataflowEvent::Joined { node, pid, joins } => {
                if self.detail.verbose || is_told(joins) {
                    self.printer.own(LogLevel::Info, dynamic::joined(&node, pid));
                }
            }
            DataflowEvent::Left { node, in_order, joins } => {
                if self.detail.verbose || is_told(joins) {
                    let level = if in_order { LogLevel::Info } else { LogLevel::Warn };
                    self.printer.own(level, dynamic::left(&node, in_order));
                }
            }
            DataflowEvent::Exited(node) => self.exited(&node),
            DataflowEvent::Warning(message) if self.detail.told.contains(&message) => {}
            DataflowEvent::Warning(message) => self.printer.own(LogLevel::Warn, message),
            // Who follows the events acts upon it.
            DataflowEvent::Finished(_) => {}
        }
        Ok(())
    }

    /// Tells what an interrupt does, if there was one.
    pub(super) fn interrupted(&mut self, news: Option<&'static str>) {
        if let Some(news) = news {
            self.printer.own(LogLevel::Info, news.to_owned());
        }
    }

    /// Tells how it went. `killed`: Ctrl-C left the nodes no time to end.
    pub(super) fn summary(&mut self, outcome: &Outcome, killed: bool) {
        let flowed = self.started.map(|started| started.elapsed());
        summary::tell(&mut self.printer, &self.plans, outcome, flowed, killed, self.detail.verbose);
    }

    /// Tells something to who wants to know everything.
    pub(super) fn detail(&mut self, message: String) {
        if self.detail.verbose {
            self.printer.own(LogLevel::Info, message);
        }
    }

    fn all_ready(&mut self) {
        self.started.get_or_insert_with(Instant::now);
        self.detail("all nodes are ready, messages flow".to_owned());
        for invitation in self.plans.iter().filter_map(dynamic::invitation) {
            self.printer.own(LogLevel::Info, invitation);
        }
    }

    /// Nobody reads standard output any more. An error the first time that this is known.
    pub(super) fn stdout_abandoned(&mut self) -> Result<(), NoReader> {
        self.printer.stdout_abandoned();
        self.stdout_works()
    }

    fn stdout_works(&mut self) -> Result<(), NoReader> {
        match self.printer.stdout_trouble() {
            None => Ok(()),
            Some(StdoutTrouble::NoReader) => {
                let message = "nobody reads standard output any more: the nodes are asked to stop";
                self.printer.own(LogLevel::Warn, message.to_owned());
                Err(NoReader)
            }
            Some(StdoutTrouble::Failing(error)) => {
                let rest = "the nodes go on, and what they print is in their log files";
                self.printer.own(LogLevel::Warn, format!("standard output cannot be written: {error}; {rest}"));
                Ok(())
            }
        }
    }

    fn exited(&mut self, node: &NodeOutcome) {
        let message = format!("node `{}` {}", node.node, node.result);
        if matches!(node.result, NodeResult::NotRestarted(_)) {
            return self.printer.own(LogLevel::Info, message);
        }
        if node.is_success() || failures::follows_another(node) {
            return self.detail(message);
        }
        self.failed += 1;
        match self.failed {
            ..=failures::MOST_TOLD => self.printer.own(LogLevel::Error, message),
            _ => self.detail(message),
        }
        if self.failed == failures::MOST_TOLD + 1 && !self.detail.verbose {
            self.printer.own(LogLevel::Error, "more nodes fail; the end tells which".to_owned());
        }
    }
}

/// Of a node that is started, or joins, again and again the first times are told, and then each whose number is a power
/// of two.
fn is_told(number: u32) -> bool {
    number <= 4 || number.is_power_of_two()
}

fn restart_words(node: &NodeId, status: &ExitStatus, restart: u32, delay: Duration) -> String {
    let when = if delay.is_zero() { "now".to_owned() } else { format!("in {delay:?}") };
    let more = if restart > 4 { ", the next ones are told when their number has doubled" } else { "" };
    format!("node `{node}` {status}; it is started again {when} (restart {restart}{more})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_is_readable() {
        let told: Vec<u32> = (1..=100).filter(|restart| is_told(*restart)).collect();
        assert_eq!(told, [1, 2, 3, 4, 8, 16, 32, 64]);
        let words = restart_words(&"a".into(), &ExitStatus::Code { code: 3 }, 2, Duration::from_millis(250));
        assert_eq!(words, "node `a` exited with code 3; it is started again in 250ms (restart 2)");
    }
}
