//! A coordinator, its daemons and its clients, in one process.

use std::{collections::BTreeMap, time::Duration};

use dora_coordinator::{Coordinator, CoordinatorOptions};
use dora_gateways::*;
use dora_message::result::NodeResult;
use dora_rpc::{Address, FencingToken, Gateway, Role, RpcConfig, RpcService, RpcStream, Server, Streamed};
use dora_store::Store;
use tokio::sync::mpsc;

use crate::daemon::{Daemon, Heard};

pub const SECOND: Duration = Duration::from_secs(1);

/// Two nodes that an edge joins.
pub const PAIR: &str = "nodes:\n  - { id: camera, path: camera, outputs: [image] }\n  - { id: screen, path: screen, inputs: { image: camera/image } }\n";

/// Two nodes that nothing joins.
pub const LOOSE: &str = "nodes:\n  - { id: left, path: left }\n  - { id: right, path: right }\n";

pub struct World {
    pub service: RpcService,
    pub coordinator: Coordinator,
    /// Reached as from another process where everything becomes bytes.
    pub dispatcher: Gateway<DispatcherCall>,
}

impl World {
    pub async fn new(force_serialization: bool) -> Self {
        Self::with(force_serialization, CoordinatorOptions::new(Store::in_memory().unwrap())).await
    }

    pub async fn with(force_serialization: bool, options: CoordinatorOptions) -> Self {
        let config = RpcConfig { force_serialization, ..RpcConfig::new(Role::Coordinator, "test") };
        let service = RpcService::new(config);
        let coordinator = Coordinator::start(&service, options).unwrap();
        let dispatcher = service.connect(&Address::here(), "dispatcher").await.unwrap();
        Self { service, coordinator, dispatcher }
    }

    /// A daemon that is registered.
    pub async fn daemon(&self, name: &str) -> Machine {
        self.daemon_with(name, BTreeMap::new(), Machine::RESOURCES).await
    }

    pub async fn daemon_with(&self, name: &str, labels: BTreeMap<String, String>, resources: Resources) -> Machine {
        let mut machine = Machine::start(&self.service, name);
        (machine.labels, machine.resources) = (labels, resources);
        machine.register(self).await.unwrap();
        machine.expect(|heard| matches!(heard, Heard::Heartbeat)).await;
        machine
    }

    pub async fn submit(&self, descriptor: &str) -> Result<DataflowId, DispatcherError> {
        self.dispatcher.submit(submission(descriptor)).await
    }

    /// A daemon, and [`PAIR`] on it.
    pub async fn running(&self) -> (Machine, DataflowId) {
        let machine = self.daemon("here").await;
        let id = self.submit(PAIR).await.unwrap();
        self.wait(id, DataflowState::Running).await;
        (machine, id)
    }

    pub async fn wait(&self, dataflow: DataflowId, state: DataflowState) -> DataflowState {
        self.dispatcher.within(3600 * SECOND).wait(dataflow, vec![state]).await.unwrap()
    }

    /// Waits until a machine counts as silent.
    pub async fn silence(&self, machine: &Machine) {
        let gives_none = |info: &MachineInfo| info.machine == machine.name && !info.reachable;
        until(async || self.dispatcher.machines().await.unwrap().iter().any(gives_none)).await;
    }

    /// What a node of the only dataflow does.
    pub async fn node(&self, node: &str) -> NodeState {
        let info = self.dispatcher.info(DataflowSelector::Only).await.unwrap();
        info.nodes.into_iter().find(|info| info.node.as_str() == node).expect("a node").state
    }

    pub async fn states(&self) -> Vec<DataflowState> {
        let all = self.dispatcher.list(ListFilter::default()).await.unwrap();
        all.into_iter().map(|summary| summary.state).collect()
    }
}

/// A scripted daemon, and what it hears.
pub struct Machine {
    pub name: MachineId,
    pub labels: BTreeMap<String, String>,
    pub resources: Resources,
    pub server: Server<Daemon>,
    pub heard: mpsc::UnboundedReceiver<Heard>,
    pub incarnation: u64,
    /// The latest leader that it has served.
    pub served: Option<FencingToken>,
    /// Its connection: it is called back on it as long as it holds this.
    manager: Option<Gateway<ResourceManagerCall>>,
}

impl Machine {
    const RESOURCES: Resources = Resources { cpu_millis: 4000, memory: 1 << 30 };

    /// A daemon that is not registered yet.
    pub fn start(service: &RpcService, name: &str) -> Self {
        let (daemon, heard) = Daemon::new(name);
        let server = service.start_server(format!("daemon/{name}").as_str(), daemon).unwrap();
        let (labels, resources) = (BTreeMap::new(), Self::RESOURCES);
        Self {
            name: MachineId(name.to_owned()),
            labels,
            resources,
            server,
            heard,
            incarnation: 1,
            served: None,
            manager: None,
        }
    }

    pub async fn register(&mut self, world: &World) -> Result<Registered, ResourceManagerError> {
        let manager = world.service.connect(&Address::here(), "resource_manager").await.unwrap();
        self.register_with(manager).await
    }

    pub async fn register_with(
        &mut self,
        manager: Gateway<ResourceManagerCall>,
    ) -> Result<Registered, ResourceManagerError> {
        let running = self.server.executor().call(|daemon, _| daemon.observed()).await.unwrap();
        let registration = DaemonRegistration {
            machine: self.name.clone(),
            incarnation: self.incarnation,
            served: self.served,
            labels: self.labels.clone(),
            resources: self.resources,
            executor: self.server.gateway(),
            running,
        };
        let registered = manager.register_daemon(registration).await;
        self.manager = Some(manager);
        registered
    }

    /// Reads on until something is heard.
    pub async fn expect(&mut self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        let hear = async {
            loop {
                let heard = self.heard.recv().await.expect("the daemon has ended");
                if wanted(&heard) {
                    return heard;
                }
            }
        };
        tokio::time::timeout(3600 * SECOND, hear).await.expect("it was not heard")
    }

    /// Does something to the daemon.
    pub async fn with<T: Send + 'static>(&self, action: impl FnOnce(&mut Daemon) -> T + Send + 'static) -> T {
        self.server.executor().call(|daemon, _| action(daemon)).await.unwrap()
    }

    /// The daemon is gone.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    pub async fn end_node(&self, dataflow: DataflowId, node: &'static str, result: NodeResult) {
        self.server.executor().call(move |it, main| it.end(main, dataflow, node, result)).await.unwrap();
    }
}

pub fn submission(descriptor: &str) -> Submission {
    Submission { descriptor: descriptor.to_owned(), ..Submission::default() }
}

pub fn named(name: &str) -> Submission {
    Submission { name: Some(name.to_owned()), ..submission(PAIR) }
}

/// Waits until nobody has anything left to do: a paused clock goes on only then, and not while a thread works either. No
/// time passes outside of the test.
pub async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Waits until something is so that nobody tells of, such as that a machine is silent: lets the paused clock go on to what
/// comes next, and looks again.
pub async fn until(is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            // Whoever asks at each millisecond of a minute keeps the whole world busy.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(3600 * SECOND, wait).await.expect("it never is so");
}

/// Runs a test in memory, and again with everything turned into bytes.
pub async fn worlds(test: impl AsyncFn(World)) {
    for force_serialization in [false, true] {
        let world = World::new(force_serialization).await;
        let service = world.service.clone();
        test(world).await;
        service.stop().await;
    }
}

/// Everything that a stream brings.
pub async fn all<T: dora_rpc::Message>(mut stream: RpcStream<T>) -> Vec<T> {
    let mut items = Vec::new();
    while let Some(entry) = stream.next().await.unwrap() {
        match entry {
            Streamed::Item(item) => items.push(item),
            Streamed::Dropped(count) => panic!("{count} items were dropped"),
        }
    }
    items
}
