//! How a keeper goes on without a supervisor: who may take it up, how long it waits for that, and what it leaves if nobody
//! has come.
//!
//! It must not know of nodes: it says who is let in and what time it is.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use dora_channel::os::named::own_uid;
use dora_message::supervision::{
    Claim, ClaimAnswer, KeeperState, LastingPlan, LaunchPlan, Refusal, SUPERVISION_VERSION, is_neighbour, keeper_name,
};

use crate::{
    listener::Listener,
    poller::{Door, Poller},
};

/// What a keeper that may outlive its supervisor waits for.
pub(crate) struct Vigil {
    door: Listener,
    name: String,
    /// `None`: it was not told what to run, and nobody is let in.
    terms: Option<LastingPlan>,
    /// The latest supervisor that there was.
    incarnation: u64,
    /// The time without a supervisor is over, and the nodes were asked to end.
    has_given_up: bool,
    /// The report could not be left: when that is tried again.
    retry_at: Option<Instant>,
}

impl Vigil {
    /// Lets itself be found.
    pub(crate) fn open(name: &str, poller: &Rc<Poller>) -> io::Result<Self> {
        let door = Listener::open(name, Door::Supervisors, poller)?;
        Ok(Vigil { door, name: name.to_owned(), terms: None, incarnation: 0, has_given_up: false, retry_at: None })
    }

    /// Lets in whoever may supervise what runs. The error is a sentence.
    pub(crate) fn begin(&mut self, plan: &LaunchPlan) -> Result<(), String> {
        let Some(terms) = &plan.lasting else {
            return Err("the plan does not say how the keeper goes on without its supervisor".to_owned());
        };
        if keeper_name(own_uid(), &terms.owner, &plan.dataflow_id) != self.name {
            return Err(format!("it was started as the keeper `{}`, and got the plan of another one", self.name));
        }
        if terms.incarnation < self.incarnation {
            return Err("a daemon that was started later has come meanwhile".to_owned());
        }
        (self.incarnation, self.terms) = (terms.incarnation, Some(terms.clone()));
        Ok(())
    }

    /// Somebody has knocked. Gives a sentence if they cannot be let in.
    pub(crate) fn knocked(&mut self) -> Option<String> {
        let error = self.door.accept()?;
        Some(format!("another daemon could not take up the keeper, which cannot accept its connection: {error}"))
    }

    /// The connection of whoever supervises from now on, if it is this visitor. `is_supervised`: somebody does now.
    pub(crate) fn claimed(&mut self, number: u32, is_supervised: bool) -> Option<OwnedFd> {
        let (_, packet) = self.door.hear(number)?;
        let visitor = self.door.show_out(number)?;
        // Who says nonsense is shown out without a word.
        let claim: Claim = serde_json::from_slice(&packet).ok()?;
        if self.terms.is_none() {
            // So is who claims what runs nothing; who was there before will not run anything either.
            self.incarnation = self.incarnation.max(claim.incarnation);
            return None;
        }
        match self.refusal(claim, is_supervised) {
            None => {
                self.incarnation = claim.incarnation;
                Some(visitor.socket)
            }
            Some(refusal) => {
                visitor.tell(&ClaimAnswer::Refused { version: SUPERVISION_VERSION, refusal });
                None
            }
        }
    }

    fn refusal(&self, claim: Claim, is_supervised: bool) -> Option<Refusal> {
        if !is_neighbour(claim.version) {
            return Some(Refusal::Version);
        }
        let is_late = claim.incarnation < self.incarnation || (is_supervised && claim.incarnation == self.incarnation);
        is_late.then_some(Refusal::Superseded { incarnation: self.incarnation })
    }

    /// When there is something to do although nobody has said anything.
    pub(crate) fn deadline(&self, orphaned: Option<Instant>, is_over: bool) -> Option<Instant> {
        let waits = is_over || !self.has_given_up;
        let patience =
            self.patience(orphaned).filter(|_| waits).map(|at| self.retry_at.map_or(at, |retry| retry.max(at)));
        [patience, self.door.deadline()].into_iter().flatten().min()
    }

    fn patience(&self, orphaned: Option<Instant>) -> Option<Instant> {
        orphaned?.checked_add(self.terms.as_ref()?.orphan_timeout?)
    }

    /// Lets in again whoever waits outside, if it is time. Whether the time without a supervisor is over.
    pub(crate) fn is_over(&mut self, now: Instant, orphaned: Option<Instant>) -> bool {
        self.door.resume(now);
        self.patience(orphaned).is_some_and(|at| at <= now) && self.retry_at.is_none_or(|at| at <= now)
    }

    /// Whether the nodes are to be asked to end because the time is over. Once.
    pub(crate) fn gives_up(&mut self) -> Option<Duration> {
        let timeout = self.terms.as_ref()?.orphan_timeout?;
        (!std::mem::replace(&mut self.has_given_up, true)).then_some(timeout)
    }

    /// Leaves the report for whoever comes after the end. False: it is to be tried again.
    pub(crate) fn leave(&mut self, state: &KeeperState, now: Instant) -> bool {
        let Some(LastingPlan { report_file: Some(file), orphan_timeout, .. }) = &self.terms else { return true };
        match write_report(file, state) {
            Ok(()) => true,
            // The home of the supervisor was removed: nobody will look for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(_) => {
                // It stays for the next supervisor.
                self.retry_at = orphan_timeout.and_then(|timeout| now.checked_add(timeout));
                self.retry_at.is_none()
            }
        }
    }
}

/// Writes all of it or nothing. Environments of nodes are in it, so it is for its owner alone.
fn write_report(file: &Path, state: &KeeperState) -> io::Result<()> {
    let part = file.with_extension("part");
    if let Some(directory) = file.parent().filter(|directory| !directory.exists()) {
        fs::create_dir(directory)?;
    }
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
    let written = written.and_then(|mut open| {
        open.write_all(&serde_json::to_vec(state)?)?;
        open.sync_all()
    });
    written.and_then(|()| fs::rename(&part, file)).inspect_err(|_| drop(fs::remove_file(&part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vigil(orphan_timeout: Option<Duration>) -> Vigil {
        let poller = Rc::new(Poller::new().unwrap());
        let mut vigil = Vigil::open(&format!("dora-test/{}", uuid::Uuid::new_v4()), &poller).unwrap();
        vigil.terms = Some(LastingPlan {
            owner: "a".to_owned(),
            incarnation: 5,
            orphan_timeout,
            report_file: None,
            supervisor_data: String::new(),
        });
        vigil.incarnation = 5;
        vigil
    }

    #[test]
    fn only_a_later_supervisor_takes_the_place_of_another() {
        let vigil = vigil(None);
        let refused = |incarnation, is_supervised| {
            vigil.refusal(Claim { version: SUPERVISION_VERSION, incarnation }, is_supervised).is_some()
        };
        assert_eq!([4, 5, 6].map(|incarnation| refused(incarnation, true)), [true, true, false]);
        assert_eq!([4, 5, 6].map(|incarnation| refused(incarnation, false)), [true, false, false]);
    }

    #[test]
    fn who_was_replaced_before_the_start_starts_nothing() {
        let mut vigil = vigil(None);
        let json = serde_json::json!({
            "dataflow_id": uuid::Uuid::nil(), "clock_anchor_ns": 0, "memory_budget": 0, "exit_when_nodes_finish": false,
            "write_events_to": null, "descriptor": null, "nodes": [], "edges": [], "lasting": vigil.terms.take(),
        });
        let plan: LaunchPlan = serde_json::from_value(json).unwrap();
        vigil.name = keeper_name(own_uid(), "a", &plan.dataflow_id);
        vigil.incarnation = 6;
        assert!(vigil.begin(&plan).unwrap_err().contains("started later"));
        vigil.incarnation = 4;
        assert_eq!((vigil.begin(&plan), vigil.incarnation), (Ok(()), 5));
        vigil.name.push('x');
        assert!(vigil.begin(&plan).unwrap_err().contains("another one"));
        assert!(vigil.begin(&LaunchPlan { lasting: None, ..plan }).is_err());
    }

    #[test]
    fn neighbouring_versions_are_taken() {
        let vigil = vigil(None);
        let refused = |version| vigil.refusal(Claim { version, incarnation: 9 }, false);
        assert_eq!(refused(SUPERVISION_VERSION + 1), None);
        assert_eq!(refused(SUPERVISION_VERSION + 2), Some(Refusal::Version));
        assert_eq!(refused(0), Some(Refusal::Version));
    }

    #[test]
    fn the_time_without_a_supervisor_is_limited() {
        const SECOND: Duration = Duration::from_secs(1);
        let now = Instant::now();
        let mut vigil = vigil(Some(SECOND));
        assert_eq!(vigil.deadline(None, false), None, "nobody is waited for");
        assert_eq!(vigil.deadline(Some(now), false), Some(now + SECOND));
        assert!(!vigil.is_over(now, Some(now)) && vigil.is_over(now + SECOND, Some(now)));
        assert_eq!((vigil.gives_up(), vigil.gives_up()), (Some(SECOND), None), "once");
        assert_eq!(vigil.deadline(Some(now), false), None, "the nodes end now");
        assert_eq!(vigil.deadline(Some(now), true), Some(now + SECOND), "and then it leaves its report");
    }

    #[test]
    fn a_keeper_that_waits_for_ever_has_no_deadline() {
        assert_eq!(vigil(None).deadline(Some(Instant::now()), true), None);
    }
}
