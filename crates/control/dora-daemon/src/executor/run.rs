//! One dataflow on this machine, as its worker and the endpoint share it.

use dora_gateways::{Attempt, StopOptions, Watching};
use dora_message::id::NodeId;

use super::{board::Board, feed::Feed, stopper::Stopper};

/// A dataflow that is built, runs, or has ended.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) feed: Feed,
    pub(super) board: Board,
    pub(super) stopper: Stopper,
}

impl Run {
    pub(super) fn new(nodes: Vec<(NodeId, Attempt)>, watched: Option<Watching>) -> Self {
        Run { feed: Feed::new(watched), board: Board::new(nodes), stopper: Stopper::default() }
    }

    /// Stops all of it. Who watches closely does not delay that.
    pub(super) fn stop(&self, options: StopOptions) {
        self.stopper.stop(options);
        self.feed.hurry();
        self.board.stopping();
    }
}
