//! A keeper that may outlive its supervisor: alone, taken up by the next one, and what it leaves if none has come.

use std::time::Instant;

use dora_message::supervision::{KeeperState, LaunchPlan};

use super::{Keeper, Next};
use crate::{
    start::Bond,
    stop::{DEFAULT_GRACE, Ladder},
    vigil::Vigil,
};

impl Keeper {
    /// Lets other supervisors find this keeper, if it may have any.
    pub(super) fn begin_vigil(&mut self, plan: &LaunchPlan) -> Result<(), String> {
        if self.link.bond() == Bond::Lasting {
            self.vigil = Some(Vigil::begin(plan, &self.poller)?);
        }
        Ok(())
    }

    /// Nobody is at the other end of the link any more.
    pub(super) fn supervisor_gone(&mut self) -> Next {
        match self.vigil {
            Some(_) => self.link.let_go(),
            // It was told to run nothing, or ends with its supervisor.
            None => return Next::Abandon,
        }
        Next::Continue
    }

    /// Somebody wants to supervise.
    pub(super) fn supervisors_came(&mut self) {
        if let Some(message) = self.vigil.as_mut().and_then(Vigil::knocked) {
            self.link.warn(message);
        }
    }

    /// One of them says who it is.
    pub(super) fn supervisor_claims(&mut self, number: u32) {
        let is_supervised = self.link.orphaned_since().is_none();
        let granted = self.vigil.as_mut().and_then(|vigil| vigil.claimed(number, is_supervised));
        let (Some(socket), Some(state)) = (granted, self.state()) else { return };
        if let Err(error) = self.link.take_up(socket, &state, self.guard) {
            self.link.warn(format!("a daemon could not be told what runs: {error}"));
        }
        if let Some(dataflow) = &mut self.dataflow {
            dataflow.another_listens();
        }
        self.ending.iter_mut().for_each(|ending| ending.told = false);
    }

    fn state(&self) -> Option<KeeperState> {
        let report = self.ending.as_ref().map(|ending| ending.report.clone());
        Some(KeeperState {
            keeper: std::process::id(),
            guard: self.guard.living(),
            warnings: self.link.unheard(),
            report,
            ..self.dataflow.as_ref()?.picture()
        })
    }

    pub(super) fn orphan_deadline(&self) -> Option<Instant> {
        let vigil = self.vigil.as_ref()?;
        let patience = vigil.deadline(self.link.orphaned_since(), self.ending.is_some());
        let stall = self.link.stalls_at().filter(|at| *at > Instant::now());
        [patience, stall].into_iter().flatten().min()
    }

    /// Does what is due for want of a supervisor, and tells the one that there is how it all ended.
    pub(super) fn attend_as_orphan(&mut self) -> Next {
        let (Some(vigil), Some(dataflow)) = (&mut self.vigil, &mut self.dataflow) else { return Next::Continue };
        if self.link.has_lost_one() {
            dataflow.nobody_looks();
        }
        if let Some(ending) = self.ending.as_mut().filter(|ending| !ending.told)
            && self.link.has_room()
            && dataflow.is_told()
        {
            ending.told = true;
            self.link.send_report(&ending.report);
        }
        let now = Instant::now();
        if !vigil.is_over(now, self.link.orphaned_since()) {
            return Next::Continue;
        }
        if self.ending.is_some() {
            return self.leave();
        }
        if let Some(timeout) = vigil.gives_up() {
            self.link.warn(format!(
                "no daemon has come for {timeout:?}, as long as nodes may go on without one: they were stopped"
            ));
            dataflow.stop(Ladder::begin(now, DEFAULT_GRACE), &mut self.link);
        }
        Next::Continue
    }

    /// Ends, and leaves what nobody has taken.
    pub(super) fn leave(&mut self) -> Next {
        let Some(state) = self.state() else { return Next::Abandon };
        match self.vigil.as_mut().is_none_or(|vigil| vigil.leave(&state, Instant::now())) {
            true => Next::Abandon,
            false => Next::Continue,
        }
    }
}
