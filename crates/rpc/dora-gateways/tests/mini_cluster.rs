//! The gateways between scripted components, in memory and with everything turned into bytes: that each message survives,
//! and that coordinator and daemon reach each other although only one of them has dialled.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::time::Duration;

use chrono::DateTime;
use dora_gateways::*;
use dora_message::{
    result::NodeResult,
    supervision::{ExitStatus, Limit, Overdue},
};
use dora_rpc::{
    Address, EpochGuard, FencingToken, Gateway, MainThread, Retryable, Role, RpcConfig, RpcEndpoint, RpcError,
    RpcService, Server, StaleLeader, Streamed, stream,
};
use tokio::sync::mpsc;

const LEADER: FencingToken = FencingToken { epoch: 2, nonce: 1 };

fn dataflow() -> DataflowId {
    DataflowId(uuid::Uuid::from_u128(42))
}

/// Everything that a node can have come to.
fn node_states() -> Vec<NodeState> {
    let results = [
        NodeResult::Success,
        NodeResult::NotRestarted(ExitStatus::Code { code: 3 }),
        NodeResult::Failed(ExitStatus::Code { code: 3 }),
        NodeResult::Failed(ExitStatus::Signal { signal: 11 }),
        NodeResult::GraceExceeded,
        NodeResult::Overdue(Overdue { limit: Limit::Health, ms: 500 }),
        NodeResult::NotStarted("no such file".to_owned()),
        NodeResult::Cascading { caused_by: Some("a".into()), status: ExitStatus::Code { code: 1 } },
        NodeResult::Lost,
    ];
    let running = [NodeState::Waiting, NodeState::Starting, NodeState::Running, NodeState::Restarting];
    let others = [NodeState::Stopping, NodeState::Unknown];
    running.into_iter().chain(others).chain(results.map(NodeState::Ended)).collect()
}

fn info() -> DataflowInfo {
    let summary = DataflowSummary {
        id: dataflow(),
        name: Some("camera".to_owned()),
        state: DataflowState::Running,
        submitted: DateTime::from_timestamp(1_700_000_000, 123).unwrap(),
        nodes: 14,
    };
    let node = |(index, state): (usize, NodeState)| NodeInfo {
        node: format!("n{index}").into(),
        machine: Some(MachineId("here".to_owned())),
        attempt: Some(Attempt(1)),
        state,
        pid: Some(77),
        restarts: 2,
    };
    let nodes = node_states().into_iter().enumerate().map(node).collect();
    DataflowInfo { summary, descriptor: "nodes: []".to_owned(), nodes, result: None }
}

struct Dispatcher;

impl RpcEndpoint for Dispatcher {
    type Call = DispatcherCall;

    fn handle(&mut self, main: &mut MainThread<Self>, call: DispatcherCall) {
        match call {
            DispatcherCall::Submit { submission, reply } if submission.descriptor.is_empty() => {
                reply.err(DispatcherError::Descriptor { mistakes: vec!["line 1: no nodes".to_owned()] });
            }
            DispatcherCall::Submit { reply, .. } => reply.ok(dataflow()),
            DispatcherCall::Info { reply, .. } => reply.ok(info()),
            DispatcherCall::Logs { query, reply, .. } => {
                let (sender, lines) = stream(16);
                for node in query.nodes {
                    let _ = sender.push(LogChunk::Lines(vec![LogLine {
                        dataflow: dataflow(),
                        source: LogSource::Node(node),
                        time: DateTime::UNIX_EPOCH,
                        level: dora_message::log::LogLevel::Warn,
                        stream: dora_message::supervision::OutputStream::Stdout,
                        target: None,
                        message: "hot".to_owned(),
                        fields: Some("{\"celsius\":90}".to_owned()),
                    }]));
                }
                reply.ok(lines);
            }
            DispatcherCall::UploadArtifact { hash, size, mut content, reply } => main.reply(reply, async move {
                let mut received = 0;
                while let Some(Streamed::Item(part)) = content.next().await? {
                    received += part.len() as u64;
                }
                let reason = format!("{received} bytes came, {size} were announced");
                if received == size { Ok(()) } else { Err(DispatcherError::Artifact { hash, reason }) }
            }),
            DispatcherCall::Savepoint { reply, .. } => {
                reply.err(DispatcherError::NotServed { what: "savepoint".to_owned() });
            }
            other => panic!("not in the script: {other:?}"),
        }
    }
}

/// Takes every daemon, and sends it a heartbeat at once.
struct Resources {
    daemons: mpsc::UnboundedSender<(DaemonRegistration, Result<(), NodeExecutorError>)>,
}

impl RpcEndpoint for Resources {
    type Call = ResourceManagerCall;

    fn handle(&mut self, main: &mut MainThread<Self>, call: ResourceManagerCall) {
        match call {
            ResourceManagerCall::RegisterDaemon { daemon, reply } => {
                reply.ok(Registered {
                    leader: LEADER,
                    heartbeat_interval: Duration::from_secs(2),
                    heartbeat_timeout: Duration::from_secs(10),
                });
                let executor = daemon.executor.clone();
                main.then(async move { executor.heartbeat(LEADER).await }, |resources: &mut Self, _, heartbeat| {
                    resources.daemons.send((daemon, heartbeat)).unwrap();
                });
            }
            other => panic!("not in the script: {other:?}"),
        }
    }
}

/// Obeys the leader, and tells the master that every node runs.
struct Daemon {
    machine: MachineId,
    guard: EpochGuard,
}

impl RpcEndpoint for Daemon {
    type Call = NodeExecutorCall;

    fn handle(&mut self, main: &mut MainThread<Self>, call: NodeExecutorCall) {
        match call {
            NodeExecutorCall::Heartbeat { leader, reply } => {
                reply.send(self.guard.admit(leader).map_err(NodeExecutorError::from));
            }
            NodeExecutorCall::SpawnNodes { leader, spawn, reply } => {
                if let Err(stale) = self.guard.admit(leader) {
                    return reply.err(stale.into());
                }
                reply.ok(());
                let machine = self.machine.clone();
                let tell = async move {
                    let update = |(sequence, (node, attempt))| NodeUpdate {
                        node,
                        attempt,
                        sequence,
                        state: NodeState::Running,
                        pid: Some(7),
                        restarts: 0,
                    };
                    let updates = (1..).zip(spawn.nodes).map(update).collect();
                    spawn.master.nodes_changed(machine, updates).await.unwrap();
                };
                main.then(tell, |_, _, ()| {});
            }
            other => panic!("not in the script: {other:?}"),
        }
    }
}

struct Master {
    updates: mpsc::UnboundedSender<(MachineId, NodeUpdate)>,
}

impl RpcEndpoint for Master {
    type Call = DataflowMasterCall;

    fn handle(&mut self, _main: &mut MainThread<Self>, call: DataflowMasterCall) {
        match call {
            DataflowMasterCall::NodesChanged { machine, updates, reply } => {
                updates.into_iter().for_each(|update| self.updates.send((machine.clone(), update)).unwrap());
                reply.ok(());
            }
            other => panic!("not in the script: {other:?}"),
        }
    }
}

/// Services of a coordinator, as one process has them: as they are, and with everything turned into bytes.
fn services() -> [RpcService; 2] {
    [false, true].map(|force_serialization| {
        RpcService::new(RpcConfig { force_serialization, ..RpcConfig::new(Role::Coordinator, "test") })
    })
}

async fn dispatcher(service: &RpcService) -> Gateway<DispatcherCall> {
    service.start_server("dispatcher", Dispatcher).unwrap();
    service.connect(&Address::here(), "dispatcher").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_messages_of_the_dispatcher_survive() {
    for service in services() {
        let dispatcher = dispatcher(&service).await;
        assert_eq!(dispatcher.info(DataflowSelector::Only).await, Ok(info()));
        let env = vec![("A".to_owned(), "b".to_owned())];
        let empty = Submission { env, uv: true, ..Submission::default() };
        let refused = dispatcher.submit(empty.clone()).await.unwrap_err();
        assert_eq!(refused.to_string(), "the dataflow cannot be run: line 1: no nodes");
        assert_eq!((refused.code(), refused.retryable()), ("dispatcher.descriptor", false));
        assert_eq!(dispatcher.submit(Submission { descriptor: "nodes: []".to_owned(), ..empty }).await, Ok(dataflow()));
        let savepoint = dispatcher.savepoint(DataflowSelector::Only).await.unwrap_err();
        assert_eq!(savepoint.to_string(), "savepoint is not served by this version");

        let query = LogQuery { nodes: vec!["a".into(), "b".into()], ..LogQuery::default() };
        let mut lines = dispatcher.logs(DataflowSelector::Only, query).await.unwrap();
        for node in ["a", "b"] {
            let Ok(Some(Streamed::Item(LogChunk::Lines(chunk)))) = lines.next().await else {
                panic!("a line is missing")
            };
            let [line] = &chunk[..] else { panic!("one line was sent, not {chunk:?}") };
            assert_eq!((&line.source, line.message.as_str()), (&LogSource::Node(node.into()), "hot"));
        }
        assert_eq!(lines.next().await, Ok(None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_sent_as_a_stream() {
    for service in services() {
        let dispatcher = dispatcher(&service).await;
        for (announced, expected) in [(300_000, true), (5, false)] {
            let (sender, content) = stream(2);
            let upload = async {
                for _ in 0..3 {
                    sender.send(vec![9; 100_000]).await.unwrap();
                }
                drop(sender);
            };
            let (taken, ()) =
                tokio::join!(dispatcher.upload_artifact(ArtifactHash([7; 32]), announced, content), upload);
            assert_eq!(taken.is_ok(), expected, "{taken:?}");
        }
    }
}

/// The daemon has dialled. It is called back, and calls the master back of whom it was told.
#[tokio::test(start_paused = true)]
async fn coordinator_and_daemon_reach_each_other_both_ways() {
    for service in services() {
        let (daemons, mut registered) = mpsc::unbounded_channel();
        service.start_server("resources", Resources { daemons }).unwrap();
        let machine = MachineId("robot".to_owned());
        let daemon = Daemon { machine: machine.clone(), guard: EpochGuard::default() };
        let daemon: Server<Daemon> = service.start_server("executor", daemon).unwrap();
        let resources: Gateway<ResourceManagerCall> = service.connect(&Address::here(), "resources").await.unwrap();
        let registration = DaemonRegistration {
            served: None,
            machine: machine.clone(),
            incarnation: 5,
            labels: [("gpu".to_owned(), "yes".to_owned())].into(),
            resources: dora_gateways::Resources { cpu_millis: 4000, memory: 1 << 33 },
            executor: daemon.gateway(),
            running: vec![ObservedDataflow { dataflow: dataflow(), nodes: vec![] }],
        };
        assert_eq!(resources.register_daemon(registration).await.unwrap().leader, LEADER);
        let (daemon, heartbeat) = registered.recv().await.unwrap();
        assert_eq!((daemon.machine, heartbeat), (machine.clone(), Ok(())));
        assert_eq!(daemon.running[0].dataflow, dataflow());

        let (updates, mut told) = mpsc::unbounded_channel();
        let master = service.start_server("master", Master { updates }).unwrap();
        let submission = Submission { descriptor: "nodes: []".to_owned(), ..Submission::default() };
        let nodes = vec![("a".into(), Attempt(1)), ("b".into(), Attempt(2))];
        let spawn = SpawnNodes {
            dataflow: dataflow(),
            submission,
            nodes,
            hold: false,
            resumed: false,
            master: master.gateway(),
        };
        let stale = daemon.executor.spawn_nodes(FencingToken { epoch: 1, nonce: 0 }, spawn.clone()).await.unwrap_err();
        let expected = StaleLeader { stale: FencingToken { epoch: 1, nonce: 0 }, current: LEADER };
        assert_eq!(stale, NodeExecutorError::Stale(expected));
        assert_eq!(stale.code(), "executor.stale_leader");
        assert_eq!(daemon.executor.spawn_nodes(LEADER, spawn).await, Ok(()));
        for (node, attempt, sequence) in [("a", Attempt(1), 1), ("b", Attempt(2), 2)] {
            let (from, update) = told.recv().await.unwrap();
            assert_eq!((from, update.node.as_str()), (machine.clone(), node));
            assert_eq!((update.attempt, update.sequence, update.state), (attempt, sequence, NodeState::Running));
        }
    }
}

#[test]
fn errors_of_calls_keep_their_codes() {
    let lost = RpcError::Disconnected { reason: "gone".to_owned() };
    let errors: [&dyn Coded; 5] = [
        &DispatcherError::from(lost.clone()),
        &ResourceManagerError::from(lost.clone()),
        &DataflowMasterError::from(lost.clone()),
        &NodeExecutorError::from(lost.clone()),
        &MetricsError::from(lost),
    ];
    for error in errors {
        assert_eq!((error.code(), error.retryable()), ("rpc.disconnected", true));
    }
    assert!(DispatcherError::NoFit { nodes: vec![] }.retryable(), "a machine may come");
    assert!(!DataflowMasterError::Ended.retryable());
}
