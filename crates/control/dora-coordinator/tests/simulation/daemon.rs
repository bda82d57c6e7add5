//! A daemon: the real protocol above keepers that are only told of. It forgets everything when it is killed, and the next
//! one finds the keepers.

use std::{collections::BTreeMap, time::Duration};

use dora_gateways::*;
use dora_message::id::NodeId;
use dora_rpc::{
    EpochGuard, FencingToken, Gateway, MainThread, Reply, Role, RpcConfig, RpcEndpoint, RpcService, Server,
};
use fastrand::Rng;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    invariants::Rules,
    machine::Shared,
    network::{Network, Pid, Site},
    reporter::Reporter,
    trace::Trace,
};

type Master = Option<Gateway<DataflowMasterCall>>;

/// The endpoint.
pub struct Daemon {
    pub me: About,
    guard: EpochGuard,
    heartbeats: watch::Sender<u64>,
    dataflows: BTreeMap<DataflowId, watch::Sender<Master>>,
}

/// What all parts of a daemon have in common.
#[derive(Clone)]
pub struct About {
    pub name: MachineId,
    pub site: Site,
    pub pid: Pid,
    pub machine: Shared,
    pub network: Network,
    pub rules: Rules,
    pub trace: Trace,
}

impl Daemon {
    /// Starts a daemon that registers with the coordinator, in the runtime that is entered.
    pub fn start(me: About, dice: Rng) {
        let service = RpcService::new(config(Role::Daemon, Duration::ZERO));
        let heartbeats = watch::Sender::new(0);
        let beats = heartbeats.subscribe();
        let daemon = Self { me: me.clone(), guard: EpochGuard::default(), heartbeats, dataflows: BTreeMap::new() };
        let server = service.start_server("node_executor", daemon).unwrap();
        tokio::spawn(fails(service.clone(), me.rules.clone()));
        tokio::spawn(Registration { me, service, server, beats, dice }.keep());
    }

    fn admit(&mut self, leader: FencingToken) -> Result<(), NodeExecutorError> {
        self.guard.admit(leader)?;
        self.me.rules.admitted(&self.me.name, leader.epoch);
        Ok(())
    }

    fn heartbeat(&mut self, leader: FencingToken) -> Result<(), NodeExecutorError> {
        self.admit(leader)?;
        self.heartbeats.send_modify(|count| *count += 1);
        if self.me.network.is_well(self.me.site, Site::Coordinator) {
            self.me.rules.signed(&self.me.name, leader.epoch);
        }
        Ok(())
    }

    fn spawn(
        &mut self,
        main: &mut MainThread<Self>,
        leader: FencingToken,
        spawn: SpawnNodes,
    ) -> Result<(), NodeExecutorError> {
        self.admit(leader)?;
        let SpawnNodes { dataflow, nodes, hold, resumed, master, .. } = spawn;
        let mut machine = self.me.machine.lock().unwrap();
        if let (Some(keeper), Some(masters)) = (machine.keepers.get(&dataflow), self.dataflows.get(&dataflow)) {
            if keeper.has(&nodes) {
                masters.send_replace(Some(master));
                return Ok(());
            }
            if keeper.outcome().is_none() {
                let reason = "other placements of this dataflow run here".to_owned();
                return Err(NodeExecutorError::Spawn { reason });
            }
        }
        if resumed {
            return Err(NodeExecutorError::UnknownDataflow { dataflow });
        }
        let ids: Vec<_> = nodes.iter().map(|(id, _)| id.to_string()).collect();
        self.me
            .trace
            .say(&self.me.name, format_args!("starts {} of {dataflow} for epoch {}", ids.join(" "), leader.epoch));
        self.me.rules.commanded(&self.me.name, leader.epoch);
        self.me.rules.ordered(&self.me.name, dataflow);
        machine.spawn(self.me.trace.now(), dataflow, nodes, hold);
        drop(machine);
        self.take_up(main, dataflow, Some(master));
        Ok(())
    }

    /// Reports a keeper from now on.
    fn take_up(&mut self, main: &mut MainThread<Self>, dataflow: DataflowId, master: Master) {
        let (sender, masters) = watch::channel(master);
        self.dataflows.insert(dataflow, sender);
        let reporter = Reporter::new(self.me.clone(), dataflow, masters);
        main.then(reporter.report(), move |daemon: &mut Self, _, known| {
            if known {
                daemon.dataflows.remove(&dataflow);
                daemon.me.machine.lock().unwrap().forget(dataflow);
            }
        });
    }

    fn stop(
        &mut self,
        leader: FencingToken,
        dataflow: DataflowId,
        nodes: &[NodeId],
        options: StopOptions,
    ) -> Result<(), NodeExecutorError> {
        self.admit(leader)?;
        self.known(dataflow)?;
        self.me.trace.say(&self.me.name, format_args!("stops {dataflow} for epoch {}", leader.epoch));
        self.me.rules.commanded(&self.me.name, leader.epoch);
        self.me.machine.lock().unwrap().stop(self.me.trace.now(), dataflow, nodes, options.urgency);
        Ok(())
    }

    /// Nobody leads it: it is forgotten when it has ended.
    fn disown(&mut self, main: &mut MainThread<Self>, dataflow: DataflowId) {
        let machine = self.me.machine.clone();
        let changes = machine.lock().unwrap().keepers.get(&dataflow).map(|keeper| keeper.changes());
        let Some(mut changes) = changes else { return };
        let over = move || machine.lock().unwrap().keepers.get(&dataflow).is_none_or(|it| it.outcome().is_some());
        let ended = async move { while !over() && changes.changed().await.is_ok() {} };
        main.then(ended, move |daemon: &mut Self, _, ()| {
            daemon.dataflows.remove(&dataflow);
            daemon.me.machine.lock().unwrap().forget(dataflow);
        });
    }

    fn release(&mut self, leader: FencingToken, dataflow: DataflowId) -> Result<(), NodeExecutorError> {
        self.admit(leader)?;
        self.known(dataflow)?;
        self.me.rules.commanded(&self.me.name, leader.epoch);
        self.me.machine.lock().unwrap().release(dataflow);
        Ok(())
    }

    fn known(&self, dataflow: DataflowId) -> Result<(), NodeExecutorError> {
        let known = self.me.machine.lock().unwrap().keepers.contains_key(&dataflow);
        if known { Ok(()) } else { Err(NodeExecutorError::UnknownDataflow { dataflow }) }
    }
}

impl RpcEndpoint for Daemon {
    type Call = NodeExecutorCall;

    fn on_start(&mut self, main: &mut MainThread<Self>) {
        let found: Vec<_> = self.me.machine.lock().unwrap().keepers.keys().copied().collect();
        found.into_iter().for_each(|dataflow| self.take_up(main, dataflow, None));
    }

    fn handle(&mut self, main: &mut MainThread<Self>, call: NodeExecutorCall) {
        use NodeExecutorCall as Call;
        match call {
            Call::Heartbeat { leader, reply } => reply.send(self.heartbeat(leader)),
            Call::SpawnNodes { leader, spawn, reply } => reply.send(self.spawn(main, leader, spawn)),
            Call::Release { leader, dataflow, reply } => reply.send(self.release(leader, dataflow)),
            Call::StopNodes { leader, dataflow, nodes, options, reply } => {
                reply.send(self.stop(leader, dataflow, &nodes, options));
            }
            Call::Disown { leader, dataflow, options, reply } => {
                let stopped = self.stop(leader, dataflow, &[], options);
                if stopped.is_ok() {
                    self.disown(main, dataflow);
                }
                reply.send(stopped);
            }
            Call::Observed { reply } => reply.ok(self.me.machine.lock().unwrap().observed()),
            Call::MissingArtifacts { reply, .. } => reply.ok(Vec::new()),
            Call::Clean { leader, reply, .. } => reply.send(self.admit(leader)),
            Call::Logs { reply, .. } => not_served(reply),
            Call::Events { reply, .. } => not_served(reply),
            other => panic!("not asked of daemons here: {other:?}"),
        }
    }
}

fn not_served<T: dora_rpc::Message>(reply: Reply<T, NodeExecutorError>) {
    reply.err(NodeExecutorError::NotServed { what: "a stream".to_owned() });
}

/// Of all services of the simulation. A disk takes so long, twice.
pub fn config(role: Role, disk: Duration) -> RpcConfig {
    RpcConfig { deadline: Duration::from_secs(5), blocks_in_place: Some(disk), ..RpcConfig::new(role, "simulated") }
}

/// No endpoint panics.
pub async fn fails(service: RpcService, rules: Rules) {
    rules.broke(service.failed().await.to_string());
}

/// Being known to a coordinator, as the real daemon does it.
struct Registration {
    me: About,
    service: RpcService,
    server: Server<Daemon>,
    beats: watch::Receiver<u64>,
    dice: Rng,
}

impl Registration {
    async fn keep(mut self) {
        let mut failures = 0;
        loop {
            match self.register().await {
                Some((resources, registered)) => {
                    failures = 0;
                    let mut beats = self.beats.clone();
                    let silence = async {
                        while let Ok(Ok(())) = timeout(registered.heartbeat_timeout, beats.changed()).await {}
                    };
                    tokio::select! {
                        biased;
                        () = silence => {}
                        () = resources.closed() => {}
                    }
                    resources.disconnect();
                    self.me.trace.say(&self.me.name, "has lost its coordinator");
                }
                None => {
                    let full = (100_u64 << failures).min(3000);
                    failures = (failures + 1).min(6);
                    sleep(Duration::from_millis(full - self.dice.u64(..full / 4))).await;
                }
            }
        }
    }

    async fn register(&self) -> Option<(Gateway<ResourceManagerCall>, Registered)> {
        let pipe = self.me.network.dial(self.me.pid, self.me.site, Site::Coordinator);
        let resources: Gateway<ResourceManagerCall> = self.service.connect_over(pipe, "resource_manager").await.ok()?;
        let served = self.server.executor().call(|daemon, _| daemon.guard.leader()).await.ok()?;
        let running = self.me.machine.lock().unwrap().observed();
        let has: Vec<_> = running.iter().map(|it| it.dataflow.to_string()).collect();
        let registration = DaemonRegistration {
            machine: self.me.name.clone(),
            incarnation: self.me.pid,
            served,
            labels: BTreeMap::new(),
            resources: Resources { cpu_millis: 1000, memory: 1 << 30 },
            executor: self.server.gateway(),
            running,
        };
        let registered = resources.register_daemon(registration).await;
        let registered = registered.inspect_err(|error| self.me.trace.say(&self.me.name, error)).ok()?;
        let leader = registered.leader;
        let admitted = self.server.executor().call(move |daemon, _| daemon.admit(leader)).await;
        admitted.ok()?.ok()?;
        let what = format_args!("is registered in epoch {} with [{}]", leader.epoch, has.join(" "));
        self.me.trace.say(&self.me.name, what);
        Some((resources, registered))
    }
}
