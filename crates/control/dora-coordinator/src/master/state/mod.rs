//! Where a dataflow is in its life. Each state is a file that says how long it lasts and what comes next; it sees only
//! numbers, so what follows from what can be read, and tested, without machines.

mod building;
mod running;
mod spawning;
mod stopping;
mod waiting_for_ready;

use dora_gateways::{DataflowState, NodeState};

/// The nodes of a dataflow, counted by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Whether it was asked to stop.
    pub stop: bool,
    /// Nodes whose programs are built.
    pub building: usize,
    /// Nodes that are to run and have had no process.
    pub without_process: usize,
    /// Nodes that have, or have had, a process.
    pub with_process: usize,
    /// Nodes that are to run and are not ready: all others that have not ended are.
    pub unready: usize,
    /// Nodes that have not ended.
    pub left: usize,
}

impl Census {
    /// Counts one node. `awaited` says whether the start of the others waits for it.
    pub fn count(&mut self, state: &NodeState, awaited: bool) {
        let has_process = !matches!(state, NodeState::Waiting | NodeState::Building);
        self.building += usize::from(*state == NodeState::Building);
        self.with_process += usize::from(has_process);
        self.without_process += usize::from(awaited && !has_process);
        self.left += usize::from(!matches!(state, NodeState::Ended(_)));
        self.unready += usize::from(awaited && !matches!(state, NodeState::Running | NodeState::Ended(_)));
    }
}

/// The state that follows from `state` and what the nodes do now. States follow each other in one direction only; the end
/// is decided by the machines, not here.
pub(super) fn next(mut state: DataflowState, census: &Census) -> DataflowState {
    loop {
        let following = match state {
            DataflowState::Building => building::next(census),
            DataflowState::Spawning => spawning::next(census),
            DataflowState::WaitingForReady => waiting_for_ready::next(census),
            DataflowState::Running => running::next(census),
            DataflowState::Stopping => stopping::next(census),
            DataflowState::Finished | DataflowState::Failed => state,
        };
        if following == state {
            return state;
        }
        state = following;
    }
}

#[cfg(test)]
mod tests {
    use dora_message::result::NodeResult;
    use proptest::prelude::*;

    use super::*;

    fn states() -> impl Strategy<Value = NodeState> {
        prop_oneof![
            Just(NodeState::Waiting),
            Just(NodeState::Building),
            Just(NodeState::Starting),
            Just(NodeState::Running),
            Just(NodeState::Restarting),
            Just(NodeState::Unknown),
            Just(NodeState::Ended(NodeResult::Success)),
        ]
    }

    fn census(nodes: &[(NodeState, bool)], stop: bool) -> Census {
        let mut census = Census { stop, ..Census::default() };
        nodes.iter().for_each(|(state, awaited)| census.count(state, *awaited));
        census
    }

    const ORDER: [DataflowState; 5] = [
        DataflowState::Building,
        DataflowState::Spawning,
        DataflowState::WaitingForReady,
        DataflowState::Running,
        DataflowState::Stopping,
    ];

    proptest! {
        #[test]
        fn states_never_go_back_and_a_stop_is_seen_from_each(
            nodes in proptest::collection::vec((states(), any::<bool>()), 0..6),
            stop: bool,
            from in 0_usize..5,
        ) {
            let next = next(ORDER[from], &census(&nodes, stop));
            let place = ORDER.iter().position(|state| *state == next).unwrap();
            prop_assert!(place >= from);
            prop_assert_eq!(next == DataflowState::Stopping, stop || from == 4);
        }
    }

    #[test]
    fn each_state_waits_for_its_own_thing() {
        use NodeState::{Building, Ended, Restarting, Running, Starting, Waiting};
        let at = |nodes: &[NodeState]| {
            let nodes: Vec<_> = nodes.iter().map(|state| (state.clone(), true)).collect();
            next(DataflowState::Building, &census(&nodes, false))
        };
        assert_eq!(at(&[Waiting, Waiting]), DataflowState::Building);
        assert_eq!(at(&[Starting, Building]), DataflowState::Building, "on another machine it is still built");
        assert_eq!(at(&[Starting, Waiting]), DataflowState::Spawning);
        assert_eq!(at(&[Starting, Running]), DataflowState::WaitingForReady);
        assert_eq!(at(&[Restarting, Running]), DataflowState::WaitingForReady);
        assert_eq!(at(&[Running, Ended(NodeResult::Success)]), DataflowState::Running);
        let failed = || Ended(NodeResult::Lost);
        assert_eq!(at(&[failed(), failed()]), DataflowState::WaitingForReady, "no message has flowed");
        // Nobody waits for a dynamic node.
        let dynamic = census(&[(Running, true), (Waiting, false)], false);
        assert_eq!(next(DataflowState::Building, &dynamic), DataflowState::Running);
        let only_dynamic = census(&[(Waiting, false)], false);
        assert_eq!(
            next(DataflowState::Building, &only_dynamic),
            DataflowState::Building,
            "its keeper is not there yet"
        );
    }
}
