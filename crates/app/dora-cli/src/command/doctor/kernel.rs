//! What dora needs of the kernel. Each thing is tried, because a container may forbid what the kernel has.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::AtomicU32,
};

use dora_channel::os::{
    memory::{PAGE, allocate, give_back, memfd, reopen_read_only},
    packet,
    sleep::new_eventfd,
};
use rustix::{
    fs::{SealFlags, fcntl_get_seals},
    process::{Pid, PidfdFlags, getpid, pidfd_open, set_child_subreaper, set_parent_process_death_signal},
    thread::futex,
};

use super::finding::Finding;

/// What to do when something is missing.
const CONTAINER: &str = "needs Linux 5.4 or later; in a container, its seccomp profile may have to allow this call";

type Attempt = fn() -> io::Result<()>;

/// What is tried: its name, what it is for, how.
const ATTEMPTS: [(&str, &str, Attempt); 8] = [
    ("memfd_create, seals", "messages lie in memory without a name", sealed_memory),
    ("fallocate", "memory is given and given back page by page", pages),
    ("/proc/self/fd", "receivers cannot write into what they receive", read_only),
    ("futex, eventfd", "a receiver is woken", waking),
    ("socket pairs with descriptors", "the keeper hands memory to nodes", packets),
    ("pidfd_open", "the end of a process is seen at once", pidfd),
    ("PR_SET_CHILD_SUBREAPER", "what nodes leave behind is found", subreaper),
    ("PR_SET_PDEATHSIG", "nodes end with their keeper", death_signal),
];

pub(super) fn probe() -> Vec<Finding> {
    let name = rustix::system::uname();
    let words = [name.sysname(), name.release(), name.machine()].map(|word| word.to_string_lossy().into_owned());
    let mut findings = vec![Finding::ok("kernel", words.join(" "))];
    findings.extend(ATTEMPTS.iter().map(|(what, purpose, attempt)| judge(what, purpose, attempt())));
    findings
}

fn judge(what: &str, purpose: &str, outcome: io::Result<()>) -> Finding {
    match outcome {
        Ok(()) => Finding::ok(what, purpose),
        Err(error) => Finding::error(what, format!("{error}; without it: no way that {purpose}"), CONTAINER),
    }
}

fn memory() -> io::Result<OwnedFd> {
    memfd("dora-doctor", PAGE)
}

fn sealed_memory() -> io::Result<()> {
    let seals = fcntl_get_seals(&memory()?)?;
    if seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
        return Ok(());
    }
    Err(io::Error::other("the size of memory cannot be sealed"))
}

fn pages() -> io::Result<()> {
    let memory = memory()?;
    allocate(memory.as_fd(), 0, PAGE)?;
    give_back(memory.as_fd(), 0, PAGE)
}

fn read_only() -> io::Result<()> {
    let memory = memory()?;
    let reopened = File::from(reopen_read_only(memory.as_fd())?);
    match io::Write::write(&mut &reopened, b"x") {
        Err(_) => Ok(()),
        Ok(_) => Err(io::Error::other("a descriptor for reading can be written")),
    }
}

fn waking() -> io::Result<()> {
    futex::wake(&AtomicU32::new(0), futex::Flags::empty(), 1)?;
    new_eventfd().map(drop)
}

fn packets() -> io::Result<()> {
    let (one, other) = packet::pair()?;
    packet::send(one.as_fd(), b"x", &[one.as_fd()], packet::Blocking::No)?;
    let (_, descriptors) = packet::receive(other.as_fd(), &mut [0; 8], packet::Blocking::No)?;
    if descriptors.len() == 1 { Ok(()) } else { Err(io::Error::other("the descriptor did not arrive")) }
}

fn pidfd() -> io::Result<()> {
    Ok(pidfd_open(getpid(), PidfdFlags::empty()).map(drop)?)
}

/// Changes this process only, which ends soon and has no children then.
fn subreaper() -> io::Result<()> {
    set_child_subreaper(Some(Pid::INIT))?;
    Ok(set_child_subreaper(None)?)
}

fn death_signal() -> io::Result<()> {
    Ok(set_parent_process_death_signal(None)?)
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Status, *};

    #[test]
    fn what_the_tests_run_on_has_everything() {
        let findings = probe();
        assert_eq!(findings.len(), 1 + ATTEMPTS.len());
        for finding in findings {
            assert_eq!(finding.status, Status::Ok, "{finding:?}");
        }
    }

    #[test]
    fn what_is_forbidden_prevents_running() {
        let finding = judge("a", "b happens", Err(io::Error::from_raw_os_error(1)));
        assert_eq!(finding.status, Status::Error);
        assert!(finding.advice.is_some_and(|advice| advice.contains("seccomp")));
    }
}
