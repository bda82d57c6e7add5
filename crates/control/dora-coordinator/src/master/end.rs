//! How a dataflow ends: its result goes into the store, then everybody hears of it, then its master is gone.

use dora_gateways::{
    DataflowResult, DataflowState, NodeOutcome, Outcome, ResourceManagerGateway, StopOptions, Trouble, Urgency,
};
use dora_message::result::NodeResult;
use dora_rpc::MainThread;

use super::{DataflowMaster, NodeState};
use crate::Wanted;

impl DataflowMaster {
    /// Stops all nodes. One that is more urgent than the one before takes its place, at once and in every state.
    pub(super) fn stop_all(&mut self, main: &mut MainThread<Self>, options: StopOptions) {
        if self.stop.is_some_and(|stop| stop.urgency >= options.urgency) {
            return;
        }
        self.stop = Some(options);
        self.recorder.stops(options);
        for node in self.intended.nodes.values_mut().filter(|node| node.wanted != Wanted::Nothing) {
            node.wanted = Wanted::Stopped(options);
        }
        let machines: Vec<_> = self.machines.keys().cloned().collect();
        machines.iter().for_each(|machine| self.send_stop(main, machine));
        self.give_up_silent_machines(main);
        self.touch(main);
    }

    /// It cannot go on: what runs is stopped, and this is said in the end.
    pub(super) fn fail(&mut self, main: &mut MainThread<Self>, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
        self.stop_all(main, StopOptions { grace: None, urgency: Urgency::Ask });
        self.end_if_over(main);
    }

    /// The nodes of a machine that nothing is known of count as lost, for this reason.
    pub(super) fn lost_outcome(&self, machine: &dora_gateways::MachineId, trouble: Trouble) -> Outcome {
        let here = self.machines.get(machine).map_or(&[][..], |machine| &machine.nodes);
        let outcome = here.iter().map(|id| {
            let result = match self.nodes.get(id).and_then(|seen| seen.state.clone()) {
                Some(NodeState::Ended(result)) => result,
                _ => NodeResult::Lost,
            };
            NodeOutcome { node: id.clone(), result, never_connected: false, last_stderr: Vec::new() }
        });
        Outcome { nodes: outcome.collect(), trouble: Some(trouble), ..Outcome::default() }
    }

    /// Ends once every machine has.
    pub(super) fn end_if_over(&mut self, main: &mut MainThread<Self>) {
        if self.state.is_final() || self.placing || self.machines.values().any(|machine| machine.outcome.is_none()) {
            return;
        }
        let outcomes = self.machines.values_mut().filter_map(|machine| machine.outcome.take());
        let mut outcome = Outcome::merge(outcomes);
        outcome.trouble = self.trouble.take().or(outcome.trouble);
        let result = DataflowResult { dataflow: self.job.id, outcome };
        self.state = if result.is_success() { DataflowState::Finished } else { DataflowState::Failed };
        self.recorder.ended(result.clone());
        self.result = Some(result);
        let (resources, id) = (self.shared.resources.clone(), self.job.id);
        main.then(async move { resources.release(id, Vec::new()).await }, move |_, _, released| {
            if let Err(error) = released {
                tracing::error!(dataflow = %id, %error, "the places of a dataflow are not free again");
            }
        });
        self.record(main);
    }

    /// Everything is in the store: who waited is told, and the master ends.
    pub(super) fn leave(&mut self, main: &mut MainThread<Self>) {
        let (state, result) = (self.state, self.result.take());
        self.progress.send_modify(|progress| {
            (progress.state, progress.result, progress.unwritten) = (state, result, None);
        });
        self.last_words.drain(..).for_each(|reply| reply.ok(()));
        main.stop();
    }
}
