//! What processes leave behind: other processes, descriptors, mappings, shared memory.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal},
};

use crate::PATIENCE;

/// Environment variable that marks the processes of a test.
pub(crate) const MARK: &str = "DORA_TEST_MARK";

/// Processes that carry this mark, with their command lines.
pub fn marked_processes(mark: &str) -> BTreeMap<i32, String> {
    let wanted = format!("{MARK}={mark}").into_bytes();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
        })
        .map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            (pid, String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
}

/// Kills all processes that carry this mark, and those that they start meanwhile.
pub(crate) fn kill_marked(mark: &str) {
    loop {
        let left: Vec<Pid> = marked_processes(mark).keys().filter_map(|pid| Pid::from_raw(*pid)).collect();
        if left.is_empty() {
            return;
        }
        if !left.into_iter().all(kill) {
            return;
        }
    }
}

/// Kills a process; whether it has ended then.
pub(crate) fn kill(pid: Pid) -> bool {
    // One that is gone needs no waiting.
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    wait_for_exit(&pidfd, PATIENCE / 4)
}

/// Waits until a process has ended.
///
/// # Panics
/// When it has not in time.
#[track_caller]
pub fn await_end(pid: Pid) {
    // One that is gone needs no waiting.
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        assert!(wait_for_exit(&pidfd, PATIENCE), "process {pid} is still there after {PATIENCE:?}");
    }
}

/// Stops a process (SIGSTOP), and waits until it is: it may have something to finish, or wait for a processor.
///
/// # Panics
/// When it is gone.
#[track_caller]
pub fn halt(pid: Pid) {
    kill_process(pid, Signal::STOP).expect("a process that runs");
    let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    eventually("it is stopped", || stat().rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')));
}

/// Waits until no process carries this mark.
///
/// # Panics
/// When one stays longer than `patience`.
pub fn await_gone(mark: &str, patience: Duration) {
    let deadline = Instant::now() + patience;
    loop {
        let left = marked_processes(mark);
        if left.is_empty() {
            return;
        }
        for pid in left.keys().filter_map(|pid| Pid::from_raw(*pid)) {
            // One that is gone meanwhile has no descriptor and needs no waiting.
            let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            let in_time = wait_for_exit(&pidfd, deadline.saturating_duration_since(Instant::now()));
            assert!(in_time, "still there after {patience:?}: {:?}", marked_processes(mark));
        }
    }
}

/// Whether the process ended in time.
pub(crate) fn wait_for_exit(pidfd: &impl AsFd, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// Descriptors that a process has open, and pieces of memory that it has mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Open descriptors.
    pub descriptors: usize,
    /// Memory mappings.
    pub mappings: usize,
    /// Of these, how many are of memory for messages.
    pub shared: usize,
}

impl Holdings {
    /// The same, and so many descriptors and mappings more.
    pub fn and(self, descriptors: usize, mappings: usize) -> Self {
        Self { descriptors: self.descriptors + descriptors, mappings: self.mappings + mappings, ..self }
    }

    /// What a process holds now; nothing if it is gone.
    pub fn of(pid: i32) -> Self {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        Self {
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count).unwrap_or_default(),
            mappings: maps.lines().count(),
            shared: maps.lines().filter(|line| line.contains("/memfd:")).count(),
        }
    }
}

/// Waits until something is so of which nothing tells, such as what a command shows.
///
/// # Panics
/// When it never is.
#[track_caller]
pub fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits while something is so of whose end nothing tells: what another process holds. Not for ever.
pub(crate) fn wait_while(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE / 4;
    while holds() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a process holds at most so much.
///
/// # Panics
/// When it holds more for long.
#[track_caller]
pub fn await_holdings(pid: i32, most: Holdings) {
    let is_more = |now: Holdings| now.descriptors > most.descriptors || now.mappings > most.mappings;
    wait_while(|| is_more(Holdings::of(pid)));
    let now = Holdings::of(pid);
    assert!(!is_more(now), "process {pid} holds {now:?}, at most {most:?} were expected");
}

/// Waits until a process has at most so many descriptors open.
///
/// # Panics
/// When it has more for long.
#[track_caller]
pub(crate) fn await_descriptors(pid: i32, most: usize) {
    wait_while(|| Holdings::of(pid).descriptors > most);
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open: Vec<_> = open.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    assert!(open.len() <= most, "at most {most} were expected, {} are open: {open:?}", open.len());
}

/// KiB of memory that a process has of its own; 0 if it is gone.
pub fn resident_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    anonymous.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

/// Bytes of shared memory in use on this machine, by whomever.
pub fn shared_memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let shmem = meminfo.lines().find_map(|line| line.strip_prefix("Shmem:")).unwrap_or_default();
    let kibibytes: u64 = shmem.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    kibibytes * 1024
}

/// Waits until at most `limit` bytes of shared memory are in use. Other programs use it too, so only what stays counts.
///
/// # Panics
/// When there is more for long.
pub fn await_shared_memory(limit: u64) {
    wait_while(|| shared_memory() > limit);
    let now = shared_memory();
    assert!(now <= limit, "{now} bytes of shared memory are in use, at most {limit} were expected");
}
