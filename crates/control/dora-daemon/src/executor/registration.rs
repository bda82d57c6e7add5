//! Being known to a coordinator: registered, and again whenever the connection or the heartbeats are lost.

use dora_gateways::{
    DaemonRegistration, MachineId, Registered, ResourceManagerCall, ResourceManagerError, ResourceManagerGateway as _,
};
use dora_rpc::{
    Address, ConnectError, Gateway, Retryable, RetryingRegistration, RpcError, RpcService, Server, StaleLeader,
};
use tokio::{sync::watch, time::timeout};

use super::{endpoint::NodeExecutor, options::DaemonOptions, takeover};

/// The endpoint of a coordinator that knows its daemons.
const RESOURCE_MANAGER: &str = "resource_manager";

/// Why a daemon is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The coordinator was not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It does not take the daemon.
    #[error(transparent)]
    Refused(#[from] ResourceManagerError),
    /// It leads no longer.
    #[error(transparent)]
    Stale(#[from] StaleLeader),
    /// The daemon has ended.
    #[error(transparent)]
    Ended(#[from] RpcError),
}

impl Retryable for RegistrationError {
    fn retryable(&self) -> bool {
        match self {
            Self::Connect(error) => error.retryable(),
            Self::Refused(error) => error.retryable(),
            // The leader may come back to this address.
            Self::Stale(_) => true,
            Self::Ended(_) => false,
        }
    }
}

/// What it takes to be registered.
pub(super) struct Registration<'a> {
    pub(super) options: &'a DaemonOptions,
    pub(super) service: &'a RpcService,
    pub(super) coordinator: Address,
    pub(super) server: &'a Server<NodeExecutor>,
    pub(super) heartbeats: watch::Receiver<u64>,
    /// Set by the first registration.
    pub(super) registered: &'a watch::Sender<bool>,
    pub(super) over: watch::Receiver<bool>,
}

impl Registration<'_> {
    /// Keeps being registered until the daemon is over.
    pub(super) async fn keep(&self) -> Result<(), RegistrationError> {
        let executor = self.server.executor();
        if let (Some(keeping), Some(home)) =
            (executor.call(|executor, _| executor.keeping()).await?, &self.options.home)
        {
            takeover::take_up(executor, keeping, home.clone()).await;
        }
        let mut redeclare = self.server.executor().call(|executor, _| executor.redeclare.subscribe()).await?;
        // Tells this process from the one before it.
        let incarnation = uuid::Uuid::now_v7().as_u64_pair().0;
        loop {
            redeclare.mark_unchanged();
            let registered = tokio::select! {
                registered = RetryingRegistration::default().run(|| self.register(incarnation)) => registered?,
                () = self.until_over() => return Ok(()),
            };
            let (resources, registered) = registered;
            self.registered.send_replace(true);
            tokio::select! {
                // What is still under way on the connection is of a registration that is over.
                () = self.until_lost(&resources, &registered) => resources.disconnect(),
                Ok(()) = redeclare.changed() => {}
                () = self.until_over() => {
                    // Where nobody hears it, nobody waits for it either.
                    let _ = resources.unregister_daemon(self.machine()).await;
                    return Ok(());
                }
            }
        }
    }

    async fn register(
        &self,
        incarnation: u64,
    ) -> Result<(Gateway<ResourceManagerCall>, Registered), RegistrationError> {
        let resources: Gateway<ResourceManagerCall> = self.service.connect(&self.coordinator, RESOURCE_MANAGER).await?;
        let executor = self.server.executor();
        let (served, running) = executor.call(|executor, _| (executor.leader(), executor.observed())).await?;
        let registration = DaemonRegistration {
            machine: self.machine(),
            incarnation,
            served,
            labels: self.options.labels.clone(),
            resources: self.options.resources,
            executor: self.server.gateway(),
            running,
        };
        let registered = resources.register_daemon(registration).await?;
        let leader = registered.leader;
        executor.call(move |executor, _| executor.admit(leader)).await??;
        Ok((resources, registered))
    }

    /// Completes when the connection has ended, or no heartbeat has come in time.
    async fn until_lost(&self, resources: &Gateway<ResourceManagerCall>, registered: &Registered) {
        let mut heartbeats = self.heartbeats.clone();
        let silence =
            async { while let Ok(Ok(())) = timeout(registered.heartbeat_timeout, heartbeats.changed()).await {} };
        tokio::select! {
            () = silence => {}
            () = resources.closed() => {}
        }
    }

    async fn until_over(&self) {
        let _ = self.over.clone().wait_for(|over| *over).await;
    }

    fn machine(&self) -> MachineId {
        self.options.machine.clone()
    }
}
