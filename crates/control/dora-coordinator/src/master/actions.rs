//! What the plan asks for, done: calls of daemons, and what is assumed until they say how it is.

use std::time::Duration;

use dora_gateways::{
    Attempt, MachineId, NodeExecutorError, NodeExecutorGateway, NodeState, SpawnNodes, StopOptions, Trouble,
};
use dora_message::{id::NodeId, result::NodeResult};
use dora_rpc::{MainThread, Retryable};

use super::{DataflowMaster, Source};
use crate::{Action, Found, MachineView, Wanted, files::hand_over};

/// A daemon that could not be asked is asked again after so long, unless it counts as silent by then.
const AGAIN: Duration = Duration::from_secs(1);

impl DataflowMaster {
    pub(super) fn perform(&mut self, main: &mut MainThread<Self>, action: Action) {
        match action {
            Action::Spawn { machine, nodes } => {
                for (node, attempt) in &nodes {
                    self.assume(&machine, node, *attempt, NodeState::Waiting);
                }
                self.send_spawn(main, machine, nodes, false);
            }
            Action::Stop { machine, node, attempt, options } => {
                self.assume(&machine, &node, attempt, NodeState::Stopping);
                self.send(main, machine, Command::Stop(vec![node], options));
            }
            Action::NoteEnd { node, .. } => self.note_end(&node, None),
            // It is not moved to another machine: what runs beside it, and what it had done, is lost with its machine.
            Action::PlaceAgain { node, .. } => self.note_end(&node, Some(NodeResult::Lost)),
            Action::Release { machines } => self.release(main, machines),
        }
    }

    /// What is taken for true until the machine says otherwise.
    fn assume(&mut self, machine: &MachineId, node: &NodeId, attempt: Attempt, state: NodeState) {
        if let Some(MachineView::Reachable(nodes)) = self.observed.get_mut(machine) {
            let state = self.job.awaited(node, state);
            nodes.insert(node.clone(), Found { attempt, state });
        }
    }

    fn note_end(&mut self, node: &NodeId, result: Option<NodeResult>) {
        if let Some(node) = self.intended.nodes.get_mut(node) {
            node.wanted = Wanted::Nothing;
        }
        if let (Some(result), Some(seen)) = (result, self.nodes.get_mut(node)) {
            seen.state = Some(NodeState::Ended(result));
        }
    }

    /// Only nodes of several machines wait for each other: those of one are let go by their keeper.
    fn release(&mut self, main: &mut MainThread<Self>, machines: Vec<MachineId>) {
        for machine in machines {
            self.intended.released.insert(machine.clone());
            if self.machines.len() > 1 {
                self.send(main, machine, Command::Release);
            }
        }
    }

    /// Has a machine start nodes; or, `resumed`, tell this master from now on about nodes that it has.
    pub(super) fn send_spawn(
        &mut self,
        main: &mut MainThread<Self>,
        machine: MachineId,
        nodes: Vec<(NodeId, Attempt)>,
        resumed: bool,
    ) {
        let Some(executor) = self.machines.get(&machine).and_then(|machine| machine.executor.clone()) else { return };
        let spawn = SpawnNodes {
            dataflow: self.job.id,
            submission: self.job.submission.as_ref().clone(),
            nodes: nodes.clone(),
            hold: self.machines.len() > 1,
            resumed,
            master: self.me.clone(),
        };
        let (leader, artifacts) = (self.shared.leader, self.shared.artifacts.clone());
        let work = async move {
            hand_over(artifacts.as_ref(), &spawn.submission.artifacts, &executor).await?;
            executor.spawn_nodes(leader, spawn).await
        };
        main.then(work, move |master: &mut Self, main, answer| match answer {
            Err(error) if error.retryable() => {
                main.schedule(AGAIN, move |master: &mut Self, main| master.spawn_again(main, machine, nodes, resumed));
            }
            decided => master.spawn_decided(main, machine, decided),
        });
    }

    fn spawn_decided(&mut self, main: &mut MainThread<Self>, name: MachineId, answer: Result<(), NodeExecutorError>) {
        let Some(machine) = self.machines.get_mut(&name).filter(|machine| machine.outcome.is_none()) else { return };
        match answer {
            Ok(()) => {
                machine.accepted = true;
                self.publish(&name);
                // A stop may have overtaken the start.
                self.send_stop(main, &name);
                self.touch(main);
            }
            Err(NodeExecutorError::UnknownDataflow { .. }) => {
                self.machine_without_nodes(&name, true);
                self.touch(main);
            }
            Err(error) => {
                let trouble = Trouble::Machine { machine: name.clone(), reason: error.to_string() };
                self.machine_ended(&name, self.lost_outcome(&name, trouble.clone()));
                self.fail(main, trouble);
            }
        }
    }

    /// Asks again, unless the machine is done, or has become silent: then its return decides.
    fn spawn_again(
        &mut self,
        main: &mut MainThread<Self>,
        name: MachineId,
        nodes: Vec<(NodeId, Attempt)>,
        resumed: bool,
    ) {
        let is_there = matches!(self.observed.get(&name), Some(MachineView::Reachable(_)));
        if is_there && self.machines.get(&name).is_some_and(|machine| machine.outcome.is_none()) {
            self.send_spawn(main, name, nodes, resumed);
        }
    }

    /// Lets others read the streams of a machine.
    pub(super) fn publish(&mut self, name: &MachineId) {
        let Some(machine) = self.machines.get(name) else { return };
        let source = Source { executor: machine.executor.clone(), connection: machine.connection };
        self.progress.send_modify(|progress| drop(progress.sources.insert(name.clone(), source)));
    }

    /// Stops everything on a machine, as the dataflow is to be stopped.
    pub(super) fn send_stop(&mut self, main: &mut MainThread<Self>, machine: &MachineId) {
        let Some(options) = self.stop else { return };
        if self.machines.get(machine).is_none_or(|machine| machine.outcome.is_some()) {
            return;
        }
        if let Some(MachineView::Reachable(nodes)) = self.observed.get_mut(machine) {
            for found in nodes.values_mut().filter(|found| !matches!(found.state, NodeState::Ended(_))) {
                found.state = NodeState::Stopping;
            }
        }
        self.send(main, machine.clone(), Command::Stop(Vec::new(), options));
    }

    /// Gives a command to a daemon, again and again while that may help and is wanted.
    fn send(&mut self, main: &mut MainThread<Self>, name: MachineId, command: Command) {
        let reachable = matches!(self.observed.get(&name), Some(MachineView::Reachable(_)));
        let machine = self.machines.get(&name).filter(|machine| reachable && machine.outcome.is_none());
        let Some(executor) = machine.and_then(|machine| machine.executor.clone()) else { return };
        let (leader, id) = (self.shared.leader, self.job.id);
        let sent = command.clone();
        let work = async move {
            match sent {
                Command::Release => executor.release(leader, id).await,
                Command::Stop(nodes, options) => executor.stop_nodes(leader, id, nodes, options).await,
            }
        };
        main.then(work, move |_: &mut Self, main, answer| match answer {
            Ok(()) => {}
            Err(error) if error.retryable() => {
                main.schedule(AGAIN, |master: &mut Self, main| master.send(main, name, command));
            }
            Err(error) => tracing::debug!(dataflow = %id, machine = %name, %error, "a daemon refuses {command:?}"),
        });
    }
}

/// What a daemon is told about nodes that it has.
#[derive(Clone, Debug)]
enum Command {
    /// All nodes of all machines are ready.
    Release,
    /// These nodes stop; all if there are none.
    Stop(Vec<NodeId>, StopOptions),
}
