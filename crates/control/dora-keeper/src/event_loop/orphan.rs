//! A keeper that may outlive its supervisor: alone, taken up by the next one, and what it leaves if none has come.

use std::time::Instant;

use dora_message::supervision::{KeeperState, LaunchPlan};

use super::{Keeper, Next};
use crate::{
    stop::{DEFAULT_GRACE, Ladder},
    vigil::Vigil,
};

impl Keeper {
    /// Lets other supervisors in, if there may be any. The error is a sentence.
    pub(super) fn begin_vigil(&mut self, plan: &LaunchPlan) -> Result<(), String> {
        self.vigil.as_mut().map_or(Ok(()), |vigil| vigil.begin(plan))
    }

    /// Nobody is at the other end of the link any more.
    pub(super) fn supervisor_gone(&mut self) -> Next {
        // It was told to run nothing, or ends with its supervisor.
        if self.vigil.is_none() || self.dataflow.is_none() {
            return Next::Abandon;
        }
        self.link.let_go();
        Next::Continue
    }

    /// Somebody wants to supervise.
    pub(super) fn supervisors_came(&mut self) {
        if let Some(message) = self.vigil.as_mut().and_then(Vigil::knocked) {
            self.link.warn(message);
        }
    }

    /// One of them says who it is.
    pub(super) fn supervisor_claims(&mut self, number: u32) -> Next {
        if self.dataflow.is_none() {
            // What it is to run may have been said, and nobody was there to hear that it was.
            match self.listen() {
                Next::Continue => {}
                other => return other,
            }
        }
        let is_supervised = self.link.orphaned_since().is_none();
        let granted = self.vigil.as_mut().and_then(|vigil| vigil.claimed(number, is_supervised));
        let (Some(socket), Some(state)) = (granted, self.state()) else { return Next::Continue };
        if let Err(error) = self.link.take_up(socket, &state, self.guard) {
            self.link.warn(format!("a daemon could not be told what runs: {error}"));
        }
        if let Some(dataflow) = &mut self.dataflow {
            dataflow.another_listens();
        }
        self.ending.iter_mut().for_each(|ending| ending.told = false);
        Next::Continue
    }

    fn state(&self) -> Option<KeeperState> {
        let report = self.ending.as_ref().map(|ending| ending.report.clone());
        Some(self.dataflow.as_ref()?.picture(self.guard.living(), self.link.unheard(), report))
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
