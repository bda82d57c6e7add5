//! The lines that nodes have printed last, for readers of log files.
//!
//! The thread of a keeper that writes log files and the keeper's news do not come at one time: lines that were told before
//! somebody asked may not be in their file yet. Here they are.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use dora_message::{id::NodeId, supervision::OutputStream};

/// Bytes of lines that are kept: more than is printed while a line is on its way to its file.
const MOST: usize = 256 << 10;
/// What a line costs besides its text.
const LINE_COST: usize = 32;

/// The last lines of a dataflow, and how many lines each node has printed in all.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    printed: VecDeque<Printed>,
    cost: usize,
    counts: HashMap<NodeId, u64>,
    /// Lines were printed before any of these.
    resumed: bool,
}

/// Lines that were read at one time.
#[derive(Debug, Clone)]
pub(super) struct Printed {
    pub(super) node: NodeId,
    pub(super) stream: OutputStream,
    /// In nanoseconds since the Unix epoch.
    pub(super) time_ns: u64,
    pub(super) lines: Arc<[String]>,
}

impl Printed {
    fn cost(&self) -> usize {
        self.lines.iter().map(|line| line.len() + LINE_COST).sum()
    }
}

impl Recent {
    /// The lines of a dataflow that has run before.
    pub(super) fn resumed() -> Self {
        Recent { resumed: true, ..Recent::default() }
    }

    pub(super) fn add(&mut self, node: &NodeId, stream: OutputStream, time_ns: u64, lines: &[String]) {
        *self.counts.entry(node.clone()).or_default() += lines.len() as u64;
        let printed = Printed { node: node.clone(), stream, time_ns, lines: lines.into() };
        self.cost += printed.cost();
        self.printed.push_back(printed);
        while self.cost > MOST && self.printed.len() > 1 {
            self.cost -= self.printed.pop_front().map_or(0, |printed| printed.cost());
        }
    }

    /// The last lines, in their order.
    pub(super) fn printed(&self) -> impl Iterator<Item = &Printed> {
        self.printed.iter()
    }

    /// How many lines a node has printed in all, if that is known.
    pub(super) fn count(&self, node: &NodeId) -> Option<u64> {
        (!self.resumed).then(|| self.counts.get(node).copied().unwrap_or(0))
    }
}
