//! The plan against a model of the machines: whatever they say at first, doing what it says leads to what was intended,
//! without a node that runs twice and without stopping one that should run.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::collections::BTreeMap;

use dora_coordinator::{Action, Found, Intended, IntendedNode, MachineView, Observed, Wanted, plan};
use dora_gateways::{Attempt, MachineId, NodeState, StopOptions, Urgency};
use dora_message::{id::NodeId, result::NodeResult, supervision::ExitStatus};
use proptest::prelude::*;

fn machine(number: usize) -> MachineId {
    MachineId(format!("m{number}"))
}

fn node(number: usize) -> NodeId {
    format!("n{number}").into()
}

fn states() -> impl Strategy<Value = NodeState> {
    prop_oneof![
        Just(NodeState::Waiting),
        Just(NodeState::Starting),
        Just(NodeState::Running),
        Just(NodeState::Restarting),
        Just(NodeState::Stopping),
        Just(NodeState::Ended(NodeResult::Success)),
        Just(NodeState::Ended(NodeResult::Failed(ExitStatus::Code { code: 3 }))),
    ]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        4 => Just(Wanted::Running),
        1 => prop_oneof![Just(Urgency::Ask), Just(Urgency::Kill)]
            .prop_map(|urgency| Wanted::Stopped(StopOptions { grace: None, urgency })),
        1 => Just(Wanted::Nothing),
    ]
}

/// Up to 5 nodes on up to 4 machines.
fn intentions() -> impl Strategy<Value = Intended> {
    let nodes = proptest::collection::btree_map(0_usize..5, (0_usize..4, 1_u32..4, wanted()), 0..5);
    (nodes, proptest::collection::btree_set(0_usize..4, 0..3)).prop_map(|(nodes, released)| Intended {
        nodes: nodes
            .into_iter()
            .map(|(number, (place, attempt, wanted))| {
                (node(number), IntendedNode { machine: machine(place), attempt: Attempt(attempt), wanted })
            })
            .collect(),
        released: released.into_iter().map(machine).collect(),
    })
}

/// A machine has at most one process of a node: the keeper sees to that.
fn machines() -> impl Strategy<Value = Observed> {
    let nodes = proptest::collection::btree_map(0_usize..7, (1_u32..4, states()), 0..5).prop_map(|nodes| {
        let found = |(number, (attempt, state))| (node(number), Found { attempt: Attempt(attempt), state });
        MachineView::Reachable(nodes.into_iter().map(found).collect())
    });
    let view = prop_oneof![4 => nodes, 1 => Just(MachineView::Silent), 1 => Just(MachineView::Lost)];
    proptest::collection::btree_map(0_usize..4, view, 0..4).prop_map(|views| {
        let named = views.into_iter().map(|(number, view)| (machine(number), view));
        // One machine can always be reached: else there is nothing to be done, and nothing to converge.
        named.chain([(machine(9), MachineView::Reachable(BTreeMap::new()))]).collect()
    })
}

fn found<'w>(world: &'w mut Observed, machine: &MachineId) -> &'w mut BTreeMap<NodeId, Found> {
    match world.get_mut(machine) {
        Some(MachineView::Reachable(nodes)) => nodes,
        other => panic!("{machine} was asked although it is {other:?}"),
    }
}

fn lives(node: &Found) -> bool {
    !matches!(node.state, NodeState::Ended(_))
}

fn living(world: &Observed) -> impl Iterator<Item = (&MachineId, &NodeId, &Found)> {
    world
        .iter()
        .flat_map(|(machine, view)| match view {
            MachineView::Reachable(nodes) => nodes.iter().map(|(id, node)| (machine, id, node)).collect(),
            _ => Vec::new(),
        })
        .filter(|(.., node)| lives(node))
}

/// Does what the plan says, as daemons and masters do it, and checks that it may be done.
fn perform(action: Action, intended: &mut Intended, world: &mut Observed) {
    match action {
        Action::Spawn { machine, nodes } => {
            for (node, attempt) in nodes {
                let twin = living(world).find(|(_, living, _)| **living == node);
                assert!(twin.is_none(), "{node} would run twice: {twin:?}");
                found(world, &machine).insert(node, Found { attempt, state: NodeState::Starting });
            }
        }
        Action::Stop { machine, node, attempt, options } => {
            if let Some(intended) = intended.nodes.get(&node)
                && (&intended.machine, intended.attempt) == (&machine, attempt)
            {
                assert_ne!(intended.wanted, Wanted::Running, "{node} should run");
                if let Wanted::Stopped(wanted) = intended.wanted {
                    assert_eq!(options, wanted);
                }
            }
            let here = found(world, &machine).get_mut(&node).unwrap();
            assert_eq!(here.attempt, attempt);
            here.state = NodeState::Stopping;
        }
        Action::NoteEnd { node, attempt, .. } => {
            let node = intended.nodes.get_mut(&node).unwrap();
            assert_eq!(node.attempt, attempt);
            node.wanted = Wanted::Nothing;
        }
        Action::PlaceAgain { node, attempt } => {
            let node = intended.nodes.get_mut(&node).unwrap();
            assert!(attempt > node.attempt);
            (node.machine, node.attempt) = (machine(9), attempt);
        }
        Action::Release { machines } => {
            let first = intended.released.is_empty();
            let waiting = intended.nodes.iter().find(|(id, node)| {
                let ready = living(world).any(|(place, living, found)| {
                    (place, living, found.attempt) == (&node.machine, id, node.attempt)
                        && found.state == NodeState::Running
                });
                node.wanted == Wanted::Running && !ready
            });
            assert!(!first || waiting.is_none(), "released although {waiting:?} is not ready");
            for machine in machines {
                assert!(intended.released.insert(machine));
            }
        }
    }
}

/// What happens by itself: what starts runs, what stops ends.
fn time_passes(world: &mut Observed) {
    for view in world.values_mut() {
        if let MachineView::Reachable(nodes) = view {
            for node in nodes.values_mut() {
                node.state = match &node.state {
                    NodeState::Waiting => NodeState::Starting,
                    NodeState::Starting | NodeState::Restarting => NodeState::Running,
                    NodeState::Stopping => NodeState::Ended(NodeResult::Success),
                    other => other.clone(),
                };
            }
        }
    }
}

/// Performs plans until there is nothing more to be done and nothing more happens.
fn settle(intended: &mut Intended, world: &mut Observed) {
    for _ in 0..12 {
        let (actions, before) = (plan(intended, world), world.clone());
        let idle = actions.is_empty();
        for action in actions {
            perform(action, intended, world);
        }
        time_passes(world);
        if idle && *world == before {
            return;
        }
    }
    panic!("it does not come to an end: {:?}", plan(intended, world));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_converges_from_any_state(mut intended in intentions(), mut world in machines()) {
        settle(&mut intended, &mut world);
        // Everything that lives is meant to.
        for (machine, id, found) in living(&world) {
            let node = intended.nodes.get(id);
            let meant = node.is_some_and(|node| {
                (&node.machine, node.attempt, node.wanted) == (machine, found.attempt, Wanted::Running)
            });
            prop_assert!(meant, "{id} lives on {machine}, intended is {node:?}");
        }
        // Everything that is meant to live does, unless nobody can say so.
        for (id, node) in &intended.nodes {
            match (node.wanted, world.get(&node.machine)) {
                (Wanted::Nothing, _) | (_, None | Some(MachineView::Silent)) => {}
                (Wanted::Running, Some(MachineView::Reachable(_))) => {
                    prop_assert!(living(&world).any(|(machine, living, _)| (machine, living) == (&node.machine, id)));
                }
                (wanted, view) => prop_assert!(false, "{id} is {wanted:?} on {view:?}"),
            }
        }
    }

    /// The coordinator is started again in the middle: it knows what was intended, and asks the machines.
    #[test]
    fn a_restart_at_any_moment_changes_nothing(mut intended in intentions(), mut world in machines(), done in 0_usize..9) {
        for action in plan(&intended, &world).into_iter().take(done) {
            perform(action, &mut intended, &mut world);
        }
        settle(&mut intended, &mut world);
    }
}

fn two_nodes(wanted: Wanted) -> Intended {
    let of = |place| IntendedNode { machine: machine(place), attempt: Attempt(1), wanted };
    Intended { nodes: BTreeMap::from([(node(0), of(0)), (node(1), of(1))]), released: [].into() }
}

fn saying(state: NodeState, attempt: u32, number: usize) -> MachineView {
    MachineView::Reachable([(node(number), Found { attempt: Attempt(attempt), state })].into())
}

#[test]
fn nobody_is_released_before_all_are_ready() {
    let mut intended = two_nodes(Wanted::Running);
    let mut world = Observed::from([
        (machine(0), saying(NodeState::Running, 1, 0)),
        (machine(1), saying(NodeState::Starting, 1, 1)),
    ]);
    assert_eq!(plan(&intended, &world), []);
    world.insert(machine(1), saying(NodeState::Running, 1, 1));
    assert_eq!(plan(&intended, &world), [Action::Release { machines: vec![machine(0), machine(1)] }]);
    intended.released.extend([machine(0), machine(1)]);
    assert_eq!(plan(&intended, &world), []);
}

#[test]
fn a_silent_machine_is_waited_for_and_a_lost_one_is_replaced() {
    let mut intended = two_nodes(Wanted::Running);
    intended.released.extend([machine(0), machine(1)]);
    let mut world = Observed::from([(machine(0), saying(NodeState::Running, 1, 0)), (machine(1), MachineView::Silent)]);
    assert_eq!(plan(&intended, &world), []);
    world.insert(machine(1), MachineView::Lost);
    assert_eq!(plan(&intended, &world), [Action::PlaceAgain { node: node(1), attempt: Attempt(2) }]);
    // It was placed anew; then the machine that was lost returns, with the old attempt alive.
    let moved = intended.nodes.get_mut(&node(1)).unwrap();
    (moved.machine, moved.attempt) = (machine(2), Attempt(2));
    world.insert(machine(1), saying(NodeState::Running, 1, 1));
    world.insert(machine(2), MachineView::Reachable(BTreeMap::new()));
    let stop =
        Action::Stop { machine: machine(1), node: node(1), attempt: Attempt(1), options: StopOptions::default() };
    assert_eq!(plan(&intended, &world), [stop], "and it is not started while the old one lives");
}

#[test]
fn who_should_have_stopped_and_is_nowhere_is_noted_as_lost() {
    let intended = two_nodes(Wanted::Stopped(StopOptions::default()));
    let world =
        Observed::from([(machine(0), MachineView::Reachable(BTreeMap::new())), (machine(1), MachineView::Lost)]);
    let lost = |number| Action::NoteEnd { node: node(number), attempt: Attempt(1), result: NodeResult::Lost };
    assert_eq!(plan(&intended, &world), [lost(0), lost(1)]);
}
