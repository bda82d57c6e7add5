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
    /// Takes up one keeper and follows its dataflow to the end. `answered` is dropped when it is known what there is of
    /// it, or that this takes time.
    fn take_up(&self, dataflow: DataflowId, answered: oneshot::Sender<()>) {
        let mut answered = Some(answered);
        let adopted = loop {
            match Execution::adopt(&self.keeping.owner, dataflow.0, self.keeping.incarnation) {
                Ok(adopted) => break adopted,
                // How it ended is in its report.
                Err(AdoptError::Gone) => return,
                Err(AdoptError::Silent) => {
                    if answered.take().is_some() {
                        tracing::warn!(%dataflow, "the keeper of a dataflow does not answer; it is asked on");
                    }
                }
                Err(error) => {
                    tracing::error!(%dataflow, %error, "a dataflow that goes on is not taken up");
                    return;
                }
            }
        };
        let is_late = answered.is_none();
        let bequest = match Bequest::read(adopted.plan.lasting.as_ref()) {
            Ok(bequest) => bequest,
            Err(error) => {
                tracing::error!(%dataflow, %error, "what is known of a dataflow that goes on is not understood");
                return;
            }
        };
        adopted.warnings.iter().for_each(|warning| tracing::warn!(%dataflow, "{warning}"));
        let run = Arc::new(Run::left(bequest.nodes));
        run.take_up(&adopted);
        if let Some(started) = run.started.get() {
            record::remember(Some(&self.home), dataflow, started, &run.feed);
        }
        if !self.add(dataflow, &run, is_late) {
            return;
        }
        drop(answered);
        self.follow(dataflow, run, adopted);
    }

    fn follow(&self, dataflow: DataflowId, run: Arc<Run>, adopted: Adopted) {
        let (keeping, runtime) = (Some(self.keeping.clone()), self.runtime.clone());
        let follower = Follower { dataflow, run, keeping, runtime, executor: self.executor.clone() };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| follower.follow(adopted.execution))) {
            follower.end(follower.run.board.lost(&panicked(&*panic).to_string()));
        }
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
            let started = run.started.get_or_init(|| Started::new(0, &report.plan));
            record::remember(Some(&self.home), dataflow, started, &run.feed);
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
