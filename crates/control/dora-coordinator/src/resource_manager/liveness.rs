//! Which machines give signs of life. Silent is not lost: only after the machine timeout do its nodes count as gone.

use dora_gateways::{MachineId, NodeExecutorError, NodeExecutorGateway};
use dora_rpc::{HeartbeatListener, HeartbeatManager, MainThread, RpcError, Unreachable};

use super::{News, ResourceManager};

/// One registration of a daemon: a later one is watched anew.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Daemon {
    pub machine: MachineId,
    pub registration: u64,
}

impl HeartbeatListener<Daemon> for ResourceManager {
    fn heartbeats(&mut self) -> &mut HeartbeatManager<Daemon> {
        &mut self.heartbeats
    }

    fn heartbeat(&mut self, target: &Daemon) -> impl Future<Output = Result<(), RpcError>> + Send + 'static {
        let executor = self.machines.get(&target.machine).map(|machine| machine.daemon.executor.clone());
        let leader = self.leader;
        async move {
            let Some(executor) = executor else { return Ok(()) };
            match executor.heartbeat(leader).await {
                // Whatever it says, it lives.
                Ok(()) => Ok(()),
                Err(NodeExecutorError::Rpc(error)) => Err(error),
                Err(refusal) => {
                    tracing::error!(%refusal, "a daemon does not follow this coordinator");
                    Ok(())
                }
            }
        }
    }

    fn disconnected(&mut self, target: &Daemon) -> impl Future<Output = ()> + Send + 'static {
        let executor = self.machines.get(&target.machine).map(|machine| machine.daemon.executor.clone());
        async move {
            if let Some(executor) = executor {
                executor.closed().await;
            }
        }
    }

    fn unreachable(&mut self, main: &mut MainThread<Self>, target: Daemon, reason: Unreachable) {
        let Daemon { machine: name, registration } = target;
        let Some(machine) = self.machines.get_mut(&name).filter(|machine| machine.registration == registration) else {
            return;
        };
        machine.reachable = false;
        self.tell_who_waits(&name);
        tracing::warn!(machine = %name, ?reason, "a daemon gives no sign of life; its nodes may still run");
        for dataflow in self.holdings.dataflows(&name) {
            self.masters.tell(main, dataflow, &name, News::Silent);
        }
        main.schedule(self.machine_timeout, move |manager: &mut Self, main| {
            if manager.machines.get(&name).is_some_and(|machine| machine.registration == registration) {
                manager.lose(main, &name);
            }
        });
    }
}

impl ResourceManager {
    /// A machine is gone, and its nodes with it.
    pub(super) fn lose(&mut self, main: &mut MainThread<Self>, machine: &MachineId) {
        self.machines.remove(machine);
        self.tell_who_waits(machine);
        for dataflow in self.holdings.dataflows(machine) {
            self.masters.tell(main, dataflow, machine, News::Lost);
        }
    }
}
