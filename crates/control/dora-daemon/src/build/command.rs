//! One program, run by a keeper of its own.
//!
//! It must not know why the program is run.

use std::path::{Path, PathBuf};

use dora_gateways::DataflowEvent;
use dora_message::{
    id::NodeId,
    result::NodeResult,
    supervision::{LaunchPlan, NodePlan, OutputStream},
};

use super::{BuildProblem, crew::Crew};
use crate::execution::{Event, Execution};

/// A program that has no messages to send, so that it needs hardly any memory for them.
const MEMORY: u64 = 1 << 20;

/// What to run.
pub(super) struct Command<'a> {
    pub(super) node: &'a NodeId,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) dir: &'a Path,
    pub(super) env: &'a [(String, String)],
}

/// How it ended.
pub(super) enum Ended {
    Well,
    /// For people: "exited with code 3".
    Badly(String),
}

impl Command<'_> {
    /// Runs it to its end; nothing that it has started is left then.
    pub(super) fn run(self, crew: &Crew, on_line: &mut dyn FnMut(OutputStream, String)) -> Result<Ended, BuildProblem> {
        if crew.control.is_cancelled() {
            return Err(BuildProblem::Cancelled);
        }
        let mut execution = Execution::start(&crew.options.keeper, &self.plan()).map_err(BuildProblem::Keeper)?;
        let control = execution.control();
        crew.control.until_cancelled(
            move || control.kill(),
            || {
                loop {
                    match execution.next_event(None) {
                        Event::Happened(DataflowEvent::Lines { stream, lines, .. }) => {
                            lines.into_iter().for_each(|line| on_line(stream, line));
                        }
                        Event::Finished(outcome) => {
                            let trouble = outcome.trouble.as_ref().map(|trouble| trouble.to_string());
                            let failed = outcome.nodes.first().filter(|node| node.result != NodeResult::Success);
                            let how = failed.map(|node| node.result.to_string());
                            return trouble.or(how).map_or(Ended::Well, Ended::Badly);
                        }
                        _ => {}
                    }
                }
            },
        )
    }

    fn plan(self) -> LaunchPlan {
        // What a build prints is kept by whoever asked for it.
        let node = NodePlan::of_program(self.node.clone(), self.program, self.dir.to_owned());
        let node = NodePlan { args: self.args, env: self.env.to_vec(), ..node };
        LaunchPlan {
            dataflow_id: uuid::Uuid::now_v7(),
            clock_anchor_ns: 0,
            memory_budget: MEMORY,
            exit_when_nodes_finish: false,
            hold: false,
            write_events_to: None,
            descriptor: serde_json::Value::Null,
            nodes: vec![node],
            edges: Vec::new(),
            lasting: None,
        }
    }
}
