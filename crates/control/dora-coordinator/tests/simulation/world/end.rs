//! What it comes to once faults have ceased.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use dora_gateways::{DataflowInfo, DispatcherError, MachineInfo, Urgency};

use super::World;
use crate::{
    client::Client,
    faults::{Event, FAULTY, MACHINES},
    trace::Ms,
};

/// Once faults have ceased, everything has converged after so long.
const CALM: Ms = 40_000;

impl World {
    /// Faults cease.
    pub(super) fn calm(&mut self) {
        self.trace.say("---", "faults cease");
        self.agenda.clear();
        self.network.heal_all();
        self.happens(Event::WakeCoordinators);
        self.happens(Event::EndReplaced);
        self.happens(Event::StartCoordinator);
        for machine in 0..MACHINES {
            self.happens(Event::WakeDaemon(machine));
            self.happens(Event::StartDaemon(machine));
        }
    }

    /// Waits until everything has converged.
    pub(super) fn settle(&mut self) {
        let mut open = Vec::new();
        while self.now() < FAULTY + CALM && !self.rules.is_broken() {
            self.run_until(self.now() + 1000);
            open = match self.infos() {
                _ if Arc::strong_count(&self.client.under_way) > 1 => vec!["rule 6: commands are under way".to_owned()],
                Some(Ok(infos)) => self.rules.unsettled(&infos, &self.machines),
                other => vec![format!("rule 7: the dataflows are not told: {other:?}")],
            };
            if open.is_empty() {
                return self.trace.say("---", "everything has converged");
            }
        }
        open.into_iter().for_each(|open| self.rules.broke(open));
    }

    /// Stops all dataflows: then nothing is left.
    pub(super) fn stop_everything(&mut self) {
        let infos = self.infos().and_then(Result::ok).unwrap_or_default();
        for info in infos.into_iter().filter(|info| !info.summary.state.is_final()) {
            let stop = self.client.clone().stop(info.summary.id, Urgency::Ask);
            self.command(stop);
        }
        self.run_until(self.now() + 12_000);
        let infos = self.infos().and_then(Result::ok);
        let left = infos.map_or_else(|| vec!["rule 7: no answer".to_owned()], |infos| self.rules.left(&infos));
        left.into_iter().for_each(|left| self.rules.broke(left));
        match self.ask(Client::machines) {
            Some(Ok(machines)) => self.check_places(&machines),
            other => self.rules.broke(format!("rule 7: the machines are not told: {other:?}")),
        }
    }

    fn check_places(&self, machines: &[MachineInfo]) {
        if machines.len() != MACHINES {
            self.rules.broke(format!("rule 7: machines are missing: {machines:?}"));
        }
        for machine in machines.iter().filter(|machine| machine.free != machine.resources || !machine.reachable) {
            self.rules.broke(format!("rule 7: places are held, or it is not reached: {machine:?}"));
        }
        for machine in &self.machines {
            let machine = machine.lock().unwrap();
            if !machine.keepers.is_empty() {
                self.rules.broke(format!("rule 7: keepers are left on {}: {:?}", machine.name, machine.keepers.keys()));
            }
        }
    }

    fn infos(&mut self) -> Option<Result<Vec<DataflowInfo>, DispatcherError>> {
        self.ask(Client::infos)
    }

    /// Asks, and lets the world go on until there is an answer.
    fn ask<T: Send + Debug + 'static, F: Future<Output = T> + Send + 'static>(
        &mut self,
        question: impl FnOnce(Client) -> F,
    ) -> Option<T> {
        let answer = Arc::new(Mutex::new(None));
        let (slot, question) = (answer.clone(), question(self.client.clone()));
        self.command(async move { *slot.lock().unwrap() = Some(question.await) });
        let until = self.now() + 20_000;
        while answer.lock().unwrap().is_none() && self.now() < until && !self.rules.is_broken() {
            self.run_until(self.now() + 10);
        }
        answer.lock().unwrap().take()
    }
}
