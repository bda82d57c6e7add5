//! Ends: of a stream, of a consumer, of a sender, of a sample.

use super::*;

pub fn end_comes_after_the_last_message<H: Harness>(harness: &H) {
    let (mut sender, mut receivers) = harness.fan_out(&[edge(5, Policy::Backpressure)]);
    (0..3).for_each(|number| assert_eq!(sender.send(&stamped(40, number), &[]), Ok(1)));
    sender.close();
    assert_eq!(sender.send(&stamped(40, 3), &[]), Ok(0), "nobody gets what is sent after the end");
    (0..3).for_each(|number| check_stamp(&receivers[0].receive(LONG).sample(), 40, number));
    assert!(receivers[0].receive(LONG).is_end_of(0));
    assert!(matches!(receivers[0].receive(Duration::ZERO), Received::Nothing), "the end comes once");
}

pub fn end_wakes_a_sleeper<H: Harness>(harness: &H) {
    for _ in 0..50 {
        let (sender, mut receivers) = harness.fan_out(&[edge(5, Policy::Backpressure)]);
        let waiting = in_background(move || receivers[0].receive(LONG).is_end_of(0));
        drop(sender);
        assert!(waiting());
    }
}

/// A sender that fills its queue on another thread and then blocks: the end of its blocked send, and what reads its
/// counters.
fn blocked<H: Harness>(harness: &H) -> (impl FnOnce() -> Attempt<H>, H::Receiver, Stop) {
    let (mut sender, mut receivers) = harness.fan_out(&[edge(2, Policy::Backpressure)]);
    (0..2).for_each(|number| assert_eq!(sender.send(&stamped(64, number), &[]), Ok(1)));
    let stop = sender.stopper();
    let sending = in_background(move || (sender.send(&stamped(64, 2), &[]), sender));
    (sending, receivers.remove(0), stop)
}

pub fn leaving_releases_a_blocked_sender<H: Harness>(harness: &H) {
    for _ in 0..20 {
        let (sending, receiver, _) = blocked(harness);
        drop(receiver);
        let (result, sender) = sending();
        assert_eq!(result, Ok(0));
        assert_eq!(sender.held(), 0, "what was queued is released");
    }
}

pub fn leaving_gives_queued_samples_back<H: Harness>(harness: &H) {
    let (mut sender, mut receivers) = harness.fan_out(&[edge(5, Policy::DropOldest), edge(5, Policy::DropOldest)]);
    (0..3).for_each(|number| assert_eq!(sender.send(&stamped(64, number), &[]), Ok(2)));
    drop(receivers.remove(1));
    assert_eq!(sender.send(&stamped(64, 3), &[]), Ok(1));
    let left = sender.probe(1)();
    assert_eq!((left.sent, left.received, left.queued), (3, 0, 3), "what was not read counts as undelivered");
    assert_eq!(sender.held(), 4);
    (0..4).for_each(|number| check_stamp(&receivers[0].receive(LONG).sample(), 64, number));
    assert_eq!(sender.held(), 0);
}

pub fn sample_outlives_its_receiver<H: Harness>(harness: &H) {
    let (mut sender, mut receivers) = harness.fan_out(&[edge(5, Policy::DropOldest), edge(2, Policy::DropOldest)]);
    (0..2).for_each(|number| assert_eq!(sender.send(&stamped(64, number), &[]), Ok(2)));
    let sample = receivers[0].receive(LONG).sample();
    drop(receivers.remove(0));
    (2..300).for_each(|number| assert_eq!(sender.send(&stamped(64, number), &[]), Ok(1)));
    check_stamp(&sample, 64, 0);
    assert_eq!(sender.held(), 3, "the sample and the queue of the other");
    drop(sample);
    assert_eq!(sender.held(), 2);
}

pub fn stop_releases_a_blocked_sender<H: Harness>(harness: &H) {
    for _ in 0..20 {
        let (sending, mut receiver, stop) = blocked(harness);
        stop();
        let (result, mut sender) = sending();
        assert_eq!(result, Err(Refused::Stopping));
        let counters = sender.probe(0);
        assert_eq!((counters().sent, counters().dropped, counters().queued), (3, 1, 2));
        assert_eq!(sender.send(&stamped(64, 3), &[]), Err(Refused::Stopping), "no send waits from now on");
        check_stamp(&receiver.receive(LONG).sample(), 64, 0);
        assert_eq!(sender.send(&stamped(64, 4), &[]), Ok(1), "one that need not wait is sent");
        check_sums(&counters());
    }
}

pub fn held_samples_keep_their_content<H: Harness>(harness: &H) {
    let (mut sender, mut receivers) = harness.fan_out(&[edge(3, Policy::DropOldest)]);
    let mut held = Vec::new();
    for number in 0..400 {
        assert_eq!(sender.send(&stamped(1000, number), &stamped(50, number)), Ok(1));
        if number % 10 == 0 {
            while held.last().is_none_or(|(last, _)| *last != number) {
                let sample = receivers[0].receive(LONG).sample();
                held.push((sample.sequence(), sample));
            }
        }
    }
    for (number, sample) in &held {
        check_stamp(sample, 1000, *number);
        assert!(sample.header() == stamped(50, *number));
    }
    assert!(held.len() > 40);
    assert_eq!(sender.held(), held.len() + 3);
}

pub fn sample_outlives_its_sender<H: Harness>(harness: &H) {
    let (mut sender, mut receivers) = harness.fan_out(&[edge(3, Policy::DropOldest)]);
    (0..3).for_each(|number| assert_eq!(sender.send(&stamped(100_000, number), &[]), Ok(1)));
    let first = receivers[0].receive(LONG).sample();
    drop(sender);
    let second = receivers[0].receive(LONG).sample();
    drop(receivers);
    check_stamp(&first, 100_000, 0);
    check_stamp(&second, 100_000, 1);
}

pub fn late_leaving_is_no_loss<H: Harness>(harness: &H) {
    let (mut sender, mut receivers) = harness.fan_out(&[edge(3, Policy::Backpressure), edge(3, Policy::Backpressure)]);
    sender.send(&stamped(64, 0), &[]).unwrap();
    sender.close();
    drop(receivers.remove(0));
    check_stamp(&receivers[0].receive(LONG).sample(), 64, 0);
    assert!(receivers[0].receive(LONG).is_end_of(0));
}
