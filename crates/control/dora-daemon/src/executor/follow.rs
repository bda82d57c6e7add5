//! From the start of a keeper, or its taking up, to the end of its dataflow: what it tells goes to board and feed.

use std::{fs, sync::Arc, time::Instant};

use dora_gateways::{DataflowEvent, DataflowId, Outcome};
use dora_rpc::MainThreadExecutor;
use tokio::runtime::Handle;

use super::{endpoint::NodeExecutor, keeping::Keeping, run::Run};
use crate::{
    adopted::read_report,
    execution::{Event, Execution},
    keeper::AdoptError,
};

/// Follows one dataflow, in its thread.
pub(super) struct Follower {
    pub(super) dataflow: DataflowId,
    pub(super) run: Arc<Run>,
    /// `None`: the keeper ends with us.
    pub(super) keeping: Option<Arc<Keeping>>,
    pub(super) runtime: Handle,
    /// The daemon, which forgets what another one has taken.
    pub(super) executor: MainThreadExecutor<NodeExecutor>,
}

/// Another daemon has the keeper: what becomes of the dataflow is none of our business.
struct Superseded;

impl Follower {
    /// Follows to the end, which it tells to the board. Comes back when that is safe with the master.
    pub(super) fn follow(&self, mut execution: Execution) {
        let outcome = loop {
            if let Some(outcome) = self.next_end(&mut execution) {
                break outcome;
            }
            match self.take_back(&mut execution) {
                Ok(None) => {}
                Ok(Some(outcome)) => break outcome,
                Err(Superseded) => return self.abandon(),
            }
        };
        self.conclude(outcome);
    }

    /// Tells the board how it ended. Comes back when that is safe with the master.
    pub(super) fn conclude(&self, outcome: Outcome) {
        self.end(outcome);
        if let Some(keeping) = &self.keeping {
            // Until then the keeper is the only one that knows how it ended, should this daemon be killed.
            self.runtime.block_on(self.run.known());
            let _ = fs::remove_file(keeping.report_file(self.dataflow));
        }
    }

    /// Another daemon has it: this one forgets it.
    pub(super) fn abandon(&self) {
        self.run.end();
        let (dataflow, run) = (self.dataflow, self.run.clone());
        let forgotten = self.executor.call(move |executor, _| executor.forget(dataflow, &run));
        // A daemon that has ended has nothing to forget.
        let _ = self.runtime.block_on(forgotten);
    }

    /// Nothing of it runs any more.
    pub(super) fn end(&self, outcome: Outcome) {
        self.run.end();
        self.run.board.finish(outcome);
    }

    /// `None`: the keeper goes on without us.
    fn next_end(&self, execution: &mut Execution) -> Option<Outcome> {
        let Run { feed, board, stopper, questions, taps, .. } = &*self.run;
        let mut kill_at = None;
        loop {
            let left = kill_at.map(|at: Instant| at.saturating_duration_since(Instant::now()));
            match execution.next_event(left) {
                Event::Happened(event) => {
                    // Before it is published: who watches closely may hold that up.
                    board.note(&event);
                    feed.publish(event);
                }
                Event::Ready => board.ready(),
                // A stop was asked for, or a more urgent one.
                Event::Woken => {
                    kill_at = stopper.patience().and_then(|patience| Instant::now().checked_add(patience)).or(kill_at);
                }
                Event::TimedOut if kill_at.is_some() => {
                    kill_at = None;
                    let message = "the keeper, which runs the nodes, does not answer; it is killed, and they with it";
                    feed.publish(DataflowEvent::Warning(message.to_owned()));
                    execution.kill();
                }
                Event::Figures { serial, figures } => questions.answer(serial, figures),
                Event::Tapped { tap, reader } => taps.opened(tap, reader, &self.runtime),
                Event::TapOver { tap, .. } => taps.over(tap),
                Event::TimedOut => {}
                Event::Finished(outcome) => return Some(outcome),
                Event::LetGo => return None,
            }
        }
    }

    /// The keeper has let go of us: this process was stopped for a while, or another daemon has come.
    fn take_back(&self, execution: &mut Execution) -> Result<Option<Outcome>, Superseded> {
        let Some(keeping) = &self.keeping else { return Ok(Some(self.run.board.lost("it has let go of its nodes"))) };
        loop {
            match Execution::adopt(&keeping.owner, self.dataflow.0, keeping.incarnation) {
                Ok(adopted) => {
                    self.run.take_up(&adopted);
                    *execution = adopted.execution;
                    return Ok(None);
                }
                Err(AdoptError::Gone) => return Ok(Some(self.left_behind(keeping))),
                // It was waited for.
                Err(AdoptError::Silent) if self.run.stopper.kills() => execution.kill(),
                Err(AdoptError::Silent) => {}
                Err(error) => {
                    tracing::warn!(dataflow = %self.dataflow, %error, "a dataflow is not led here any longer");
                    return Err(Superseded);
                }
            }
        }
    }

    /// How a dataflow ended whose keeper is gone.
    pub(super) fn left_behind(&self, keeping: &Keeping) -> Outcome {
        match read_report(&keeping.report_file(self.dataflow)) {
            Ok(report) => report.outcome,
            Err(error) => {
                tracing::warn!(dataflow = %self.dataflow, %error, "how a dataflow ended is not known");
                self.run.board.lost("nobody knows how")
            }
        }
    }
}
