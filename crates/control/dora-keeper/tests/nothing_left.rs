//! Whatever is killed, in whatever order: nothing stays behind.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use common::*;
use dora_message::supervision::{ExitCause, FromKeeper};
use rustix::process::Pid;

/// A supervisor in a process of its own, with the keeper and the processes of its nodes.
struct Supervised {
    supervisor: Child,
    witnesses: Vec<Witness>,
}

fn supervised() -> Supervised {
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &escapers()).unwrap();
    let mut command = Command::new(HELPER);
    let mut supervisor = command.arg("supervise").arg(file.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut packets = BufReader::new(supervisor.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first: serde_json::Value = serde_json::from_str(&packets.next().unwrap()).unwrap();
    let keeper = first["keeper"].as_u64().unwrap() as u32;
    let mut witnesses = vec![Witness::of(keeper)];
    while witnesses.len() < 1 + ESCAPERS {
        let packet: FromKeeper = serde_json::from_str(&packets.next().unwrap()).unwrap();
        let pids = lines(&packet).iter().filter_map(|line| line.strip_prefix("pid "));
        witnesses.extend(pids.map(|pid| Witness::of(pid.parse().unwrap())));
    }
    Supervised { supervisor, witnesses }
}

#[test]
fn the_supervisor_is_killed() {
    let mut run = supervised();
    run.supervisor.kill().unwrap();
    run.witnesses.iter().for_each(Witness::sees_death);
    run.supervisor.wait().unwrap();
}

#[test]
fn the_supervisor_is_killed_while_a_copy_of_its_socket_lives() {
    // The copy is in this process: only the pidfd can tell.
    let mut run = supervised();
    let supervisor = Pid::from_child(&run.supervisor);
    let pidfd = rustix::process::pidfd_open(supervisor, rustix::process::PidfdFlags::empty()).unwrap();
    let copies: Vec<_> = (3..32)
        .filter_map(|fd| rustix::process::pidfd_getfd(&pidfd, fd, rustix::process::PidfdGetfdFlags::empty()).ok())
        .collect();
    assert!(!copies.is_empty());
    run.supervisor.kill().unwrap();
    run.witnesses.iter().for_each(Witness::sees_death);
    run.supervisor.wait().unwrap();
}

#[test]
fn the_keeper_is_killed() {
    // Nodes end with it; what they had left behind is for the supervisor to end, which tests of dora-daemon show.
    let plan = plan()
        .sh("stopped", "echo pid $$; kill -STOP $$")
        .sh("deaf", "trap '' TERM HUP INT; echo pid $$; exec sleep 1000");
    let mut run = Run::launch(&plan);
    let witnesses = [Witness::of(run.until_number("pid ")), Witness::of(run.until_number("pid "))];
    run.keeper.kill().unwrap();
    witnesses.iter().for_each(Witness::sees_death);
    while run.next().is_some() {}
    run.keeper.wait().unwrap();
}

#[test]
fn the_guard_kills_what_the_keeper_leaves() {
    // This process is no subreaper, so nobody else could.
    let script = "echo pid $$; setsid sleep 1000 & echo pid $!; wait";
    let mut run = Run::launch(&plan().sh("a", script));
    let witnesses = [Witness::of(run.until_number("pid ")), Witness::of(run.until_number("pid "))];
    let keeper = Pid::from_raw(run.keeper_pid() as i32).unwrap();
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).unwrap();
    witnesses.iter().for_each(Witness::sees_death);
    while run.next().is_some() {}
    let status = run.keeper.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "it ends as the keeper did");
}

#[test]
fn orphans_end_with_the_dataflow() {
    let script = "setsid sleep 1000 & echo orphan $!; sh -c 'kill -STOP $$; :' & exit 0";
    let mut run = Run::launch(&plan().sh("a", script).sh("b", "exec sleep 1000"));
    let orphan = Witness::of(run.until_number("orphan "));
    run.until(|packet| matches!(packet, FromKeeper::Exited { .. }).then_some(()));
    orphan.sees_life();
    run.stop(3_600_000);
    let finished = run.finish();
    orphan.sees_death();
    assert_eq!(finished.report.orphans_killed, 2);
    assert_eq!(finished.exit("b"), (signal(15), ExitCause::Stopped));
}

/// The system shows it like one that has ended.
#[test]
fn a_process_that_has_lost_its_first_thread_ends_with_the_dataflow() {
    let mut run = Run::launch(&plan().sh("a", &format!("setsid {HELPER} node headless")).sh("b", "exec sleep 1000"));
    let headless = Witness::of(run.until_number("headless "));
    let child = Witness::of(run.until_number("child "));
    run.stop(3_600_000);
    run.finish();
    headless.sees_death();
    child.sees_death();
}

#[test]
fn the_keeper_is_small_and_sleeps() {
    let mut run = Run::launch(&plan().helper("a", "serve").helper("b", "serve").sh("c", "exit 0"));
    run.until_all_ready();
    let keeper = run.keeper_pid();
    assert!(falls_asleep(keeper), "it is woken again and again");
    let anonymous = status_kib(keeper, "RssAnon");
    assert!(anonymous < 1024, "{anonymous} KiB of its own");
    let descriptors = std::fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().count();
    assert!(descriptors <= 12 + 2 * 8, "{descriptors} descriptors");
    let guard = run.keeper.id();
    let of_guard = status_kib(guard, "RssAnon");
    assert!(of_guard < 1024, "{of_guard} KiB of the guard's own");
    println!("{} and {} KiB in all", status_kib(keeper, "VmRSS"), status_kib(guard, "VmRSS"));
    run.stop(3_600_000);
    run.finish();
}

#[test]
fn a_keeper_that_is_told_nothing_ends_with_its_supervisor() {
    let mut run = Run::idle();
    drop(run.link);
    assert!(run.keeper.wait().unwrap().success());
}
