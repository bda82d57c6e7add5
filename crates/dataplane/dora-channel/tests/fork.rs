//! A forked child keeps the samples that its parent holds, and nothing else.
#![cfg(not(loom))]
#![allow(unsafe_code, clippy::unwrap_used)]

mod common;

use common::{Asleep, SharedMemory};
use dora_channel::{
    Policy,
    conformance::{Harness, LONG, Receiver, Sample, Sender, check_stamp, edge, stamped},
};

/// Runs in the child: 0 if all is as it should be.
fn in_child(sample: impl Sample, sender: impl Sender, receivers: Vec<impl Receiver>) -> i32 {
    if sample.payload() != stamped(10_000, 0) {
        return 1;
    }
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return 2 };
    let is_mapped = |name: &str| maps.contains(&format!("memfd:dora-{name}"));
    if !is_mapped("arena") {
        return 3;
    }
    if ["edge", "bell", "holders", "budget"].into_iter().any(is_mapped) {
        return 4;
    }
    // What a child drops must not release, close or unmap anything.
    drop((sample, sender, receivers));
    0
}

#[test]
fn child_reads_held_samples_and_takes_no_part() {
    let (mut sender, mut receivers) = SharedMemory(Asleep::OnFutex).fan_out(&[edge(2, Policy::Backpressure)]);
    sender.send(&stamped(10_000, 0), &[]).unwrap();
    let sample = receivers[0].receive(LONG).sample();
    // SAFETY: the child reads memory, allocates (which the C library allows after a fork) and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| in_child(sample, sender, receivers)));
        // SAFETY: ends the child at once, without the destructors of the test harness.
        unsafe { libc::_exit(code.unwrap_or(9)) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "the child was killed by signal {}", libc::WTERMSIG(status));
    assert_eq!(libc::WEXITSTATUS(status), 0);
    assert_eq!(sender.held(), 1, "the child released the parent's sample");
    check_stamp(&sample, 10_000, 0);
    drop(sample);
    assert_eq!(sender.held(), 0);
    for number in 1..5 {
        assert_eq!(sender.send(&stamped(100, number), &[]), Ok(1));
        check_stamp(&receivers[0].receive(LONG).sample(), 100, number);
    }
}
