//! A coordinator: its endpoints, started together.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use dora_gateways::{DataflowId, DispatcherCall, ResourceManagerCall};
use dora_rpc::{FencingToken, Gateway, HeartbeatConfig, Publication, Role, RpcService, StartError};
use dora_store::{Artifacts, Store, StoreError};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{dispatcher::Dispatcher, metrics::MetricQueryService, resource_manager::ResourceManager, shared::Shared};

/// How a coordinator works.
#[derive(Debug)]
pub struct CoordinatorOptions {
    /// What it remembers.
    pub store: Store,
    /// The directory for files that travel with dataflows; none are taken without one.
    pub artifacts: Option<PathBuf>,
    /// How daemons are watched.
    pub heartbeat: HeartbeatConfig,
    /// A machine that gives no sign of life for so long is lost, with its nodes: 60 s.
    pub machine_timeout: Duration,
}

impl CoordinatorOptions {
    /// The defaults, with this store.
    pub fn new(store: Store) -> Self {
        let machine_timeout = Duration::from_secs(60);
        Self { store, artifacts: None, heartbeat: HeartbeatConfig::default(), machine_timeout }
    }
}

/// Why a coordinator was not started.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// What it must remember cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An endpoint was not started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A running coordinator. It belongs to its service and ends with it: `RpcService::stop`. What runs on daemons goes on.
#[derive(Debug)]
pub struct Coordinator {
    dispatcher: Gateway<DispatcherCall>,
    resources: Gateway<ResourceManagerCall>,
    leader: FencingToken,
    ended: watch::Receiver<bool>,
}

impl Coordinator {
    /// Starts the endpoints "resource_manager", "dispatcher" and "metrics", and takes up what the store says is running.
    ///
    /// # Errors
    /// [`CoordinatorError`].
    pub fn start(service: &RpcService, options: CoordinatorOptions) -> Result<Self, CoordinatorError> {
        let CoordinatorOptions { store, artifacts, heartbeat, machine_timeout } = options;
        let leader = FencingToken { epoch: store.epoch(), nonce: Uuid::new_v4().as_u64_pair().0 };
        let begun = store.select(|record| (!record.state.is_final()).then_some(record))?;
        let led: BTreeSet<DataflowId> = begun.iter().map(|record| record.id).collect();

        let manager = ResourceManager::new(leader, heartbeat, machine_timeout, led);
        let daemons = Publication::new("resource_manager").only_for([Role::Daemon, Role::Coordinator]);
        let resources = service.start_server(daemons, manager)?.gateway();

        let (service, store) = (service.clone(), Arc::new(store));
        let artifacts = artifacts.map(Artifacts::new);
        let shared = Shared { service, store, leader, resources: resources.clone(), artifacts, machine_timeout };
        let clients = |name| Publication::new(name).only_for([Role::Client, Role::Coordinator]);
        let (ending, ended) = watch::channel(false);
        let dispatcher = Dispatcher::new(shared.clone(), begun, ending);
        let dispatcher = shared.service.start_server(clients("dispatcher"), dispatcher)?.gateway();
        let metrics = MetricQueryService { resources: resources.clone() };
        shared.service.start_server(clients("metrics"), metrics)?;
        Ok(Self { dispatcher, resources, leader, ended })
    }

    /// The dispatcher, for callers in this process.
    pub fn dispatcher(&self) -> Gateway<DispatcherCall> {
        self.dispatcher.clone()
    }

    /// The resource manager, for a daemon in this process.
    pub fn resource_manager(&self) -> Gateway<ResourceManagerCall> {
        self.resources.clone()
    }

    /// Completes when a client has ended everything: dataflows and daemons have, and the process is to follow with
    /// `RpcService::stop`, which still writes the answer.
    pub async fn ended(&self) {
        if self.ended.clone().wait_for(|ended| *ended).await.is_err() {
            // The dispatcher is gone with its service, and nobody has asked for it.
            std::future::pending().await
        }
    }

    /// The leadership of this coordinator.
    pub fn leader(&self) -> FencingToken {
        self.leader
    }
}
