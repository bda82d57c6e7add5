//! What happens from outside, drawn from the seed: commands, and everything that can go wrong.

use std::fmt;

use dora_gateways::{DataflowId, Submission, Urgency};
use dora_message::id::NodeId;
use fastrand::Rng;
use uuid::Uuid;

use crate::{network::Site, trace::Ms};

/// Faults happen in the first part of a history.
pub const FAULTY: Ms = 40_000;

pub const MACHINES: usize = 3;

#[derive(Clone)]
pub enum Event {
    /// The coordinator is killed.
    KillCoordinator,
    /// A coordinator is started, if there is none.
    StartCoordinator,
    /// The coordinator hangs.
    HangCoordinator,
    /// All that hang go on.
    WakeCoordinators,
    /// Another coordinator takes the place of one that hangs.
    ReplaceCoordinator,
    /// Coordinators that were replaced are killed.
    EndReplaced,
    KillDaemon(usize),
    StartDaemon(usize),
    HangDaemon(usize),
    WakeDaemon(usize),
    /// One of the keepers of a machine is killed.
    KillKeeper(usize),
    /// The daemon and all keepers are killed.
    KillMachine(usize),
    /// A machine is without power: it says no goodbye.
    PowerOff(usize),
    Cut(Site, Site),
    Slow(Site, Site),
    Heal(Site, Site),
    Reset(Site, Site),
    Submit(Box<Submission>),
    Stop(DataflowId, Urgency),
    StopNode(DataflowId, NodeId),
    /// Forgets what has ended.
    Clean,
    List,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillCoordinator => f.write_str("the coordinator is killed"),
            Self::StartCoordinator => f.write_str("a coordinator is started"),
            Self::HangCoordinator => f.write_str("the coordinator hangs"),
            Self::WakeCoordinators => f.write_str("coordinators that hung go on"),
            Self::ReplaceCoordinator => f.write_str("another coordinator is started"),
            Self::EndReplaced => f.write_str("coordinators that were replaced are killed"),
            Self::KillDaemon(machine) => write!(f, "the daemon of m{machine} is killed"),
            Self::StartDaemon(machine) => write!(f, "a daemon is started on m{machine}"),
            Self::HangDaemon(machine) => write!(f, "the daemon of m{machine} hangs"),
            Self::WakeDaemon(machine) => write!(f, "the daemon of m{machine} goes on"),
            Self::KillKeeper(machine) => write!(f, "a keeper of m{machine} is killed"),
            Self::KillMachine(machine) => write!(f, "everything on m{machine} is killed"),
            Self::PowerOff(machine) => write!(f, "m{machine} is without power"),
            Self::Cut(from, to) => write!(f, "nothing goes from {from:?} to {to:?}"),
            Self::Slow(from, to) => write!(f, "it is slow from {from:?} to {to:?}"),
            Self::Heal(from, to) => write!(f, "it is well from {from:?} to {to:?}"),
            Self::Reset(one, other) => write!(f, "connections between {one:?} and {other:?} break"),
            Self::Submit(submission) => {
                write!(f, "submit {}", submission.id.map_or_else(String::new, |id| id.to_string()))
            }
            Self::Stop(id, urgency) => write!(f, "stop {id} ({urgency:?})"),
            Self::StopNode(id, node) => write!(f, "stop {node} of {id}"),
            Self::Clean => f.write_str("clean"),
            Self::List => f.write_str("list"),
        }
    }
}

/// Everything that happens from outside, with its time.
pub fn story(dice: &mut Rng) -> Vec<(Ms, Event)> {
    let mut story = vec![(0, Event::StartCoordinator)];
    story.extend((0..MACHINES).map(|machine| (dice.u64(1..500), Event::StartDaemon(machine))));
    for number in 0..dice.u128(2..9) {
        let at = dice.u64(2000..FAULTY);
        let id = DataflowId(Uuid::from_u128(number + 1));
        story.push((at, Event::Submit(Box::new(submission(dice, id)))));
        if dice.bool() {
            let urgency = [Urgency::Ask, Urgency::Ask, Urgency::Hurry, Urgency::Kill][dice.usize(..4)];
            story.push((at + dice.u64(1..20_000), Event::Stop(id, urgency)));
        }
        if dice.u8(..5) == 0 {
            story.push((at + dice.u64(1..10_000), Event::StopNode(id, "a".into())));
        }
    }
    for _ in 0..dice.u8(0..4) {
        let event = if dice.u8(..3) == 0 { Event::Clean } else { Event::List };
        story.push((dice.u64(2000..FAULTY), event));
    }
    let commands: Vec<Ms> = story.iter().map(|(at, _)| *at).collect();
    for _ in 0..dice.u8(1..9) {
        // Half of them in the middle of a command.
        let at = match dice.bool() {
            true => dice.u64(1000..FAULTY),
            false => commands[dice.usize(..commands.len())] + dice.u64(..300),
        };
        story.extend(fault(dice, at));
    }
    story
}

/// One thing that goes wrong, and its end.
fn fault(dice: &mut Rng, at: Ms) -> Vec<(Ms, Event)> {
    // Most things are over soon; some last until a machine is lost.
    let most = if dice.u8(..) < 60 { 25_000 } else { 6_000 };
    let (until, machine) = (at + dice.u64(10..most), dice.usize(..MACHINES));
    let (here, there) = (Site::Machine(machine), Site::Coordinator);
    match dice.u8(..14) {
        0..3 => vec![(at, Event::KillCoordinator), (until, Event::StartCoordinator)],
        3 => vec![(at, Event::HangCoordinator), (until, Event::WakeCoordinators)],
        4 => {
            let replaced = dice.u64(at..until);
            let (hang, replace, wake) = (Event::HangCoordinator, Event::ReplaceCoordinator, Event::WakeCoordinators);
            let end = until + dice.u64(10..8_000);
            vec![(at, hang), (replaced, replace), (until, wake), (end, Event::EndReplaced)]
        }
        5..7 => vec![(at, Event::KillDaemon(machine)), (until, Event::StartDaemon(machine))],
        7 => vec![(at, Event::HangDaemon(machine)), (until, Event::WakeDaemon(machine))],
        8 => vec![(at, Event::KillKeeper(machine))],
        9 => {
            let end = if dice.bool() { Event::KillMachine(machine) } else { Event::PowerOff(machine) };
            vec![(at, end), (until, Event::StartDaemon(machine))]
        }
        10 => vec![
            (at, Event::Cut(here, there)),
            (at, Event::Cut(there, here)),
            (until, Event::Heal(here, there)),
            (until, Event::Heal(there, here)),
        ],
        11 => {
            let (from, to) = [(here, there), (there, here), (Site::Client, there)][dice.usize(..3)];
            vec![(at, Event::Cut(from, to)), (until, Event::Heal(from, to))]
        }
        12 => {
            let (from, to) = [(here, there), (there, here), (there, Site::Client)][dice.usize(..3)];
            vec![(at, Event::Slow(from, to)), (until, Event::Heal(from, to))]
        }
        _ => vec![(at, Event::Reset(here, there))],
    }
}

/// A dataflow of one, two or three nodes, on one machine or two.
fn submission(dice: &mut Rng, id: DataflowId) -> Submission {
    let (one, other) = (dice.usize(..MACHINES), dice.usize(..MACHINES));
    let descriptor = match dice.u8(..4) {
        0 => "nodes:\n  - { id: a, path: a }\n".to_owned(),
        1 => "nodes:\n  - { id: a, path: a, outputs: [x] }\n  - { id: b, path: b, inputs: { x: a/x } }\n".to_owned(),
        2 => format!("nodes:\n  - {{ id: a, path: a, deploy: {{ machine: m{one} }} }}\n  - {{ id: b, path: b }}\n"),
        _ => format!(
            "nodes:\n  - {{ id: a, path: a, deploy: {{ machine: m{one} }} }}\n  - {{ id: b, path: b, deploy: {{ machine: \
             m{other} }} }}\n"
        ),
    };
    let name = (dice.u8(..3) > 0).then(|| format!("flow{}", dice.u8(..3)));
    Submission { id: Some(id), descriptor, name, ..Submission::default() }
}
