//! Coordinators and daemons of one test.

use std::{fs, net::TcpListener, path::Path};

use rustix::process::Pid;

use crate::{Finished, Workbench, leftovers};

/// Lines of each log that are shown where a test fails.
const LAST_LINES: usize = 40;

/// Sees to it that nothing of what `dora up` starts in a test outlives it: dropped, it kills all processes of the test.
///
/// Their home is that of the workbench, so they meet those of no other test, with whatever port.
///
/// ```no_run
/// use dora_tests::{Cluster, Workbench};
///
/// let bench = Workbench::new();
/// let cluster = Cluster::up(&bench);
/// bench.dora(["list"]).finish().expect_code(0);
/// cluster.down();
/// ```
pub struct Cluster<'a> {
    bench: &'a Workbench,
}

impl<'a> Cluster<'a> {
    /// None yet: the test starts it in its own way.
    pub fn guard(bench: &'a Workbench) -> Self {
        Self { bench }
    }

    /// A coordinator and a daemon, ready.
    ///
    /// # Panics
    /// When they do not start.
    pub fn up(bench: &'a Workbench) -> Self {
        let cluster = Self::guard(bench);
        cluster.bench.dora(["up"]).finish().expect_code(0);
        cluster
    }

    /// Ends them in good order, with what runs.
    ///
    /// # Panics
    /// When that does not work.
    pub fn down(&self) -> Finished {
        self.bench.dora(["down", "--force"]).finish().expect_code(0)
    }

    /// The process with this verb: `coordinator`, `daemon`.
    ///
    /// # Panics
    /// When none runs.
    #[track_caller]
    pub fn process(&self, verb: &str) -> Pid {
        let processes = leftovers::marked_processes(self.bench.mark());
        let found = processes.iter().find(|(_, line)| line.starts_with(&format!("dora {verb} ")));
        found.and_then(|(pid, _)| Pid::from_raw(*pid)).unwrap_or_else(|| panic!("no {verb} in {processes:?}"))
    }

    /// Kills the process with this verb, and waits until it is gone.
    ///
    /// # Panics
    /// When none runs.
    #[track_caller]
    pub fn kill(&self, verb: &str) {
        leftovers::kill(self.process(verb));
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what was left: {:#?}", leftovers::marked_processes(self.bench.mark()));
            show_logs(&self.bench.home());
        }
        leftovers::kill_marked(self.bench.mark());
    }
}

/// Whoever reads of a failure wants to know what coordinators and daemons have said of it.
fn show_logs(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            show_logs(&path);
        } else if path.ends_with("log") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let skipped = text.lines().count().saturating_sub(LAST_LINES);
            eprintln!("the last lines of {}:", path.display());
            text.lines().skip(skipped).for_each(|line| eprintln!("    {line}"));
        }
    }
}

/// A port of the loopback on which nobody listens.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("a free port").port()
}
