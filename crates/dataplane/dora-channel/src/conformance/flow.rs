//! Messages arrive: all, once, in order, whole, at everybody.

use std::time::{Duration, Instant};

use super::*;

pub fn order_is_kept<H: Harness>(harness: &H) {
    const N: u64 = 5000;
    let (mut sender, mut receivers) = harness.fan_out(&[edge(4, Policy::Backpressure)]);
    let counters = sender.probe(0);
    let sending = in_background(move || {
        for number in 0..N {
            let len = if number % 2 == 0 { 8 } else { 300 };
            assert_eq!(sender.send(&stamped(len, number), &[]), Ok(1));
        }
    });
    for number in 0..N {
        let len = if number % 2 == 0 { 8 } else { 300 };
        check_stamp(&receivers[0].receive(LONG).sample(), len, number);
    }
    sending();
    let counters = counters();
    check_sums(&counters);
    assert_eq!((counters.sent, counters.received, counters.dropped), (N, N, 0));
    assert_eq!(counters.bytes, N / 2 * 308);
}

pub fn lossless_to_four<H: Harness>(harness: &H) {
    const N: u64 = 1000;
    let (mut sender, receivers) = harness.fan_out(&[2, 1, 7, 64].map(|capacity| edge(capacity, Policy::Backpressure)));
    let reading: Vec<_> = receivers
        .into_iter()
        .map(|mut receiver| {
            in_background(move || {
                (0..N).for_each(|number| check_stamp(&receiver.receive(LONG).sample(), 4096, number));
                assert!(receiver.receive(LONG).is_end_of(0));
            })
        })
        .collect();
    for number in 0..N {
        assert_eq!(sender.send(&stamped(4096, number), &[]), Ok(4));
    }
    sender.close();
    reading.into_iter().for_each(|join| join());
    eventually("all is released", || sender.held() == 0);
    (0..4).for_each(|consumer| check_sums(&sender.probe(consumer)()));
}

pub fn payloads_of_all_sizes<H: Harness>(harness: &H) {
    let (mut sender, mut receivers) = harness.fan_out(&[edge(1, Policy::DropOldest)]);
    let mut number = 0;
    for len in [0, 1, 7, 8, 23, 24, 25, 255, 256, 257, 4096, 65_537, 5 << 20] {
        for header_len in [0, 1, 300, 70_000] {
            let header = stamped(header_len, u64::MAX - number);
            assert_eq!(sender.send(&stamped(len, number), &header), Ok(1));
            let sample = receivers[0].receive(LONG).sample();
            check_stamp(&sample, len, number);
            assert!(sample.header() == header, "header of {header_len} bytes behind {len} bytes");
            number += 1;
        }
    }
    assert_eq!(sender.held(), 0);
}

pub fn inputs_take_turns<H: Harness>(harness: &H) {
    let (mut senders, mut receiver) = harness.fan_in(&[edge(10, Policy::DropNewest); 3]);
    for number in 0..10 {
        senders.iter_mut().for_each(|sender| assert_eq!(sender.send(&stamped(8, number), &[]), Ok(1)));
    }
    for number in 0..10 {
        let mut inputs: Vec<_> = (0..3)
            .map(|_| match receiver.receive(LONG) {
                Received::Message { input, sample } => {
                    check_stamp(&sample, 8, number);
                    input
                }
                other => panic!("{other:?}"),
            })
            .collect();
        inputs.sort_unstable();
        assert_eq!(inputs, [0, 1, 2], "round {number}");
    }
    senders.remove(1);
    assert!(receiver.receive(LONG).is_end_of(1));
    senders[1].send(&stamped(8, 10), &[]).unwrap();
    assert!(matches!(receiver.receive(LONG), Received::Message { input: 2, .. }));
}

pub fn a_hundred_consumers<H: Harness>(harness: &H) {
    many_consumers(harness, 100);
}

pub fn three_hundred_consumers<H: Harness>(harness: &H) {
    many_consumers(harness, 300);
}

fn many_consumers<H: Harness>(harness: &H, count: usize) {
    let (mut sender, mut receivers) = harness.fan_out(&vec![edge(2, Policy::DropOldest); count]);
    for number in 0..3 {
        assert_eq!(sender.send(&stamped(100, number), &[]), Ok(count));
        assert_eq!(sender.held(), 1);
        let samples: Vec<_> = receivers.iter_mut().map(|receiver| receiver.receive(LONG).sample()).collect();
        // The last one alone keeps it, and then nobody.
        let mut samples = samples.into_iter().rev();
        let last = samples.next().unwrap();
        samples.for_each(drop);
        assert_eq!(sender.held(), 1);
        check_stamp(&last, 100, number);
        drop(last);
        assert_eq!(sender.held(), 0);
    }
    // Half of them leave; the others notice nothing.
    receivers.truncate(count / 2);
    assert_eq!(sender.send(&stamped(100, 3), &[]), Ok(count / 2));
    receivers.iter_mut().for_each(|receiver| check_stamp(&receiver.receive(LONG).sample(), 100, 3));
    assert_eq!(sender.held(), 0);
}

pub fn nothing_within_the_deadline<H: Harness>(harness: &H) {
    let (_sender, mut receivers) = harness.fan_out(&[edge(1, Policy::DropOldest)]);
    for wait in [Duration::ZERO, Duration::from_millis(5)] {
        let start = Instant::now();
        assert!(matches!(receivers[0].receive(wait), Received::Nothing));
        assert!(start.elapsed() >= wait, "it came too early");
    }
}

pub fn sleeping_receiver_is_woken<H: Harness>(harness: &H) {
    let (mut senders, mut receiver) = harness.fan_in(&[edge(1, Policy::DropOldest); 2]);
    for number in 0..200 {
        let sending = senders.swap_remove(0);
        let sending = in_background(move || {
            let mut sender = sending;
            sender.send(&stamped(8, number / 2), &[]).unwrap();
            sender
        });
        check_stamp(&receiver.receive(LONG).sample(), 8, number / 2);
        senders.push(sending());
    }
}
