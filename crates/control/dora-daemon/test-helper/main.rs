//! Plays the keeper and a program that runs a dataflow, in the tests of this crate.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::{path::Path, process::ExitCode};

use dora_daemon::{Event, Execution, PrepareOptions, become_subreaper, prepare};
use dora_gateways::DataflowEvent;
use dora_message::supervision::LaunchPlan;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["keeper", ..] => dora_keeper::run(),
        ["run", file] => run(Path::new(file)),
        ["daemon", plan] => daemon(Path::new(plan)),
        _ => panic!("unknown role {args:?}"),
    }
}

/// Runs a dataflow file as `dora run` does, and prints what happens.
fn run(file: &Path) -> ExitCode {
    become_subreaper().unwrap();
    let loaded = dora_descriptor::load(file, &dora_descriptor::Options::default()).unwrap();
    let prepared = prepare(&loaded.dataflow, file.parent().unwrap(), &PrepareOptions::default()).unwrap();
    follow(&prepared.plan)
}

/// Runs the plan in a file as a daemon does.
fn daemon(plan: &Path) -> ExitCode {
    become_subreaper().unwrap();
    let plan: LaunchPlan = serde_json::from_slice(&std::fs::read(plan).unwrap()).unwrap();
    follow(&plan)
}

fn follow(plan: &LaunchPlan) -> ExitCode {
    let mut execution = Execution::start(&std::env::current_exe().unwrap(), plan).unwrap();
    println!("keeper {}", execution.keeper_pid());
    loop {
        match execution.next_event(None) {
            Event::Happened(DataflowEvent::Lines { lines, .. }) => lines.iter().for_each(|line| println!("{line}")),
            Event::Finished(outcome) => {
                println!("outcome {outcome:?}");
                return if outcome.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            }
            Event::LetGo => {
                println!("let go");
                execution.control().kill();
                return ExitCode::SUCCESS;
            }
            _ => {}
        }
    }
}
