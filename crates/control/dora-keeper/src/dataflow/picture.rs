//! What the next supervisor has to know of the dataflow, and what becomes of what the last one wanted to see.

use dora_message::supervision::{FinalReport, KeeperState, NodeLife, NodeStanding, StartState};

use super::{Barrier, Dataflow, barrier::Hold};
use crate::{guest::Guest, node::Life, supervisor::SupervisorLink};

impl Dataflow {
    /// All that is known of the nodes, for a supervisor that is told by whom they are kept, and what nobody has heard.
    pub(crate) fn picture(
        &self,
        guard: Option<u32>,
        warnings: Vec<String>,
        report: Option<FinalReport>,
    ) -> KeeperState {
        KeeperState {
            keeper: std::process::id(),
            guard,
            plan: self.plan.clone(),
            start: self.start_state(),
            stopping: self.stopping,
            nodes: (0..self.nodes.len()).map(|number| self.standing_of(number)).collect(),
            ends: self.ends.clone(),
            warnings,
            report,
        }
    }

    fn start_state(&self) -> StartState {
        match &self.barrier {
            Barrier::Waiting(_) if self.hold == Hold::Told => StartState::Held,
            Barrier::Waiting(_) => StartState::Waiting,
            Barrier::Passed => StartState::Passed,
            Barrier::Failed(_) => StartState::Failed,
        }
    }

    fn standing_of(&self, number: usize) -> NodeStanding {
        let node = &self.nodes[number];
        let life = match &node.life {
            Life::Running(_) => NodeLife::Running { pid: node.seen_pid(), connected: node.is_connected() },
            // Its end is told as soon as its lines are.
            Life::Ended(_, _, None) => NodeLife::Running { pid: None, connected: false },
            Life::Ended(status, _, Some(_)) | Life::Waiting(status, _) => {
                NodeLife::Restarting { status: status.clone() }
            }
            Life::Over => NodeLife::Ended,
            Life::Dynamic => NodeLife::Dynamic {
                here: node.is_started_guest() && !node.guest.as_ref().is_some_and(Guest::has_left),
                pid: node.seen_pid(),
            },
        };
        NodeStanding { restarts: self.restarts[number].count(), life }
    }

    /// The supervisor is gone, and with it whoever looked at outputs.
    pub(crate) fn nobody_looks(&mut self) {
        self.wiring.readers_gone();
    }

    /// Another supervisor reads what nodes print from now on.
    pub(crate) fn another_listens(&mut self) {
        self.logs.another_listens();
    }

    /// Whether the supervisor was told all that nodes have printed.
    pub(crate) fn is_told(&self) -> bool {
        (0..self.nodes.len()).all(|number| self.logs.is_told(number))
    }

    /// A node has ended and the supervisor, if there is one, was told: it is kept for the next one.
    pub(super) fn note_end(&mut self, number: usize, link: &mut SupervisorLink) {
        let end = self.nodes[number].report(&self.plan.nodes[number], link);
        self.ends.extend(end.filter(|_| self.plan.lasting.is_some()));
    }
}
