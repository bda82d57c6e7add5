//! Machines, what they have, and where nodes go.

use std::{collections::BTreeMap, fmt};

use dora_message::id::NodeId;
use dora_rpc::Gateway;
use serde::{Deserialize, Serialize};

use crate::{Attempt, NodeExecutorCall};

/// The name of a machine: what `deploy.machine` names, and what its daemon was started with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineId(pub String);

impl fmt::Display for MachineId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a machine offers, or what a node takes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Processors, in thousandths.
    pub cpu_millis: u64,
    /// Memory, in bytes.
    pub memory: u64,
}

/// What a node needs of its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRequirement {
    /// The node.
    pub node: NodeId,
    /// The placement that is wanted.
    pub attempt: Attempt,
    /// Nodes of one group go to one machine: those that edges join.
    #[serde(default)]
    pub group: u32,
    /// On this machine only.
    #[serde(default)]
    pub machine: Option<MachineId>,
    /// On a machine that has all of these labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What it takes.
    #[serde(default)]
    pub resources: Resources,
}

/// Where a node goes.
///
/// Passed between endpoints of the coordinator only, in memory: the gateway leads to another process already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Placement {
    /// The node.
    pub node: NodeId,
    /// The placement.
    pub attempt: Attempt,
    /// The machine.
    pub machine: MachineId,
    /// The daemon there.
    pub executor: Gateway<NodeExecutorCall>,
}

/// A node for which there is no place, and why for each machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoFit {
    /// The node.
    pub node: NodeId,
    /// A machine that is there, and whose name is nearly the one that the node asks for.
    #[serde(default)]
    pub near: Option<MachineId>,
    /// Every machine, with the first thing that is in the way. Empty if no machine is there at all.
    pub machines: Vec<(MachineId, Obstacle)>,
}

/// Why a node does not go to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Obstacle {
    /// The node names another machine.
    OtherMachine,
    /// The machine has no such label, or another value for it.
    Label {
        /// The label.
        key: String,
        /// What the node wants.
        wanted: String,
        /// What the machine has.
        #[serde(default)]
        actual: Option<String>,
    },
    /// So much is free.
    Resources {
        /// What the node takes.
        wanted: Resources,
        /// What the machine has left.
        free: Resources,
    },
    /// Its daemon gives no sign of life.
    Unreachable,
}

/// For people: "machine `a` has 0.5 free processors, 1.0 are wanted".
impl fmt::Display for NoFit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "there is no machine for node `{}`", self.node)?;
        if self.machines.is_empty() {
            return formatter.write_str(": no daemon is registered");
        }
        for (index, (machine, obstacle)) in self.machines.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(formatter, "{separator}machine `{machine}` {obstacle}")?;
        }
        match &self.near {
            Some(near) => write!(formatter, "; did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherMachine => formatter.write_str("is not the one that it names"),
            Self::Label { key, wanted, actual: None } => {
                write!(formatter, "has no label `{key}`, wanted is `{wanted}`")
            }
            Self::Label { key, wanted, actual: Some(actual) } => {
                write!(formatter, "has `{actual}` as label `{key}`, wanted is `{wanted}`")
            }
            Self::Resources { wanted, free } if wanted.cpu_millis > free.cpu_millis => {
                let cpus = |millis: u64| millis as f64 / 1000.0;
                let (free, wanted) = (cpus(free.cpu_millis), cpus(wanted.cpu_millis));
                write!(formatter, "has {free} free processors, {wanted} are wanted")
            }
            Self::Resources { wanted, free } => {
                let mib = |bytes: u64| bytes >> 20;
                write!(formatter, "has {} MiB of free memory, {} MiB are wanted", mib(free.memory), mib(wanted.memory))
            }
            Self::Unreachable => formatter.write_str("gives no sign of life"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_nothing_fits_is_said_for_each_machine() {
        let machine = |name: &str, obstacle| (MachineId(name.to_owned()), obstacle);
        let label = |actual: Option<&str>| Obstacle::Label {
            key: "gpu".to_owned(),
            wanted: "yes".to_owned(),
            actual: actual.map(str::to_owned),
        };
        let wanted = Resources { cpu_millis: 1000, memory: 1 << 30 };
        let no_cpu = Obstacle::Resources { wanted, free: Resources { cpu_millis: 500, memory: 0 } };
        let no_memory = Obstacle::Resources { wanted, free: Resources { cpu_millis: 4000, memory: 512 << 20 } };
        let machines = vec![
            machine("a", label(None)),
            machine("b", label(Some("no"))),
            machine("c", no_cpu),
            machine("d", no_memory),
            machine("e", Obstacle::Unreachable),
        ];
        assert_eq!(
            NoFit { node: "camera".into(), near: None, machines }.to_string(),
            "there is no machine for node `camera`: machine `a` has no label `gpu`, wanted is `yes`; machine `b` has `no` as \
             label `gpu`, wanted is `yes`; machine `c` has 0.5 free processors, 1 are wanted; machine `d` has 512 MiB of free \
             memory, 1024 MiB are wanted; machine `e` gives no sign of life"
        );
        assert_eq!(
            NoFit { node: "camera".into(), near: None, machines: vec![] }.to_string(),
            "there is no machine for node `camera`: no daemon is registered"
        );
        let near = Some(MachineId("robot".to_owned()));
        let machines = vec![machine("robot", Obstacle::OtherMachine)];
        assert_eq!(
            NoFit { node: "camera".into(), near, machines }.to_string(),
            "there is no machine for node `camera`: machine `robot` is not the one that it names; did you mean `robot`?"
        );
    }
}
