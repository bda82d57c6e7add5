//! Cycles in which every edge waits: once all queues are full, nobody can go on.

use std::collections::HashMap;

use dora_message::{id::NodeId, keeper::QueuePolicy};

use crate::{
    decode::sink::Sink,
    diagnostic::{Code, Diagnostic},
    graph::{self, Edge},
    model::Dataflow,
    places::{Part, Places},
    source::Span,
};

/// Reports cycles of edges that are all `backpressure`, one per group of nodes that are tied together.
pub(crate) fn cycles(dataflow: &Dataflow, places: &Places, sink: &mut Sink) {
    let mut edges: HashMap<&NodeId, Vec<Edge<'_>>> = HashMap::new();
    for edge in graph::edges(dataflow).filter(|edge| edge.policy == QueuePolicy::Backpressure) {
        edges.entry(edge.from).or_default().push(edge);
    }
    let mut state: HashMap<&NodeId, Visit> = HashMap::new();
    for node in &dataflow.nodes {
        if !state.contains_key(&node.id)
            && let Some(cycle) = search(&node.id, &edges, &mut state)
        {
            report(&cycle, places, sink);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    Open,
    Done,
}

/// Walks from `start` depth first, and gives the first cycle that it closes. Everything it saw counts as visited.
fn search<'a>(
    start: &'a NodeId,
    edges: &HashMap<&'a NodeId, Vec<Edge<'a>>>,
    state: &mut HashMap<&'a NodeId, Visit>,
) -> Option<Vec<Edge<'a>>> {
    // A stack of our own: a chain of nodes may be longer than that of the thread allows.
    let mut path: Vec<Edge<'a>> = Vec::new();
    let mut stack: Vec<(&NodeId, usize)> = vec![(start, 0)];
    let mut found = None;
    state.insert(start, Visit::Open);
    while let Some((node, next)) = stack.last_mut() {
        let node: &'a NodeId = node;
        match edges.get(node).and_then(|edges| edges.get(*next)) {
            None => {
                state.insert(node, Visit::Done);
                stack.pop();
                path.pop();
            }
            Some(edge) => {
                *next += 1;
                match state.get(edge.to) {
                    None => {
                        state.insert(edge.to, Visit::Open);
                        path.push(*edge);
                        stack.push((edge.to, 0));
                    }
                    Some(Visit::Open) if found.is_none() => {
                        let first = path.iter().position(|earlier| earlier.from == edge.to).unwrap_or(path.len());
                        found = Some(path[first..].iter().chain([edge]).copied().collect());
                    }
                    Some(_) => {}
                }
            }
        }
    }
    found
}

fn report(cycle: &[Edge<'_>], places: &Places, sink: &mut Sink) {
    let Some(first) = cycle.first() else { return };
    let names: Vec<&str> = cycle.iter().map(|edge| edge.from.as_str()).chain([first.from.as_str()]).collect();
    let span = |edge: &Edge<'_>| -> Span { places.part(edge.to, &Part::InputKey(edge.input.clone(), "queue_policy")) };
    let message = format!("these edges wait for each other for ever: {}", names.join(" -> "));
    let mut diagnostic = Diagnostic::error(Code::Cycle, span(first), message)
        .label(format!("`{}` waits for `{}`", first.from, first.to))
        .help("with `queue_policy: backpressure` on every edge of a cycle all of them can be full at once; make one of them `drop_oldest`");
    for edge in &cycle[1..] {
        diagnostic = diagnostic.also(span(edge), format!("`{}` waits for `{}`", edge.from, edge.to));
    }
    sink.push(diagnostic);
}
