//! What becomes of what a node prints.

use std::path::Path;

use dora_descriptor::{
    Dataflow, Node,
    model::{DEFAULT_ROTATED_FILES, LogLevel},
};
use dora_message::{
    id::{DataId, DataflowId, NodeId},
    supervision::LogPlan,
};

/// The rules of the dataflow file, and where the log file lies: `out/<run>/log_<node>.jsonl` in the working directory.
pub(super) fn plan(node: &Node, working_dir: &Path, dataflow: DataflowId) -> LogPlan {
    let directory = working_dir.join("out").join(dataflow.to_string());
    let rules = &node.logs;
    LogPlan {
        file: Some(directory.join(format!("log_{}.jsonl", node.id))),
        max_size: rules.max_size,
        max_rotated_files: rules.max_rotated_files.unwrap_or(DEFAULT_ROTATED_FILES),
        min_level: rules.min_level.unwrap_or(LogLevel::Stdout),
        stdout_as: rules.send_stdout_as.clone(),
        logs_as: rules.send_logs_as.clone(),
    }
}

/// A node whose log file has the name of a rotated one of this node, as `camera.1` beside `camera`.
pub(super) fn namesake<'a>(node: &Node, dataflow: &'a Dataflow) -> Option<&'a NodeId> {
    node.logs.max_size?;
    let rotated = 1..=node.logs.max_rotated_files.unwrap_or(DEFAULT_ROTATED_FILES);
    dataflow.nodes.iter().map(|other| &other.id).find(|other| {
        let number = other.as_str().strip_prefix(node.id.as_str()).and_then(|rest| rest.strip_prefix('.'));
        number.and_then(|number| number.parse().ok()).is_some_and(|number: u32| rotated.contains(&number))
    })
}

/// Whether the keeper sends on this output what the node prints. Then the node itself cannot.
pub(super) fn carries_lines(node: &Node, output: &DataId) -> bool {
    [&node.logs.send_stdout_as, &node.logs.send_logs_as].into_iter().flatten().any(|lines| lines == output)
}
