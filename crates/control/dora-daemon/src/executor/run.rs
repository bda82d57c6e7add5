//! One dataflow on this machine, as its worker and the endpoint share it.

use std::sync::OnceLock;

use dora_gateways::{Attempt, EdgeOutcome, OutputId, StopOptions, Watching};
use dora_message::{id::NodeId, supervision::LaunchPlan};
use tokio::sync::watch;

use super::{board::Board, feed::Feed, figures::Questions, record::LogFiles, stopper::Stopper, taps::Taps};
use crate::{adopted::Adopted, keeper::Control, outcome};

/// A dataflow that is built, runs, or has ended.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) feed: Feed,
    pub(super) board: Board,
    pub(super) stopper: Stopper,
    pub(super) questions: Questions,
    pub(super) taps: Taps,
    /// Set when its keeper has the nodes.
    pub(super) started: OnceLock<Started>,
    /// Its master knows how it ended.
    known: watch::Sender<bool>,
}

/// What is known of a dataflow once its keeper has it.
#[derive(Debug)]
pub(super) struct Started {
    /// The keeper's process.
    pub(super) keeper: u32,
    pub(super) logs: Vec<LogFiles>,
    /// Its edges, in the keeper's order, without figures.
    pub(super) edges: Vec<EdgeOutcome>,
    pub(super) outputs: Vec<OutputId>,
}

impl Started {
    pub(super) fn new(keeper: u32, plan: &LaunchPlan) -> Self {
        let outputs = plan.nodes.iter().flat_map(|node| {
            let output = |output: &dora_message::id::DataId| OutputId { node: node.id.clone(), output: output.clone() };
            node.outputs.iter().map(output)
        });
        Started { keeper, logs: LogFiles::of(plan), edges: outcome::edges(plan), outputs: outputs.collect() }
    }
}

impl Run {
    /// `follows`: somebody may ask for its lines.
    pub(super) fn new(nodes: Vec<(NodeId, Attempt)>, watched: Option<Watching>, follows: bool) -> Self {
        Self::with(nodes, Feed::new(watched, follows))
    }

    /// One that the daemon before this one has left.
    pub(super) fn left(nodes: Vec<(NodeId, Attempt)>) -> Self {
        Self::with(nodes, Feed::resumed())
    }

    fn with(nodes: Vec<(NodeId, Attempt)>, feed: Feed) -> Self {
        Run {
            feed,
            board: Board::new(nodes),
            stopper: Stopper::default(),
            questions: Questions::default(),
            taps: Taps::default(),
            started: OnceLock::new(),
            known: watch::Sender::new(false),
        }
    }

    /// Its keeper was taken up: what it does now.
    pub(super) fn take_up(&self, adopted: &Adopted) {
        self.stopper.runs(adopted.execution.control());
        self.started.get_or_init(|| Started::new(adopted.execution.keeper_pid(), &adopted.plan));
        self.board.take_up(adopted);
    }

    /// Its master knows how it ended.
    pub(super) fn is_known(&self) {
        self.known.send_replace(true);
    }

    /// Completes when its master knows how it ended.
    pub(super) async fn known(&self) {
        let _ = self.known.subscribe().wait_for(|known| *known).await;
    }

    /// Its keeper, and the outputs that its nodes have, while they run.
    pub(super) fn running(&self) -> Option<(Control, Vec<OutputId>)> {
        Some((self.stopper.keeper()?, self.started.get()?.outputs.clone()))
    }

    /// Nothing of it runs any more.
    pub(super) fn end(&self) {
        self.stopper.over();
        self.questions.end();
        self.taps.end();
        self.feed.end();
    }

    /// Stops all of it. Who watches closely does not delay that.
    pub(super) fn stop(&self, options: StopOptions) {
        self.stopper.stop(options);
        self.feed.hurry();
        self.board.stopping();
    }
}
