//! The link to whoever supervises this keeper: `dora run`, or a daemon.
//!
//! It never waits for a supervisor that reads slowly: what cannot be sent is kept, and [`SupervisorLink::has_room`] tells
//! whether more should be sent. It must not know what the packets cause.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
};

use dora_channel::os::memory::{memfd_with, read_memfd};
use dora_message::supervision::{Figures, FinalReport, FromKeeper, LaunchPlan, ToKeeper};
use serde::Serialize;

use crate::{
    outbox::{Outbox, Received},
    poller::{Poller, Token},
    start::Supervisor,
};

/// The longest launch plan, in bytes of JSON.
const LONGEST_PLAN: u64 = 256 * 1024 * 1024;

/// What came from the supervisor.
pub(crate) enum Heard {
    /// It wants something; with what came with it.
    Order(ToKeeper, Vec<OwnedFd>),
    /// It is gone.
    Gone,
}

/// The link, and a watch over the process at its other end.
pub(crate) struct SupervisorLink {
    outbox: Outbox,
    gone: bool,
    _process: Option<OwnedFd>,
}

impl SupervisorLink {
    /// Watches the socket and, besides, the process.
    pub(crate) fn new(supervisor: Supervisor, poller: &Rc<Poller>) -> io::Result<Self> {
        let Supervisor { socket, process } = supervisor;
        if let Some(pidfd) = &process {
            poller.add(pidfd, Token::SupervisorProcess)?;
        }
        Ok(SupervisorLink { outbox: Outbox::new(socket, Token::Supervisor, poller)?, gone: false, _process: process })
    }

    /// Whether a packet would go at once. Lines wait for that; what matters more does not.
    pub(crate) fn has_room(&self) -> bool {
        self.is_drained()
    }

    /// Everything has been sent, or nobody is there to read it.
    pub(crate) fn is_drained(&self) -> bool {
        self.gone || self.outbox.queued_bytes() == 0
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

    /// Tells something that is not a node's fault.
    pub(crate) fn warn(&mut self, message: String) {
        self.send(&FromKeeper::Warning { message });
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
        if !self.gone && self.outbox.send(json, fds).is_err() {
            self.gone = true;
        }
    }

    /// Sends what has waited.
    pub(crate) fn flush(&mut self) {
        if self.outbox.flush().is_err() {
            self.gone = true;
        }
    }

    /// The next order, if one has come. Packets that are not understood are ignored.
    pub(crate) fn receive(&mut self) -> Option<Heard> {
        loop {
            match self.outbox.receive() {
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
