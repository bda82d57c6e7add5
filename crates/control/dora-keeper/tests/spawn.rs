//! What a process gets from the keeper, and what is said when it cannot be started.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use common::*;
use dora_message::supervision::{ExitCause, ExitStatus, FromKeeper};

#[test]
fn a_clean_environment() {
    let script = "echo pid $$; echo group $(ps -o pgid= -p $$); readlink /proc/self/fd/0; \
        grep -E 'Sig(Blk|Ign)' /proc/self/status; ulimit -Sn; echo $WANTED; pwd; echo ${DORA_NODE_CONFIG%%:*}";
    // The keeper raises this limit for itself.
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let lowered = rustix::process::Rlimit { current: Some(512), ..own };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, lowered).unwrap();
    let mut plan = plan().sh("a", script);
    plan.nodes[0].env.push(("WANTED".into(), "yes".into()));
    plan.nodes[0].working_dir = "/usr".into();
    let finished = Run::launch(&plan).finish();
    let stdout = finished.stdout("a");
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0].split_once(' ').unwrap().1, lines[1].split_whitespace().nth(1).unwrap());
    assert_eq!(lines[2], "/dev/null");
    for mask in &lines[3..5] {
        let mask = u64::from_str_radix(mask.split_whitespace().nth(1).unwrap(), 16).unwrap();
        // The C library keeps signals 32 and 33 to itself.
        assert_eq!(mask & !(0b11 << 31), 0, "{stdout}");
    }
    assert_eq!(lines[5], "512");
    assert_eq!(&lines[6..], ["yes", "/usr", "{\"dataflow_id\""]);
}

#[test]
fn exactly_one_descriptor_is_inherited() {
    // This one has no close-on-exec mark: it must end at the keeper at the latest.
    let leaky = fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leaky, rustix::io::FdFlags::empty()).unwrap();
    let finished = Run::launch(&plan().helper("a", "exit 0").helper("b", "exit 0")).finish();
    for id in ["a", "b"] {
        assert!(finished.stdout(id).starts_with("0 other descriptors\n"), "{}", finished.stdout(id));
    }
}

#[test]
fn the_keeper_has_a_session_of_its_own() {
    let mut run = Run::launch(&plan().sh("a", "echo up; sleep 1000"));
    run.until_line("up");
    let keeper = rustix::process::Pid::from_child(&run.keeper);
    assert_eq!(rustix::process::getsid(Some(keeper)).unwrap(), keeper);
    run.stop(0);
    run.finish();
}

/// Launches two nodes, of which the second cannot be started, and gives the reason.
fn refusal(program: PathBuf) -> String {
    let finished =
        Run::launch(&plan().helper("good", "serve").node("bad", &program, &[]).sh("later", "sleep 1000")).finish();
    let (ExitStatus::SpawnFailed { error }, ExitCause::Own) = finished.exit("bad") else {
        panic!("{:?}", finished.exit("bad"))
    };
    let (status, cause) = finished.exit("good");
    assert_eq!((status.is_success(), cause), (false, ExitCause::Cascading));
    assert_eq!(
        finished.exit("later"),
        (
            ExitStatus::SpawnFailed { error: "not started, because node `bad` could not be".into() },
            ExitCause::Cascading
        )
    );
    assert!(finished.stdout("good").contains("could not be started"), "{}", finished.stdout("good"));
    error
}

fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (dir, path)
}

#[test]
fn a_missing_program() {
    assert_eq!(refusal("/does/not/exist".into()), "`/does/not/exist` does not exist");
}

#[test]
fn a_program_that_is_not_executable() {
    let (_dir, path) = file(b"#!/bin/sh\n", 0o644);
    assert_eq!(refusal(path.clone()), format!("`{}` is not executable; `chmod +x` makes it so", path.display()));
}

#[test]
fn a_directory() {
    assert_eq!(refusal("/usr".into()), "`/usr` is a directory");
}

#[test]
fn a_script_whose_interpreter_is_missing() {
    let (_dir, path) = file(b"#!/opt/no/python\n", 0o755);
    assert!(refusal(path).ends_with("asks for the interpreter `/opt/no/python`, which does not exist"));
}

#[test]
fn a_script_without_an_interpreter() {
    let (_dir, path) = file(b"echo hello\n", 0o755);
    assert!(refusal(path).contains("`#!` and an interpreter"));
}

#[test]
fn a_binary_of_another_architecture() {
    // The header of an executable for PowerPC 64, big endian: no machine that runs this test.
    let mut elf = vec![0; 64];
    elf[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 2, 1]);
    elf[17] = 2;
    elf[19] = 21;
    let (_dir, path) = file(&elf, 0o755);
    let error = refusal(path);
    assert!(error.contains("is a program for PowerPC 64, this machine is "), "{error}");
}

#[test]
fn a_program_for_windows() {
    let (_dir, path) = file(b"MZ\x90\x00 and so on", 0o755);
    assert!(refusal(path).contains("is a Windows program"));
}

#[test]
fn a_working_directory_that_is_missing() {
    let mut plan = plan().sh("a", "true");
    plan.nodes[0].working_dir = "/does/not/exist".into();
    let ExitStatus::SpawnFailed { error } = Run::launch(&plan).finish().exit("a").0 else { panic!() };
    assert_eq!(error, "its working directory `/does/not/exist` is not a directory");
}

#[test]
fn an_empty_dataflow_is_over_at_once() {
    let finished = Run::launch(&plan()).finish();
    assert!(matches!(finished.seen[..], [.., FromKeeper::Finished { .. }]));
}

#[test]
fn a_plan_that_cannot_be_run() {
    use dora_message::keeper::QueuePolicy;
    let mut run = Run::launch(&plan().sh("a", "sleep 1000").edge(0, 7, 1, QueuePolicy::DropOldest));
    let reason = run.until(|packet| match packet {
        FromKeeper::Failed { reason } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, "edge 0 refers to a node that does not exist");
    assert!(run.next().is_none());
    assert!(run.keeper.wait().unwrap().success());
}
