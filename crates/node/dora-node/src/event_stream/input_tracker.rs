//! Remembers the last value and the state of each input, for nodes that go on when an input is silent.

use std::collections::HashMap;

use dora_arrow_convert::DoraArray;
use dora_message::id::{DataId, NodeId};

use super::Event;

/// Whether an input delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputState {
    /// It does, as far as is known.
    Healthy,
    /// It was closed.
    Closed,
}

/// The last value and the state of each input.
///
/// ```
/// use dora_node::{Event, InputState, InputTracker};
///
/// let mut tracker = InputTracker::new();
/// tracker.process_event(&Event::InputClosed { id: "image".into() });
/// assert_eq!(tracker.state(&"image".into()), Some(InputState::Closed));
/// ```
///
/// It holds on to the last value of each input, and with it to the shared memory of that message.
#[derive(Debug, Default)]
pub struct InputTracker {
    inputs: HashMap<DataId, Tracked>,
    sources: HashMap<DataId, NodeId>,
}

#[derive(Debug)]
struct Tracked {
    state: InputState,
    last: Option<DoraArray>,
}

impl InputTracker {
    /// A tracker that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tracker that knows which node each input comes from: when that is started again, its inputs are healthy.
    pub fn with_source_map(source_map: HashMap<DataId, NodeId>) -> Self {
        InputTracker { inputs: HashMap::new(), sources: source_map }
    }

    /// Takes note of an event. False: it does not concern inputs.
    pub fn process_event(&mut self, event: &Event) -> bool {
        match event {
            Event::Input { id, data, .. } => self.set(id, InputState::Healthy).last = Some(data.clone()),
            Event::InputClosed { id } => self.set(id, InputState::Closed).state = InputState::Closed,
            Event::InputRecovered { id } => self.set(id, InputState::Healthy).state = InputState::Healthy,
            Event::NodeRestarted { id } => {
                let from_it = |input: &DataId| self.sources.get(input) == Some(id);
                self.inputs.iter_mut().filter(|(input, _)| from_it(input)).for_each(|(_, tracked)| {
                    tracked.state = InputState::Healthy;
                });
            }
            _ => return false,
        }
        true
    }

    fn set(&mut self, id: &DataId, state: InputState) -> &mut Tracked {
        let tracked = self.inputs.entry(id.clone()).or_insert(Tracked { state, last: None });
        tracked.state = state;
        tracked
    }

    /// The state of an input; `None` if nothing was heard of it.
    pub fn state(&self, id: &DataId) -> Option<InputState> {
        self.inputs.get(id).map(|tracked| tracked.state)
    }

    /// Whether an input is closed.
    pub fn is_closed(&self, id: &DataId) -> bool {
        self.state(id) == Some(InputState::Closed)
    }

    /// The last value of an input, also after it was closed.
    pub fn last_value(&self, id: &DataId) -> Option<&DoraArray> {
        self.inputs.get(id)?.last.as_ref()
    }

    /// The inputs that are closed.
    pub fn closed_inputs(&self) -> Vec<&DataId> {
        self.inputs.iter().filter(|(_, tracked)| tracked.state == InputState::Closed).map(|(id, _)| id).collect()
    }

    /// Whether any input is closed.
    pub fn any_closed(&self) -> bool {
        self.inputs.values().any(|tracked| tracked.state == InputState::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dora_arrow_convert::IntoArrow;
    use dora_message::metadata::Metadata;

    #[test]
    fn values_outlive_their_input_and_restarts_heal() {
        let mut tracker = InputTracker::with_source_map([("a".into(), "x".into()), ("b".into(), "y".into())].into());
        let metadata = Metadata::new(crate::clock::timestamp(1, crate::clock::clock_id(&"x".into())));
        assert!(tracker.process_event(&Event::Input { id: "a".into(), metadata, data: 7u8.into_arrow() }));
        for id in ["a", "b"] {
            assert!(tracker.process_event(&Event::InputClosed { id: id.into() }));
        }
        assert_eq!(tracker.last_value(&"a".into()), Some(&7u8.into_arrow()));
        assert!(tracker.any_closed() && tracker.is_closed(&"a".into()));
        assert!(tracker.process_event(&Event::NodeRestarted { id: "x".into() }));
        assert_eq!(tracker.state(&"a".into()), Some(InputState::Healthy));
        assert_eq!(tracker.closed_inputs(), [&DataId::from("b")]);
        assert!(!tracker.process_event(&Event::Error("bad".into())));
        assert_eq!(tracker.state(&"c".into()), None);
    }
}
