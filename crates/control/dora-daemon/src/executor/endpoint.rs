//! The endpoint: what a daemon is asked, and its answers.
//!
//! Nothing here waits. A dataflow is the business of its worker; here is which there are, and who may give orders.

use std::{collections::BTreeMap, io, sync::Arc};

use dora_gateways::{
    DataflowEvent, DataflowId, DataflowMasterCall, NodeExecutorCall, NodeExecutorError, ObservedDataflow, SpawnNodes,
    StopOptions, Urgency, Watching,
};
use dora_message::id::NodeId;
use dora_rpc::{
    EpochGuard, FencingToken, Gateway, MainThread, MainThreadExecutor, Reply, RpcEndpoint, RpcStream, StaleLeader,
};
use tokio::{runtime::Handle, sync::watch};

use super::{
    asked, follow::Follower, keeping::Keeping, metrics, options::DaemonOptions, place, report::Reporter, run::Run,
    shutdown::Shutdown, stopper::ending, worker::Worker,
};

pub(super) type Result<T> = std::result::Result<T, NodeExecutorError>;

/// Runs the nodes of one machine.
pub(super) struct NodeExecutor {
    pub(super) options: Arc<DaemonOptions>,
    /// `None`: keepers end with the daemon.
    keeping: Option<Arc<Keeping>>,
    guard: EpochGuard,
    /// Counts the signs of life of the leader.
    heartbeats: watch::Sender<u64>,
    /// What runs, and what has ended while its master does not know it yet.
    pub(super) dataflows: BTreeMap<DataflowId, Dataflow>,
    /// Counts the dataflows of which nothing is kept any more.
    pub(super) departures: watch::Sender<u64>,
    pub(super) shutdown: Shutdown,
    /// Changed when the coordinator is to be told anew what runs here.
    pub(super) redeclare: watch::Sender<()>,
}

/// A dataflow and who is told about it.
pub(super) struct Dataflow {
    pub(super) run: Arc<Run>,
    /// None until the leader has named one: it was taken up from the daemon before this one.
    master: watch::Sender<Option<Gateway<DataflowMasterCall>>>,
    /// The master knows how it ended.
    pub(super) reported: bool,
}

impl RpcEndpoint for NodeExecutor {
    type Call = NodeExecutorCall;

    fn handle(&mut self, main: &mut MainThread<Self>, call: NodeExecutorCall) {
        use NodeExecutorCall as Call;
        match call {
            Call::Heartbeat { leader, reply } => reply.send(self.heartbeat(leader)),
            Call::SpawnNodes { leader, spawn, reply } => reply.send(self.spawn(main, leader, spawn)),
            Call::StopNodes { leader, dataflow, nodes, options, reply } => {
                reply.send(self.stop(leader, dataflow, nodes, options));
            }
            Call::Disown { leader, dataflow, options, reply } => {
                reply.send(self.disown(main, leader, dataflow, options));
            }
            Call::Release { leader, dataflow, reply } => reply.send(self.release(leader, dataflow)),
            Call::Observed { reply } => reply.ok(self.observed()),
            Call::Events { dataflow, watching, reply } => reply.send(self.events(dataflow, watching)),
            Call::ShutDown { leader, options, reply } => match self.admit(leader) {
                Ok(()) => self.shut_down(main, options, Some(reply)),
                Err(stale) => reply.err(stale.into()),
            },
            Call::RestartNodes { leader, dataflow, nodes, options, reply } => {
                reply.send(self.restart(leader, dataflow, nodes, options));
            }
            Call::ReloadNodes { reply, .. } => not_served(reply, "loading operators again"),
            Call::Tap { dataflow, query, reply } => reply.send(self.tap(dataflow, query)),
            Call::Publish { leader, dataflow, output, message, reply } => {
                match self.publisher(leader, dataflow, &output) {
                    Ok(keeper) => {
                        main.blocking(move || asked::publish(&keeper, output, &message), |_, _, sent| reply.send(sent))
                    }
                    Err(error) => reply.err(error),
                }
            }
            Call::Sees { file, reply } => {
                let options = self.options.clone();
                main.blocking(
                    move || place::in_place(&file, options.home.as_ref()),
                    |_, _, place| reply.ok(place.is_some()),
                );
            }
            Call::MissingArtifacts { hashes, reply } => match self.artifacts() {
                Ok(artifacts) => main.blocking(move || artifacts.missing(hashes), |_, _, missing| reply.ok(missing)),
                Err(error) => reply.err(error),
            },
            Call::UploadArtifact { hash, size, content, reply } => match self.artifacts() {
                Ok(artifacts) => main.reply(reply, async move {
                    let taken = artifacts.take(hash, size, content).await;
                    taken.map_err(|error| NodeExecutorError::Artifact { hash, reason: error.to_string() })
                }),
                Err(error) => reply.err(error),
            },
            Call::Build { leader, submission, nodes, reply } => reply.send(self.build(leader, submission, nodes)),
            Call::Logs { dataflow, query, reply } => self.logs(main, dataflow, query, reply),
            Call::Metrics { query, reply } => {
                let runs = self.dataflows.iter().map(|(id, dataflow)| (*id, dataflow.run.clone())).collect();
                let snapshot = metrics::snapshot(self.options.machine.clone(), runs, query);
                main.reply(reply, async move { Ok(snapshot.await) });
            }
            Call::Clean { leader, dataflow, reply } => self.clean(main, leader, dataflow, reply),
        }
    }

    fn on_stop(&mut self, main: &mut MainThread<Self>) {
        let kill = StopOptions { urgency: Urgency::Kill, ..StopOptions::default() };
        let goes_on = |run: &Run| self.keeping.is_some() && run.started.get().is_some();
        for Dataflow { run, .. } in self.dataflows.values().filter(|dataflow| !goes_on(&dataflow.run)) {
            let run = run.clone();
            run.stop(kill);
            main.then(async move { run.board.over().await }, |_, _, ()| {});
        }
    }
}

fn not_served<T: dora_rpc::Message>(reply: Reply<T, NodeExecutorError>, what: &str) {
    reply.err(NodeExecutorError::NotServed { what: what.to_owned() });
}

impl NodeExecutor {
    pub(super) fn new(options: Arc<DaemonOptions>) -> Self {
        NodeExecutor {
            keeping: Keeping::new(&options).map(Arc::new),
            options,
            redeclare: watch::Sender::new(()),
            guard: EpochGuard::default(),
            heartbeats: watch::Sender::new(0),
            dataflows: BTreeMap::new(),
            departures: watch::Sender::new(0),
            shutdown: Shutdown::default(),
        }
    }

    /// Changes with each sign of life of the leader.
    pub(super) fn heartbeats(&self) -> watch::Receiver<u64> {
        self.heartbeats.subscribe()
    }

    /// Serves this leader from now on, and no earlier one.
    pub(super) fn admit(&mut self, leader: FencingToken) -> std::result::Result<(), StaleLeader> {
        self.guard.admit(leader)
    }

    /// How keepers outlive this daemon, if they do.
    pub(super) fn keeping(&self) -> Option<Arc<Keeping>> {
        self.keeping.clone()
    }

    /// The leader that is served.
    pub(super) fn leader(&self) -> Option<FencingToken> {
        self.guard.leader()
    }

    /// What is there of each dataflow.
    pub(super) fn observed(&self) -> Vec<ObservedDataflow> {
        let observed = |(id, dataflow): (&DataflowId, &Dataflow)| ObservedDataflow {
            dataflow: *id,
            nodes: dataflow.run.board.observed(),
        };
        self.dataflows.iter().map(observed).collect()
    }

    fn heartbeat(&mut self, leader: FencingToken) -> Result<()> {
        self.admit(leader)?;
        self.heartbeats.send_modify(|count| *count += 1);
        Ok(())
    }

    fn spawn(&mut self, main: &mut MainThread<Self>, leader: FencingToken, spawn: SpawnNodes) -> Result<()> {
        self.admit(leader)?;
        if self.shutdown.is_asked() {
            return Err(refused("the daemon ends"));
        }
        let id = spawn.dataflow;
        if let Some(dataflow) = self.dataflows.get(&id) {
            if dataflow.run.board.has(&spawn.nodes) {
                // Asked again, by a leader that may be another one.
                dataflow.master.send_replace(Some(spawn.master));
                return Ok(());
            }
            if !dataflow.run.board.is_over() {
                return Err(refused("other placements of this dataflow run here"));
            }
        }
        if spawn.resumed {
            return Err(NodeExecutorError::UnknownDataflow { dataflow: id });
        }
        let follows = self.options.home.is_some();
        let run = Arc::new(Run::new(spawn.nodes.clone(), spawn.submission.watched, follows));
        let master = spawn.master.clone();
        let worker = Worker::new(self.options.clone(), spawn, self.follower(main.executor(), id, run.clone()));
        worker.start().map_err(|error| system("start a thread for the dataflow", &error))?;
        self.add(main, id, run, Some(master));
        Ok(())
    }

    /// Who follows a dataflow.
    pub(super) fn follower(&self, executor: MainThreadExecutor<Self>, dataflow: DataflowId, run: Arc<Run>) -> Follower {
        Follower { dataflow, run, keeping: self.keeping.clone(), runtime: Handle::current(), executor }
    }

    /// A dataflow is here from now on, and this master is told about it.
    pub(super) fn add(
        &mut self,
        main: &mut MainThread<Self>,
        id: DataflowId,
        run: Arc<Run>,
        master: Option<Gateway<DataflowMasterCall>>,
    ) {
        let (master, masters) = watch::channel(master);
        let reporter = Reporter { machine: self.options.machine.clone(), run: run.clone(), masters };
        tokio::spawn(report(reporter, id, main.executor()));
        self.dataflows.insert(id, Dataflow { run, master, reported: false });
    }

    fn stop(&mut self, leader: FencingToken, id: DataflowId, nodes: Vec<NodeId>, options: StopOptions) -> Result<()> {
        self.admit(leader)?;
        let run = &self.dataflow(id)?.run;
        match run.stopper.keeper() {
            _ if nodes.is_empty() => run.stop(options),
            Some(keeper) => nodes.into_iter().for_each(|node| keeper.stop_node(node, ending(options))),
            None if run.board.is_over() => {}
            None => return Err(NodeExecutorError::NotRunning { dataflow: id }),
        }
        Ok(())
    }

    fn disown(
        &mut self,
        main: &mut MainThread<Self>,
        leader: FencingToken,
        id: DataflowId,
        options: StopOptions,
    ) -> Result<()> {
        self.admit(leader)?;
        let run = self.dataflow(id)?.run.clone();
        run.stop(options);
        let ended = run.clone();
        main.then(async move { ended.board.over().await }, move |executor, main, ()| executor.reported(main, id, &run));
        Ok(())
    }

    fn restart(
        &mut self,
        leader: FencingToken,
        id: DataflowId,
        nodes: Vec<NodeId>,
        options: StopOptions,
    ) -> Result<()> {
        self.admit(leader)?;
        let keeper = self.dataflow(id)?.run.stopper.keeper().ok_or(NodeExecutorError::NotRunning { dataflow: id })?;
        nodes.into_iter().for_each(|node| keeper.restart_node(node, ending(options)));
        Ok(())
    }

    fn release(&mut self, leader: FencingToken, id: DataflowId) -> Result<()> {
        self.admit(leader)?;
        if let Some(keeper) = self.dataflow(id)?.run.stopper.keeper() {
            keeper.release();
        }
        Ok(())
    }

    fn events(&self, id: DataflowId, watching: Watching) -> Result<RpcStream<DataflowEvent>> {
        Ok(self.dataflow(id)?.run.feed.open(watching))
    }

    pub(super) fn dataflow(&self, id: DataflowId) -> Result<&Dataflow> {
        self.dataflows.get(&id).ok_or(NodeExecutorError::UnknownDataflow { dataflow: id })
    }
}

fn refused(reason: &str) -> NodeExecutorError {
    NodeExecutorError::Spawn { reason: reason.to_owned() }
}

pub(super) fn system(doing: &str, error: &io::Error) -> NodeExecutorError {
    NodeExecutorError::System { doing: doing.to_owned(), reason: error.to_string() }
}

/// Reports a dataflow until its master knows the end.
async fn report(reporter: Reporter, id: DataflowId, executor: MainThreadExecutor<NodeExecutor>) {
    let run = reporter.run.clone();
    reporter.report().await;
    let _ = executor.run_async(move |executor, main| executor.reported(main, id, &run)).await;
}
