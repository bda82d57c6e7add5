//! What the daemon before this one has left on the machine: keepers, whose dataflows go on, and reports of dataflows that
//! have ended since. It is taken up before the coordinator is told what is here.

use std::{panic::AssertUnwindSafe, panic::catch_unwind, sync::Arc, thread};

use dora_gateways::DataflowId;
use dora_keeper::cleanup::{abandoned, kill_marked};
use dora_rpc::MainThreadExecutor;
use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::{JoinSet, spawn_blocking},
};

use super::{
    endpoint::NodeExecutor,
    follow::Follower,
    keeping::{Bequest, Keeping},
    options::Home,
    record::{self, Record},
    run::{Run, Started},
    trouble::panicked,
    worker::STACK,
};
use crate::{
    adopted::{Adopted, read_report},
    execution::Execution,
    keeper::{AdoptError, adoptable},
};

/// Takes up everything. A keeper that does not answer is waited for elsewhere.
pub(super) async fn take_up(executor: MainThreadExecutor<NodeExecutor>, keeping: Arc<Keeping>, home: Home) {
    let heir = Arc::new(Heir { executor, keeping, home, runtime: Handle::current() });
    let finding = heir.clone();
    let left = spawn_blocking(move || adoptable(&finding.keeping.owner)).await;
    let left = left.map_err(std::io::Error::other).flatten().unwrap_or_else(|error| {
        tracing::error!(%error, "what the daemon before this one has left cannot be found");
        Vec::new()
    });
    let mut taking = JoinSet::new();
    for dataflow in left {
        let (answered, answer) = oneshot::channel();
        let (heir, dataflow) = (heir.clone(), DataflowId(dataflow));
        let work = move || heir.take_up(dataflow, answered);
        match thread::Builder::new().name("dataflow".to_owned()).stack_size(STACK).spawn(work) {
            Ok(_) => drop(taking.spawn(answer)),
            Err(error) => tracing::error!(%dataflow, %error, "no thread for a dataflow that goes on"),
        }
    }
    taking.join_all().await;
    let reading = heir.clone();
    let read = spawn_blocking(move || {
        reading.read_reports();
        reading.sweep();
    });
    let _ = read.await;
}

/// Takes up what was left.
struct Heir {
    executor: MainThreadExecutor<NodeExecutor>,
    keeping: Arc<Keeping>,
    home: Home,
    runtime: Handle,
}

impl Heir {
    /// Takes up one keeper and follows its dataflow to the end. `answered` is dropped when the daemon knows what there is to
    /// know of it.
    fn take_up(&self, dataflow: DataflowId, answered: oneshot::Sender<()>) {
        let mut answered = Some(answered);
        let mut waiting: Option<Arc<Run>> = None;
        let adopted = loop {
            match Execution::adopt(&self.keeping.owner, dataflow.0, self.keeping.incarnation) {
                Ok(adopted) => break adopted,
                Err(AdoptError::Silent) => {
                    // A machine under load, or somebody has stopped it: its nodes go on, so it is not given up.
                    if let Some(answered) = answered.take() {
                        tracing::warn!(%dataflow, "the keeper of a dataflow does not answer; it is asked on");
                        waiting = self.declare(dataflow);
                        drop(answered);
                    }
                }
                Err(error) => {
                    return match (waiting, error) {
                        // How it ended is in its report.
                        (None, AdoptError::Gone) => {}
                        (Some(run), AdoptError::Gone) => {
                            let follower = self.follower(dataflow, run);
                            follower.conclude(follower.left_behind(&self.keeping));
                        }
                        (waiting, error) => {
                            tracing::error!(%dataflow, %error, "a dataflow that goes on is not taken up");
                            waiting.into_iter().for_each(|run| self.follower(dataflow, run).abandon());
                        }
                    };
                }
            }
        };
        adopted.warnings.iter().for_each(|warning| tracing::warn!(%dataflow, "{warning}"));
        if let Some(run) = waiting {
            run.take_up(&adopted);
            return self.follow(dataflow, run, adopted);
        }
        let bequest = match Bequest::read(adopted.plan.lasting.as_ref()) {
            Ok(bequest) => bequest,
            Err(error) => {
                tracing::error!(%dataflow, %error, "what is known of a dataflow that goes on is not understood");
                return;
            }
        };
        let run = Arc::new(Run::left(bequest.nodes));
        run.take_up(&adopted);
        record::remember(Some(&self.home), dataflow, &run);
        if self.add(dataflow, &run, answered.is_none()) {
            drop(answered);
            self.follow(dataflow, run, adopted);
        }
    }

    /// Tells the daemon of a dataflow whose keeper does not answer, as far as it is known.
    fn declare(&self, dataflow: DataflowId) -> Option<Arc<Run>> {
        let nodes = Record::read(&self.home, dataflow).map(|record| record.nodes).filter(|nodes| !nodes.is_empty())?;
        let run = Arc::new(Run::left(nodes));
        run.board.unknown();
        self.add(dataflow, &run, false).then_some(run)
    }

    fn follow(&self, dataflow: DataflowId, run: Arc<Run>, adopted: Adopted) {
        let follower = self.follower(dataflow, run);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| follower.follow(adopted.execution))) {
            follower.end(follower.run.board.lost(&panicked(&*panic).to_string()));
        }
    }

    fn follower(&self, dataflow: DataflowId, run: Arc<Run>) -> Follower {
        let (keeping, runtime) = (Some(self.keeping.clone()), self.runtime.clone());
        Follower { dataflow, run, keeping, runtime, executor: self.executor.clone() }
    }

    /// Whether the daemon knows it now.
    fn add(&self, dataflow: DataflowId, run: &Arc<Run>, is_late: bool) -> bool {
        let run = run.clone();
        let added = self.executor.call(move |executor, main| {
            executor.add(main, dataflow, run, None);
            if is_late {
                executor.redeclare.send_replace(());
            }
        });
        self.runtime.block_on(added).is_ok()
    }

    /// Kills what is left of dataflows of this daemon whose keeper and guard were killed while no daemon was there.
    fn sweep(&self) {
        let abandoned = abandoned().into_iter().map(DataflowId);
        for dataflow in abandoned.filter(|dataflow| Record::read(&self.home, *dataflow).is_some()) {
            let killed = kill_marked(&dataflow.0).killed;
            tracing::warn!(%dataflow, killed, "a dataflow had lost its keeper; what was left of it was killed");
        }
    }

    fn read_reports(&self) {
        for dataflow in self.keeping.reported() {
            let file = self.keeping.report_file(dataflow);
            let report = match read_report(&file) {
                Ok(report) => report,
                Err(error) => {
                    tracing::error!(%dataflow, %error, "how a dataflow ended is not known");
                    continue;
                }
            };
            let Ok(bequest) = Bequest::read(report.plan.lasting.as_ref()) else { continue };
            let run = Arc::new(Run::left(bequest.nodes));
            run.started.get_or_init(|| Started::new(0, &report.plan));
            record::remember(Some(&self.home), dataflow, &run);
            run.end();
            run.board.finish(report.outcome);
            self.add(dataflow, &run, false);
            self.runtime.spawn(async move {
                run.known().await;
                let _ = std::fs::remove_file(file);
            });
        }
    }
}
