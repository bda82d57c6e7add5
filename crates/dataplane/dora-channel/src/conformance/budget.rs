//! Memory: what a spent budget means for each policy, and that memory follows use.

use super::*;

const MIB: usize = 1 << 20;
const BUDGET: u64 = 4 << 20;

fn one<H: BudgetHarness>(harness: &H, edges: &[Edge]) -> (H::Sender, Vec<H::Receiver>) {
    harness.with_budget(BUDGET, &[edges]).remove(0)
}

pub fn spent_budget_evicts_the_oldest<H: BudgetHarness>(harness: &H) {
    let (mut sender, mut receivers) = one(harness, &[edge(100, Policy::DropOldest)]);
    (0..10).for_each(|number| assert_eq!(sender.send(&stamped(MIB, number), &[]), Ok(1)));
    assert!(H::used(&sender) <= BUDGET);
    let counters = sender.probe(0);
    check_sums(&counters());
    assert_eq!((counters().dropped, counters().queued), (6, 4));
    (6..10).for_each(|number| check_stamp(&receivers[0].receive(LONG).sample(), MIB, number));
    assert_eq!(sender.held(), 0);
}

pub fn spent_budget_waits_under_backpressure<H: BudgetHarness>(harness: &H) {
    let (mut sender, mut receivers) = one(harness, &[edge(100, Policy::Backpressure)]);
    let counters = sender.probe(0);
    let sending = in_background(move || {
        (0..20).for_each(|number| assert_eq!(sender.send(&stamped(MIB, number), &[]), Ok(1)));
        sender
    });
    eventually("the budget is spent", || counters().queued == 4);
    (0..20).for_each(|number| check_stamp(&receivers[0].receive(LONG).sample(), MIB, number));
    let sender = sending();
    assert_eq!((counters().received, counters().dropped), (20, 0));
    assert!(H::used(&sender) <= BUDGET);
}

pub fn spent_budget_is_an_error_with_sizes<H: BudgetHarness>(harness: &H) {
    let (mut sender, mut receivers) = one(harness, &[edge(100, Policy::DropNewest)]);
    let mut held = Vec::new();
    for number in 0..4 {
        assert_eq!(sender.send(&stamped(MIB, number), &[]), Ok(1));
        held.push(receivers[0].receive(LONG).sample());
    }
    let Err(Refused::NoMemory(text)) = sender.send(&stamped(MIB, 4), &[]) else { panic!("no memory is left") };
    for size in [MIB as u64, BUDGET] {
        assert!(text.contains(&size.to_string()), "{size} is missing in: {text}");
    }
    held.iter().enumerate().for_each(|(number, sample)| check_stamp(sample, MIB, number as u64));
    held.remove(0);
    assert_eq!(sender.send(&stamped(MIB, 4), &[]), Ok(1), "what was released can be used again");
}

pub fn message_beyond_the_budget_evicts_nothing<H: BudgetHarness>(harness: &H) {
    let (mut sender, _receivers) = one(harness, &[edge(100, Policy::DropOldest), edge(100, Policy::Backpressure)]);
    sender.send(&stamped(MIB, 0), &[]).unwrap();
    assert!(matches!(sender.send(&stamped(5 * MIB, 1), &[]), Err(Refused::NoMemory(_))));
    assert_eq!(sender.probe(0)().dropped, 0);
}

pub fn pages_come_back_under_pressure<H: BudgetHarness>(harness: &H) {
    let edges: &[Edge] = &[edge(100, Policy::DropNewest)];
    let mut ends = harness.with_budget(BUDGET, &[edges, edges]);
    let (mut needy, mut needy_receivers) = ends.remove(1);
    let (mut bursting, mut receivers) = ends.remove(0);
    (0..3).for_each(|number| assert_eq!(bursting.send(&stamped(MIB, number), &[]), Ok(1)));
    (0..3).for_each(|number| check_stamp(&receivers[0].receive(LONG).sample(), MIB, number));
    assert!(H::used(&bursting) >= 3 * MIB as u64, "its pages stay warm while nobody asks for them");
    // The other one meets the limit, and says so; the first gives back what it does not use when it sends next.
    assert!(matches!(needy.send(&stamped(3 * MIB, 0), &[]), Err(Refused::NoMemory(_))));
    assert_eq!(bursting.send(&stamped(40, 3), &[]), Ok(1));
    assert!(H::used(&bursting) < MIB as u64, "{} bytes in use", H::used(&bursting));
    assert_eq!(needy.send(&stamped(3 * MIB, 0), &[]), Ok(1));
    assert_eq!(needy_receivers[0].receive(LONG).sample().payload().len(), 3 * MIB);
}

pub fn held_sample_keeps_its_own_memory_only<H: BudgetHarness>(harness: &H) {
    let (mut sender, mut receivers) = one(harness, &[edge(100, Policy::DropNewest)]);
    (0..12).for_each(|number| assert_eq!(sender.send(&stamped(MIB / 4, number), &[]), Ok(1)));
    let mut samples: Vec<_> = (0..12).map(|_| receivers[0].receive(LONG).sample()).collect();
    let kept = samples.remove(5);
    drop(samples);
    assert!(H::used(&sender) >= 3 * MIB as u64);
    H::trim(&sender);
    assert_eq!(H::used(&sender), MIB as u64 / 4);
    check_stamp(&kept, MIB / 4, 5);
}

pub fn leaving_gives_queued_memory_back<H: BudgetHarness>(harness: &H) {
    let (mut sender, mut receivers) = one(harness, &[edge(10, Policy::DropNewest), edge(10, Policy::DropNewest)]);
    (0..4).for_each(|number| assert_eq!(sender.send(&stamped(MIB, number), &[]), Ok(2)));
    (0..4).for_each(|number| check_stamp(&receivers[0].receive(LONG).sample(), MIB, number));
    drop(receivers.remove(1));
    assert_eq!(sender.send(&stamped(MIB, 4), &[]), Ok(1), "the queue of who left is no reason to fail");
}

/// A sender that waits for memory on another thread, and its receiver with all of it queued.
fn waiting_for_memory<H: BudgetHarness>(harness: &H) -> (impl FnOnce() -> Attempt<H>, Vec<H::Receiver>, Stop) {
    let (mut sender, receivers) = one(harness, &[edge(10, Policy::Backpressure)]);
    (0..4).for_each(|number| assert_eq!(sender.send(&stamped(MIB, number), &[]), Ok(1)));
    let stop = sender.stopper();
    let sending = in_background(move || (sender.send(&stamped(MIB, 4), &[]), sender));
    (sending, receivers, stop)
}

pub fn leaving_releases_a_sender_that_waits_for_memory<H: BudgetHarness>(harness: &H) {
    for _ in 0..10 {
        let (sending, receivers, _) = waiting_for_memory(harness);
        drop(receivers);
        let (result, sender) = sending();
        assert_eq!(result, Ok(0));
        assert_eq!(sender.held(), 0);
    }
}

pub fn stop_releases_a_sender_that_waits_for_memory<H: BudgetHarness>(harness: &H) {
    for _ in 0..10 {
        let (sending, _receivers, stop) = waiting_for_memory(harness);
        stop();
        assert_eq!(sending().0, Err(Refused::Stopping));
    }
}

pub fn hoarder_does_not_keep_a_sender_waiting<H: BudgetHarness>(harness: &H) {
    let (mut sender, mut receivers) = one(harness, &[edge(10, Policy::DropNewest), edge(10, Policy::Backpressure)]);
    (0..4).for_each(|number| assert_eq!(sender.send(&stamped(MIB, number), &[]), Ok(2)));
    // One that travels without memory: its end tells the sender nothing.
    sender.send(&stamped(8, 4), &[]).unwrap();
    let hoard: Vec<_> = (0..4).map(|_| receivers[0].receive(LONG).sample()).collect();
    let sending = in_background(move || sender.send(&stamped(MIB, 5), &[]));
    (0..4).for_each(|number| check_stamp(&receivers[1].receive(LONG).sample(), MIB, number));
    assert!(matches!(sending(), Err(Refused::NoMemory(_))), "the lossless consumer has nothing left to release");
    drop(hoard);
}

pub fn small_messages_survive_a_spent_budget<H: BudgetHarness>(harness: &H) {
    let (mut sender, mut receivers) = one(harness, &[edge(10, Policy::DropOldest), edge(10, Policy::DropNewest)]);
    let mut hoard = Vec::new();
    for number in 0..4 {
        assert_eq!(sender.send(&stamped(MIB, number), &[]), Ok(2));
        receivers[0].receive(LONG).sample();
        hoard.push(receivers[1].receive(LONG).sample());
    }
    (4..7).for_each(|number| assert_eq!(sender.send(&stamped(8, number), &[]), Ok(2)));
    assert!(matches!(sender.send(&stamped(MIB, 7), &[]), Err(Refused::NoMemory(_))));
    assert_eq!(sender.probe(0)().dropped, 0, "evicting them would have given nothing");
    (4..7).for_each(|number| check_stamp(&receivers[0].receive(LONG).sample(), 8, number));
}
