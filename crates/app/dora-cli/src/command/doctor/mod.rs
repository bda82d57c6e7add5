//! `dora doctor`: whether dataflows run here, what may surprise, and what to do about it.
//!
//! Each probe is a file that gives findings and prints nothing; what it reads of `/proc` and `/sys` comes from a `host`,
//! which tests make of their own files.

mod coordinator;
mod dataflow;
mod finding;
mod host;
mod installation;
mod kernel;
mod leftovers;
mod limits;
mod memory;
mod processes;
mod processors;
mod tools;

use std::{path::PathBuf, process::ExitCode};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use self::{
    finding::{Finding, Group, Status},
    host::Host,
};
use super::OutputFormat;
use crate::{client::CoordinatorArgs, error::CommandError, words::counted};

const EXAMPLES: &str = "\
Examples:
  dora doctor
  dora doctor --dataflow dataflow.yml          and whether this file is in order
  dora doctor --coordinator-addr robot.local   and whether this coordinator answers
  dora doctor --format json | jq '.groups[].findings[] | select(.status != \"ok\")'

Exit code: 0 when dataflows run here, also with warnings; 1 when something prevents it.";

/// Look at this machine: kernel, limits, memory, processors, tools, leftovers.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Check this dataflow file too.
    #[arg(long, value_name = "FILE")]
    dataflow: Option<PathBuf>,
    /// Text for people, or one JSON object.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

/// Everything that was found.
#[derive(Serialize)]
struct Report {
    /// Nothing was found that prevents running.
    can_run: bool,
    groups: Vec<Group>,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let report = Report::new(groups(arguments, &Host::this()));
    match arguments.format {
        OutputFormat::Text => super::print_styled(&report.text())?,
        OutputFormat::Json => super::print_json(&report)?,
    }
    Ok(if report.can_run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn groups(arguments: &Arguments, host: &Host) -> Vec<Group> {
    let group = |name, findings| Group { name, findings };
    let mut groups = vec![
        group("dora", installation::probe()),
        group("kernel", kernel::probe()),
        group("limits", limits::probe(host)),
        group("memory", memory::probe(host)),
        group("processors", processors::probe(host)),
        group("tools", tools::probe()),
        group("what runs", leftovers::probe(host)),
        group("coordinators", coordinator::probe(&arguments.coordinator)),
    ];
    groups.extend(arguments.dataflow.iter().map(|path| group("dataflow", vec![dataflow::probe(path)])));
    groups
}

impl Report {
    fn new(groups: Vec<Group>) -> Self {
        let can_run = groups.iter().flat_map(|group| &group.findings).all(|finding| finding.status != Status::Error);
        Self { can_run, groups }
    }

    fn count(&self, status: Status) -> usize {
        self.groups.iter().flat_map(|group| &group.findings).filter(|finding| finding.status == status).count()
    }

    fn text(&self) -> String {
        let bold = Style::new().bold();
        let mut text = String::new();
        for group in &self.groups {
            text += &format!("{bold}{}{bold:#}\n", group.name);
            group.findings.iter().for_each(|finding| text += &lines(finding));
        }
        let warnings = counted(self.count(Status::Warning), "warning");
        match self.count(Status::Error) {
            0 => text + &format!("\nDataflows run here; {warnings}.\n"),
            errors => text + &format!("\nDataflows do not run here: {}, {warnings}.\n", counted(errors, "error")),
        }
    }
}

/// A finding for people: what, and below it what to do.
fn lines(finding: &Finding) -> String {
    let colour = match finding.status {
        Status::Ok => AnsiColor::Green,
        Status::Warning => AnsiColor::Yellow,
        Status::Error => AnsiColor::Red,
    };
    let style = Style::new().fg_color(Some(colour.into()));
    let Finding { what, status, detail, advice } = finding;
    let advice = advice.as_ref().map(|advice| format!("           what to do: {advice}\n")).unwrap_or_default();
    format!("  {style}{:<7}{style:#}  {what}: {detail}\n{advice}", status.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_prevent_running() {
        let report = |findings| Report::new(vec![Group { name: "a", findings }]);
        let fine = Finding::ok("x", "1");
        let odd = Finding::warning("y", "2", "do this");
        assert!(report(vec![fine.clone(), odd.clone()]).can_run);
        let broken = report(vec![fine, odd, Finding::error("z", "3", "do that")]);
        assert!(!broken.can_run);
        let text = anstream::adapter::strip_str(&broken.text()).to_string();
        assert!(text.contains("  warning  y: 2\n           what to do: do this\n"), "{text}");
        assert!(text.ends_with("\nDataflows do not run here: 1 error, 1 warning.\n"), "{text}");
    }
}
