//! What happened, line by line, with the time of the simulation; and the time itself.

use std::{
    fmt::{Debug, Display, Write as _},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Milliseconds since the start of the simulation.
pub type Ms = u64;

/// The ids of dataflows are small numbers; this comes before their last digit.
const ZEROS: &str = "00000000-0000-0000-0000-00000000000";

/// The story of one seed, shared by all who take part in it.
#[derive(Clone, Default)]
pub struct Trace {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    now: Ms,
    /// The first epoch: it depends on the day.
    first: u64,
    lines: String,
}

impl Trace {
    /// The time.
    pub fn now(&self) -> Ms {
        self.state.lock().unwrap().now
    }

    pub fn advance(&self, now: Ms) {
        self.state.lock().unwrap().now = now;
    }

    /// Epochs are told as if this were the first.
    pub fn begins_with(&self, epoch: u64) {
        self.state.lock().unwrap().first = epoch;
    }

    pub fn say(&self, who: impl Display, what: impl Display) {
        let (who, mut what) = (who.to_string(), what.to_string().replace(ZEROS, "#"));
        let mut state = self.state.lock().unwrap();
        let (now, first) = (state.now, state.first);
        if what.contains("epoch") {
            for epoch in 0..20 {
                what = what.replace(&(first + epoch).to_string(), &(epoch + 1).to_string());
            }
        }
        let _ = writeln!(state.lines, "{:>3}.{:03} {who:<12} {what}", now / 1000, now % 1000);
    }

    /// Everything that was said.
    pub fn text(&self) -> String {
        self.state.lock().unwrap().lines.clone()
    }
}

/// What the coordinator logs is part of the story.
impl Subscriber for Trace {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("dora_") && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.say("log", format_args!("{}{}", line.message, line.fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name}: {value:?}"),
        };
    }
}
