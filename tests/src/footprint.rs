//! What a coordinator and a daemon hold while nothing runs.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use crate::{
    Cluster, Workbench,
    leftovers::{Holdings, await_descriptors, marked_processes, resident_kib, wait_while},
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
/// before.await_again(&bench, &cluster, 1024);
/// ```
#[derive(Debug, Clone)]
pub struct Footprint {
    /// Of the coordinator, and of the daemon.
    pub processes: [Process; 2],
    /// Processes of the test besides these.
    pub others: usize,
    /// Files of the test: those of `DORA_HOME`, and logs.
    pub files: BTreeSet<PathBuf>,
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
            files: bench.files(),
        }
    }

    /// Waits until no more is there than was: no process, no descriptor, no message, and at most `more_kib` of memory that
    /// each has of its own.
    ///
    /// # Panics
    /// When more stays for long.
    #[track_caller]
    pub fn await_again(&self, bench: &Workbench, cluster: &Cluster<'_>, more_kib: u64) -> Self {
        for (verb, before) in VERBS.iter().zip(self.processes) {
            let pid = cluster.process(verb).as_raw_pid();
            await_descriptors(pid, before.holdings.descriptors);
            // Threads that have had nothing to do for a while end.
            wait_while(|| resident_kib(pid) > before.resident_kib + more_kib);
        }
        let now = Self::of(bench, cluster);
        for (verb, (before, now)) in VERBS.iter().zip(self.processes.iter().zip(now.processes)) {
            assert!(now.resident_kib <= before.resident_kib + more_kib, "the {verb} had {before:?}, and has {now:?}");
        }
        assert_eq!(now.others, self.others, "{:?}", marked_processes(bench.mark()));
        let shared = now.processes.map(|process| process.holdings.shared);
        assert_eq!(shared, self.processes.map(|process| process.holdings.shared), "{now:?}");
        now
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (verb, Process { resident_kib, holdings }) in VERBS.iter().zip(self.processes) {
            write!(formatter, "{verb} {resident_kib} KiB, {} descriptors; ", holdings.descriptors)?;
        }
        write!(formatter, "{} other processes, {} files", self.others, self.files.len())
    }
}
