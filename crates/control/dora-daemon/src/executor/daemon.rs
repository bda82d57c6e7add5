//! A daemon as the process that has it holds it.

use std::sync::Arc;

use dora_gateways::{NodeExecutorCall, StopOptions};
use dora_rpc::{Address, Gateway, RpcError, RpcService, Server, StartError};
use tokio::sync::watch;

use super::{
    endpoint::NodeExecutor,
    options::DaemonOptions,
    registration::{Registration, RegistrationError},
};

/// The name of the endpoint.
const NAME: &str = "node_executor";

/// The daemon of one machine.
///
/// ```no_run
/// use dora_daemon::{Daemon, DaemonOptions, become_subreaper};
/// use dora_rpc::{Address, Role, RpcConfig, RpcService};
///
/// # async fn daemon() -> Result<(), Box<dyn std::error::Error>> {
/// become_subreaper()?;
/// let service = RpcService::new(RpcConfig::new(Role::Daemon, "here"));
/// let daemon = Daemon::start(&service, DaemonOptions::in_process(std::env::current_exe()?))?;
/// daemon.serve(&service, Address::unix("/run/user/1000/dora/socket")).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Daemon {
    options: Arc<DaemonOptions>,
    server: Server<NodeExecutor>,
    heartbeats: watch::Receiver<u64>,
    departures: watch::Receiver<u64>,
    registered: watch::Sender<bool>,
    over: watch::Receiver<bool>,
}

impl Daemon {
    /// Starts the endpoint `node_executor`. Nobody knows of it yet. What nodes leave behind when their keeper is killed is
    /// cleaned up only in a process that has called [`become_subreaper`](crate::become_subreaper).
    ///
    /// # Errors
    /// [`StartError`] if the service has such an endpoint, or stops.
    pub fn start(service: &RpcService, options: DaemonOptions) -> Result<Self, StartError> {
        let options = Arc::new(options);
        let executor = NodeExecutor::new(options.clone());
        let (heartbeats, departures, over) =
            (executor.heartbeats(), executor.departures.subscribe(), executor.shutdown.over());
        let server = service.start_server(NAME, executor)?;
        Ok(Daemon { options, server, heartbeats, departures, registered: watch::Sender::new(false), over })
    }

    /// The daemon for callers in this process.
    pub fn gateway(&self) -> Gateway<NodeExecutorCall> {
        self.server.gateway()
    }

    /// Registers with a coordinator, and again whenever it was gone, until the daemon is shut down by it or by
    /// [`shut_down`](Self::shut_down). Losing the coordinator stops nothing.
    ///
    /// # Errors
    /// [`RegistrationError`] if the coordinator does not take this daemon.
    pub async fn serve(&self, service: &RpcService, coordinator: Address) -> Result<(), RegistrationError> {
        let registration = Registration {
            options: &self.options,
            service,
            coordinator,
            server: &self.server,
            heartbeats: self.heartbeats.clone(),
            registered: &self.registered,
            over: self.over.clone(),
        };
        let kept = registration.keep().await;
        self.server.stop().await;
        kept
    }

    /// How many dataflows have ended here: what was held for them is over.
    pub fn departures(&self) -> watch::Receiver<u64> {
        self.departures.clone()
    }

    /// Completes when a coordinator has taken the daemon for the first time.
    pub async fn registered(&self) {
        let _ = self.registered.subscribe().wait_for(|registered| *registered).await;
    }

    /// Stops all dataflows; [`serve`](Self::serve) returns when they have ended.
    ///
    /// # Errors
    /// [`RpcError::Stopped`] if the daemon has ended.
    pub async fn shut_down(&self, options: StopOptions) -> Result<(), RpcError> {
        self.server.executor().run_async(move |executor, main| executor.shut_down(main, options, None)).await
    }
}
