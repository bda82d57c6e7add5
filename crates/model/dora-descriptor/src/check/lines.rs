//! Inputs that carry what nodes print. Nobody waits for their consumers: printing must never depend on who reads.

use std::collections::HashSet;

use dora_message::{
    id::{DataId, NodeId},
    keeper::QueuePolicy,
};

use crate::{
    decode::sink::Sink,
    diagnostic::{Code, Diagnostic},
    model::{Dataflow, Source},
    places::{Part, Places},
};

/// Turns `backpressure` on such inputs into a longer queue that drops the oldest, as dora-rs always did, and says so.
pub(crate) fn lines(dataflow: &mut Dataflow, places: &Places, sink: &mut Sink) {
    let printed: HashSet<(NodeId, DataId)> = dataflow
        .nodes
        .iter()
        .flat_map(|node| {
            let outputs = [&node.logs.send_stdout_as, &node.logs.send_logs_as].into_iter().flatten();
            outputs.map(|output| (node.id.clone(), output.clone()))
        })
        .collect();
    for node in &mut dataflow.nodes {
        for (id, input) in &mut node.inputs {
            let carries_lines = match &input.source {
                Source::Logs { .. } => true,
                Source::Node { node, output } => printed.contains(&(node.clone(), output.clone())),
                Source::Timer { .. } => false,
            };
            if !carries_lines || input.queue_policy != QueuePolicy::Backpressure {
                continue;
            }
            input.queue_policy = QueuePolicy::DropOldest;
            input.queue_size = input.queue_size.saturating_mul(10).max(100);
            let span = places.part(&node.id, &Part::InputKey(id.clone(), "queue_policy"));
            let message = format!("`{}` carries what nodes print, and printing waits for nobody", input.source);
            let help = format!(
                "its queue is {} long now and drops the oldest, with a count; write `queue_policy: drop_oldest` and a \
                 `queue_size` to choose yourself",
                input.queue_size
            );
            sink.push(Diagnostic::warning(Code::Suspicious, span, message).help(help));
        }
    }
}
