//! What nodes print arrives whole, in order, and never holds up anybody else.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{fs::File, os::unix::fs::OpenOptionsExt as _, time::Instant};

use common::*;
use dora_message::supervision::{ExitCause, FromKeeper, OutputStream, ToKeeper};
use rustix::{
    event::{Timespec, epoll},
    fs::OFlags,
    io::retry_on_intr,
};

/// Whoever reads at all reads within this time. If the machine is slower, less has been written when it is looked at.
const SILENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };

#[test]
fn lines_of_both_streams_and_the_end() {
    let run = Run::launch(&plan().sh("a", "echo one; echo two >&2; printf 'no newline'; exit 3"));
    let finished = run.finish();
    assert_eq!(finished.stdout("a"), "one\nno newline\n");
    assert_eq!(finished.text("a", OutputStream::Stderr), "two\n");
    let (status, cause, never_connected, last_stderr) = finished.exited("a");
    assert_eq!((status, cause, never_connected), (code(3), ExitCause::Own, true));
    assert_eq!(last_stderr, ["two"]);
    assert!(matches!(finished.seen.last(), Some(FromKeeper::Finished { .. })));
}

#[test]
fn a_long_line_comes_in_pieces() {
    let finished = Run::launch(&plan().sh("a", "head -c 100000 /dev/zero | tr '\\0' x; echo end")).finish();
    assert_eq!(finished.stdout("a"), "x".repeat(100_000) + "end\n");
}

#[test]
fn binary_output_is_replaced_and_fits() {
    let finished = Run::launch(&plan().sh("a", "head -c 200000 /dev/zero; printf '\\377\\n'")).finish();
    assert_eq!(finished.stdout("a"), "\0".repeat(200_000) + "\u{fffd}\n");
}

/// Bytes that a process has written so far.
fn written(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

/// Waits until nobody reads what a process prints, and so it waits for room.
fn await_full_pipe(pid: u32) {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let pipe = File::options().write(true).custom_flags(nonblocking).open(format!("/proc/{pid}/fd/1")).unwrap();
    let news = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    // One event whenever somebody has made room.
    let room = epoll::EventFlags::OUT | epoll::EventFlags::ET;
    epoll::add(&news, &pipe, epoll::EventData::new_u64(0), room).unwrap();
    let give_up = Instant::now() + PATIENCE;
    let mut events = [epoll::Event { flags: room, data: epoll::EventData::new_u64(0) }; 1];
    while retry_on_intr(|| epoll::wait(&news, &mut events[..], Some(&SILENCE))).unwrap() > 0 {
        assert!(Instant::now() < give_up, "the keeper reads without end: {} bytes", written(pid));
    }
}

#[test]
fn a_flood_that_nobody_reads_holds_up_only_the_flooder() {
    let mut run = Run::launch(&plan().node("flood", "/usr/bin/yes", &["a line that comes again and again"]));
    let pid = run.until(|packet| match packet {
        FromKeeper::Spawned { pid, .. } => Some(*pid),
        _ => None,
    });
    let flooder = Witness::of(pid);
    // Nothing is read from the keeper: it must stop reading, until the flooder waits for room in its pipe.
    await_full_pipe(pid);
    let before = written(pid);
    assert!(before < 8 << 20, "the keeper has taken {before} bytes");
    let rss = status_kib(run.keeper_pid(), "VmRSS");
    assert!(rss < 12 * 1024, "the keeper uses {rss} KiB");
    // It still obeys, and then gives everything that it has.
    run.tell(&ToKeeper::Kill);
    flooder.sees_death();
    let finished = run.finish();
    assert_eq!(finished.exit("flood"), (signal(9), ExitCause::Stopped));
    assert!(finished.stdout("flood").len() as u64 >= before);
}

#[test]
fn a_hundred_thousand_lines() {
    let finished = Run::launch(&plan().sh("flood", "seq 1 100000").sh("calm", "echo calm")).finish();
    let expected: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(finished.stdout("flood"), expected);
    assert_eq!(finished.stdout("calm"), "calm\n");
}

#[test]
fn a_child_that_holds_the_pipe_does_not_delay_the_end() {
    let mut run =
        Run::launch(&plan().sh("a", "echo before; sleep 1000 & echo child $!; exit 0").sh("b", "exec sleep 1000"));
    let child = Witness::of(run.until_number("child "));
    run.until(|packet| matches!(packet, FromKeeper::Exited { node, .. } if node.as_str() == "a").then_some(()));
    child.sees_life();
    run.stop(3_600_000);
    let finished = run.finish();
    assert_eq!(finished.report.orphans_killed, 1);
    child.sees_death();
}

#[test]
fn a_node_may_close_its_output() {
    let mut run = Run::launch(&plan().sh("a", "echo last; exec >&- 2>&-; sleep 1000"));
    run.until_line("last");
    run.stop(3_600_000);
    assert_eq!(run.finish().exit("a"), (signal(15), ExitCause::Stopped));
}
