//! Where log files end and the news begin.
//!
//! Both hold the same lines of a node in the same order, but not at the same time. As long as nothing of the files was
//! removed or left out, counting lines tells exactly which line follows the last one of the files. Otherwise the last lines
//! of the files are looked for among those that were told last.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use dora_message::{
    id::NodeId,
    log::{KeptRecord, LogEntry},
};

use super::history::Tails;
use crate::executor::recent::{Printed, Recent};

/// Lines at the end of the files that are compared: more than are kept of what was told.
const MOST_KEYS: usize = 10_000;
/// What stands in a log file for lines that are not there says so.
const GAP: &str = "dora";

/// What tells lines apart, where nothing better does: the millisecond, and a hash of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    millis: i64,
    text: u64,
}

impl Key {
    fn new(millis: i64, text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Key { millis, text: hasher.finish() }
    }

    fn printed(time_ns: u64, text: &str) -> Self {
        let entry = LogEntry::parse(text);
        let read = i64::try_from(time_ns / 1_000_000).unwrap_or(i64::MAX);
        Key::new(entry.time.map_or(read, |time| time.timestamp_millis()), &entry.message)
    }
}

/// The end of the files of a node.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Lines that were read.
    pub(super) count: u64,
    /// Nothing was removed or left out before.
    pub(super) complete: bool,
    last: VecDeque<Key>,
}

impl Tail {
    pub(super) fn add(&mut self, record: &KeptRecord) {
        if record.target.as_deref() == Some(GAP) {
            self.complete = false;
            return;
        }
        self.count += 1;
        if self.last.len() == MOST_KEYS {
            self.last.pop_front();
        }
        self.last.push_back(Key::new(record.ts.timestamp_millis(), &record.msg));
    }

    /// How many lines, from the first of `recent` on, are in the files already. `printed` is how many there were in all, if
    /// that is known.
    fn overlap(&self, recent: &[Key], printed: Option<u64>) -> u64 {
        if let Some(printed) = printed.filter(|_| self.complete) {
            let evicted = printed.saturating_sub(recent.len() as u64);
            let counted = self.count.saturating_sub(evicted);
            if self.agrees(counted, recent) {
                return counted;
            }
        }
        // Every way in which the two can overlap: the one in which most lines are the same is meant.
        let ways = 1..self.last.len() + recent.len();
        let best = ways.filter_map(|end| Some((self.same(end, recent)?, end))).max();
        best.map_or(0, |(_, end)| end as u64)
    }

    /// How many lines are in both if the files end before line `end` of `recent`; `None` if any differs.
    fn same(&self, end: usize, recent: &[Key]) -> Option<usize> {
        let kept = self.last.iter().skip(self.last.len().saturating_sub(end));
        let told = recent.get(end.saturating_sub(self.last.len())..end.min(recent.len()))?;
        if told.is_empty() {
            return None;
        }
        kept.zip(told).all(|(kept, told)| kept == told).then_some(told.len())
    }

    /// Whether the last line of the files is the one that the count says, as far as it can be seen.
    fn agrees(&self, overlap: u64, recent: &[Key]) -> bool {
        let (Some(last), Some(first_told)) = (self.last.back(), recent.first()) else { return true };
        match usize::try_from(overlap).unwrap_or(usize::MAX).checked_sub(1) {
            None => last.millis <= first_told.millis,
            Some(index) => recent.get(index).is_none_or(|told| told == last),
        }
    }
}

/// Lines of each node that were in the files and are still to be told.
#[derive(Debug, Default)]
pub(super) struct Seam(HashMap<NodeId, u64>);

impl Seam {
    pub(super) fn new(tails: Tails, recent: &Recent) -> Self {
        let mut keys: HashMap<&NodeId, Vec<Key>> = HashMap::new();
        for Printed { node, time_ns, lines, .. } in recent.printed().filter(|printed| tails.contains_key(&printed.node))
        {
            keys.entry(node).or_default().extend(lines.iter().map(|line| Key::printed(*time_ns, line)));
        }
        let overlap = |(node, tail): (&NodeId, &Tail)| {
            let keys_of_node = keys.get(node).map(Vec::as_slice).unwrap_or_default();
            (node.clone(), tail.overlap(keys_of_node, recent.count(node)))
        };
        Seam(tails.iter().map(overlap).collect())
    }

    /// Those of these lines that were not in the files.
    pub(super) fn new_lines<'a>(&mut self, node: &NodeId, lines: &'a [String]) -> &'a [String] {
        let Some(left) = self.0.get_mut(node) else { return lines };
        let known = usize::try_from(*left).unwrap_or(usize::MAX).min(lines.len());
        *left -= known as u64;
        &lines[known..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(complete: bool, keys: &[(i64, &str)]) -> Tail {
        let last = keys.iter().map(|(millis, text)| Key::new(*millis, text)).collect();
        Tail { count: keys.len() as u64, complete, last }
    }

    fn recent(keys: &[(i64, &str)]) -> Vec<Key> {
        keys.iter().map(|(millis, text)| Key::new(*millis, text)).collect()
    }

    #[test]
    fn counting_tells_equal_lines_apart() {
        let files = tail(true, &[(1, "a"); 3]);
        assert_eq!(files.overlap(&recent(&[(1, "a"); 5]), Some(5)), 3);
        assert_eq!(files.overlap(&recent(&[(1, "a"); 2]), Some(5)), 0);
        // The files are ahead of the news.
        assert_eq!(files.overlap(&recent(&[(1, "a")]), Some(1)), 3);
        assert_eq!(files.overlap(&[], Some(0)), 3);
        assert_eq!(files.overlap(&[], Some(3)), 0);
    }

    #[test]
    fn what_was_left_out_is_made_up_for_by_looking() {
        let told = recent(&[(3, "c"), (4, "d"), (5, "e"), (6, "f")]);
        assert_eq!(tail(false, &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]).overlap(&told, Some(6)), 2);
        // A count that does not fit is not believed.
        assert_eq!(tail(true, &[(3, "c"), (4, "d")]).overlap(&told, Some(6)), 2);
        // The files are ahead of the news.
        assert_eq!(tail(false, &[(4, "d"), (5, "e"), (6, "f"), (7, "g")]).overlap(&told[1..], Some(9)), 4);
        // Nothing is in both.
        assert_eq!(tail(false, &[(1, "a"), (2, "b")]).overlap(&told, Some(6)), 0);
        assert_eq!(tail(false, &[]).overlap(&told, Some(6)), 0);
        // Whoever has been taken up has printed before, nobody knows how much.
        assert_eq!(tail(true, &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]).overlap(&told, None), 2);
        // More was told than there is in the files.
        assert_eq!(tail(false, &[(4, "d"), (5, "e")]).overlap(&told, Some(6)), 3);
    }

    #[test]
    fn lines_are_left_out_once() {
        let mut seam = Seam([("a".into(), 3)].into());
        let lines = ["1", "2"].map(str::to_owned);
        assert!(seam.new_lines(&"a".into(), &lines).is_empty());
        assert_eq!(seam.new_lines(&"a".into(), &lines), ["2"]);
        assert_eq!(seam.new_lines(&"a".into(), &lines).len(), 2);
        assert_eq!(seam.new_lines(&"b".into(), &lines).len(), 2);
    }
}
