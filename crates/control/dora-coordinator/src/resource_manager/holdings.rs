//! Which nodes hold places on which machine, and what they take.

use std::collections::{BTreeMap, BTreeSet};

use dora_gateways::{DataflowId, MachineId, NodeRequirement, Resources};
use dora_message::id::NodeId;

/// Places that are held, by machine name: they stay when the daemon of a machine is gone for a while.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    machines: BTreeMap<MachineId, Held>,
    /// Where each dataflow holds places, so that its release looks nowhere else.
    dataflows: BTreeMap<DataflowId, BTreeSet<MachineId>>,
}

#[derive(Debug, Default)]
struct Held {
    nodes: BTreeMap<(DataflowId, NodeId), Resources>,
    sum: Resources,
}

impl Holdings {
    /// Holds places for nodes that name their machines.
    pub fn hold(&mut self, dataflow: DataflowId, nodes: &[NodeRequirement]) {
        for need in nodes {
            let Some(machine) = &need.machine else { continue };
            let held = self.machines.entry(machine.clone()).or_default();
            let before = held.nodes.insert((dataflow, need.node.clone()), need.resources).unwrap_or_default();
            held.sum = plus(minus(held.sum, before), need.resources);
            self.dataflows.entry(dataflow).or_default().insert(machine.clone());
        }
    }

    /// Frees the places of a dataflow on these machines; on all if there are none.
    pub fn release(&mut self, dataflow: DataflowId, machines: &[MachineId]) {
        let Some(holding) = self.dataflows.get_mut(&dataflow) else { return };
        let (freed, kept) =
            std::mem::take(holding).into_iter().partition(|machine| machines.is_empty() || machines.contains(machine));
        *holding = kept;
        if holding.is_empty() {
            self.dataflows.remove(&dataflow);
        }
        let freed: BTreeSet<MachineId> = freed;
        for machine in freed {
            let Some(held) = self.machines.get_mut(&machine) else { continue };
            held.nodes.retain(|(owner, _), resources| {
                let keeps = *owner != dataflow;
                if !keeps {
                    held.sum = minus(held.sum, *resources);
                }
                keeps
            });
            if held.nodes.is_empty() {
                self.machines.remove(&machine);
            }
        }
    }

    /// What is left of a machine that has so much.
    pub fn free(&self, machine: &MachineId, of: Resources) -> Resources {
        self.machines.get(machine).map_or(of, |held| minus(of, held.sum))
    }

    /// How many nodes hold places on a machine.
    pub fn count(&self, machine: &MachineId) -> usize {
        self.machines.get(machine).map_or(0, |held| held.nodes.len())
    }

    /// Whether a dataflow holds places on a machine.
    pub fn holds(&self, machine: &MachineId, dataflow: DataflowId) -> bool {
        self.dataflows.get(&dataflow).is_some_and(|machines| machines.contains(machine))
    }

    /// The dataflows that hold places on a machine.
    pub fn dataflows(&self, machine: &MachineId) -> BTreeSet<DataflowId> {
        self.machines
            .get(machine)
            .into_iter()
            .flat_map(|held| held.nodes.keys())
            .map(|(dataflow, _)| *dataflow)
            .collect()
    }
}

pub(super) fn plus(one: Resources, other: Resources) -> Resources {
    Resources {
        cpu_millis: one.cpu_millis.saturating_add(other.cpu_millis),
        memory: one.memory.saturating_add(other.memory),
    }
}

fn minus(one: Resources, other: Resources) -> Resources {
    Resources {
        cpu_millis: one.cpu_millis.saturating_sub(other.cpu_millis),
        memory: one.memory.saturating_sub(other.memory),
    }
}
