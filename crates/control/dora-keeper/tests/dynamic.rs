//! Dynamic nodes, packet by packet: the test itself is the process that joins.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use common::*;
use dora_channel::os::{
    named,
    packet::{self, Blocking},
};
use dora_message::{
    attach::{Standing, ToListener, socket_name},
    id::DataflowId,
    keeper::{FromNode, MAX_PACKET, PROTOCOL_VERSION, QueuePolicy, ToNode},
    supervision::{FromKeeper, LaunchPlan, ToKeeper},
};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde::{Serialize, de::DeserializeOwned};

/// A node that nobody starts.
fn dynamic(mut plan: LaunchPlan, id: &str) -> LaunchPlan {
    plan = plan.helper(id, "serve");
    plan.nodes.last_mut().unwrap().program = None;
    plan
}

struct Visitor(OwnedFd);

impl Visitor {
    /// Once the keeper listens.
    fn of(dataflow: &DataflowId) -> Self {
        Visitor(named::connect(&socket_name(named::own_uid(), dataflow), PATIENCE).unwrap())
    }
    fn say(&self, packet: &impl Serialize) {
        packet::send(self.0.as_fd(), &serde_json::to_vec(packet).unwrap(), &[], Blocking::Yes).unwrap();
    }
    fn hear<T: DeserializeOwned>(&self) -> Option<T> {
        let mut buffer = vec![0; MAX_PACKET];
        let (len, _) = packet::receive(self.0.as_fd(), &mut buffer, Blocking::Yes).unwrap();
        (len > 0).then(|| serde_json::from_slice(&buffer[..len]).unwrap())
    }
    fn ask(&self, node: &str) -> Standing {
        self.say(&ToListener::WhoIs { node: node.into() });
        self.hear().unwrap()
    }
    fn hello(&self) {
        self.say(&FromNode::Hello { version: PROTOCOL_VERSION, api: "test".to_owned() });
    }
    fn until(&self, last: impl Fn(&ToNode) -> bool) -> ToNode {
        loop {
            let packet = self.hear().expect("the keeper goes on");
            if last(&packet) {
                return packet;
            }
        }
    }
    /// Everything up to Ready.
    fn enter(dataflow: &DataflowId, node: &str) -> Self {
        let visitor = Visitor::of(dataflow);
        assert_eq!(visitor.ask(node), Standing::Free);
        visitor.hello();
        visitor.until(|packet| *packet == ToNode::Wired);
        visitor.say(&FromNode::Ready);
        visitor
    }
    fn is_silent(&self) -> bool {
        !readable(&self.0, Duration::from_millis(50))
    }
}

fn joined(packet: &FromKeeper) -> bool {
    matches!(packet, FromKeeper::Joined { pid, .. } if *pid == Some(std::process::id()))
}

/// A run whose barrier is passed as soon as a file is there, and whose keeper listens.
fn held_up(plan: LaunchPlan, directory: &tempfile::TempDir) -> Run {
    let wait = format!("echo waiting; while ! test -e {}/go; do sleep 0.01; done", directory.path().display());
    let mut run = Run::launch(&plan.sh("late", &wait));
    run.until_line("waiting");
    run
}

#[test]
fn who_is_early_starts_with_all_others() {
    let directory = tempfile::tempdir().unwrap();
    let plan = dynamic(plan().helper("serve", "serve"), "guest");
    let dataflow = plan.dataflow_id;
    let mut run = held_up(plan, &directory);
    let guest = Visitor::enter(&dataflow, "guest");
    assert!(guest.is_silent(), "it waits for the start");
    std::fs::write(directory.path().join("go"), "").unwrap();
    guest.until(|packet| *packet == ToNode::Start);
    run.until_seen(joined);
    run.stop(10_000);
    guest.until(|packet| *packet == ToNode::Stop);
    drop(guest);
    run.finish();
}

#[test]
fn nobody_waits_for_a_process_that_goes_before_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let plan = dynamic(plan().helper("source", "send-and-abort 2"), "guest").edge(0, 1, 4, QueuePolicy::DropOldest);
    let dataflow = plan.dataflow_id;
    let run = held_up(plan, &directory);
    drop(Visitor::enter(&dataflow, "guest"));
    // The node is free once the keeper has seen that.
    let last = Visitor::of(&dataflow);
    assert_eq!(last.ask("guest"), Standing::Free);
    std::fs::write(directory.path().join("go"), "").unwrap();
    let finished = run.finish();
    assert!(!finished.seen.iter().any(joined), "{:#?}", finished.seen);
    let edge = &finished.report.edges[0];
    // It sends no second one, because the first reached nobody.
    assert_eq!((edge.sent, edge.dropped, edge.unattended, edge.undelivered), (1, 1, 1, 0));
}

#[test]
fn a_start_that_fails_is_told_to_who_has_joined() {
    let directory = tempfile::tempdir().unwrap();
    let wait = format!("echo waiting; while ! test -e {}/go; do sleep 0.01; done; exit 3", directory.path().display());
    let plan = dynamic(plan().sh("bad", &wait), "guest");
    let dataflow = plan.dataflow_id;
    let mut run = Run::launch(&plan);
    run.until_line("waiting");
    let guest = Visitor::enter(&dataflow, "guest");
    std::fs::write(directory.path().join("go"), "").unwrap();
    let ToNode::Refused { reason } = guest.until(|packet| matches!(packet, ToNode::Refused { .. })) else { panic!() };
    assert!(reason.contains("node `bad` exited with code 3"), "{reason}");
    run.finish();
}

#[test]
fn questions_are_answered_and_the_second_is_refused() {
    let plan = dynamic(dynamic(plan().helper("serve", "serve"), "guest"), "other");
    let dataflow = plan.dataflow_id;
    let mut run = Run::launch(&plan);
    run.until_all_ready();
    let ask = |node: &str| Visitor::of(&dataflow).ask(node);
    assert_eq!(ask("nobody"), Standing::Unknown { dynamic: vec!["guest".into(), "other".into()] });
    assert_eq!(ask("serve"), Standing::NotDynamic);
    let second = Visitor::of(&dataflow);
    assert_eq!(second.ask("guest"), Standing::Free);
    let first = Visitor::enter(&dataflow, "guest");
    first.until(|packet| *packet == ToNode::Start);
    let pid = Some(std::process::id());
    assert_eq!(ask("guest"), Standing::Taken { pid, holds_messages: false });
    // It was free when it was asked for.
    second.hello();
    let Some(ToNode::Refused { reason }) = second.hear() else { panic!() };
    assert!(reason.contains(&format!("node `guest` is process {} already", std::process::id())), "{reason}");
    assert_eq!(second.hear::<ToNode>(), None);
    first.say(&FromNode::Left);
    run.until_seen(|packet| matches!(packet, FromKeeper::Left { in_order: true, joins: 1, .. }));
    assert_eq!(ask("guest"), Standing::Taken { pid, holds_messages: true });
    drop(first);
    assert_eq!(ask("guest"), Standing::Free);
    run.stop(10_000);
    run.finish();
}

#[test]
fn nonsense_ends_a_visit_and_nothing_else() {
    let plan = dynamic(plan().helper("serve", "serve"), "guest");
    let dataflow = plan.dataflow_id;
    let mut run = Run::launch(&plan);
    run.until_all_ready();
    for nonsense in [&b"{}"[..], b"\xff", b"{\"type\":\"hello\",\"version\":1,\"api\":\"\"}", &[b'x'; 100_000]] {
        let visitor = Visitor::of(&dataflow);
        packet::send(visitor.0.as_fd(), nonsense, &[], Blocking::Yes).unwrap();
        assert_eq!(visitor.hear::<ToNode>(), None);
    }
    let again = Visitor::of(&dataflow);
    again.ask("guest");
    again.say(&ToListener::WhoIs { node: "guest".into() });
    assert_eq!(again.hear::<Standing>(), None, "it was asked already");
    let future = Visitor::of(&dataflow);
    future.ask("guest");
    future.say(&FromNode::Hello { version: 999, api: "9.9.9".to_owned() });
    assert!(matches!(future.hear(), Some(ToNode::Refused { reason }) if reason.contains("9.9.9")));
    Visitor::enter(&dataflow, "guest").until(|packet| *packet == ToNode::Start);
    run.stop(10_000);
    run.finish();
}

#[test]
fn nobody_joins_what_is_ending() {
    let plan = dynamic(plan().helper("stubborn", "stubborn"), "guest");
    let dataflow = plan.dataflow_id;
    let mut run = Run::launch(&plan);
    run.until_all_ready();
    let visitor = Visitor::of(&dataflow);
    visitor.ask("guest");
    run.stop(3_600_000);
    // Orders are obeyed before visitors are heard: this one is heard after the stop.
    let witness = Visitor::of(&dataflow);
    witness.ask("guest");
    witness.hello();
    let heard: ToNode = witness.hear().unwrap();
    assert!(matches!(&heard, ToNode::Refused { reason } if reason.contains("the dataflow is ending")), "{heard:?}");
    drop(visitor);
    run.tell(&ToKeeper::Kill);
    run.finish();
}

#[test]
fn a_dataflow_of_dynamic_nodes_runs_until_it_is_stopped() {
    let plan = dynamic(plan(), "guest");
    let dataflow = plan.dataflow_id;
    let mut run = Run::launch(&plan);
    run.until_all_ready();
    let guest = Visitor::enter(&dataflow, "guest");
    guest.until(|packet| *packet == ToNode::Start);
    drop(guest);
    run.until_seen(|packet| matches!(packet, FromKeeper::Left { in_order: false, .. }));
    run.stop(10_000);
    run.finish();
}

#[test]
fn silent_visitors_make_room_for_others() {
    let plan = dynamic(plan().helper("serve", "serve"), "guest");
    let dataflow = plan.dataflow_id;
    let mut run = Run::launch(&plan);
    run.until_all_ready();
    let silent: Vec<_> = (0..100).map(|_| Visitor::of(&dataflow)).collect();
    // Once this one was heard, all others were accepted.
    assert_eq!(Visitor::of(&dataflow).ask("guest"), Standing::Free);
    assert_eq!(silent[0].hear::<Standing>(), None, "it was shown out");
    assert_eq!(silent[99].ask("guest"), Standing::Free);
    run.stop(3_600_000);
    run.finish();
}

#[test]
fn a_keeper_that_lacks_descriptors_lets_processes_in_when_it_has_some() {
    let plan = dynamic(plan().helper("serve", "serve"), "guest");
    let dataflow = plan.dataflow_id;
    let mut run = Run::launch(&plan);
    run.until_all_ready();
    let keeper = Pid::from_raw(run.keeper_pid() as i32);
    let usual = getrlimit(Resource::Nofile);
    let usual = prlimit(keeper, Resource::Nofile, Rlimit { current: Some(3), ..usual }).unwrap();
    let guest = Visitor::of(&dataflow);
    run.until_seen(|packet| matches!(packet, FromKeeper::Warning { .. }));
    prlimit(keeper, Resource::Nofile, usual).unwrap();
    assert_eq!(guest.ask("guest"), Standing::Free);
    run.stop(3_600_000);
    let finished = run.finish();
    let [warning] = finished.warnings()[..] else { panic!("{:?}", finished.warnings()) };
    assert!(warning.contains("have to wait") && warning.contains("Too many open files"), "{warning}");
}
