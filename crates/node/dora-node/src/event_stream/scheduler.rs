//! Decides which event comes next. Never waits.
//!
//! 1. What was decided earlier and must not be overtaken: the end of an input after its failure, the last `Stop`.
//! 2. Mail from the keeper.
//! 3. A node that was started again, once everything from its old process was taken.
//! 4. Inputs and timers, in turn.
//!
//! It must not know how a node sleeps.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use arrow::array::NullArray;
use dora_arrow_convert::DoraArray;
use dora_channel::{Consumer, Message, Polled, os::clock::monotonic_ns};
use dora_message::{
    arrow::Decoded,
    id::{DataId, NodeId},
    keeper::{FromNode, InputSource, NodeRunConfig, ToNode},
    metadata::Metadata,
};

use super::{
    event::{Event, StopCause},
    inputs::{Input, Inputs},
    payload,
    silence::Silence,
    succession::Successions,
    timer::Timers,
};
use crate::{
    clock::{NodeClock, timestamp},
    connection::{Incoming, Mail, Mailbox, Published},
    integration_testing::Script,
};

/// Decides which event an [`EventStream`](super::EventStream) gives next; its documentation of
/// [`Event`](super::Event#order) tells the rules.
#[derive(Debug)]
pub struct EventScheduler {
    consumer: Consumer,
    inputs: Inputs,
    timers: Timers,
    silence: Silence,
    successions: Successions,
    mail: Arc<Mailbox>,
    script: Option<Script>,
    clock: Arc<NodeClock>,
    /// Comes before anything else.
    pending: VecDeque<Event>,
    course: Course,
    /// The last event was a tick: inputs are next.
    ticked: bool,
    /// The process goes on when the dataflow ends.
    dynamic: bool,
}

/// How far the stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Running,
    /// A stop was told: what is queued is still given.
    Stopped,
    /// The keeper is gone: what is queued is still given, then the reason, then the end.
    Orphaned,
    /// Nothing comes after what is pending.
    Over,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Event(Event),
    Nothing,
    Over,
}

impl EventScheduler {
    /// For a node of a dataflow; its timers start now.
    pub(crate) fn connected(
        config: &NodeRunConfig,
        mut consumer: Consumer,
        incoming: Incoming,
        mail: Arc<Mailbox>,
        clock: Arc<NodeClock>,
    ) -> Self {
        consumer.spare(payload::is_correlated);
        let start = monotonic_ns();
        let mut timers = Timers::default();
        for (input, config) in config.inputs.iter().enumerate() {
            if let InputSource::Timer { interval_ns } = config.source {
                timers.add(input, start, interval_ns);
            }
        }
        EventScheduler {
            consumer,
            inputs: Inputs::new(&config.inputs, &config.node_id, config.exit_when_nodes_finish),
            timers,
            silence: Silence::new(&config.inputs),
            successions: Successions::new(incoming),
            mail,
            script: None,
            clock,
            pending: VecDeque::new(),
            course: Course::Running,
            ticked: false,
            dynamic: config.dynamic,
        }
    }

    /// For a node that runs alone.
    pub(crate) fn scripted(script: Script, clock: Arc<NodeClock>) -> Self {
        EventScheduler {
            consumer: Consumer::new(0),
            inputs: Inputs::default(),
            timers: Timers::default(),
            silence: Silence::default(),
            successions: Successions::default(),
            mail: Arc::new(Mailbox::new(None, None)),
            script: Some(script),
            clock,
            pending: VecDeque::new(),
            course: Course::Running,
            ticked: false,
            dynamic: false,
        }
    }

    /// Whether [`Self::next`] may find something. Timers are not looked at: they have a deadline.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        !self.pending.is_empty()
            || self.mail.has_new()
            || self.consumer.is_ready()
            || self.script.as_ref().is_some_and(Script::is_ready)
    }

    /// Asks the CPU to load what [`Self::next`] touches.
    pub(super) fn prefetch(&self) {
        self.consumer.prefetch();
    }

    /// When to look again even if nobody rings.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        match &self.script {
            Some(script) => script.deadline_ns(),
            None => self.timers.deadline_ns().into_iter().chain(self.silence.deadline_ns()).min(),
        }
    }

    /// Whether an event is there now.
    pub(super) fn has_event(&self) -> bool {
        self.is_ready() || self.deadline_ns().is_some_and(|deadline| deadline <= monotonic_ns())
    }

    /// Messages given up per input since the last call.
    pub(super) fn drain_drop_counts(&mut self) -> HashMap<DataId, u64> {
        self.inputs.drain_drop_counts(|input| self.consumer.dropped(input))
    }

    /// The next event.
    #[inline]
    pub(super) fn next(&mut self) -> Next {
        loop {
            if !self.pending.is_empty() || self.course == Course::Over {
                return self.pending.pop_front().map_or(Next::Over, Next::Event);
            }
            if self.mail.has_new() {
                self.read_mail();
                continue;
            }
            if let Some(next) = self.look() {
                return next;
            }
        }
    }

    /// One look at timers and inputs. `None`: something is pending now.
    #[inline(always)]
    fn look(&mut self) -> Option<Next> {
        if let Some(script) = &mut self.script {
            return match script.next(monotonic_ns()) {
                Some(event) => Some(Next::Event(event)),
                None if script.is_over() => Some(Next::Over),
                None => Some(Next::Nothing),
            };
        }
        if !self.ticked
            && let Some(tick) = self.due_tick()
        {
            self.ticked = true;
            return Some(Next::Event(tick));
        }
        self.ticked = false;
        if !self.silence.is_empty()
            && let Some(id) = self.silent_input()
        {
            return Some(Next::Event(Event::InputClosed { id }));
        }
        if !self.successions.is_empty() && self.move_on() {
            return None;
        }
        match self.consumer.poll() {
            Polled::Message { input, message } => {
                let event = self.input(input as usize, message);
                Some(Next::Event(if self.silence.is_empty() { event } else { self.heard(input as usize, event) }))
            }
            Polled::Closed { input } => {
                self.close(input as usize);
                None
            }
            Polled::Broken { input } => {
                self.break_off(input as usize);
                None
            }
            Polled::Empty => match self.due_tick() {
                Some(tick) => Some(Next::Event(tick)),
                None => self.nothing_queued(),
            },
        }
    }

    #[inline]
    fn due_tick(&mut self) -> Option<Event> {
        if self.timers.is_empty() {
            return None;
        }
        let input = self.inputs.get(self.timers.due(monotonic_ns())?)?;
        let data = DoraArray(Arc::new(NullArray::new(0)));
        Some(Event::Input { id: input.id.clone(), metadata: Metadata::new(self.clock.timestamp()), data })
    }

    /// An input that breaks now, because nothing came in it for its `input_timeout`.
    fn silent_input(&mut self) -> Option<DataId> {
        let consumer = &self.consumer;
        let input = self.silence.due(monotonic_ns(), |input| consumer.is_queued(input as u32))?;
        self.inputs.get(input).map(|input| input.id.clone())
    }

    /// What to tell at a message of an input: if it was broken, that it works again, and then the message.
    fn heard(&mut self, input: usize, event: Event) -> Event {
        match self.inputs.get(input).map(|input| input.id.clone()) {
            Some(id) if self.silence.heard(input, monotonic_ns) => {
                self.pending.push_back(event);
                Event::InputRecovered { id }
            }
            _ => event,
        }
    }

    #[inline(always)]
    fn input(&self, input: usize, message: Message) -> Event {
        let Some(input) = self.inputs.get(input) else {
            return Event::Error(format!(
                "a message came in an input of number {input}, which this node does not have"
            ));
        };
        let stamp_ns = message.stamp_ns();
        input_event(input, stamp_ns, payload::read(message))
    }

    /// A message that somebody sent in place of a node. It comes before what is queued.
    #[cold]
    fn published(&mut self, published: Published) -> Option<Event> {
        let number = self.inputs.open(&published.input).filter(|_| self.course == Course::Running)?;
        let input = self.inputs.get(number)?;
        let event =
            input_event(input, published.stamp_ns, payload::read_published(published.memory, &published.message));
        let id = input.id.clone();
        if self.silence.heard(number, monotonic_ns) {
            self.pending.push_back(Event::InputRecovered { id });
        }
        Some(event)
    }

    #[cold]
    fn close(&mut self, input: usize) {
        // The reason was sent before the edge was closed, but the thread that reads mail may not have run since.
        self.mail.collect();
        self.read_mail();
        let (events, ended) = self.inputs.closed(input);
        let stopped = self.course != Course::Running;
        let known = self.silence.closed(input);
        self.pending.extend(events.into_iter().filter(|event| match event {
            Event::Stop(_) => !stopped,
            Event::InputClosed { .. } => !known,
            _ => true,
        }));
        if ended && !stopped {
            self.course = Course::Over;
        }
    }

    /// Goes on with the edges of a node that was started again, if everything from its old process was taken.
    #[cold]
    fn move_on(&mut self) -> bool {
        let (consumer, inputs) = (&self.consumer, &mut self.inputs);
        let is_drained = |node: &NodeId| consumer.is_drained(|input| inputs.is_from(input, node));
        let Some(next) = self.successions.take(is_drained) else { return false };
        let reopened: Vec<_> = next.edges.iter().filter_map(|edge| inputs.reopen(edge.input() as usize)).collect();
        self.consumer.replace(next.edges);
        self.mail.say(&FromNode::Followed { node: next.node.clone() });
        self.pending.push_back(Event::NodeRestarted { id: next.node });
        self.pending.extend(reopened.into_iter().map(|id| Event::InputRecovered { id }));
        true
    }

    #[cold]
    fn break_off(&mut self, input: usize) {
        if let Some(input) = self.inputs.get(input) {
            let text =
                format!("input `{}` is broken: its sender wrote nonsense into the queue; it is closed", input.id);
            self.pending.push_back(Event::Error(text));
        }
        self.close(input);
    }

    fn nothing_queued(&mut self) -> Option<Next> {
        match self.course {
            Course::Running => return Some(Next::Nothing),
            Course::Stopped | Course::Over => {}
            Course::Orphaned => {
                let text = "the keeper of the dataflow is gone, and with it the dataflow; the node should end";
                self.pending.push_back(Event::Error(text.to_owned()));
            }
        }
        self.course = Course::Over;
        None
    }

    #[cold]
    fn read_mail(&mut self) {
        for mail in self.mail.take() {
            let event = match mail {
                // A node of the dataflow is about to be killed; one that joined is merely told that it is over.
                Mail::KeeperGone if self.dynamic => self.event_of(ToNode::Stop),
                Mail::KeeperGone => {
                    self.leave(Course::Orphaned);
                    None
                }
                Mail::Edge(grant, fds) => self.successions.granted(&grant, fds).err().map(|error| {
                    Event::Error(format!("node `{}` runs again, but cannot be heard: {error}", grant.peer))
                }),
                Mail::Message(published) => self.published(published),
                Mail::Packet(packet) => self.event_of(packet),
            };
            self.pending.extend(event);
        }
    }

    fn event_of(&mut self, packet: ToNode) -> Option<Event> {
        match packet {
            ToNode::Stop if self.course == Course::Running => {
                self.leave(Course::Stopped);
                Some(Event::Stop(StopCause::Manual))
            }
            ToNode::NodeFailed { node, error } => self.inputs.node_failed(node, error),
            ToNode::KeepEdges => {
                self.consumer.keep_edges();
                self.successions.keep_edges();
                None
            }
            ToNode::NodeRestarted { node } => {
                self.successions.restarted(node);
                None
            }
            ToNode::ParamUpdate { key, value } => Some(Event::ParamUpdate { key, value }),
            ToNode::ParamDeleted { key } => Some(Event::ParamDeleted { key }),
            ToNode::Reload { operator } => Some(Event::Reload { operator_id: operator.map(Into::into) }),
            _ => None, // said during the start only
        }
    }

    fn leave(&mut self, course: Course) {
        if self.course == Course::Running {
            self.course = course;
            self.timers.stop();
            self.silence.stop();
        }
    }
}

#[inline(always)]
fn input_event(input: &Input, stamp_ns: u64, read: Result<Decoded, payload::Unreadable>) -> Event {
    let timestamp = timestamp(stamp_ns, input.clock);
    match read {
        Ok(decoded) => Event::Input {
            id: input.id.clone(),
            metadata: Metadata::from_parameters(timestamp, decoded.parameters),
            data: DoraArray(decoded.array),
        },
        Err(error) => Event::Error(format!("a message of input `{}` cannot be read: {error}", input.id)),
    }
}
