//! What processes leave behind: other processes, descriptors, mappings, shared memory.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
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

/// What the machine holds in shared memory, and this process in descriptors and mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// `Shmem` of `/proc/meminfo`, in bytes.
    pub shared_memory: u64,
    /// Open descriptors of this process.
    pub descriptors: usize,
    /// Memory mappings of this process.
    pub mappings: usize,
}

impl Snapshot {
    /// The state now.
    pub fn take() -> Self {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let shmem = meminfo.lines().find_map(|line| line.strip_prefix("Shmem:")).unwrap_or_default();
        let kibibytes: u64 = shmem.trim().trim_end_matches(" kB").parse().unwrap_or_default();
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Self {
            shared_memory: kibibytes * 1024,
            descriptors: fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default(),
            mappings: maps.lines().count(),
        }
    }

    /// Waits until the shared memory of the machine is at most `tolerance` bytes above this snapshot. Other programs use
    /// it too, so growth must last to count.
    ///
    /// # Panics
    /// When it stays above.
    pub fn assert_memory_returns(&self, tolerance: u64) {
        let deadline = Instant::now() + PATIENCE / 4;
        let mut now = Self::take();
        while now.shared_memory > self.shared_memory + tolerance && Instant::now() < deadline {
            // Nothing tells when another program frees memory.
            std::thread::sleep(Duration::from_millis(50));
            now = Self::take();
        }
        let (before, after) = (self.shared_memory, now.shared_memory);
        assert!(after <= before + tolerance, "shared memory grew from {before} to {after} bytes");
    }
}
