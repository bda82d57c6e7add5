//! The thread of one dataflow: finds its place, builds it, prepares it, runs it.
//!
//! It waits for programs and for the keeper, which the endpoint must not. What happens goes to the feed and to the board.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use dora_gateways::{
    Attempt, BuildMode, DataflowEvent, DataflowId, NodeOutcome, Outcome, SpawnNodes, Submission, Trouble,
};
use dora_message::{id::NodeId, result::NodeResult, supervision::LaunchPlan};

use super::{
    building,
    follow::Follower,
    options::DaemonOptions,
    part,
    place::{self, Place},
    record,
    run::Started,
    trouble::panicked,
};
use crate::{
    build::Sources,
    execution::Execution,
    prepare::{PrepareOptions, prepare},
};

/// The stack of the thread: pages that are not used cost nothing.
pub(super) const STACK: usize = 1 << 20;

/// What a dataflow is made of.
pub(super) struct Worker {
    options: Arc<DaemonOptions>,
    dataflow: DataflowId,
    submission: Submission,
    nodes: Vec<(NodeId, Attempt)>,
    hold: bool,
    follower: Follower,
}

impl Worker {
    pub(super) fn new(options: Arc<DaemonOptions>, spawn: SpawnNodes, follower: Follower) -> Self {
        let SpawnNodes { dataflow, submission, nodes, hold, .. } = spawn;
        Worker { options, dataflow, submission, nodes, hold, follower }
    }

    /// Begins, in a thread of its own.
    pub(super) fn start(self) -> io::Result<()> {
        let thread = thread::Builder::new().name("dataflow".to_owned()).stack_size(STACK);
        thread.spawn(move || self.work()).map(drop)
    }

    fn work(self) {
        let executed = catch_unwind(AssertUnwindSafe(|| self.execute()));
        let trouble = match executed {
            Ok(Ok(())) => return,
            Ok(Err(trouble)) => trouble,
            Err(panic) => panicked(&*panic),
        };
        self.follower.end(self.without_a_start(trouble));
    }

    /// The outcome of nodes that were not started.
    fn without_a_start(&self, trouble: Trouble) -> Outcome {
        let lost = |(node, _): &(NodeId, Attempt)| NodeOutcome {
            node: node.clone(),
            result: NodeResult::Lost,
            never_connected: true,
            last_stderr: Vec::new(),
        };
        Outcome { nodes: self.nodes.iter().map(lost).collect(), trouble: Some(trouble), ..Outcome::default() }
    }

    fn execute(&self) -> Result<(), Trouble> {
        let plan = self.plan()?;
        let run = &self.follower.run;
        if run.stopper.is_asked() {
            return Err(Trouble::Interrupted);
        }
        let execution = Execution::start(&self.options.keeper, &plan)?;
        run.stopper.runs(execution.control());
        run.started.get_or_init(|| Started::new(execution.keeper_pid(), &plan));
        drop(plan);
        // For who reads log files, or removes them, after the end. After the start, which is not to wait for it.
        record::remember(self.options.home.as_ref(), self.dataflow, run);
        self.follower.follow(execution);
        Ok(())
    }

    /// Everything that comes before the first process of a node.
    fn plan(&self) -> Result<LaunchPlan, Trouble> {
        let submission = &self.submission;
        let place = self.place()?;
        let ids: Vec<NodeId> = self.nodes.iter().map(|(node, _)| node.clone()).collect();
        let part = part::take(&submission.descriptor, &place.file, &ids)?;
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
        news.for_each(|warning| self.follower.run.feed.publish(DataflowEvent::Warning(warning)));
        let lasting = self.follower.keeping.as_ref().map(|keeping| keeping.plan(self.dataflow, self.nodes.clone()));
        let lasting =
            lasting.transpose().map_err(|error| Trouble::CannotRun(format!("no room for its report: {error}")))?;
        let plan = LaunchPlan { descriptor: part.whole, hold: self.hold, lasting, ..prepared.plan };
        if self.follower.run.feed.is_heard() {
            let event =
                DataflowEvent::Planned { machine: self.options.machine.clone(), plan: Box::new(self.shown(&plan)) };
            self.follower.run.feed.publish(event);
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
        self.follower.run.stopper.builds(build.control())?;
        self.follower.run.board.building();
        warnings.iter().for_each(|warning| self.follower.run.feed.publish(DataflowEvent::Warning(warning.clone())));
        let built = build.run(&mut |event| self.follower.run.feed.publish(DataflowEvent::Build(event)));
        self.follower.run.stopper.built()?;
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
}
