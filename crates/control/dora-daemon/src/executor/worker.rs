//! The thread of one dataflow: finds its place, builds it, prepares it, runs it.
//!
//! It waits for programs and for the keeper, which the endpoint must not. What happens goes to the feed and to the board.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use dora_gateways::{
    Attempt, BuildMode, DataflowEvent, DataflowId, NodeOutcome, Outcome, SpawnNodes, Submission, Trouble,
};
use dora_message::{id::NodeId, result::NodeResult, supervision::LaunchPlan};

use tokio::runtime::Handle;

use super::{
    building,
    options::DaemonOptions,
    part,
    place::{self, Place},
    record::{LogFiles, Record},
    run::{Run, Started},
    trouble::panicked,
};
use crate::{
    build::Sources,
    execution::{Event, Execution},
    prepare::{PrepareOptions, prepare},
};

/// The stack of the thread: pages that are not used cost nothing.
const STACK: usize = 1 << 20;
/// Time that a keeper has to kill all nodes when it is told to.
const KILL_TIME: Duration = Duration::from_secs(1);

/// What a dataflow is made of.
pub(super) struct Worker {
    options: Arc<DaemonOptions>,
    dataflow: DataflowId,
    submission: Submission,
    nodes: Vec<NodeId>,
    hold: bool,
    run: Arc<Run>,
    runtime: Handle,
}

impl Worker {
    /// To be called on a task: threads that read from nodes come back to its runtime.
    pub(super) fn new(options: Arc<DaemonOptions>, spawn: SpawnNodes, run: Arc<Run>) -> Self {
        let SpawnNodes { dataflow, submission, nodes, hold, .. } = spawn;
        let nodes = nodes.into_iter().map(|(node, _): (_, Attempt)| node).collect();
        Worker { options, dataflow, submission, nodes, hold, run, runtime: Handle::current() }
    }

    /// Begins, in a thread of its own.
    pub(super) fn start(self) -> io::Result<()> {
        let thread = thread::Builder::new().name("dataflow".to_owned()).stack_size(STACK);
        thread.spawn(move || self.work()).map(drop)
    }

    fn work(self) {
        let executed = catch_unwind(AssertUnwindSafe(|| self.execute()));
        let outcome = match executed {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(trouble)) => self.without_a_start(trouble),
            Err(panic) => self.without_a_start(panicked(&*panic)),
        };
        self.run.end();
        self.run.board.finish(outcome);
    }

    /// The outcome of nodes that were not started.
    fn without_a_start(&self, trouble: Trouble) -> Outcome {
        let lost = |node: &NodeId| NodeOutcome {
            node: node.clone(),
            result: NodeResult::Lost,
            never_connected: true,
            last_stderr: Vec::new(),
        };
        Outcome { nodes: self.nodes.iter().map(lost).collect(), trouble: Some(trouble), ..Outcome::default() }
    }

    fn execute(&self) -> Result<Outcome, Trouble> {
        let plan = self.plan()?;
        if self.run.stopper.is_asked() {
            return Err(Trouble::Interrupted);
        }
        let execution = Execution::start(&self.options.keeper, &plan)?;
        self.run.stopper.runs(execution.control());
        let started = self.run.started.get_or_init(|| Started::new(execution.keeper_pid(), &plan));
        drop(plan);
        self.remember(&started.logs);
        Ok(self.follow(execution))
    }

    /// For who reads log files, or removes them, after the end. After the start, which is not to wait for it.
    fn remember(&self, logs: &[LogFiles]) {
        let Some(home) = &self.options.home else { return };
        let record = Record { dataflow: self.dataflow, logs: logs.to_vec() };
        if let Err(error) = record.write(home) {
            let message = format!("the log files will not be found once the dataflow has ended: {error}");
            self.run.feed.publish(DataflowEvent::Warning(message));
        }
    }

    /// Everything that comes before the first process of a node.
    fn plan(&self) -> Result<LaunchPlan, Trouble> {
        let submission = &self.submission;
        let place = self.place()?;
        let part = part::take(&submission.descriptor, &place.file, &self.nodes)?;
        let (sources, told) = self.build(&part.dataflow, &place)?;
        let options = PrepareOptions {
            dataflow_id: self.dataflow.0,
            env: submission.env.clone(),
            inherited_env: self.options.inherited_env.clone(),
            memory: submission.memory,
            exit_when_nodes_finish: submission.exit_when_nodes_finish,
            write_events_to: submission.write_events_to.clone(),
            allow_shell: self.options.allow_shell,
            uv: submission.uv,
            python_module: self.options.python_module.clone(),
            sources,
        };
        let prepared = prepare(&part.dataflow, &place.base, &options)?;
        let news = prepared.warnings.into_iter().filter(|warning| !told.contains(warning));
        news.for_each(|warning| self.run.feed.publish(DataflowEvent::Warning(warning)));
        let plan = LaunchPlan { descriptor: part.whole, hold: self.hold, ..prepared.plan };
        if self.run.feed.is_heard() {
            let event =
                DataflowEvent::Planned { machine: self.options.machine.clone(), plan: Box::new(self.shown(&plan)) };
            self.run.feed.publish(event);
        }
        Ok(plan)
    }

    fn place(&self) -> Result<Place, Trouble> {
        let home = self.options.home.as_ref();
        let in_place = place::in_place(&self.submission.origin, home);
        match (in_place, home) {
            (Some(place), _) => Ok(place),
            (None, Some(home)) => Ok(place::fill(home, self.dataflow, &self.submission)?),
            // Without a home every dataflow is in its place.
            (None, None) => Err(Trouble::CannotRun("the daemon keeps no files".to_owned())),
        }
    }

    /// Where sources from elsewhere are, and the warnings that whoever builds has told.
    fn build(&self, dataflow: &dora_descriptor::Dataflow, place: &Place) -> Result<(Sources, Vec<String>), Trouble> {
        let build = building::plan(&self.options, &self.submission, dataflow, place)?;
        if build.is_empty() {
            return Ok((Sources::default(), Vec::new()));
        }
        let warnings = build.warnings().to_vec();
        if self.submission.build == BuildMode::Nothing {
            return Ok((build.found(), warnings));
        }
        self.run.stopper.builds(build.control())?;
        self.run.board.building();
        warnings.iter().for_each(|warning| self.run.feed.publish(DataflowEvent::Warning(warning.clone())));
        let built = build.run(&mut |event| self.run.feed.publish(DataflowEvent::Build(event)));
        self.run.stopper.built()?;
        Ok((built?, warnings))
    }

    /// The plan for those who watch. What nodes find in their environment is nothing for other machines.
    fn shown(&self, plan: &LaunchPlan) -> LaunchPlan {
        let mut plan = plan.clone();
        if self.options.home.is_some() {
            plan.nodes.iter_mut().for_each(|node| node.env.clear());
        }
        plan
    }

    fn follow(&self, mut execution: Execution) -> Outcome {
        let Run { feed, board, stopper, .. } = &*self.run;
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
                Event::Woken if stopper.kills() => kill_at = Some(Instant::now() + KILL_TIME),
                Event::TimedOut if kill_at.is_some() => {
                    kill_at = None;
                    let message = "the keeper, which runs the nodes, does not answer; it is killed, and they with it";
                    feed.publish(DataflowEvent::Warning(message.to_owned()));
                    execution.kill();
                }
                Event::Figures { serial, figures } => self.run.questions.answer(serial, figures),
                Event::Tapped { tap, reader } => self.run.taps.opened(tap, reader, &self.runtime),
                Event::TapOver { tap, .. } => self.run.taps.over(tap),
                Event::Woken | Event::TimedOut => {}
                Event::Finished(outcome) => return outcome,
                // Its keepers are tied to it.
                Event::LetGo => return self.without_a_start(Trouble::KeeperDied { how: "let go of it".to_owned() }),
            }
        }
    }
}
