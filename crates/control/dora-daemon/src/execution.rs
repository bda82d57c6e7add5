//! One run of a dataflow on this machine: events while it runs, its outcome at the end.

use std::{path::Path, time::Duration};

use dora_gateways::{DataflowEvent, Outcome, Trouble};
use dora_message::supervision::{Figures, FinalReport, FromKeeper, LaunchPlan};

use crate::{
    keeper::{Control, Keeper, KeeperError, Received},
    lines::Beginnings,
    outcome::Record,
    tap::TapReader,
};

/// What came of waiting.
#[derive(Debug)]
pub enum Event {
    /// Something happened; never [`DataflowEvent::Finished`].
    Happened(DataflowEvent),
    /// All nodes are ready and wait for [`Control::release`].
    Ready,
    /// Answers [`Control::ask_figures`].
    Figures {
        /// Number of the question.
        serial: u64,
        /// The answer.
        figures: Figures,
    },
    /// Follows [`Control::tap`].
    Tapped {
        /// Number of the tap.
        tap: u64,
        /// What the present process of the node sends.
        reader: TapReader,
    },
    /// No process of the node will send on a tapped output any more.
    TapOver {
        /// Number of the tap.
        tap: u64,
        /// Why, for people, to follow the name of the output.
        reason: String,
    },
    /// Everything is over and nothing is left. The last event.
    Finished(Outcome),
    /// The dataflow goes on, and this process supervises it no more: a daemon that was started later does, or its keeper
    /// has waited for this one in vain. The last event.
    LetGo,
    /// Somebody called [`Control::wake`].
    Woken,
    /// Nothing happened in the time given.
    TimedOut,
}

/// A dataflow that runs. Dropping it ends the dataflow at once, unless its plan is a
/// [lasting](LaunchPlan::lasting) one: then the dataflow goes on, and can be [adopted](Self::adopt). A lasting keeper keeps
/// how it ended until this is dropped after [`Event::Finished`], so drop it when that is safe elsewhere.
#[derive(Debug)]
pub struct Execution {
    keeper: Keeper,
    /// Taken by the end.
    record: Option<Record>,
    beginnings: Beginnings,
}

impl Execution {
    /// Starts `exe keeper` and has it execute the plan. `exe` is usually the program that runs: `dora`.
    pub fn start(exe: &Path, plan: &LaunchPlan) -> Result<Self, KeeperError> {
        Ok(Self::of(Keeper::start(exe, plan)?, Record::new(plan)))
    }
    /// A dataflow that this keeper runs, as far as the record goes.
    pub(crate) fn of(keeper: Keeper, record: Record) -> Self {
        Execution { keeper, record: Some(record), beginnings: Beginnings::default() }
    }
    /// To stop it, from any thread.
    pub fn control(&self) -> Control {
        self.keeper.control().clone()
    }
    /// Kills the keeper and all nodes: for a keeper that does not answer. [`Event::Finished`] follows.
    pub fn kill(&mut self) {
        self.keeper.kill();
    }
    /// Process id of the keeper.
    pub fn keeper_pid(&self) -> u32 {
        self.keeper.pid()
    }
    /// Waits for the next event, for at most `timeout`. After [`Event::Finished`] and
    /// [`Event::LetGo`] it is always [`Event::TimedOut`].
    pub fn next_event(&mut self, timeout: Option<Duration>) -> Event {
        loop {
            let received = self.keeper.next(timeout);
            // A piece of a line is no event yet; the rest of it is on its way.
            if let Some(event) = self.event(received) {
                return event;
            }
        }
    }

    fn event(&mut self, received: Received) -> Option<Event> {
        let Some(record) = &mut self.record else { return Some(Event::TimedOut) };
        let happened = match received {
            Received::Packet(FromKeeper::Spawned { node, pid }) => DataflowEvent::Spawned { node, pid },
            Received::Packet(FromKeeper::AllReady) => DataflowEvent::AllReady,
            Received::Packet(FromKeeper::Lines { node, stream, time_ns, lines, partial }) => {
                let lines = self.beginnings.complete(&node, stream, lines, partial);
                if lines.is_empty() {
                    return None;
                }
                DataflowEvent::Lines { node, stream, time_ns, lines }
            }
            Received::Packet(FromKeeper::Missed { node, lines }) => {
                self.beginnings.forget(&node);
                DataflowEvent::Missed { lines }
            }
            Received::Packet(FromKeeper::Exited { node, status, cause, never_connected, last_stderr }) => {
                DataflowEvent::Exited(record.exited(node, status, cause, never_connected, last_stderr))
            }
            Received::Packet(FromKeeper::Restarting { node, status, restart, delay_ms }) => {
                DataflowEvent::Restarting { node, status, restart, delay: Duration::from_millis(delay_ms) }
            }
            Received::Packet(FromKeeper::Joined { node, pid, joins }) => {
                record.joined(&node);
                DataflowEvent::Joined { node, pid, joins }
            }
            Received::Packet(FromKeeper::Left { node, in_order, joins }) => {
                DataflowEvent::Left { node, in_order, joins }
            }
            Received::Packet(FromKeeper::Warning { message }) => DataflowEvent::Warning(message),
            Received::Packet(FromKeeper::Failed { reason }) => {
                return Some(self.finish(FinalReport::default(), Some(Trouble::CannotRun(reason))));
            }
            Received::Packet(FromKeeper::Ready) => return Some(Event::Ready),
            Received::Figures { serial, figures } => return Some(Event::Figures { serial, figures }),
            Received::Tapped { tap, reader } => return Some(Event::Tapped { tap, reader }),
            Received::Packet(FromKeeper::TapOver { tap, reason }) => return Some(Event::TapOver { tap, reason }),
            // `Keeper::next` turns them into what came with them.
            Received::Packet(FromKeeper::Figures { .. } | FromKeeper::Tapped { .. } | FromKeeper::Hello { .. }) => {
                return None;
            }
            Received::Packet(FromKeeper::Finished { .. }) => return Some(self.finish(FinalReport::default(), None)),
            Received::Finished(report) => return Some(self.finish(report, None)),
            Received::Lost { status, cleanup } => {
                let how = status.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string());
                let report = FinalReport { edges: Vec::new(), orphans_killed: cleanup.killed };
                return Some(self.finish(report, Some(Trouble::KeeperDied { how })));
            }
            Received::LetGo => {
                self.record = None;
                return Some(Event::LetGo);
            }
            Received::Woken => return Some(Event::Woken),
            Received::TimedOut => return Some(Event::TimedOut),
        };
        Some(Event::Happened(happened))
    }

    fn finish(&mut self, report: FinalReport, trouble: Option<Trouble>) -> Event {
        match self.record.take() {
            Some(record) => Event::Finished(record.finish(report, trouble)),
            None => Event::TimedOut,
        }
    }
}
