//! What happens in a dataflow, for everybody who wants to know.
//!
//! One thread publishes, the worker of the dataflow. Each subscriber has a queue of its own, so that a slow one delays no
//! other; who may delay the publisher is the queue's business.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dora_gateways::{DataflowEvent, Watching};
use dora_rpc::{RpcStream, StreamSender, stream};

use super::{
    queue::{Queue, Subscription, queue},
    recent::Recent,
};

/// Events that are on their way from a queue to whoever asked for them.
const ON_THE_WAY: usize = 16;

/// The events of one dataflow on this machine.
#[derive(Debug)]
pub(super) struct Feed {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    queues: Arc<[Arc<Queue>]>,
    /// Of who submitted the dataflow, until it is asked for.
    first: Option<Subscription>,
    /// `None`: nobody asks for lines of the past.
    recent: Option<Recent>,
    /// Nobody waits for a reader any more.
    hurried: bool,
    ended: bool,
}

impl Feed {
    /// Nothing has happened yet. `watched`: somebody will ask for all that does. `follows`: somebody may [`follow`](Self::follow).
    pub(super) fn new(watched: Option<Watching>, follows: bool) -> Self {
        let (queues, first) = watched.map(queue).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let recent = follows.then(Recent::default);
        let state =
            State { queues: queues.into(), first: first.into_iter().next(), recent, hurried: false, ended: false };
        Feed { state: Mutex::new(state) }
    }

    /// Of a dataflow that has run before.
    pub(super) fn resumed() -> Self {
        let feed = Feed::new(None, false);
        feed.lock().recent = Some(Recent::resumed());
        feed
    }

    /// Tells everybody.
    pub(super) fn publish(&self, event: DataflowEvent) {
        let queues = self.lock().note(&event);
        let Some((last, others)) = queues.split_last() else { return };
        let mut is_left = false;
        for queue in others {
            is_left |= !queue.push(event.clone());
        }
        // The only one gets it without a copy.
        is_left |= !last.push(event);
        if is_left {
            self.lock().remove_abandoned();
        }
    }

    /// Whether anybody would hear what is published.
    pub(super) fn is_heard(&self) -> bool {
        !self.lock().queues.is_empty()
    }

    /// What happens from now on; from the start for the first who asks, if the dataflow was to be watched.
    pub(super) fn open(&self, watching: Watching) -> RpcStream<DataflowEvent> {
        let (sender, events) = stream(ON_THE_WAY);
        let first = self.lock().first.take();
        tokio::spawn(pump(first.unwrap_or_else(|| self.subscribe(watching)), sender));
        events
    }

    /// What happens from now on.
    pub(super) fn subscribe(&self, watching: Watching) -> Subscription {
        self.lock().subscribe(watching)
    }

    /// The lines that were printed last, and what happens after them.
    pub(super) fn follow(&self, watching: Watching) -> (Recent, Subscription) {
        let mut state = self.lock();
        (state.recent.clone().unwrap_or_default(), state.subscribe(watching))
    }

    /// Whether somebody has yet to ask for what happened from the start.
    pub(super) fn is_awaited(&self) -> bool {
        self.lock().first.is_some()
    }

    /// The dataflow is stopped: from now on nobody waits for a reader.
    pub(super) fn hurry(&self) {
        let mut state = self.lock();
        state.hurried = true;
        state.queues.iter().for_each(|queue| queue.hurry());
    }

    /// Nothing will happen any more.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.queues.iter().for_each(|queue| queue.end());
        state.queues = Arc::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers lines; who is to be told.
    fn note(&mut self, event: &DataflowEvent) -> Arc<[Arc<Queue>]> {
        if let (Some(recent), DataflowEvent::Lines { node, stream, time_ns, lines }) = (&mut self.recent, event) {
            recent.add(node, *stream, *time_ns, lines);
        }
        self.queues.clone()
    }

    fn subscribe(&mut self, watching: Watching) -> Subscription {
        let (queue, subscription) = queue(watching);
        if self.hurried {
            queue.hurry();
        }
        match self.ended {
            true => queue.end(),
            false => self.queues = self.queues.iter().cloned().chain([queue]).collect(),
        }
        subscription
    }

    fn remove_abandoned(&mut self) {
        self.queues = self.queues.iter().filter(|queue| !queue.is_abandoned()).cloned().collect();
    }
}

/// Brings events to whoever asked for them, at his pace.
async fn pump(mut events: Subscription, to: StreamSender<DataflowEvent>) {
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = to.abandoned() => None,
        };
        let Some(event) = event else { return };
        if to.send(event).await.is_err() {
            return;
        }
    }
}
