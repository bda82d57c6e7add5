//! Events that are typed on a terminal, for trying a node out.

use std::{
    collections::VecDeque,
    io::{self, BufRead},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use dora_channel::Waker;
use dora_message::id::NodeId;

use super::{
    format::{IncomingEvent, InputData},
    script::event_of,
};
use crate::{clock::NodeClock, event_stream::Event};

const HELP: &str = "This node runs alone. Type an input per line: its id and its data as JSON, for example\n  \
     number 7\n  names [\"a\", \"b\"]\n  tick\n`closed ID` closes an input; an empty line or the end of input ends the events.";

/// What was typed and not yet received.
#[derive(Debug, Default)]
pub(crate) struct Typed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    over: bool,
}

impl Typed {
    /// Starts to read standard input, in a thread that ends with it or with the process.
    pub(super) fn listen(node: &NodeId, waker: Waker) -> io::Result<Arc<Self>> {
        let typed = Arc::new(Typed::default());
        let (shared, clock) = (typed.clone(), NodeClock::alone(node));
        eprintln!("{HELP}");
        thread::Builder::new().name("dora-terminal".to_owned()).spawn(move || {
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if line.trim().is_empty() {
                    break;
                }
                match parse(&line).and_then(|event| event_of(&event, clock.timestamp())) {
                    Ok(event) => {
                        shared.state().events.push_back(event);
                        waker.wake();
                    }
                    Err(reason) => eprintln!("not understood: {reason}"),
                }
            }
            shared.state().over = true;
            waker.wake();
        })?;
        Ok(typed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next(&self) -> Option<Event> {
        self.state().events.pop_front()
    }

    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.over && state.events.is_empty()
    }

    pub(super) fn is_ready(&self) -> bool {
        let state = self.state();
        state.over || !state.events.is_empty()
    }
}

fn parse(line: &str) -> Result<IncomingEvent, String> {
    let line = line.trim();
    let (id, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match rest.trim() {
        "" => Ok(IncomingEvent::Input { id: id.into(), metadata: None, data: None }),
        closed if id == "closed" => Ok(IncomingEvent::InputClosed { id: closed.into() }),
        data => {
            let data = serde_json::from_str(data).map_err(|error| format!("`{data}` is not JSON: {error}"))?;
            let data = Some(Box::new(InputData::JsonObject { data, data_type: None }));
            Ok(IncomingEvent::Input { id: id.into(), metadata: None, data })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_events() {
        assert!(matches!(parse("tick"), Ok(IncomingEvent::Input { data: None, .. })));
        assert!(matches!(parse(" closed image "), Ok(IncomingEvent::InputClosed { id }) if id.as_str() == "image"));
        let Ok(IncomingEvent::Input { id, data: Some(data), .. }) = parse("names [\"a\", \"b\"]") else { panic!() };
        assert_eq!(id.as_str(), "names");
        assert_eq!(*data, InputData::JsonObject { data: serde_json::json!(["a", "b"]), data_type: None });
        assert!(parse("number seven").unwrap_err().contains("`seven` is not JSON"));
    }
}
