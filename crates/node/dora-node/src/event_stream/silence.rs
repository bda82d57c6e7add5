//! `input_timeout`: inputs that were silent for too long, on exact deadlines.
//!
//! An input is watched from its first message on. It must not know what time it is, nor what is queued: the caller
//! reads the clock and looks into the queues.

use dora_message::keeper::InputConfig;

/// The inputs of a node that have a timeout.
#[derive(Debug, Default)]
pub(super) struct Silence(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    input: usize,
    timeout_ns: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing has come yet.
    Unarmed,
    /// Broken from then on, unless something comes.
    Until(u64),
    /// It was silent for too long.
    Broken,
    /// Its end has come.
    Closed,
}

impl Silence {
    pub(super) fn new(configs: &[InputConfig]) -> Self {
        let watched = |(input, config): (usize, &InputConfig)| {
            let timeout_ns = config.timeout_ns?;
            Some(Watched { input, timeout_ns, state: State::Unarmed })
        };
        Silence(configs.iter().enumerate().filter_map(watched).collect())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&mut self, input: usize) -> Option<&mut Watched> {
        self.0.iter_mut().find(|watched| watched.input == input)
    }

    /// When the next input breaks if nothing comes.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        self.0.iter().filter_map(Watched::deadline_ns).min()
    }

    /// A message was taken from an input. True: the input was broken and works again.
    pub(super) fn heard(&mut self, input: usize, now_ns: impl FnOnce() -> u64) -> bool {
        let Some(watched) = self.find(input) else { return false };
        let was_broken = watched.state == State::Broken;
        watched.state = State::Until(now_ns().saturating_add(watched.timeout_ns));
        was_broken
    }

    /// An input that has been silent for too long and has nothing queued; told once per silence.
    pub(super) fn due(&mut self, now_ns: u64, is_queued: impl Fn(usize) -> bool) -> Option<usize> {
        let is_due = |watched: &&mut Watched| {
            watched.deadline_ns().is_some_and(|deadline| deadline <= now_ns) && !is_queued(watched.input)
        };
        let watched = self.0.iter_mut().find(is_due)?;
        watched.state = State::Broken;
        Some(watched.input)
    }

    /// The end of an input has come. True: it was broken, so that the user knows already.
    pub(super) fn closed(&mut self, input: usize) -> bool {
        let Some(watched) = self.find(input) else { return false };
        std::mem::replace(&mut watched.state, State::Closed) == State::Broken
    }

    /// Nobody is watched any more.
    pub(super) fn stop(&mut self) {
        self.0.clear();
    }
}

impl Watched {
    fn deadline_ns(&self) -> Option<u64> {
        match self.state {
            State::Until(deadline) => Some(deadline),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dora_message::keeper::{InputSource, QueuePolicy};

    fn silence(timeouts: &[Option<u64>]) -> Silence {
        let config = |timeout_ns: &Option<u64>| InputConfig {
            id: "in".into(),
            source: InputSource::Node { node: "a".into(), output: "out".into() },
            queue_size: 1,
            policy: QueuePolicy::DropOldest,
            timeout_ns: *timeout_ns,
        };
        Silence::new(&timeouts.iter().map(config).collect::<Vec<_>>())
    }
    fn nothing_queued(_: usize) -> bool {
        false
    }

    #[test]
    fn armed_by_the_first_message_and_told_once() {
        let mut silence = silence(&[None, Some(100)]);
        assert_eq!((silence.deadline_ns(), silence.due(9999, nothing_queued)), (None, None));
        assert!(!silence.heard(1, || 1000));
        assert_eq!(silence.deadline_ns(), Some(1100));
        assert_eq!(silence.due(1099, nothing_queued), None);
        assert_eq!(silence.due(1100, nothing_queued), Some(1));
        assert_eq!((silence.deadline_ns(), silence.due(9999, nothing_queued)), (None, None));
        assert!(silence.heard(1, || 5000), "recovered");
        assert!(!silence.heard(1, || 5050));
        assert_eq!(silence.deadline_ns(), Some(5150));
    }

    #[test]
    fn what_is_queued_counts_as_heard() {
        let mut silence = silence(&[Some(100), Some(100)]);
        silence.heard(0, || 0);
        silence.heard(1, || 0);
        assert_eq!(silence.due(500, |input| input == 0), Some(1));
        assert_eq!(silence.due(500, |input| input == 0), None);
    }

    #[test]
    fn an_end_is_told_once() {
        let mut silence = silence(&[Some(100), Some(100)]);
        silence.heard(0, || 0);
        silence.due(100, nothing_queued);
        assert!(silence.closed(0));
        assert!(!silence.closed(1));
        assert_eq!(silence.deadline_ns(), None);
    }

    #[test]
    fn inputs_without_a_timeout_cost_nothing() {
        let mut silence = silence(&[None]);
        assert!(silence.is_empty());
        assert!(!silence.heard(0, || panic!("the clock was read")));
    }
}
