//! Which node goes where.
//!
//! Nodes of one group go to one machine. All nodes of a dataflow go to one if that can be; otherwise each group goes
//! where nodes of the dataflow are already, or else where the fewest nodes are. All nodes get a place, or none does: a
//! dataflow is placed once.

use std::{cmp::Reverse, collections::BTreeMap};

use dora_descriptor::nearest;
use dora_gateways::{DataflowId, MachineId, NoFit, NodeRequirement, Obstacle, Placement, Resources};

use super::{Machine, ResourceManager, holdings::plus};

/// So many nodes for which there is no place are told of; a user reads no more.
const TOLD: usize = 8;

/// Nodes that go to one machine, and what they need together.
#[derive(Clone, Default)]
struct Group<'n> {
    nodes: Vec<&'n NodeRequirement>,
    machine: Option<&'n MachineId>,
    labels: BTreeMap<&'n str, &'n str>,
    resources: Resources,
}

impl<'n> Group<'n> {
    fn add(&mut self, need: &'n NodeRequirement) {
        self.nodes.push(need);
        self.machine = self.machine.or(need.machine.as_ref());
        self.labels.extend(need.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        self.resources = plus(self.resources, need.resources);
    }

    /// Whether one machine can be what all of these nodes want.
    fn agrees(nodes: &[NodeRequirement], all: &Self) -> bool {
        nodes.iter().all(|need| {
            need.machine.as_ref().is_none_or(|machine| all.machine == Some(machine))
                && need.labels.iter().all(|(key, value)| all.labels.get(key.as_str()) == Some(&value.as_str()))
        })
    }
}

impl ResourceManager {
    /// Finds a place for each node and holds it.
    pub(super) fn place(
        &mut self,
        dataflow: DataflowId,
        nodes: &[NodeRequirement],
    ) -> Result<Vec<Placement>, Vec<NoFit>> {
        let mut all = Group::default();
        nodes.iter().for_each(|need| all.add(need));
        if Group::agrees(nodes, &all)
            && let Some(machine) = self.best(dataflow, &all)
        {
            return Ok(self.take(dataflow, &all, &machine));
        }
        let mut groups = BTreeMap::<u32, Group<'_>>::new();
        nodes.iter().for_each(|need| groups.entry(need.group).or_default().add(need));
        let mut groups: Vec<_> = groups.into_values().collect();
        // Those that have no choice first: others can go to them.
        groups.sort_by_key(|group| Reverse((group.machine.is_some(), !group.labels.is_empty())));
        let (mut places, mut misfits) = (Vec::with_capacity(nodes.len()), Vec::new());
        for group in &groups {
            match self.best(dataflow, group) {
                Some(machine) => places.extend(self.take(dataflow, group, &machine)),
                None if misfits.len() < TOLD => misfits.push(self.no_fit(group)),
                None => {}
            }
        }
        if misfits.is_empty() {
            return Ok(places);
        }
        self.holdings.release(dataflow, &[]);
        Err(misfits)
    }

    /// The machine for a group: one with nodes of the same dataflow, then the one with the fewest nodes.
    fn best(&self, dataflow: DataflowId, group: &Group<'_>) -> Option<MachineId> {
        let named = group.machine.map(|name| self.machines.get_key_value(name));
        let candidates: Box<dyn Iterator<Item = _>> = match named {
            Some(named) => Box::new(named.into_iter()),
            None => Box::new(self.machines.iter()),
        };
        let fitting = candidates.filter(|(name, machine)| self.obstacle(name, machine, group).is_none());
        let rank =
            |(name, _): &(&MachineId, &Machine)| (!self.holdings.holds(name, dataflow), self.holdings.count(name));
        fitting.min_by_key(rank).map(|(name, _)| name.clone())
    }

    fn take(&mut self, dataflow: DataflowId, group: &Group<'_>, machine: &MachineId) -> Vec<Placement> {
        let Some(executor) = self.machines.get(machine).map(|machine| machine.daemon.executor.clone()) else {
            return Vec::new();
        };
        let needs: Vec<_> = group
            .nodes
            .iter()
            .map(|need| NodeRequirement { machine: Some(machine.clone()), ..(*need).clone() })
            .collect();
        self.holdings.hold(dataflow, &needs);
        let place = |need: NodeRequirement| Placement {
            node: need.node,
            attempt: need.attempt,
            machine: machine.clone(),
            executor: executor.clone(),
        };
        needs.into_iter().map(place).collect()
    }

    /// The first thing that keeps a group from a machine.
    fn obstacle(&self, name: &MachineId, machine: &Machine, group: &Group<'_>) -> Option<Obstacle> {
        if group.machine.is_some_and(|wanted| wanted != name) {
            return Some(Obstacle::OtherMachine);
        }
        if !machine.reachable {
            return Some(Obstacle::Unreachable);
        }
        for (key, wanted) in &group.labels {
            let actual = machine.daemon.labels.get(*key);
            if actual.is_none_or(|actual| actual != wanted) {
                let (key, wanted) = ((*key).to_owned(), (*wanted).to_owned());
                return Some(Obstacle::Label { key, wanted, actual: actual.cloned() });
            }
        }
        let (wanted, free) = (group.resources, self.holdings.free(name, machine.daemon.resources));
        (wanted.cpu_millis > free.cpu_millis || wanted.memory > free.memory)
            .then_some(Obstacle::Resources { wanted, free })
    }

    fn no_fit(&self, group: &Group<'_>) -> NoFit {
        let obstacle = |(name, machine)| Some((MachineId::clone(name), self.obstacle(name, machine, group)?));
        let machines = self.machines.iter().filter_map(obstacle).collect();
        let node = group.nodes.first().map_or_else(|| "?".into(), |need| need.node.clone());
        let unknown = group.machine.filter(|wanted| !self.machines.contains_key(wanted));
        let near = unknown.and_then(|wanted| nearest(&wanted.0, self.machines.keys().map(|name| name.0.as_str())));
        NoFit { node, near: near.map(|name| MachineId(name.to_owned())), machines }
    }
}
