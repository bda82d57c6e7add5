//! What becomes of the machines of a dataflow: they tell about nodes, end, fall silent, return, are lost.

use std::collections::BTreeMap;

use dora_gateways::{
    DataflowMasterError, MachineId, NodeExecutorCall, NodeExecutorGateway as _, NodeState, NodeUpdate,
    ObservedDataflow, Outcome, ResourceManagerGateway, Trouble, Urgency,
};
use dora_message::{id::NodeId, result::NodeResult};
use dora_rpc::{Gateway, MainThread};

use super::{Before, DataflowMaster, Machine, Seen};
use crate::{Found, IntendedNode, MachineView, Wanted};

impl DataflowMaster {
    /// Takes up what the coordinator before this one had begun. No machine has registered with this one yet.
    pub(super) fn resume(&mut self, main: &mut MainThread<Self>, before: Before) {
        let nodes = &self.job.blueprint.nodes;
        let needs: BTreeMap<_, _> = nodes.iter().map(|need| (&need.node, need)).collect();
        let mut placed = Vec::new();
        let Before { placed: before, stop, ended } = before;
        for place in &before {
            let (node, attempt, machine) = (place.node.clone(), place.attempt, place.machine.clone());
            if let Some(need) = needs.get(&node) {
                let mut need = (*need).clone();
                (need.attempt, need.machine) = (attempt, Some(machine.clone()));
                placed.push(need);
            }
            let known = || Machine { accepted: true, connection: 0, ..Machine::new(None) };
            self.machines.entry(machine.clone()).or_insert_with(known).nodes.push(node.clone());
            self.observed.insert(machine.clone(), MachineView::Silent);
            self.intended.nodes.insert(node.clone(), IntendedNode { machine, attempt, wanted: Wanted::Running });
            self.nodes.insert(node, Seen::default());
        }
        let machines: Vec<_> = self.machines.keys().cloned().collect();
        machines.iter().for_each(|machine| self.publish(machine));
        ended.into_iter().for_each(|(machine, outcome)| self.machine_ended(&machine, outcome));
        stop.into_iter().for_each(|options| self.stop_all(main, options));
        self.touch(main);
        let (resources, id, me) = (self.shared.resources.clone(), self.job.id, self.me.clone());
        main.then(
            async move { resources.register_master(id, me, placed).await },
            move |master: &mut Self, main, done| {
                if let Err(error) = done {
                    master.fail(main, Trouble::CannotRun(error.to_string()));
                }
            },
        );
        main.schedule(self.shared.machine_timeout, |master: &mut Self, main| {
            let missing = |(_, machine): &(&MachineId, &Machine)| machine.connection == 0;
            let missing: Vec<_> = master.machines.iter().filter(missing).map(|(name, _)| name.clone()).collect();
            missing.iter().for_each(|machine| master.machine_lost(main, machine));
        });
    }

    /// A daemon tells about nodes. What comes late or twice changes nothing.
    pub(super) fn nodes_changed(
        &mut self,
        main: &mut MainThread<Self>,
        machine: &MachineId,
        updates: Vec<NodeUpdate>,
    ) -> Result<(), DataflowMasterError> {
        let mut result = Ok(());
        for update in updates {
            result = result.and(self.node_changed(machine, update));
        }
        self.touch(main);
        result
    }

    fn node_changed(&mut self, machine: &MachineId, update: NodeUpdate) -> Result<(), DataflowMasterError> {
        let NodeUpdate { node, attempt, sequence, state, pid, restarts } = update;
        let unknown = || DataflowMasterError::UnknownNode { node: node.clone() };
        let intended = self.intended.nodes.get(&node).ok_or_else(unknown)?;
        if attempt != intended.attempt || *machine != intended.machine {
            return Err(DataflowMasterError::OldAttempt { node, attempt, current: intended.attempt });
        }
        let state = self.job.understood(&node, state);
        let Some(seen) = self.nodes.get_mut(&node).filter(|seen| seen.sequence < sequence) else { return Ok(()) };
        (seen.sequence, seen.pid, seen.restarts, seen.state) = (sequence, pid, restarts, Some(state.clone()));
        self.observe(machine, node, Found { attempt, state });
        Ok(())
    }

    /// Notes what a node does, for the plan.
    fn observe(&mut self, machine: &MachineId, node: NodeId, mut found: Found) {
        let Some(MachineView::Reachable(nodes)) = self.observed.get_mut(machine) else { return };
        let ended = matches!(found.state, NodeState::Ended(_));
        let stopping = self.intended.nodes.get(&node).is_some_and(|node| node.wanted != Wanted::Running);
        let told = nodes.get(&node).is_some_and(|before| before.state == NodeState::Stopping);
        if stopping && told && !ended {
            // It was told to stop, and this was sent before it knew.
            found.state = NodeState::Stopping;
        }
        let state = self.job.awaited(&node, found.state);
        nodes.insert(node, Found { state, ..found });
    }

    /// All nodes of a machine have ended, so: what they came to is known.
    pub(super) fn machine_ended(&mut self, name: &MachineId, outcome: Outcome) {
        let Some(machine) = self.machines.get_mut(name).filter(|machine| machine.outcome.is_none()) else { return };
        let results: BTreeMap<_, _> = outcome.nodes.iter().map(|node| (&node.node, &node.result)).collect();
        for id in &machine.nodes {
            let Some(node) = self.intended.nodes.get_mut(id) else { continue };
            node.wanted = Wanted::Nothing;
            let result = results.get(id).map_or(NodeResult::Lost, |result| (*result).clone());
            if let Some(seen) = self.nodes.get_mut(id) {
                (seen.state, seen.pid) = (Some(NodeState::Ended(result.clone())), None);
            }
            if let Some(MachineView::Reachable(found)) = self.observed.get_mut(name) {
                found.insert(id.clone(), Found { attempt: node.attempt, state: NodeState::Ended(result) });
            }
        }
        self.recorder.machine_ended(name.clone(), outcome.clone());
        machine.outcome = Some(outcome);
    }

    /// A machine gives no sign of life. Its nodes may run.
    pub(super) fn machine_silent(&mut self, main: &mut MainThread<Self>, machine: &MachineId) {
        if let Some(view) = self.observed.get_mut(machine) {
            *view = MachineView::Silent;
            self.give_up_silent_machines(main);
            self.touch(main);
        }
    }

    /// Who stops by force does not wait for machines that give no sign of life any more: what returns of them later is
    /// stopped. One that this coordinator has not heard of yet is about to register.
    pub(super) fn give_up_silent_machines(&mut self, main: &mut MainThread<Self>) {
        if self.stop.is_none_or(|stop| stop.urgency != Urgency::Kill) {
            return;
        }
        let was_heard = |machine: &MachineId| self.machines.get(machine).is_some_and(|machine| machine.connection > 0);
        let silent = self.observed.iter().filter(|(_, view)| matches!(view, MachineView::Silent));
        let silent: Vec<_> = silent.map(|(machine, _)| machine.clone()).filter(was_heard).collect();
        silent
            .iter()
            .for_each(|machine| self.give_up(main, machine, "it gave no sign of life when it was to be stopped"));
    }

    /// A machine was silent for too long.
    pub(super) fn machine_lost(&mut self, main: &mut MainThread<Self>, machine: &MachineId) {
        self.give_up(main, machine, "it has given no sign of life for too long");
    }

    /// The nodes of a machine are lost, wherever they are.
    fn give_up(&mut self, main: &mut MainThread<Self>, machine: &MachineId, why: &str) {
        if !self.machines.contains_key(machine) {
            return;
        }
        let reason = format!("{why}; what its nodes do is not known");
        let outcome = self.lost_outcome(machine, Trouble::Machine { machine: machine.clone(), reason });
        self.machine_ended(machine, outcome);
        self.observed.insert(machine.clone(), MachineView::Lost);
        self.progress.send_modify(|progress| drop(progress.sources.remove(machine)));
        self.touch(main);
    }

    /// A daemon has registered again and says what it has.
    pub(super) fn machine_returned(
        &mut self,
        main: &mut MainThread<Self>,
        name: MachineId,
        executor: Gateway<NodeExecutorCall>,
        has: Option<ObservedDataflow>,
    ) {
        let Some(machine) = self.machines.get_mut(&name).filter(|machine| machine.outcome.is_none()) else {
            // It was given up, or has told the end already: what it has is stopped, and forgotten.
            let (leader, id, options) = (self.shared.leader, self.job.id, self.stop.unwrap_or_default());
            let disown = async move { has.is_some() && executor.disown(leader, id, options).await.is_ok() };
            return main.then(disown, |_, _, _| {});
        };
        machine.executor = Some(executor);
        machine.connection += 1;
        let known = machine.accepted;
        machine.accepted |= has.is_some();
        if machine.accepted {
            // What its nodes have printed is there, whatever has become of them.
            self.publish(&name);
        }
        let found = has.map_or_else(Vec::new, |has| has.nodes);
        let found: BTreeMap<_, _> =
            found.into_iter().map(|it| (it.node, Found { attempt: it.attempt, state: it.state })).collect();
        let mut kept = Vec::new();
        self.observed.insert(name.clone(), MachineView::Reachable(BTreeMap::new()));
        for id in self.machines.get(&name).map_or(&[][..], |machine| &machine.nodes) {
            if let Some(seen) = self.nodes.get_mut(id) {
                seen.sequence = 0;
            }
            let attempt = self.intended.nodes.get(id).map(|node| node.attempt);
            kept.extend(
                found.get(id).map(|found| found.attempt).filter(|it| Some(*it) == attempt).map(|it| (id.clone(), it)),
            );
        }
        for (id, mut found) in found {
            found.state = self.job.understood(&id, found.state);
            if let Some(seen) = self.nodes.get_mut(&id) {
                seen.state = Some(found.state.clone());
            }
            self.observe(&name, id, found);
        }
        self.intended.released.remove(&name);
        match kept.is_empty() {
            true => self.machine_without_nodes(&name, known),
            // The daemon learns whom to tell from now on.
            false => self.send_spawn(main, name.clone(), kept, true),
        }
        self.send_stop(main, &name);
        self.touch(main);
    }

    /// A machine says that it has no nodes of this dataflow. `known`: it had taken them once.
    pub(super) fn machine_without_nodes(&mut self, name: &MachineId, known: bool) {
        if known && (self.flowed || !self.has_started_nothing(name)) {
            let reason = "it has lost its nodes, and nobody can say how they ended".to_owned();
            let trouble = Trouble::Machine { machine: name.clone(), reason };
            self.machine_ended(name, self.lost_outcome(name, trouble));
        } else if self.stop.is_some() {
            self.machine_ended(name, Outcome { trouble: Some(Trouble::Interrupted), ..Outcome::default() });
        } else if let Some(machine) = self.machines.get_mut(name) {
            // The spawn was lost, or its daemon ended before the first process: the plan has the nodes started.
            machine.accepted = false;
        }
    }

    /// Whether no node of a machine has had a process, as far as was told. What has one is declared by its daemon: it is
    /// in the hands of a keeper.
    fn has_started_nothing(&self, name: &MachineId) -> bool {
        let is_to_come = |id: &NodeId| {
            let state = self.nodes.get(id).and_then(|seen| seen.state.as_ref());
            matches!(state, None | Some(NodeState::Waiting | NodeState::Building))
        };
        self.machines.get(name).is_some_and(|machine| machine.nodes.iter().all(is_to_come))
    }

    /// A machine that is done with a dataflow has room for others, although the dataflow goes on elsewhere.
    pub(super) fn free_places(&mut self, main: &mut MainThread<Self>, machine: MachineId) {
        let (resources, id) = (self.shared.resources.clone(), self.job.id);
        if self.machines.contains_key(&machine) {
            main.then(async move { resources.release(id, vec![machine]).await }, |_, _, _| {});
        }
    }
}
