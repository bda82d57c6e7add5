//! A daemon as its coordinator sees it, with real nodes.

use std::sync::Arc;

use dora_daemon::{Daemon, DaemonOptions};
use dora_gateways::*;
use dora_rpc::{
    FencingToken, Gateway, MainThread, Role, RpcConfig, RpcEndpoint, RpcService, RpcStream, Server, Streamed,
};
use dora_tests::{PATIENCE, Workbench, await_gone};
use tokio::sync::mpsc;

const LEADER: FencingToken = FencingToken { epoch: 1, nonce: 1 };

/// Takes note of what becomes of nodes.
struct Master(mpsc::UnboundedSender<NodeUpdate>);

impl RpcEndpoint for Master {
    type Call = DataflowMasterCall;

    fn handle(&mut self, _main: &mut MainThread<Self>, call: DataflowMasterCall) {
        match call {
            DataflowMasterCall::NodesChanged { updates, reply, .. } => {
                updates.into_iter().for_each(|update| drop(self.0.send(update)));
                reply.ok(());
            }
            DataflowMasterCall::MachineFinished { reply, .. } => reply.ok(()),
            other => panic!("not in the script: {other:?}"),
        }
    }
}

/// A dataflow on a daemon.
struct Running {
    bench: Workbench,
    daemon: Arc<Daemon>,
    _master: Server<Master>,
    updates: mpsc::UnboundedReceiver<NodeUpdate>,
    dataflow: DataflowId,
    service: RpcService,
}

impl Running {
    async fn start(text: &str, hold: bool) -> Self {
        let bench = Workbench::new();
        let service = RpcService::new(RpcConfig { deadline: PATIENCE, ..RpcConfig::new(Role::Daemon, "test") });
        let mut options = DaemonOptions::in_process(dora_tests::dora().to_owned());
        options.inherited_env.push(("DORA_TEST_MARK".into(), bench.mark().into()));
        let daemon = Arc::new(Daemon::start(&service, options).expect("it starts"));
        let (sender, updates) = mpsc::unbounded_channel();
        let master = service.start_server("master", Master(sender)).expect("it starts");
        let path = bench.dataflow("a.yml", text);
        let descriptor = std::fs::read_to_string(&path).expect("a file");
        let loaded =
            dora_descriptor::parse("a.yml", &descriptor, &dora_descriptor::Options::default()).expect("a good file");
        let nodes = loaded.dataflow.nodes.into_iter().map(|node| (node.id, Attempt(1))).collect();
        let origin = Origin { path, ..Origin::default() };
        let submission = Submission { descriptor, origin, watched: Some(Watching::Loosely), ..Submission::default() };
        let dataflow = DataflowId(uuid::Uuid::now_v7());
        let spawn = SpawnNodes { dataflow, submission, nodes, hold, resumed: false, master: master.gateway() };
        daemon.gateway().spawn_nodes(LEADER, spawn).await.expect("it takes them");
        Running { bench, daemon, _master: master, updates, dataflow, service }
    }

    fn executor(&self) -> Gateway<NodeExecutorCall> {
        self.daemon.gateway()
    }

    async fn until(&mut self, node: &str, fits: impl Fn(&NodeUpdate) -> bool) {
        while !self.updates.recv().await.is_some_and(|update| update.node.as_str() == node && fits(&update)) {}
    }

    async fn end(self) {
        self.service.stop().await;
        let mark = self.bench.mark().to_owned();
        tokio::task::spawn_blocking(move || await_gone(&mark, PATIENCE)).await.expect("nothing is left");
    }
}

async fn next<T>(stream: &mut RpcStream<T>) -> T {
    match tokio::time::timeout(PATIENCE, stream.next()).await {
        Ok(Ok(Some(Streamed::Item(item)))) => item,
        other => panic!("{:?}", other.map(|streamed| streamed.map(|streamed| streamed.is_some()))),
    }
}

/// The number that a message starts with.
fn number(message: &TappedMessage) -> u64 {
    let payload = &message.message.as_ref().expect("it was asked for").payload;
    u64::from_le_bytes(*payload.first_chunk().expect("a number"))
}

#[tokio::test]
async fn an_output_is_looked_at_over_restarts_of_its_node_and_figures_are_of_its_edges() {
    let text = "
nodes:
  - { id: a, path: '{node}', args: beat 1, outputs: [data] }
  - { id: b, path: '{node}', args: sink, inputs: { in: a/data } }
";
    let mut running = Running::start(text, false).await;
    running.until("a", |update| update.state == NodeState::Running).await;
    let executor = running.executor();
    let query = TapQuery { outputs: Vec::new(), payload: true };
    let mut messages = executor.tap(running.dataflow, query).await.expect("it runs");
    let first = next(&mut messages).await;
    assert_eq!((first.from.node.as_str(), first.from.output.as_str()), ("a", "data"));
    let mut before = number(&first);
    for _ in 0..10 {
        let message = next(&mut messages).await;
        assert_eq!(number(&message), before + 1 + message.missed);
        before = number(&message);
    }
    let restart = executor.restart_nodes(LEADER, running.dataflow, vec!["a".into()], StopOptions::default());
    restart.await.expect("it runs");
    // The next process begins anew, and with it the numbers.
    loop {
        let number = number(&next(&mut messages).await);
        if number < before {
            break;
        }
        before = number;
    }
    loop {
        let figures = executor.metrics(MetricQuery::default()).await.expect("figures");
        let edge = &figures.edges[0];
        if edge.counters.received > 0 {
            assert_eq!((edge.from.as_str(), edge.to.as_str()), ("a", "b"));
            break;
        }
    }
    running.end().await;
}

#[tokio::test]
async fn nodes_that_are_held_start_when_they_are_released() {
    let text = "nodes: [{ id: a, path: '{node}', args: beat 1, outputs: [data] }]";
    let mut running = Running::start(text, true).await;
    let executor = running.executor();
    let mut events = executor.events(running.dataflow, Watching::Loosely).await.expect("it runs");
    running.until("a", |update| update.state == NodeState::Running).await;
    // The master has heard that the node is ready, and no message flows.
    executor.release(LEADER, running.dataflow).await.expect("it runs");
    while !matches!(next(&mut events).await, DataflowEvent::AllReady) {}
    running.end().await;
}
