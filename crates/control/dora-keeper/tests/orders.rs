//! Orders for one node, on real processes.

mod common;

use common::*;
use dora_message::{
    keeper::QueuePolicy,
    supervision::{Ending, ExitCause, FromKeeper, RestartAfter, RestartRule, ToKeeper},
};

const ASK: Ending = Ending::Ask { grace_ms: 3_600_000 };

fn stop(node: &str, ending: Ending) -> ToKeeper {
    ToKeeper::StopNode { node: node.into(), ending }
}
fn restart(node: &str, ending: Ending) -> ToKeeper {
    ToKeeper::RestartNode { node: node.into(), ending }
}
fn always() -> RestartRule {
    RestartRule { after: RestartAfter::AnyEnd, max_restarts: 0, delay: None, max_delay: None, window: None }
}
fn has_exited(id: &'static str) -> impl Fn(&FromKeeper) -> bool {
    move |packet| matches!(packet, FromKeeper::Exited { node, .. } if node.as_str() == id)
}
fn restarts(finished: &Finished) -> usize {
    finished.seen.iter().filter(|packet| matches!(packet, FromKeeper::Restarting { delay_ms: 0, .. })).count()
}

#[test]
fn a_node_is_stopped_alone_whatever_its_rule_says() {
    let mut run = Run::launch(&plan().helper("a", "serve").restart(always()).helper("b", "serve"));
    run.until_all_ready();
    run.tell(&stop("a", ASK));
    run.until_seen(has_exited("a"));
    let figures = run.figures();
    assert!(figures.nodes[0].pid.is_none() && figures.nodes[1].connected, "{figures:#?}");
    run.tell(&stop("b", ASK));
    let finished = run.finish();
    for id in ["a", "b"] {
        assert_eq!(finished.exit(id), (code(0), ExitCause::Stopped));
    }
    assert_eq!(restarts(&finished), 0);
}

#[test]
fn who_does_not_listen_is_made_to_stop() {
    let mut run =
        Run::launch(&plan().helper("asked", "stubborn").helper("hurried", "stubborn").helper("c", "stubborn"));
    run.until_all_ready();
    run.tell(&stop("asked", Ending::Ask { grace_ms: 1000 }));
    run.tell(&stop("hurried", Ending::Hurry));
    run.tell(&stop("c", Ending::Kill));
    let finished = run.finish();
    assert_eq!(finished.exit("asked"), (signal(15), ExitCause::Stopped));
    assert_eq!(finished.exit("hurried"), (signal(15), ExitCause::Stopped));
    assert_eq!(finished.exit("c"), (signal(9), ExitCause::Stopped));
}

#[test]
fn a_restart_keeps_the_queue_of_a_node_without_a_rule() {
    let plan = plan().helper("source", "send-and-serve 3").helper("sink", "first serve receive");
    let mut run = Run::launch(&plan.edge(0, 1, 10, QueuePolicy::Backpressure));
    run.until_all_ready();
    // The descriptors of the edge are needed again.
    run.tell(&restart("sink", ASK));
    run.until_line("message 2");
    let edge = &run.figures().edges[0];
    assert_eq!((edge.counters.sent, edge.counters.received, edge.queued), (3, 3, 0));
    run.tell(&stop("source", ASK));
    let finished = run.finish();
    assert_eq!((finished.exit("source"), restarts(&finished)), ((code(0), ExitCause::Stopped), 1));
    assert_eq!(finished.exit("sink"), (code(0), ExitCause::Own));
    assert!(finished.stdout("sink").ends_with("message 0\nmessage 1\nmessage 2\nclosed\n"));
}

#[test]
fn a_killed_producer_is_followed_by_the_next_one() {
    let plan = plan().helper("source", "send-and-serve 2").helper("sink", "stubborn");
    let mut run = Run::launch(&plan.edge(0, 1, 10, QueuePolicy::DropOldest));
    run.until_all_ready();
    while run.figures().edges[0].queued < 2 {}
    run.tell(&restart("source", Ending::Kill));
    run.until_seen(|packet| lines(packet).iter().any(|line| line.contains("\"node_restarted\",\"node\":\"source\"")));
    while run.figures().edges[0].queued < 4 {}
    assert_eq!(run.figures().nodes[0].restarts, 1);
    run.stop(0);
    let finished = run.finish();
    let restarting =
        |packet: &FromKeeper| matches!(packet, FromKeeper::Restarting { status, .. } if *status == signal(9));
    assert!(finished.seen.iter().any(restarting), "{:#?}", finished.seen);
}

#[test]
fn a_restart_does_not_wait_for_the_rule() {
    let delay = Some(std::time::Duration::from_secs(100_000));
    let rule = RestartRule { delay, ..always() };
    let mut run = Run::launch(&plan().helper("b", "serve").helper("a", "first crash serve").restart(rule));
    run.until(|packet| matches!(packet, FromKeeper::Restarting { .. }).then_some(()));
    run.tell(&restart("a", ASK));
    run.until(|packet| matches!(packet, FromKeeper::Spawned { .. }).then_some(()));
    run.tell(&stop("a", Ending::Kill));
    run.until_seen(has_exited("a"));
    run.stop(3_600_000);
    assert_eq!(run.finish().exit("a"), (signal(9), ExitCause::Stopped));
}

#[test]
fn a_stop_ends_the_wait_for_a_restart() {
    let delay = Some(std::time::Duration::from_secs(100_000));
    let mut run =
        Run::launch(&plan().sh("a", "exit 3").restart(RestartRule { delay, ..always() }).helper("b", "serve"));
    run.until(|packet| matches!(packet, FromKeeper::Restarting { .. }).then_some(()));
    run.tell(&stop("a", ASK));
    run.until_all_ready();
    run.tell(&stop("b", ASK));
    assert_eq!(run.finish().exit("a"), (code(3), ExitCause::NotRestarted));
}

#[test]
fn a_program_that_never_connects_can_be_stopped_and_the_others_start() {
    let mut run = Run::launch(&plan().sh("mute", "exec sleep 1000").helper("b", "exit 0"));
    run.until_line("i am b with 0 inputs");
    run.tell(&stop("mute", ASK));
    let finished = run.finish();
    assert_eq!(finished.exit("mute"), (signal(15), ExitCause::Stopped));
    assert_eq!(finished.warnings(), ["node `mute` was stopped; the others start without it"]);
    assert!(finished.seen.contains(&FromKeeper::AllReady));
}

#[test]
fn an_input_that_a_node_has_ended_cannot_be_kept() {
    let plan = plan().helper("source", "serve").helper("sink", "deaf");
    let mut run = Run::launch(&plan.edge(0, 1, 10, QueuePolicy::DropOldest));
    run.until_line("deaf now");
    run.tell(&restart("sink", ASK));
    run.until_seen(has_exited("sink"));
    run.tell(&stop("source", ASK));
    let finished = run.finish();
    let [warning] = finished.warnings()[..] else { panic!("{:?}", finished.warnings()) };
    assert!(warning.starts_with("node `sink` is not started again: its process had ended its inputs"), "{warning}");
    assert_eq!((finished.exit("sink"), restarts(&finished)), ((code(0), ExitCause::Stopped), 0));
}

#[test]
fn what_cannot_be_is_refused() {
    let mut run = Run::launch(&plan().helper("a", "exit 0").helper("b", "serve"));
    run.until_seen(has_exited("a"));
    run.tell(&stop("a", ASK));
    run.tell(&restart("zed", ASK));
    run.stop(3_600_000);
    run.tell(&restart("b", ASK));
    let finished = run.finish();
    let expected = [
        "node `a` cannot be stopped: it has ended",
        "node `zed` cannot be started again: the dataflow has no such node on this machine",
        "node `b` cannot be started again: the dataflow is ending",
    ];
    assert_eq!(finished.warnings(), expected);
}
