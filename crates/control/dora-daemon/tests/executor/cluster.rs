//! A daemon, who orders it about, and who hears of it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dora_daemon::{Daemon, DaemonOptions, Home, file_identity};
use dora_gateways::*;
use dora_message::id::NodeId;
use dora_rpc::{
    Address, FencingToken, Gateway, MainThread, Role, RpcConfig, RpcEndpoint, RpcService, RpcStream, Server, Streamed,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

pub const LEADER: FencingToken = FencingToken { epoch: 2, nonce: 1 };
pub const FORMER: FencingToken = FencingToken { epoch: 1, nonce: 9 };
const HELPER: &str = env!("CARGO_BIN_EXE_dora-daemon-test-helper");
/// Longer than anything takes: it only ends tests that hang.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon and everything around it.
pub struct Cluster {
    pub service: RpcService,
    pub daemon: Daemon,
    pub executor: Gateway<NodeExecutorCall>,
    pub dir: TempDir,
}

impl Cluster {
    pub async fn start(force_serialization: bool) -> Self {
        let config = RpcConfig { force_serialization, deadline: PATIENCE, ..RpcConfig::new(Role::Daemon, "test") };
        let service = RpcService::new(config);
        let dir = tempfile::tempdir().unwrap();
        let home = Home { shared: dir.path().join("home"), own: dir.path().join("home/daemons/1") };
        // What a test leaves running is to end with it.
        let options =
            DaemonOptions { lasting: None, ..DaemonOptions::new(MachineId("here".to_owned()), HELPER.into(), home) };
        let daemon = Daemon::start(&service, options).unwrap();
        let executor = service.connect(&Address::here(), "node_executor").await.unwrap();
        Cluster { service, daemon, executor, dir }
    }

    pub fn master(&self, name: &str) -> Master {
        Master::start(&self.service, name)
    }

    /// A dataflow whose file is on this machine.
    pub fn submission(&self, text: &str) -> Submission {
        submission(self.dir.path(), text)
    }

    /// Spawns all nodes of a dataflow.
    pub async fn spawn(&self, id: u128, submission: Submission, master: &Master) -> DataflowId {
        let spawn = spawn(id, submission, master);
        let dataflow = spawn.dataflow;
        self.executor.spawn_nodes(LEADER, spawn).await.unwrap();
        dataflow
    }

    pub async fn run(&self, text: &str) -> (DataflowId, Master) {
        let master = self.master("master");
        let dataflow = self.spawn(1, self.submission(text), &master).await;
        (dataflow, master)
    }

    pub async fn stop(&self, dataflow: DataflowId, grace: Duration, urgency: Urgency) {
        let options = StopOptions { grace: Some(grace), urgency };
        self.executor.stop_nodes(LEADER, dataflow, Vec::new(), options).await.unwrap();
    }

    pub fn out(&self, dataflow: DataflowId) -> PathBuf {
        self.dir.path().join("out").join(dataflow.to_string())
    }
}

/// A dataflow whose file is in this directory.
pub fn submission(dir: &Path, text: &str) -> Submission {
    let path = dir.join("dataflow.yml");
    std::fs::write(&path, text).unwrap();
    let origin = Origin { identity: file_identity(&path), path, working_dir: None };
    Submission { descriptor: text.to_owned(), origin, ..Submission::default() }
}

pub fn spawn(id: u128, submission: Submission, master: &Master) -> SpawnNodes {
    let options = dora_descriptor::Options::default();
    let nodes = match dora_descriptor::parse("dataflow.yml", &submission.descriptor, &options) {
        Ok(loaded) => loaded.dataflow.nodes.into_iter().map(|node| (node.id, Attempt(1))).collect(),
        Err(_) => Vec::new(),
    };
    let dataflow = DataflowId(uuid::Uuid::from_u128(id));
    SpawnNodes { dataflow, submission, nodes, hold: false, resumed: false, master: master.server.gateway() }
}

/// Tests with both ways to call.
pub async fn both(test: impl AsyncFn(Cluster)) {
    for force_serialization in [false, true] {
        let cluster = Cluster::start(force_serialization).await;
        let service = cluster.service.clone();
        tokio::time::timeout(PATIENCE, test(cluster)).await.expect("it takes for ever");
        service.stop().await;
    }
}

/// What a master was told.
#[derive(Debug)]
pub enum News {
    Changed(Vec<NodeUpdate>),
    Finished(Outcome),
}

pub struct Master {
    pub server: Server<ScriptedMaster>,
    pub news: mpsc::UnboundedReceiver<News>,
}

impl Master {
    pub fn start(service: &RpcService, name: &str) -> Self {
        let (told, news) = mpsc::unbounded_channel();
        let server = service.start_server(name, ScriptedMaster { told }).unwrap();
        Master { server, news }
    }

    /// How it ended, after everything else was told.
    pub async fn finished(&mut self) -> Outcome {
        loop {
            if let News::Finished(outcome) = self.news.recv().await.unwrap() {
                return outcome;
            }
        }
    }

    /// Waits until a node is told to be in this state.
    pub async fn until(&mut self, node: &str, state: &NodeState) -> NodeUpdate {
        let node = NodeId::from(node);
        loop {
            match self.news.recv().await.unwrap() {
                News::Changed(updates) => {
                    if let Some(update) = updates.into_iter().find(|it| it.node == node && it.state == *state) {
                        return update;
                    }
                }
                News::Finished(outcome) => panic!("it ended: {outcome:?}"),
            }
        }
    }
}

/// Takes note of everything.
pub struct ScriptedMaster {
    told: mpsc::UnboundedSender<News>,
}

impl RpcEndpoint for ScriptedMaster {
    type Call = DataflowMasterCall;

    fn handle(&mut self, _main: &mut MainThread<Self>, call: DataflowMasterCall) {
        match call {
            DataflowMasterCall::NodesChanged { updates, reply, .. } => {
                let _ = self.told.send(News::Changed(updates));
                reply.ok(());
            }
            DataflowMasterCall::MachineFinished { outcome, reply, .. } => {
                let _ = self.told.send(News::Finished(outcome));
                reply.ok(());
            }
            other => panic!("not in the script: {other:?}"),
        }
    }
}

/// The next item of a stream, which must not have dropped any.
pub async fn next<T>(stream: &mut RpcStream<T>) -> Option<T> {
    match stream.next().await.unwrap() {
        Some(Streamed::Item(item)) => Some(item),
        Some(Streamed::Dropped(count)) => panic!("{count} were dropped"),
        None => None,
    }
}

/// Everything that is left of a stream.
pub async fn rest<T>(mut stream: RpcStream<T>) -> Vec<T> {
    let mut items = Vec::new();
    while let Some(item) = next(&mut stream).await {
        items.push(item);
    }
    items
}

/// Lines among events.
pub fn lines(events: &[DataflowEvent]) -> Vec<String> {
    let lines = |event: &DataflowEvent| match event {
        DataflowEvent::Lines { lines, .. } => lines.clone(),
        _ => Vec::new(),
    };
    events.iter().flat_map(lines).collect()
}

/// Waits for a line.
pub async fn until_line(events: &mut RpcStream<DataflowEvent>, expected: &str) {
    while let Some(event) = next(events).await {
        if lines(&[event]).iter().any(|line| line == expected) {
            return;
        }
    }
    panic!("it ended without `{expected}`");
}
