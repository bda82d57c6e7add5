//! A coordinator and a daemon inside of this process. (Flink: `MiniCluster`.)
//!
//! The same endpoints as behind `dora up`, reached in memory: no port, no socket, no file. They run on a thread of their
//! own, so that orders get through while the main thread waits for a terminal.

use std::{path::PathBuf, sync::Arc, time::Duration};

use dora_coordinator::{Coordinator, CoordinatorOptions};
use dora_daemon::{Daemon, DaemonOptions};
use dora_gateways::{DispatcherCall, DispatcherGateway as _, Submission};
use dora_rpc::{Address, Gateway, HeartbeatConfig, Role, RpcConfig, RpcService};
use dora_store::Store;
use tokio::runtime::{Builder, Runtime};

use crate::{error::CommandError, python_module};

/// Parts of one process need no signs of life of each other.
const NO_HEARTBEATS: HeartbeatConfig = HeartbeatConfig { interval: A_YEAR, timeout: A_YEAR, failures: 1 };
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Runs until it is dropped.
pub(super) struct MiniCluster {
    runtime: Runtime,
    dispatcher: Gateway<DispatcherCall>,
}

impl MiniCluster {
    /// Starts both. `keeper` is the program that is a keeper when it is called with `keeper`.
    pub(super) fn start(keeper: PathBuf, allow_shell: bool) -> Result<Self, CommandError> {
        let failed =
            |what: &str, error: &dyn std::fmt::Display| CommandError::failed(format!("cannot {what}: {error}"));
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("endpoints").enable_all().build();
        let runtime = runtime.map_err(|error| failed("start a thread", &error))?;
        let service = RpcService::new(RpcConfig::new(Role::Coordinator, "run"));
        let store = Store::in_memory().map_err(|error| failed("keep what runs in memory", &error))?;
        let options = CoordinatorOptions { heartbeat: NO_HEARTBEATS, ..CoordinatorOptions::new(store) };
        let dispatcher = runtime.block_on(async {
            let coordinator =
                Coordinator::start(&service, options).map_err(|error| failed("start the coordinator", &error))?;
            let python_module = python_module::find();
            let options = DaemonOptions { allow_shell, python_module, ..DaemonOptions::in_process(keeper) };
            let daemon = Daemon::start(&service, options).map_err(|error| failed("start the daemon", &error))?;
            let daemon = Arc::new(daemon);
            let serving = daemon.clone();
            tokio::spawn(async move { serving.serve(&service, Address::here()).await });
            // Without it there is no place for any node.
            daemon.registered().await;
            Ok(coordinator.dispatcher())
        })?;
        Ok(Self { runtime, dispatcher })
    }

    /// Begins to run a dataflow.
    pub(super) fn submit(&self, submission: Submission) -> Result<(), CommandError> {
        self.runtime
            .block_on(self.dispatcher.submit(submission))
            .map(drop)
            .map_err(|error| CommandError::failed(error.to_string()))
    }

    pub(super) fn dispatcher(&self) -> &Gateway<DispatcherCall> {
        &self.dispatcher
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}
