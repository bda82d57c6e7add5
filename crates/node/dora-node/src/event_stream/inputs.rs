//! What a node knows about each of its inputs: its source, and whether more can come.

use std::collections::HashMap;

use dora_message::{
    id::{DataId, NodeId},
    keeper::{InputConfig, InputSource},
};

use super::event::{Event, StopCause};
use crate::clock::clock_id;

/// The inputs of a node, known by their position in the configuration.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    inputs: Vec<Input>,
    /// Nodes that failed, and how, as long as the user was not told.
    failures: HashMap<NodeId, String>,
    /// Timers and log entries keep the node alive when the other inputs are closed.
    timers_count: bool,
}

#[derive(Debug)]
pub(super) struct Input {
    pub(super) id: DataId,
    /// `None`: a timer, or log entries: neither ever closes.
    source: Option<NodeId>,
    /// The clock that stamps its messages.
    pub(super) clock: uhlc::ID,
    open: bool,
    drops_reported: u64,
}

impl Inputs {
    pub(super) fn new(configs: &[InputConfig], own: &NodeId, exit_when_nodes_finish: bool) -> Self {
        let input = |config: &InputConfig| {
            let source = match &config.source {
                InputSource::Node { node, .. } => Some(node.clone()),
                InputSource::Timer { .. } | InputSource::Logs => None,
            };
            let clock = clock_id(source.as_ref().unwrap_or(own));
            Input { id: config.id.clone(), source, clock, open: true, drops_reported: 0 }
        };
        let inputs = configs.iter().map(input).collect();
        Inputs { inputs, failures: HashMap::new(), timers_count: !exit_when_nodes_finish }
    }

    pub(super) fn get(&self, input: usize) -> Option<&Input> {
        self.inputs.get(input)
    }

    /// The position of an input that is open.
    pub(super) fn open(&self, id: &DataId) -> Option<usize> {
        self.inputs.iter().position(|input| input.id == *id && input.open)
    }

    fn from<'a>(&'a self, node: &'a NodeId) -> impl Iterator<Item = &'a Input> {
        self.inputs.iter().filter(move |input| input.source.as_ref() == Some(node))
    }

    /// Whether an input comes from that node.
    pub(super) fn is_from(&self, input: u32, node: &NodeId) -> bool {
        self.inputs.get(input as usize).is_some_and(|input| input.source.as_ref() == Some(node))
    }

    /// Messages can come in an input again: its name if it was closed.
    pub(super) fn reopen(&mut self, input: usize) -> Option<DataId> {
        let input = self.inputs.get_mut(input)?;
        (!std::mem::replace(&mut input.open, true)).then(|| input.id.clone())
    }

    fn failure(&self, node: NodeId, error: String) -> Event {
        let affected_input_ids = self.from(&node).map(|input| input.id.clone()).collect();
        Event::NodeFailed { affected_input_ids, error, source_node_id: node }
    }

    /// A node failed. The user is told at once if all its inputs had ended before, else when the first one ends.
    pub(super) fn node_failed(&mut self, node: NodeId, error: String) -> Option<Event> {
        if self.from(&node).any(|input| input.open) {
            self.failures.insert(node, error);
            return None;
        }
        let concerns_us = self.from(&node).next().is_some();
        concerns_us.then(|| self.failure(node, error))
    }

    /// The last message of an input was taken: what to tell, in order, and whether the stream ends with it.
    pub(super) fn closed(&mut self, input: usize) -> (Vec<Event>, bool) {
        let Some(entry) = self.inputs.get_mut(input).filter(|entry| entry.open) else { return (Vec::new(), false) };
        entry.open = false;
        let (id, source) = (entry.id.clone(), entry.source.clone());
        let failure = source.and_then(|node| self.failures.remove_entry(&node));
        let mut events: Vec<_> = failure.map(|(node, error)| self.failure(node, error)).into_iter().collect();
        events.push(Event::InputClosed { id });
        let ended = !self.inputs.iter().any(|input| input.open && (self.timers_count || input.source.is_some()));
        if ended {
            events.push(Event::Stop(StopCause::AllInputsClosed));
        }
        (events, ended)
    }

    /// Messages given up per input since the last call. `total`: all that were given up in an input so far.
    pub(super) fn drain_drop_counts(&mut self, total: impl Fn(u32) -> u64) -> HashMap<DataId, u64> {
        let mut counts = HashMap::new();
        for (number, input) in self.inputs.iter_mut().enumerate() {
            let total = total(number as u32);
            let new = total - std::mem::replace(&mut input.drops_reported, total);
            if new > 0 {
                counts.insert(input.id.clone(), new);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dora_message::keeper::QueuePolicy;

    fn config(id: &str, source: InputSource) -> InputConfig {
        InputConfig { id: id.into(), source, queue_size: 1, policy: QueuePolicy::DropOldest, timeout_ns: None }
    }
    fn from(node: &str) -> InputSource {
        InputSource::Node { node: node.into(), output: "out".into() }
    }
    fn names(events: &[Event]) -> Vec<String> {
        let name = |event: &Event| match event {
            Event::InputClosed { id } => format!("closed {id}"),
            Event::NodeFailed { affected_input_ids, source_node_id, .. } => {
                format!("failed {source_node_id} {affected_input_ids:?}")
            }
            other => format!("{other:?}"),
        };
        events.iter().map(name).collect()
    }

    #[test]
    fn a_failure_is_told_once_before_the_first_input_that_it_closes() {
        let configs = [config("a", from("x")), config("b", from("x")), config("c", from("y"))];
        let mut inputs = Inputs::new(&configs, &"me".into(), false);
        assert!(inputs.node_failed("x".into(), "bad".into()).is_none());
        assert!(inputs.node_failed("stranger".into(), "bad".into()).is_none());
        assert_eq!(names(&inputs.closed(1).0), [r#"failed x ["a", "b"]"#, "closed b"]);
        assert_eq!(names(&inputs.closed(0).0), ["closed a"]);
        assert_eq!(names(&inputs.closed(0).0), [""; 0], "an input closes once");
        assert_eq!(names(&inputs.closed(2).0), ["closed c", "Stop(AllInputsClosed)"]);
        let late = inputs.node_failed("y".into(), "bad".into());
        assert_eq!(names(&late.into_iter().collect::<Vec<_>>()), [r#"failed y ["c"]"#]);
    }

    #[test]
    fn timers_keep_a_node_alive_unless_told_otherwise() {
        let configs = [config("tick", InputSource::Timer { interval_ns: 1 }), config("a", from("x"))];
        assert!(!Inputs::new(&configs, &"me".into(), false).closed(1).1);
        assert!(Inputs::new(&configs, &"me".into(), true).closed(1).1);
    }
}
