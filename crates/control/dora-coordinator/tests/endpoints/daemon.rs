//! A daemon that does what the test says.

use std::collections::BTreeMap;

use dora_gateways::*;
use dora_message::{id::NodeId, result::NodeResult};
use dora_rpc::{EpochGuard, FencingToken, Gateway, MainThread, Reply, RpcEndpoint, StreamSender, Streamed, stream};
use tokio::sync::mpsc;

/// What a daemon was told.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Heartbeat,
    Spawn {
        dataflow: DataflowId,
        nodes: Vec<NodeId>,
        hold: bool,
    },
    Stop {
        nodes: Vec<NodeId>,
        options: StopOptions,
    },
    Restart {
        nodes: Vec<NodeId>,
    },
    Release,
    Disown,
    Publish(OutputId),
    Clean(DataflowId),
    Artifact(Vec<u8>),
    ShutDown,
    /// Somebody watches a dataflow.
    Watched,
    /// Somebody reads lines.
    Read,
}

/// How far nodes get by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// They are built for ever.
    Building,
    /// They have no process for ever.
    Waiting,
    /// They never connect.
    Starting,
    /// They run.
    Running,
}

pub struct Daemon {
    machine: MachineId,
    guard: EpochGuard,
    heard: mpsc::UnboundedSender<Heard>,
    dataflows: BTreeMap<DataflowId, Job>,
    pub reach: Reach,
    /// Nodes end when they are asked to; otherwise only when they are killed.
    pub obeys: bool,
    /// Heartbeats are not answered, and neither is anything else.
    pub hangs: bool,
    /// Spawning is refused.
    pub refuses: bool,
    /// It sees the files of its clients.
    pub sees: bool,
    kept: Vec<Box<dyn std::any::Any + Send>>,
}

#[derive(Default)]
struct Job {
    master: Option<Gateway<DataflowMasterCall>>,
    nodes: BTreeMap<NodeId, Node>,
    ended: Vec<NodeOutcome>,
    events: Vec<DataflowEvent>,
    readers: Vec<StreamSender<DataflowEvent>>,
}

struct Node {
    attempt: Attempt,
    sequence: u64,
    state: NodeState,
}

impl Job {
    fn update(&mut self, id: &NodeId, state: &NodeState) -> Option<NodeUpdate> {
        let node = self.nodes.get_mut(id).filter(|node| !matches!(node.state, NodeState::Ended(_)))?;
        (node.sequence, node.state) = (node.sequence + 1, state.clone());
        if let NodeState::Ended(result) = state.clone() {
            self.ended.push(NodeOutcome { node: id.clone(), result, never_connected: false, last_stderr: Vec::new() });
        }
        Some(NodeUpdate {
            node: id.clone(),
            attempt: node.attempt,
            sequence: node.sequence,
            state: state.clone(),
            pid: Some(7),
            restarts: 0,
        })
    }
}

impl Daemon {
    pub fn new(name: &str) -> (Self, mpsc::UnboundedReceiver<Heard>) {
        let (heard, hears) = mpsc::unbounded_channel();
        let daemon = Self {
            machine: MachineId(name.to_owned()),
            guard: EpochGuard::default(),
            heard,
            dataflows: BTreeMap::new(),
            reach: Reach::Running,
            obeys: true,
            hangs: false,
            refuses: false,
            sees: true,
            kept: Vec::new(),
        };
        (daemon, hears)
    }

    pub fn observed(&self) -> Vec<ObservedDataflow> {
        let node = |(id, node): (&NodeId, &Node)| ObservedNode {
            node: id.clone(),
            attempt: node.attempt,
            state: node.state.clone(),
        };
        let dataflow = |(id, job): (&DataflowId, &Job)| ObservedDataflow {
            dataflow: *id,
            nodes: job.nodes.iter().map(node).collect(),
        };
        self.dataflows.iter().map(dataflow).collect()
    }

    /// Forgets everything, as if it had been killed with its keepers.
    pub fn crash(&mut self) {
        self.dataflows.clear();
    }

    /// Runs a dataflow of which nobody has told it.
    pub fn adopt(&mut self, dataflow: DataflowId) {
        self.dataflows.insert(dataflow, Job::default());
    }

    /// The streams that are read of it end, as when a connection does.
    pub fn disconnect(&mut self) {
        self.dataflows.values_mut().for_each(|job| job.readers.clear());
    }

    pub fn print(&mut self, dataflow: DataflowId, event: DataflowEvent) {
        let job = self.dataflows.get_mut(&dataflow).unwrap();
        job.readers.retain(|reader| reader.push(event.clone()).is_ok());
        job.events.push(event);
    }

    /// A node ends.
    pub fn end(&mut self, main: &mut MainThread<Self>, dataflow: DataflowId, node: &str, result: NodeResult) {
        self.set(main, dataflow, &[node.into()], &NodeState::Ended(result));
    }

    /// Nodes do something else, and the master is told; of the last end as well.
    fn set(&mut self, main: &mut MainThread<Self>, dataflow: DataflowId, nodes: &[NodeId], state: &NodeState) {
        let Some(job) = self.dataflows.get_mut(&dataflow) else { return };
        let updates: Vec<_> = nodes.iter().filter_map(|id| job.update(id, state)).collect();
        let over = job.nodes.values().all(|node| matches!(node.state, NodeState::Ended(_)));
        let outcome = Outcome { nodes: job.ended.clone(), ..Outcome::default() };
        if over {
            job.readers.clear();
        }
        let (Some(master), machine) = (job.master.clone(), self.machine.clone()) else { return };
        let tell = async move {
            let _ = master.nodes_changed(machine.clone(), updates).await;
            over && master.machine_finished(machine, outcome).await.is_ok()
        };
        main.then(tell, move |daemon: &mut Self, _, known| {
            if known {
                daemon.dataflows.remove(&dataflow);
            }
        });
    }

    fn spawn(&mut self, main: &mut MainThread<Self>, spawn: SpawnNodes) {
        let SpawnNodes { dataflow, nodes, master, .. } = spawn;
        let job = self.dataflows.entry(dataflow).or_default();
        job.master = Some(master);
        let mut begun = Vec::new();
        for (id, attempt) in nodes {
            if job.nodes.get(&id).is_none_or(|node| node.attempt < attempt) {
                job.nodes.insert(id.clone(), Node { attempt, sequence: 0, state: NodeState::Waiting });
                begun.push(id);
            }
        }
        let states = match self.reach {
            Reach::Building => &[NodeState::Building][..],
            Reach::Waiting => &[],
            Reach::Starting => &[NodeState::Starting],
            Reach::Running => &[NodeState::Starting, NodeState::Running],
        };
        for state in states {
            self.set(main, dataflow, &begun, state);
        }
    }

    fn stop(&mut self, main: &mut MainThread<Self>, dataflow: DataflowId, nodes: Vec<NodeId>, options: StopOptions) {
        let all = || self.dataflows[&dataflow].nodes.keys().cloned().collect();
        let nodes: Vec<_> = if nodes.is_empty() { all() } else { nodes };
        if self.obeys || options.urgency == Urgency::Kill {
            self.set(main, dataflow, &nodes, &NodeState::Ended(NodeResult::Success));
        } else {
            self.set(main, dataflow, &nodes, &NodeState::Stopping);
        }
    }

    fn figures(&self) -> MetricsSnapshot {
        let machine = MachineMetrics { machine: self.machine.clone(), monotonic_ns: 1, cpu_ns: 2, memory: 3 };
        let taken = chrono::DateTime::UNIX_EPOCH;
        MetricsSnapshot { taken, machines: vec![machine], nodes: Vec::new(), edges: Vec::new(), missing: Vec::new() }
    }

    fn say(&self, heard: Heard) {
        let _ = self.heard.send(heard);
    }

    /// Runs what a leader wants; what the daemon does not have, or who does not lead, is refused.
    fn obey(
        &mut self,
        leader: FencingToken,
        dataflow: Option<DataflowId>,
        reply: Reply<(), NodeExecutorError>,
        action: impl FnOnce(&mut Self),
    ) {
        if let Err(stale) = self.guard.admit(leader) {
            return reply.err(stale.into());
        }
        match dataflow.filter(|dataflow| !self.dataflows.contains_key(dataflow)) {
            Some(dataflow) => reply.err(NodeExecutorError::UnknownDataflow { dataflow }),
            None => {
                reply.ok(());
                action(self);
            }
        }
    }
}

impl RpcEndpoint for Daemon {
    type Call = NodeExecutorCall;

    fn handle(&mut self, main: &mut MainThread<Self>, call: NodeExecutorCall) {
        use NodeExecutorCall as Call;
        if self.hangs {
            return self.kept.push(Box::new(call));
        }
        match call {
            Call::Heartbeat { leader, reply } => self.obey(leader, None, reply, |it| it.say(Heard::Heartbeat)),
            Call::SpawnNodes { reply, .. } if self.refuses => {
                reply.err(NodeExecutorError::Spawn { reason: "no keeper".to_owned() });
            }
            Call::SpawnNodes { leader, spawn, reply } => self.obey(leader, None, reply, |it| {
                let nodes = spawn.nodes.iter().map(|(node, _)| node.clone()).collect();
                it.say(Heard::Spawn { dataflow: spawn.dataflow, nodes, hold: spawn.hold });
                it.spawn(main, spawn);
            }),
            Call::Release { leader, dataflow, reply } => {
                self.obey(leader, Some(dataflow), reply, |it| it.say(Heard::Release));
            }
            Call::StopNodes { leader, dataflow, nodes, options, reply } => {
                self.obey(leader, Some(dataflow), reply, |it| {
                    it.say(Heard::Stop { nodes: nodes.clone(), options });
                    it.stop(main, dataflow, nodes, options);
                });
            }
            Call::Disown { leader, dataflow, options, reply } => {
                self.obey(leader, Some(dataflow), reply, |it| {
                    it.say(Heard::Disown);
                    it.stop(main, dataflow, Vec::new(), options);
                });
            }
            Call::RestartNodes { leader, dataflow, nodes, reply, .. } => {
                self.obey(leader, Some(dataflow), reply, |it| it.say(Heard::Restart { nodes }));
            }
            Call::Publish { leader, dataflow, output, reply, .. } => {
                self.obey(leader, Some(dataflow), reply, |it| it.say(Heard::Publish(output)));
            }
            Call::Clean { leader, dataflow, reply } => {
                self.obey(leader, None, reply, |it| it.say(Heard::Clean(dataflow)));
            }
            Call::ShutDown { leader, reply, .. } => self.obey(leader, None, reply, |it| it.say(Heard::ShutDown)),
            Call::Events { dataflow, reply, .. } => match self.dataflows.get_mut(&dataflow) {
                None => reply.err(NodeExecutorError::UnknownDataflow { dataflow }),
                Some(job) => {
                    let (sender, reader) = stream(10_000);
                    job.events.iter().for_each(|event| sender.push(event.clone()).unwrap());
                    job.readers.push(sender);
                    reply.ok(reader);
                    self.say(Heard::Watched);
                }
            },
            Call::Sees { reply, .. } => reply.ok(self.sees),
            Call::Logs { reply, .. } => {
                let (sender, reader) = stream(1);
                let _ = sender.push(LogChunk::Missed(7));
                reply.ok(reader);
                self.say(Heard::Read);
            }
            Call::Tap { dataflow, query, reply } if self.dataflows.contains_key(&dataflow) => {
                let (sender, reader) = stream(query.outputs.len());
                for from in query.outputs {
                    let _ = sender.push(TappedMessage { from, time_ns: 1, len: 2, message: None, missed: 0 });
                }
                reply.ok(reader);
            }
            Call::Build { nodes, reply, .. } => {
                let (sender, reader) = stream(nodes.len() + 1);
                for node in nodes {
                    let _ =
                        sender.push(BuildStep::Event(BuildEvent { node, progress: Progress::Warning(String::new()) }));
                }
                let end = if self.refuses { BuildStep::Failed(Trouble::Interrupted) } else { BuildStep::Done };
                let _ = sender.push(end);
                reply.ok(reader);
            }
            Call::Metrics { query, reply } => {
                match query.dataflow.filter(|dataflow| !self.dataflows.contains_key(dataflow)) {
                    Some(dataflow) => reply.err(NodeExecutorError::UnknownDataflow { dataflow }),
                    None => reply.ok(self.figures()),
                }
            }
            Call::MissingArtifacts { hashes, reply } => reply.ok(hashes),
            Call::UploadArtifact { mut content, reply, .. } => {
                let heard = self.heard.clone();
                main.reply(reply, async move {
                    let mut all = Vec::new();
                    while let Some(Streamed::Item(part)) = content.next().await? {
                        all.extend(part);
                    }
                    let _ = heard.send(Heard::Artifact(all));
                    Ok(())
                });
            }
            other => panic!("not in the script: {other:?}"),
        }
    }
}
