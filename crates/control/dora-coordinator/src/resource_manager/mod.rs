//! The resource manager: which machines are there, what they have left, which node goes where.
//!
//! Daemons register (`registration`) and are watched (`liveness`); nodes get places (`placement`), whose holding is kept
//! by machine name (`holdings`), so that it outlives the daemon; masters hear what becomes of machines (`masters`).

mod holdings;
mod liveness;
mod masters;
mod placement;
mod registration;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dora_gateways::{
    DaemonRegistration, DataflowId, MachineId, MachineInfo, ResourceManagerCall, ResourceManagerError,
};
use dora_rpc::{FencingToken, HeartbeatConfig, HeartbeatManager, MainThread, RpcEndpoint};
use tokio::sync::watch;

use holdings::Holdings;
use liveness::Daemon;
use masters::{Masters, News};

/// Knows the machines.
pub(crate) struct ResourceManager {
    leader: FencingToken,
    heartbeat: HeartbeatConfig,
    machine_timeout: Duration,
    heartbeats: HeartbeatManager<Daemon>,
    machines: BTreeMap<MachineId, Machine>,
    holdings: Holdings,
    masters: Masters,
    /// Counts registrations.
    registrations: u64,
    /// The machines that give signs of life, and all masters know it: for those who wait for one.
    ready: watch::Sender<BTreeSet<MachineId>>,
}

/// A machine whose daemon is registered.
struct Machine {
    daemon: DaemonRegistration,
    /// Which registration it is.
    registration: u64,
    reachable: bool,
}

impl ResourceManager {
    /// A resource manager without machines. `led` are dataflows whose masters will register.
    pub fn new(
        leader: FencingToken,
        heartbeat: HeartbeatConfig,
        machine_timeout: Duration,
        led: BTreeSet<DataflowId>,
    ) -> Self {
        Self {
            leader,
            heartbeat,
            machine_timeout,
            heartbeats: HeartbeatManager::new(heartbeat),
            machines: BTreeMap::new(),
            holdings: Holdings::default(),
            masters: Masters::expecting(led),
            registrations: 0,
            ready: watch::Sender::default(),
        }
    }

    fn machines(&self) -> Vec<MachineInfo> {
        let info = |(name, machine): (&MachineId, &Machine)| MachineInfo {
            machine: name.clone(),
            labels: machine.daemon.labels.clone(),
            resources: machine.daemon.resources,
            free: self.holdings.free(name, machine.daemon.resources),
            reachable: machine.reachable,
        };
        self.machines.iter().map(info).collect()
    }

    /// Something has changed that decides whether a machine is ready.
    fn tell_who_waits(&self, machine: &MachineId) {
        let reachable = self.machines.get(machine).is_some_and(|machine| machine.reachable);
        let ready = reachable && self.masters.have_heard_of(machine);
        self.ready.send_if_modified(|machines| match ready {
            true => machines.insert(machine.clone()),
            false => machines.remove(machine),
        });
    }
}

impl RpcEndpoint for ResourceManager {
    type Call = ResourceManagerCall;

    fn handle(&mut self, main: &mut MainThread<Self>, call: ResourceManagerCall) {
        use ResourceManagerCall as Call;
        match call {
            Call::RegisterDaemon { daemon, reply } => self.register(main, daemon, reply),
            Call::UnregisterDaemon { machine, reply } => reply.send(self.unregister(main, &machine)),
            Call::RegisterMaster { dataflow, master, placed, reply } => {
                self.holdings.hold(dataflow, &placed);
                self.masters.register(main, dataflow, master);
                reply.ok(());
            }
            Call::Place { dataflow, nodes, reply } => {
                reply.send(self.place(dataflow, &nodes).map_err(|nodes| ResourceManagerError::NoFit { nodes }));
            }
            Call::Release { dataflow, machines, reply } => {
                self.holdings.release(dataflow, &machines);
                if machines.is_empty() {
                    let unheard = self.masters.forget(dataflow);
                    unheard.iter().for_each(|machine| self.tell_who_waits(machine));
                }
                reply.ok(());
            }
            Call::Machines { reply } => reply.ok(self.machines()),
            Call::AwaitMachine { machine, reply } => {
                let mut ready = self.ready.subscribe();
                main.reply(reply, async move {
                    // It ends with the manager, and then nobody is answered.
                    let _ = ready.wait_for(|there| there.contains(&machine)).await;
                    Ok(())
                });
            }
            Call::Executors { reply } => {
                let there = self.machines.iter().filter(|(_, machine)| machine.reachable);
                reply.ok(there.map(|(name, machine)| (name.clone(), machine.daemon.executor.clone())).collect());
            }
        }
    }
}
