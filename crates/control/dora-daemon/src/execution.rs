//! One run of a dataflow on this machine: events while it runs, its outcome at the end.

use std::{path::Path, time::Duration};

use dora_message::{
    id::NodeId,
    supervision::{ExitStatus, FinalReport, FromKeeper, LaunchPlan, OutputStream},
};

use crate::{
    keeper::{Control, Keeper, KeeperError, Received},
    lines::Beginnings,
    outcome::{NodeOutcome, Outcome, Record, Trouble},
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The process of a node runs.
    Spawned {
        /// The node.
        node: NodeId,
        /// Its process id.
        pid: u32,
    },
    /// All nodes have passed the start barrier.
    AllReady,
    /// A node has printed lines.
    Lines {
        /// The node.
        node: NodeId,
        /// Where they were printed.
        stream: OutputStream,
        /// When they were read, in nanoseconds since the Unix epoch.
        time_ns: u64,
        /// The texts, without their newlines; at least one.
        lines: Vec<String>,
    },
    /// The process of a node has ended, and another one will be started; all its lines have come before.
    Restarting {
        /// The node.
        node: NodeId,
        /// How the process ended.
        status: ExitStatus,
        /// Number of the restart, from 1.
        restart: u32,
        /// Wait until then.
        delay: Duration,
    },
    /// A process has become a dynamic node.
    Joined {
        /// The node.
        node: NodeId,
        /// Its process id, if it can be seen.
        pid: Option<u32>,
        /// How many processes have been this node.
        joins: u32,
    },
    /// The process that was a dynamic node is it no longer.
    Left {
        /// The node.
        node: NodeId,
        /// It said so; otherwise it crashed or was killed.
        in_order: bool,
        /// How many processes have been this node.
        joins: u32,
    },
    /// A node has ended; all its lines have come before. Which node is to blame may become known only later; see
    /// [`Event::Finished`].
    Exited(NodeOutcome),
    /// Something that the user should know; the run goes on.
    Warning(String),
    /// Everything is over and nothing is left. The last event.
    Finished(Outcome),
    /// Somebody called [`Control::wake`].
    Woken,
    /// Nothing happened in the time given.
    TimedOut,
}

/// A dataflow that runs. Dropping it ends the dataflow at once.
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
        let keeper = Keeper::start(exe)?;
        keeper.launch(plan)?;
        Ok(Execution { keeper, record: Some(Record::new(plan)), beginnings: Beginnings::default() })
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
    /// Waits for the next event, for at most `timeout`. After [`Event::Finished`] it is always [`Event::TimedOut`].
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
        Some(match received {
            Received::Packet(FromKeeper::Spawned { node, pid }) => Event::Spawned { node, pid },
            Received::Packet(FromKeeper::AllReady) => Event::AllReady,
            Received::Packet(FromKeeper::Lines { node, stream, time_ns, lines, partial }) => {
                let lines = self.beginnings.complete(&node, stream, lines, partial);
                return (!lines.is_empty()).then_some(Event::Lines { node, stream, time_ns, lines });
            }
            Received::Packet(FromKeeper::Exited { node, status, cause, never_connected, last_stderr }) => {
                Event::Exited(record.exited(node, status, cause, never_connected, last_stderr))
            }
            Received::Packet(FromKeeper::Restarting { node, status, restart, delay_ms }) => {
                Event::Restarting { node, status, restart, delay: Duration::from_millis(delay_ms) }
            }
            Received::Packet(FromKeeper::Joined { node, pid, joins }) => {
                record.joined(&node);
                Event::Joined { node, pid, joins }
            }
            Received::Packet(FromKeeper::Left { node, in_order, joins }) => Event::Left { node, in_order, joins },
            Received::Packet(FromKeeper::Warning { message }) => Event::Warning(message),
            Received::Packet(FromKeeper::Failed { reason }) => {
                self.finish(FinalReport::default(), Some(Trouble::CannotRun(reason)))
            }
            // `Keeper::next` turns it into `Received::Finished`.
            Received::Packet(FromKeeper::Finished { .. }) => self.finish(FinalReport::default(), None),
            Received::Finished(report) => self.finish(report, None),
            Received::Lost { status, cleanup } => {
                let how = status.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string());
                let report = FinalReport { edges: Vec::new(), orphans_killed: cleanup.killed };
                self.finish(report, Some(Trouble::KeeperDied { how }))
            }
            Received::Woken => Event::Woken,
            Received::TimedOut => Event::TimedOut,
        })
    }

    fn finish(&mut self, report: FinalReport, trouble: Option<Trouble>) -> Event {
        match self.record.take() {
            Some(record) => Event::Finished(record.finish(report, trouble)),
            None => Event::TimedOut,
        }
    }
}
