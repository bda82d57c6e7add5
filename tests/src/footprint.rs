//! What a coordinator and a daemon hold while nothing runs.

use std::{fs, path::Path};

use crate::{
    Cluster, Workbench,
    leftovers::{Holdings, await_descriptors, marked_processes, resident_kib},
};

/// The processes of the control plane.
const VERBS: [&str; 2] = ["coordinator", "daemon"];

/// What a coordinator and a daemon hold, in memory and on the disk.
///
/// ```no_run
/// use dora_tests::{Cluster, Footprint, Workbench};
///
/// let bench = Workbench::new();
/// let cluster = Cluster::up(&bench);
/// let before = Footprint::of(&bench, &cluster);
/// // Dataflows come and go.
/// before.await_again(&bench, &cluster);
/// ```
#[derive(Debug, Clone)]
pub struct Footprint {
    /// Of the coordinator, and of the daemon.
    pub processes: [Process; 2],
    /// Processes of the test besides these.
    pub others: usize,
    /// Files below `DORA_HOME`.
    pub files: usize,
}

/// What one of them holds.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Memory of its own, in KiB.
    pub resident_kib: u64,
    /// Descriptors and mappings.
    pub holdings: Holdings,
}

impl Footprint {
    /// What they hold now.
    ///
    /// # Panics
    /// When one of them does not run.
    #[track_caller]
    pub fn of(bench: &Workbench, cluster: &Cluster<'_>) -> Self {
        let pids = VERBS.map(|verb| cluster.process(verb).as_raw_pid());
        Self {
            processes: pids.map(|pid| Process { resident_kib: resident_kib(pid), holdings: Holdings::of(pid) }),
            others: marked_processes(bench.mark()).keys().filter(|pid| !pids.contains(pid)).count(),
            files: count_files(&bench.home()),
        }
    }

    /// Waits until no more is there than was: no process, no descriptor, no message. Memory that they have of their own is
    /// for the test to judge.
    ///
    /// # Panics
    /// When more stays for long.
    #[track_caller]
    pub fn await_again(&self, bench: &Workbench, cluster: &Cluster<'_>) -> Self {
        for (verb, before) in VERBS.iter().zip(self.processes) {
            await_descriptors(cluster.process(verb).as_raw_pid(), before.holdings.descriptors);
        }
        let now = Self::of(bench, cluster);
        assert_eq!(now.others, self.others, "{:?}", marked_processes(bench.mark()));
        let shared = now.processes.map(|process| process.holdings.shared);
        assert_eq!(shared, self.processes.map(|process| process.holdings.shared), "{now:?}");
        now
    }
}

/// Files below a directory; none if it is not there.
fn count_files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let count = |path: &Path| if path.is_dir() { count_files(path) } else { 1 };
    entries.map(|entry| count(&entry.path())).sum()
}
