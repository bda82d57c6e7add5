//! The end of the daemon, and of single dataflows.

use std::{sync::Arc, time::Duration};

use dora_gateways::{DataflowId, NodeExecutorError, StopOptions};
use dora_rpc::{MainThread, Reply};
use tokio::sync::watch;

use super::{endpoint::NodeExecutor, run::Run};

/// Time for the last news to reach the masters.
const LAST_NEWS: Duration = Duration::from_secs(5);
/// How long what was watched from its start is kept after its end for who has not asked for it yet.
const KEPT_FOR_WATCHER: Duration = Duration::from_secs(60);

/// Whether the daemon ends, and who waits for that.
#[derive(Debug)]
pub(super) struct Shutdown {
    asked: bool,
    waiting: Vec<Reply<(), NodeExecutorError>>,
    over: watch::Sender<bool>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown { asked: false, waiting: Vec::new(), over: watch::Sender::new(false) }
    }
}

impl Shutdown {
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// True when no node runs any more, and none will.
    pub(super) fn over(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }

    fn finish(&mut self) {
        self.waiting.drain(..).for_each(|reply| reply.ok(()));
        self.over.send_replace(true);
    }
}

impl NodeExecutor {
    /// Stops all dataflows; the daemon is over when they are, and their masters know it.
    pub(super) fn shut_down(
        &mut self,
        main: &mut MainThread<Self>,
        options: StopOptions,
        reply: Option<Reply<(), NodeExecutorError>>,
    ) {
        self.shutdown.asked = true;
        self.shutdown.waiting.extend(reply);
        self.dataflows.retain(|_, dataflow| !dataflow.reported);
        let runs: Vec<_> = self.dataflows.values().map(|dataflow| dataflow.run.clone()).collect();
        runs.iter().for_each(|run| run.stop(options));
        let ends = async move {
            for run in runs {
                run.board.over().await;
            }
        };
        main.then(ends, |executor, main, ()| match executor.dataflows.is_empty() {
            true => executor.shutdown.finish(),
            false => drop(main.schedule(LAST_NEWS, |executor, _| executor.shutdown.finish())),
        });
    }

    /// The master of a dataflow knows its end.
    pub(super) fn reported(&mut self, main: &mut MainThread<Self>, id: DataflowId, run: &Arc<Run>) {
        // Meanwhile there may be newer placements of it.
        let same = self.dataflows.get_mut(&id).filter(|dataflow| Arc::ptr_eq(&dataflow.run, run));
        let Some(dataflow) = same else { return };
        dataflow.reported = true;
        run.is_known();
        if dataflow.run.feed.is_awaited() && !self.shutdown.asked {
            let run = run.clone();
            main.schedule(KEPT_FOR_WATCHER, move |executor, _| executor.forget(id, &run));
        } else {
            self.forget(id, run);
        }
    }

    pub(super) fn forget(&mut self, id: DataflowId, run: &Arc<Run>) {
        self.dataflows.retain(|other, dataflow| *other != id || !Arc::ptr_eq(&dataflow.run, run));
        self.departures.send_modify(|count| *count += 1);
        if self.shutdown.asked && self.dataflows.is_empty() {
            self.shutdown.finish();
        }
    }
}
