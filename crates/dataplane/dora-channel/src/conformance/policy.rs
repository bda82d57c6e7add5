//! What happens on a full queue, and that nothing gets lost uncounted.

use super::*;

/// Sends `n` messages to a consumer that reads nothing, then closes: the numbers that it finds.
fn left_in_queue<H: Harness>(harness: &H, capacity: u32, policy: Policy, n: u64) -> Vec<u64> {
    let (mut sender, mut receivers) = harness.fan_out(&[edge(capacity, policy)]);
    for number in 0..n {
        let queued = policy != Policy::DropNewest || number < u64::from(capacity);
        assert_eq!(sender.send(&stamped(64, number), &[]), Ok(usize::from(queued)));
    }
    let counters = sender.probe(0);
    check_sums(&counters());
    assert_eq!(counters().queued, n.min(u64::from(capacity)));
    assert_eq!(counters().dropped, n.saturating_sub(u64::from(capacity)));
    assert_eq!(sender.held(), counters().queued as usize, "what was dropped is released");
    sender.close();
    let mut numbers = Vec::new();
    while let Received::Message { sample, .. } = receivers[0].receive(LONG) {
        check_stamp(&sample, 64, sample.sequence());
        numbers.push(sample.sequence());
    }
    check_sums(&counters());
    numbers
}

pub fn drop_oldest_keeps_the_newest<H: Harness>(harness: &H) {
    assert_eq!(left_in_queue(harness, 3, Policy::DropOldest, 10), [7, 8, 9]);
    assert_eq!(left_in_queue(harness, 3, Policy::DropOldest, 2), [0, 1]);
}

pub fn drop_newest_keeps_the_oldest<H: Harness>(harness: &H) {
    assert_eq!(left_in_queue(harness, 3, Policy::DropNewest, 10), [0, 1, 2]);
}

pub fn capacity_one<H: Harness>(harness: &H) {
    assert_eq!(left_in_queue(harness, 1, Policy::DropOldest, 5), [4]);
    assert_eq!(left_in_queue(harness, 1, Policy::DropNewest, 5), [0]);
    const N: u64 = 500;
    let (mut sender, mut receivers) = harness.fan_out(&[edge(1, Policy::Backpressure)]);
    let sending = in_background(move || (0..N).for_each(|n| assert_eq!(sender.send(&stamped(64, n), &[]), Ok(1))));
    (0..N).for_each(|number| check_stamp(&receivers[0].receive(LONG).sample(), 64, number));
    sending();
    assert!(receivers[0].receive(LONG).is_end_of(0));
}

pub fn racing_counts_add_up<H: Harness>(harness: &H) {
    const N: u64 = 5000;
    for policy in [Policy::DropOldest, Policy::DropNewest] {
        for capacity in [1, 3, 8] {
            let (mut sender, mut receivers) = harness.fan_out(&[edge(capacity, policy)]);
            let counters = sender.probe(0);
            let sending = in_background(move || {
                (0..N).for_each(|number| assert!(sender.send(&stamped(100, number), &[]).unwrap() <= 1));
                sender.close();
                sender
            });
            let mut next = 0;
            let mut last = None;
            let mut received = 0;
            while let Received::Message { sample, .. } = receivers[0].receive(LONG) {
                assert!(sample.sequence() >= next, "out of order");
                check_stamp(&sample, 100, sample.sequence());
                next = sample.sequence() + 1;
                last = Some(sample.sequence());
                received += 1;
            }
            let sender = sending();
            check_sums(&counters());
            assert_eq!((counters().sent, counters().received, counters().queued), (N, received, 0));
            assert_eq!(sender.held(), 0);
            if policy == Policy::DropOldest {
                assert_eq!(last, Some(N - 1), "the newest arrives");
            }
        }
    }
}

pub fn never_reading_consumer_delays_nobody<H: Harness>(harness: &H) {
    const N: u64 = 500;
    let edges = [edge(2, Policy::DropOldest), edge(2, Policy::DropNewest), edge(2, Policy::Backpressure)];
    let (mut sender, mut receivers) = harness.fan_out(&edges);
    let sending = in_background(move || {
        (0..N).for_each(|number| assert!(sender.send(&stamped(64, number), &[]).is_ok()));
        sender
    });
    (0..N).for_each(|number| check_stamp(&receivers[2].receive(LONG).sample(), 64, number));
    let sender = sending();
    (0..3).for_each(|consumer| check_sums(&sender.probe(consumer)()));
    check_stamp(&receivers[0].receive(LONG).sample(), 64, N - 2);
    check_stamp(&receivers[1].receive(LONG).sample(), 64, 0);
}
