//! The link to whoever supervises this keeper: `dora run`, or a daemon.
//!
//! It never waits for a supervisor that reads slowly: what cannot be sent is kept, and [`SupervisorLink::has_room`] tells
//! whether more should be sent. A keeper that may outlive its supervisor can be without one, or with one that hangs: then
//! the link [is deaf](SupervisorLink::is_deaf), and what it says is given up. It must not know what the packets cause.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
    time::{Duration, Instant},
};

use dora_channel::os::memory::{memfd_with, read_memfd};
use dora_message::supervision::{
    ClaimAnswer, Figures, FinalReport, FromKeeper, KeeperState, LaunchPlan, SUPERVISION_VERSION, ToKeeper,
};
use serde::Serialize;

use crate::{
    outbox::{Outbox, Received},
    poller::{Poller, Token},
    start::{GuardId, Supervisor},
};

/// The longest launch plan, in bytes of JSON.
const LONGEST_PLAN: u64 = 256 * 1024 * 1024;
/// A supervisor that has taken nothing for so long hangs. Only a keeper that can do without it does not wait longer.
const STALL: Duration = Duration::from_secs(1);
/// Bytes that wait for a supervisor that hangs before it counts as gone.
const MOST_WAITING: usize = 1024 * 1024;
/// Warnings that are kept for the next supervisor; older ones are left out.
const MOST_UNHEARD: usize = 100;

/// What came from the supervisor.
pub(crate) enum Heard {
    /// It wants something; with what came with it.
    Order(ToKeeper, Vec<OwnedFd>),
    /// It is gone.
    Gone,
}

/// The link, and a watch over the process at its other end.
pub(crate) struct SupervisorLink {
    /// `None`: nobody supervises this keeper, which has outlived whoever did.
    outbox: Option<Outbox>,
    poller: Rc<Poller>,
    /// The keeper goes on without a supervisor.
    lasting: bool,
    /// Nothing can be sent any more; the end is still to be read.
    gone: bool,
    /// When the supervisor has last taken something, or the first of what waits for it was sent.
    waits_since: Instant,
    /// Since when there is nobody.
    orphaned: Option<Instant>,
    /// A supervisor was lost, and nobody was told of that.
    lost_one: bool,
    /// Warnings that nobody heard.
    unheard: VecDeque<String>,
    _process: Option<OwnedFd>,
}

impl SupervisorLink {
    /// Watches the socket and, besides, the process. Says Hello to a supervisor that may be outlived.
    pub(crate) fn new(supervisor: Supervisor, poller: &Rc<Poller>) -> io::Result<Self> {
        let Supervisor { socket, process, bond, guard } = supervisor;
        if let Some(pidfd) = &process {
            poller.add(pidfd, Token::SupervisorProcess)?;
        }
        let mut link = SupervisorLink {
            outbox: Some(Outbox::new(socket, Token::Supervisor, poller)?),
            poller: Rc::clone(poller),
            lasting: bond.is_lasting(),
            gone: false,
            waits_since: Instant::now(),
            orphaned: None,
            lost_one: false,
            unheard: VecDeque::new(),
            _process: process,
        };
        if link.lasting {
            let hello = FromKeeper::Hello { version: SUPERVISION_VERSION, pid: std::process::id() };
            let pidfds = guard.pidfds()?;
            link.send_with(&hello, &pidfds.iter().map(AsFd::as_fd).collect::<Vec<_>>());
        }
        Ok(link)
    }

    /// Whether the keeper goes on without a supervisor.
    pub(crate) fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// Somebody else supervises from now on. Nothing is heard of the one before: what it has ordered and was not read yet
    /// is refused by the end of its connection.
    pub(crate) fn take_up(&mut self, socket: OwnedFd, state: &KeeperState, guard: GuardId) -> io::Result<()> {
        self.let_go();
        let json = serde_json::to_vec(state)?;
        let memory = memfd_with("dora-state", &json)?;
        let pidfds = guard.pidfds()?;
        let answer = ClaimAnswer::Granted { version: SUPERVISION_VERSION, state_len: json.len() as u64 };
        let fds: Vec<_> = [memory.as_fd()].into_iter().chain(pidfds.iter().map(AsFd::as_fd)).collect();
        let mut outbox = Outbox::new(socket, Token::Supervisor, &self.poller)?;
        outbox.send(serde_json::to_vec(&answer)?, &fds)?;
        self.outbox = Some(outbox);
        (self.orphaned, self.waits_since) = (None, Instant::now());
        self.unheard.clear();
        Ok(())
    }

    /// The supervisor is gone, or counts as gone.
    pub(crate) fn let_go(&mut self) {
        if self.outbox.take().is_some() {
            self.orphaned = Some(Instant::now());
            (self.gone, self.lost_one) = (false, true);
        }
    }

    /// Whether a supervisor was lost since the last time.
    pub(crate) fn has_lost_one(&mut self) -> bool {
        std::mem::take(&mut self.lost_one)
    }

    /// Since when nobody supervises.
    pub(crate) fn orphaned_since(&self) -> Option<Instant> {
        self.orphaned
    }

    /// Whether nobody is there to be told anything, or somebody who hangs: it is not waited for.
    pub(crate) fn is_deaf(&self) -> bool {
        self.lasting && (!self.is_heard() || self.stalls_at().is_some_and(|at| at <= Instant::now()))
    }

    /// Whether what is sent can arrive.
    pub(crate) fn is_heard(&self) -> bool {
        self.outbox.is_some() && !self.gone
    }

    /// When the supervisor hangs, unless it takes something by then.
    pub(crate) fn stalls_at(&self) -> Option<Instant> {
        let waits = self.lasting && self.queued_bytes() > 0;
        waits.then(|| self.waits_since + STALL)
    }

    /// What nobody has heard.
    pub(crate) fn unheard(&self) -> Vec<String> {
        self.unheard.iter().cloned().collect()
    }

    fn queued_bytes(&self) -> usize {
        self.outbox.as_ref().map_or(0, Outbox::queued_bytes)
    }

    /// Whether a packet would go at once. Lines wait for that; what matters more does not.
    pub(crate) fn has_room(&self) -> bool {
        self.is_drained() && (self.is_heard() || !self.lasting)
    }

    /// Everything has been sent, or nobody is there to read it.
    pub(crate) fn is_drained(&self) -> bool {
        self.gone || self.queued_bytes() == 0
    }

    /// Reports something.
    pub(crate) fn send(&mut self, packet: &FromKeeper) {
        self.send_with(packet, &[]);
    }

    /// Reports that everything is over.
    pub(crate) fn send_report(&mut self, report: &FinalReport) {
        if let Err(error) = self.send_long(report, |report_len| FromKeeper::Finished { report_len }) {
            self.send(&FromKeeper::Failed { reason: format!("the final report was lost: {error}") });
        }
    }

    /// Answers a question for figures.
    pub(crate) fn send_figures(&mut self, serial: u64, figures: &Figures) {
        if let Err(error) = self.send_long(figures, |len| FromKeeper::Figures { serial, len }) {
            self.warn(format!("the figures of the dataflow cannot be told: {error}"));
        }
    }

    /// Reports something that may be longer than a packet; `packet` is given its length.
    fn send_long(&mut self, value: &impl Serialize, packet: impl FnOnce(u64) -> FromKeeper) -> io::Result<()> {
        let json = serde_json::to_vec(value)?;
        let memory = memfd_with("dora-report", &json)?;
        self.send_with(&packet(json.len() as u64), &[memory.as_fd()]);
        Ok(())
    }

    /// Tells something that is not a node's fault. If nobody is there the next supervisor reads it in the picture.
    pub(crate) fn warn(&mut self, message: String) {
        if self.is_heard() || !self.lasting {
            return self.send(&FromKeeper::Warning { message });
        }
        if self.unheard.len() == MOST_UNHEARD {
            self.unheard.pop_front();
        }
        self.unheard.push_back(message);
    }

    /// Reports something that is JSON already.
    pub(crate) fn send_encoded(&mut self, json: Vec<u8>) {
        self.send_json(json, &[]);
    }

    /// Reports something that comes with descriptors.
    pub(crate) fn send_with(&mut self, packet: &FromKeeper, fds: &[BorrowedFd<'_>]) {
        // Our own types always have a JSON form.
        if let Ok(json) = serde_json::to_vec(packet) {
            self.send_json(json, fds);
        }
    }

    fn send_json(&mut self, json: Vec<u8>, fds: &[BorrowedFd<'_>]) {
        let Some(outbox) = self.outbox.as_mut().filter(|_| !self.gone) else { return };
        if outbox.queued_bytes() == 0 {
            self.waits_since = Instant::now();
        }
        self.gone = outbox.send(json, fds).is_err();
        if self.lasting && outbox.queued_bytes() > MOST_WAITING {
            self.let_go();
        }
    }

    /// Sends what has waited.
    pub(crate) fn flush(&mut self) {
        let Some(outbox) = &mut self.outbox else { return };
        let before = outbox.queued_bytes();
        self.gone |= outbox.flush().is_err();
        if outbox.queued_bytes() < before {
            self.waits_since = Instant::now();
        }
    }

    /// The next order, if one has come. Packets that are not understood are ignored.
    pub(crate) fn receive(&mut self) -> Option<Heard> {
        loop {
            match self.outbox.as_mut()?.receive() {
                Received::Packet(bytes, fds) => {
                    if let Ok(order) = serde_json::from_slice(&bytes) {
                        return Some(Heard::Order(order, fds));
                    }
                }
                Received::Nothing => return None,
                Received::Gone => return Some(Heard::Gone),
            }
        }
    }
}

/// The plan that came with [`ToKeeper::Launch`].
pub(crate) fn read_plan(fds: Vec<OwnedFd>, len: u64) -> io::Result<Box<LaunchPlan>> {
    let memory = fds.into_iter().next().ok_or(io::Error::new(io::ErrorKind::InvalidData, "no memory came with it"))?;
    Ok(Box::new(serde_json::from_slice(&read_memfd(memory, len, LONGEST_PLAN)?)?))
}
