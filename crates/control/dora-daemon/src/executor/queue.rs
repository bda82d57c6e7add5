//! What one subscriber of a feed has not read yet.
//!
//! Lines are bounded by their bytes; everything else is never left out. It must not know who reads.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use dora_gateways::{DataflowEvent, Watching};
use tokio::sync::Notify;

/// Bytes of lines that wait for a reader, as long as whoever prints can wait for it or it may miss some.
const MOST_LINES: usize = 1 << 20;
/// Bytes of lines that wait for a reader that is to miss none, once nobody waits for it any more.
const MOST_LINES_AT_END: usize = 64 << 20;
/// Other events that wait. Nobody who reads at all comes near: a reader with so many is taken for gone.
const MOST_EVENTS: usize = 1 << 16;
/// What a line costs besides its text.
const LINE_COST: usize = 32;

/// The reading end. Whoever drops it is no subscriber any more.
#[derive(Debug)]
pub(super) struct Subscription(Arc<Queue>);

/// The writing end.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    readable: Notify,
    room: Condvar,
}

#[derive(Debug)]
struct State {
    watching: Watching,
    /// Whether [`Queue::push`] may wait. It does not during a stop.
    patient: bool,
    /// Events other than lines, with their places in the order of all.
    events: VecDeque<(u64, DataflowEvent)>,
    /// Lines, with their places, their number and what they cost.
    lines: VecDeque<(u64, Weight, DataflowEvent)>,
    next_place: u64,
    cost: usize,
    /// Lines that were left out before the first of `lines`.
    missed: u64,
    ended: bool,
    abandoned: bool,
}

#[derive(Debug, Clone, Copy)]
struct Weight {
    lines: u64,
    cost: usize,
}

impl Weight {
    /// `None`: the event is no lines.
    fn of(event: &DataflowEvent) -> Option<Self> {
        let DataflowEvent::Lines { lines, .. } = event else { return None };
        let cost = lines.iter().map(|line| line.len() + LINE_COST).sum();
        Some(Weight { lines: lines.len() as u64, cost })
    }
}

/// A queue that is empty, and its reader.
pub(super) fn queue(watching: Watching) -> (Arc<Queue>, Subscription) {
    let state = State {
        watching,
        patient: true,
        events: VecDeque::new(),
        lines: VecDeque::new(),
        next_place: 0,
        cost: 0,
        missed: 0,
        ended: false,
        abandoned: false,
    };
    let queue = Arc::new(Queue { state: Mutex::new(state), readable: Notify::new(), room: Condvar::new() });
    (queue.clone(), Subscription(queue))
}

impl Queue {
    /// Appends an event; waits for room for it only where nothing may be missed. False: nobody reads any more.
    pub(super) fn push(&self, event: DataflowEvent) -> bool {
        let mut state = self.lock();
        if let Some(weight) = Weight::of(&event) {
            while state.must_wait() {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.push_lines(weight, event);
        } else {
            state.push_event(event);
        }
        let is_read = !state.abandoned;
        drop(state);
        self.readable.notify_one();
        is_read
    }

    /// From now on nobody waits for the reader.
    pub(super) fn hurry(&self) {
        self.lock().patient = false;
        self.room.notify_all();
    }

    /// Whether nobody reads any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// No more events will come.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.readable.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn must_wait(&self) -> bool {
        self.watching == Watching::Closely && self.patient && !self.abandoned && self.cost >= MOST_LINES
    }

    fn push_lines(&mut self, weight: Weight, event: DataflowEvent) {
        let place = self.place();
        self.cost += weight.cost;
        self.lines.push_back((place, weight, event));
        let most = if self.watching == Watching::Closely { MOST_LINES_AT_END } else { MOST_LINES };
        // What has just come is kept, however long it is.
        while self.cost > most && self.lines.len() > 1 {
            if let Some((_, weight, _)) = self.lines.pop_front() {
                self.cost -= weight.cost;
                self.missed += weight.lines;
            }
        }
        self.forget_if_abandoned();
    }

    fn push_event(&mut self, event: DataflowEvent) {
        let place = self.place();
        self.events.push_back((place, event));
        self.abandoned |= self.events.len() > MOST_EVENTS;
        self.forget_if_abandoned();
    }

    fn place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place
    }

    fn forget_if_abandoned(&mut self) {
        if self.abandoned {
            self.events.clear();
            self.lines.clear();
        }
    }

    fn pop(&mut self) -> Option<DataflowEvent> {
        let of_lines = self.lines.front().map(|(place, ..)| *place);
        let is_lines_turn = match (self.events.front(), of_lines) {
            (Some((place, _)), Some(of_lines)) => of_lines < *place,
            (_, of_lines) => of_lines.is_some(),
        };
        if !is_lines_turn {
            return self.events.pop_front().map(|(_, event)| event);
        }
        if self.missed > 0 {
            return Some(DataflowEvent::Missed { lines: std::mem::take(&mut self.missed) });
        }
        let (_, weight, event) = self.lines.pop_front()?;
        self.cost -= weight.cost;
        Some(event)
    }
}

impl Subscription {
    /// The next event; `None` after the last, or for a reader that was taken for gone.
    pub(super) async fn next(&mut self) -> Option<DataflowEvent> {
        loop {
            let more = self.0.readable.notified();
            {
                let mut state = self.0.lock();
                if let Some(event) = state.pop() {
                    drop(state);
                    self.0.room.notify_all();
                    return Some(event);
                }
                if state.ended || state.abandoned {
                    return None;
                }
            }
            more.await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.abandoned = true;
        state.forget_if_abandoned();
        drop(state);
        self.0.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use dora_message::supervision::OutputStream;

    use super::*;

    fn lines(text: &str, count: usize) -> DataflowEvent {
        let lines = vec![text.to_owned(); count];
        DataflowEvent::Lines { node: "a".into(), stream: OutputStream::Stdout, time_ns: 0, lines }
    }
    fn warning(text: &str) -> DataflowEvent {
        DataflowEvent::Warning(text.to_owned())
    }
    /// What is in the queue now, in words.
    async fn rest(subscription: &mut Subscription) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(event) = subscription.next().await {
            words.push(match event {
                DataflowEvent::Lines { lines, .. } => format!("{} lines", lines.len()),
                DataflowEvent::Missed { lines } => format!("{lines} missed"),
                DataflowEvent::Warning(text) => text,
                other => panic!("{other:?}"),
            });
        }
        words
    }

    #[tokio::test]
    async fn who_watches_loosely_misses_the_oldest_lines_and_nothing_else() {
        let (queue, mut subscription) = queue(Watching::Loosely);
        let half = "x".repeat(MOST_LINES / 2);
        for event in [warning("first"), lines("", 3), warning("second"), lines("", 4), lines(&half, 1)] {
            assert!(queue.push(event));
        }
        assert!(queue.push(lines(&half, 1)));
        assert!(queue.push(warning("last")));
        queue.end();
        let expected = ["first", "second", "8 missed", "1 lines", "last"];
        assert_eq!(rest(&mut subscription).await, expected);
    }

    #[tokio::test]
    async fn who_watches_closely_is_waited_for_until_there_is_a_stop() {
        let (queue, mut subscription) = queue(Watching::Closely);
        assert!(queue.push(lines(&"x".repeat(MOST_LINES), 1)));
        let writer = queue.clone();
        let waiting = std::thread::spawn(move || writer.push(lines("", 1)));
        assert!(matches!(subscription.next().await, Some(DataflowEvent::Lines { .. })));
        assert!(waiting.join().unwrap());
        assert!(queue.push(lines(&"x".repeat(MOST_LINES), 1)));
        let writer = queue.clone();
        let waiting = std::thread::spawn(move || writer.push(lines("", 1)));
        queue.hurry();
        assert!(waiting.join().unwrap());
        queue.end();
        assert_eq!(rest(&mut subscription).await, ["1 lines"; 3]);
    }

    #[test]
    fn nobody_waits_for_a_reader_that_is_gone() {
        let (queue, subscription) = queue(Watching::Closely);
        assert!(queue.push(lines(&"x".repeat(MOST_LINES), 1)));
        let writer = queue.clone();
        let waiting = std::thread::spawn(move || writer.push(lines("", 1)));
        drop(subscription);
        assert!(!waiting.join().unwrap());
    }
}
