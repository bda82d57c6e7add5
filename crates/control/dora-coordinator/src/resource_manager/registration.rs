//! How daemons come and go.

use std::{collections::BTreeMap, time::Duration};

use dora_gateways::{
    DaemonRegistration, DataflowId, MachineId, NodeExecutorCall, NodeExecutorGateway, ObservedDataflow, Registered,
    ResourceManagerError, StopOptions,
};
use dora_rpc::{Gateway, HeartbeatManager, MainThread, Reply, StaleLeader};

use super::{Machine, News, ResourceManager, liveness::Daemon};

/// So long the daemon that has a machine may take to show that it is alive, when another one wants its name.
const PROOF: Duration = Duration::from_secs(1);

type Answer = Reply<Registered, ResourceManagerError>;

impl ResourceManager {
    /// A daemon offers its machine. If another one has the name, it keeps it as long as it lives.
    pub(super) fn register(&mut self, main: &mut MainThread<Self>, daemon: DaemonRegistration, reply: Answer) {
        if let Some(current) =
            daemon.served.filter(|served| self.leader != *served && self.leader.epoch <= served.epoch)
        {
            let stale = StaleLeader { stale: self.leader, current };
            tracing::error!(machine = %daemon.machine, %stale, "a daemon does not follow this coordinator");
            return reply.err(stale.into());
        }
        let taken = || ResourceManagerError::MachineTaken { machine: daemon.machine.clone() };
        match self.machines.get(&daemon.machine) {
            Some(other) if other.daemon.incarnation > daemon.incarnation => reply.err(taken()),
            Some(other) if other.reachable && other.daemon.incarnation != daemon.incarnation => {
                let (executor, registration) = (other.daemon.executor.clone(), other.registration);
                self.admit_if_gone(main, executor, registration, daemon, reply);
            }
            _ => self.admit(main, daemon, reply),
        }
    }

    fn admit_if_gone(
        &mut self,
        main: &mut MainThread<Self>,
        other: Gateway<NodeExecutorCall>,
        registration: u64,
        daemon: DaemonRegistration,
        reply: Answer,
    ) {
        let leader = self.leader;
        let proof = async move { other.within(PROOF).heartbeat(leader).await.is_ok() };
        main.then(proof, move |manager: &mut Self, main, alive| {
            let machine = manager.machines.get(&daemon.machine);
            match machine.is_some_and(|machine| machine.registration == registration) {
                true if alive => reply.err(ResourceManagerError::MachineTaken { machine: daemon.machine }),
                true => manager.admit(main, daemon, reply),
                // Something else has happened to the name since.
                false => manager.register(main, daemon, reply),
            }
        });
    }

    fn admit(&mut self, main: &mut MainThread<Self>, daemon: DaemonRegistration, reply: Answer) {
        self.registrations += 1;
        let (name, registration) = (daemon.machine.clone(), self.registrations);
        let executor = daemon.executor.clone();
        let running = daemon.running.clone();
        let machine = Machine { daemon, registration, reachable: true };
        if let Some(before) = self.machines.insert(name.clone(), machine) {
            self.heartbeats.forget(&Daemon { machine: name.clone(), registration: before.registration });
        }
        HeartbeatManager::monitor(self, main, Daemon { machine: name.clone(), registration });
        reply.ok(Registered {
            leader: self.leader,
            heartbeat_interval: self.heartbeat.interval,
            heartbeat_timeout: self.heartbeat.timeout,
        });
        self.tell_of_return(main, &name, &executor, running);
        self.tell_who_waits(&name);
    }

    /// Tells each master whose dataflow is, or should be, on the machine what is there of it. What nobody leads is stopped.
    fn tell_of_return(
        &mut self,
        main: &mut MainThread<Self>,
        machine: &MachineId,
        executor: &Gateway<NodeExecutorCall>,
        running: Vec<ObservedDataflow>,
    ) {
        let mut running: BTreeMap<DataflowId, _> = running.into_iter().map(|it| (it.dataflow, it)).collect();
        for dataflow in self.holdings.dataflows(machine) {
            let news = News::Returned(executor.clone(), running.remove(&dataflow));
            self.masters.tell(main, dataflow, machine, news);
        }
        for (dataflow, observed) in running {
            if self.masters.lead(dataflow) {
                self.masters.tell(main, dataflow, machine, News::Returned(executor.clone(), Some(observed)));
                continue;
            }
            tracing::warn!(%dataflow, %machine, "a daemon runs a dataflow that nobody leads: it is stopped");
            let (executor, leader) = (executor.clone(), self.leader);
            main.then(async move { executor.disown(leader, dataflow, StopOptions::default()).await }, |_, _, _| {});
        }
    }

    /// A daemon leaves in good order.
    pub(super) fn unregister(
        &mut self,
        main: &mut MainThread<Self>,
        machine: &MachineId,
    ) -> Result<(), ResourceManagerError> {
        let unknown = || ResourceManagerError::UnknownMachine { machine: machine.clone() };
        let registration = self.machines.get(machine).ok_or_else(unknown)?.registration;
        self.heartbeats.forget(&Daemon { machine: machine.clone(), registration });
        self.lose(main, machine);
        Ok(())
    }
}
