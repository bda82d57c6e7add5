//! The resource manager: which machines are there, and which node goes where.

use std::{collections::BTreeMap, time::Duration};

use dora_rpc::{FencingToken, Gateway, RpcError, StaleLeader};
use serde::{Deserialize, Serialize};

use crate::{
    DataflowId, DataflowMasterCall, MachineId, NoFit, NodeExecutorCall, NodeRequirement, ObservedDataflow, Placement,
    Resources, error::coded,
};

dora_rpc::gateway! {
    /// What is asked of the resource manager.
    pub trait ResourceManagerGateway, calls ResourceManagerCall {
        /// A daemon is there, or there again: it offers what it has and says what it runs already.
        async fn register_daemon(&self, daemon: DaemonRegistration) -> Result<Registered, ResourceManagerError>
            => RegisterDaemon;
        /// A daemon goes away in good order; its nodes have ended.
        async fn unregister_daemon(&self, machine: MachineId) -> Result<(), ResourceManagerError> => UnregisterDaemon;
        /// By the master of a dataflow, before anything else: it is told what becomes of machines that have nodes of it.
        /// `placed` is what had its place before this coordinator was started; each names its machine.
        async fn register_master(
            &self,
            dataflow: DataflowId,
            master: Gateway<DataflowMasterCall>,
            placed: Vec<NodeRequirement>
        ) -> Result<(), ResourceManagerError> => RegisterMaster;
        /// Finds a place for each node and holds it until it is released. All of them, or none.
        async fn place(&self, dataflow: DataflowId, nodes: Vec<NodeRequirement>)
            -> Result<Vec<Placement>, ResourceManagerError> => Place;
        /// A dataflow needs its places on these machines no longer; on all, and its master is done, if there are none.
        async fn release(&self, dataflow: DataflowId, machines: Vec<MachineId>) -> Result<(), ResourceManagerError>
            => Release;
        /// The machines.
        async fn machines(&self) -> Result<Vec<MachineInfo>, ResourceManagerError> => Machines;
        /// Waits until a machine is registered and gives signs of life, and all dataflows that have nodes there know it.
        async fn await_machine(&self, machine: MachineId) -> Result<(), ResourceManagerError> => AwaitMachine;
        /// The daemons of all machines that give signs of life. Asked within the coordinator only.
        async fn executors(&self) -> Result<Vec<(MachineId, Gateway<NodeExecutorCall>)>, ResourceManagerError>
            => Executors;
    }
}

/// A daemon that offers its machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonRegistration {
    /// The machine.
    pub machine: MachineId,
    /// Tells a daemon from the one before it on the same machine.
    pub incarnation: u64,
    /// The latest leader that it has served: an earlier one is of no use to it.
    #[serde(default)]
    pub served: Option<FencingToken>,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What the machine has.
    pub resources: Resources,
    /// The daemon itself: it is called back on the connection on which this came.
    pub executor: Gateway<NodeExecutorCall>,
    /// What it runs already: its keepers have held it while no coordinator, or no daemon, was there.
    #[serde(default)]
    pub running: Vec<ObservedDataflow>,
}

/// A daemon is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Who leads. Commands of a former leader are refused from now on.
    pub leader: FencingToken,
    /// How often heartbeats will come.
    pub heartbeat_interval: Duration,
    /// Without one for so long, the daemon registers again.
    pub heartbeat_timeout: Duration,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineInfo {
    /// Its name.
    pub machine: MachineId,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What it has.
    pub resources: Resources,
    /// What of it is free.
    pub free: Resources,
    /// Whether its daemon gives signs of life.
    pub reachable: bool,
}

/// Why the resource manager did not do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ResourceManagerError {
    /// Another daemon that is alive has the name.
    #[error("another daemon serves machine `{machine}`; start this one with another `--machine-id`")]
    MachineTaken {
        /// The machine.
        machine: MachineId,
    },
    /// No daemon is registered for this machine.
    #[error("no daemon is registered for machine `{machine}`")]
    UnknownMachine {
        /// The machine.
        machine: MachineId,
    },
    /// There is no place for some nodes.
    #[error("there is no place for {} nodes", nodes.len())]
    NoFit {
        /// Why not, for each of them.
        nodes: Vec<NoFit>,
    },
    /// Somebody else leads.
    #[error(transparent)]
    Stale(#[from] StaleLeader),
    /// The call failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

coded! {
    ResourceManagerError {
        MachineTaken => "resources.machine_taken",
        UnknownMachine => "resources.unknown_machine",
        NoFit => "resources.no_fit",
        Stale => "resources.stale_leader",
    }
    retry { NoFit, Stale }
}
