//! What runs of dora on this machine, and what should not run any more.

use std::{collections::HashMap, time::Duration};

use super::{
    finding::Finding,
    host::Host,
    processes::{self, Process},
};

/// The first process of a machine or container. It adopts who lost its parent.
const INIT: u32 = 1;

pub(super) fn probe(host: &Host) -> Vec<Finding> {
    judge(&processes::of_this_user(host))
}

fn judge(processes: &HashMap<u32, Process>) -> Vec<Finding> {
    let mut sorted: Vec<&Process> = processes.values().filter(|process| process.state != 'Z').collect();
    sorted.sort_by_key(|process| process.id);
    let keepers = sorted.iter().filter(|process| process.is_keeper() && !is_guard(process, processes));
    let keepers: Vec<Finding> = keepers.map(|keeper| judge_keeper(keeper, processes)).collect();
    let lost = sorted.iter().filter(|process| process.is_node && !is_kept(process, processes));
    let lost: Vec<Finding> = lost.map(|node| judge_lost(node)).collect();
    let none = keepers.is_empty() && lost.is_empty();
    let nothing = none.then(|| Finding::ok("dataflows", "none runs, nothing is left of any"));
    nothing.into_iter().chain(keepers).chain(lost).collect()
}

fn judge_keeper(keeper: &Process, processes: &HashMap<u32, Process>) -> Finding {
    let what = format!("keeper {}", keeper.id);
    let nodes = processes.values().filter(|process| process.parent == keeper.id).count();
    let count = format!("{nodes} process{}", if nodes == 1 { "" } else { "es" });
    let since = show_age(keeper.age);
    // Above it is its guard, and above that who started both.
    let started = processes.get(&keeper.parent).filter(|above| above.is_keeper()).unwrap_or(keeper);
    let supervisor = processes.get(&started.parent);
    let gone = started.parent == INIT && !supervisor.is_some_and(|init| init.line().contains("dora"));
    let end = format!("`kill -9 {}` ends it with all its nodes", keeper.id);
    if gone && !keeper.is_lasting() {
        return Finding::warning(what, format!("{count}, for {since}; what started it is gone"), end);
    }
    let of = match supervisor {
        _ if gone => "a dataflow that has outlived its daemon".to_owned(),
        Some(parent) => format!("`{}`", parent.line()),
        None => format!("process {}", started.parent),
    };
    let detail = format!("{count} of {of}, for {since}");
    match keeper.state {
        'T' | 't' => Finding::warning(
            what,
            format!("{detail}; it is stopped"),
            format!("`kill -CONT {}` lets it go on; {end}", keeper.id),
        ),
        _ => Finding::ok(what, detail),
    }
}

/// Whether it is the guard of a keeper, which has the same command line.
fn is_guard(process: &Process, processes: &HashMap<u32, Process>) -> bool {
    processes.values().any(|child| child.parent == process.id && child.is_keeper())
}

fn judge_lost(node: &Process) -> Finding {
    Finding::warning(
        format!("process {}", node.id),
        format!("`{}` was started as a node, for {}; its keeper is gone", node.line(), show_age(node.age)),
        format!("`kill -9 {}` ends it", node.id),
    )
}

/// Whether a keeper is above this process.
fn is_kept(process: &Process, processes: &HashMap<u32, Process>) -> bool {
    let above = std::iter::successors(Some(process), |process| processes.get(&process.parent));
    // Ids are used again: what looks like a circle ends somewhere.
    above.take(processes.len() + 1).any(Process::is_keeper)
}

fn show_age(age: Duration) -> String {
    let seconds = age.as_secs();
    match (seconds / 86400, seconds / 3600, seconds / 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, _) => format!("{hours} h"),
        (days, ..) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{
        super::{finding::Status, host::FakeHost},
        *,
    };

    struct FakeProcesses(FakeHost);

    impl FakeProcesses {
        fn new() -> Self {
            Self(FakeHost::new(&[("/proc/uptime", "10000.00 9999.00\n")]))
        }

        /// A process that started 100 s after the machine.
        fn add(self, id: u32, parent: u32, state: char, arguments: &str, environment: &str) -> Self {
            let ticks = 100 * rustix::param::clock_ticks_per_second();
            let unused = "0 ".repeat(17);
            self.0.set(&format!("/proc/{id}/stat"), &format!("{id} (a b) c) {state} {parent} {unused}{ticks} 0\n"));
            self.0.set(&format!("/proc/{id}/cmdline"), &format!("{}\0", arguments.replace(' ', "\0")));
            self.0.set(&format!("/proc/{id}/environ"), environment);
            let program = if arguments.contains("keeper") { "/bin/dora (deleted)" } else { "/bin/other" };
            symlink(program, self.0.host().path(&format!("/proc/{id}/exe"))).expect("our own directory");
            self
        }

        fn findings(&self) -> Vec<Finding> {
            probe(&self.0.host())
        }
    }

    const NODE: &str = "HOME=/home/me\0DORA_NODE_CONFIG={}\0";

    #[test]
    fn a_machine_at_rest() {
        let findings = FakeProcesses::new().add(1, 0, 'S', "init", "").findings();
        assert_eq!((findings.len(), findings[0].status), (1, Status::Ok));
    }

    #[test]
    fn a_dataflow_that_runs_is_told_with_its_age() {
        let fake = FakeProcesses::new().add(1, 0, 'S', "init", "").add(7, 1, 'S', "dora run robot.yml", "");
        let fake = fake.add(8, 7, 'S', "dora keeper", "").add(9, 8, 'S', "camera", NODE).add(10, 9, 'S', "child", NODE);
        let findings = fake.findings();
        assert_eq!(findings, [Finding::ok("keeper 8", "1 process of `dora run robot.yml`, for 2 h")]);
    }

    #[test]
    fn a_keeper_and_its_guard_are_one() {
        let fake = FakeProcesses::new().add(1, 0, 'S', "init", "").add(7, 1, 'S', "dora run robot.yml", "");
        let fake = fake.add(8, 7, 'S', "dora keeper", "").add(9, 8, 'S', "dora keeper", "").add(10, 9, 'S', "a", NODE);
        assert_eq!(fake.findings(), [Finding::ok("keeper 9", "1 process of `dora run robot.yml`, for 2 h")]);
    }

    #[test]
    fn what_is_left_comes_with_what_ends_it() {
        let fake = FakeProcesses::new().add(1, 0, 'S', "init", "").add(8, 1, 'S', "dora keeper", "");
        let fake = fake.add(12, 1, 'R', "camera --fast", NODE).add(13, 1, 'Z', "plot", NODE);
        let findings = fake.findings();
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings.iter().all(|finding| finding.status == Status::Warning));
        let advice: Vec<&str> = findings.iter().filter_map(|finding| finding.advice.as_deref()).collect();
        assert_eq!(advice, ["`kill -9 8` ends it with all its nodes", "`kill -9 12` ends it"]);
    }

    #[test]
    fn a_keeper_may_outlive_its_daemon() {
        let fake = FakeProcesses::new().add(1, 0, 'S', "init", "").add(8, 1, 'S', "dora keeper --lasting", "");
        let expected = Finding::ok("keeper 8", "0 processes of a dataflow that has outlived its daemon, for 2 h");
        assert_eq!(fake.findings(), [expected]);
    }

    #[test]
    fn a_stopped_keeper_can_go_on() {
        let fake = FakeProcesses::new().add(7, 1, 'S', "dora run robot.yml", "").add(8, 7, 'T', "dora keeper", "");
        assert!(fake.findings()[0].advice.as_deref().is_some_and(|advice| advice.contains("kill -CONT 8")));
    }

    #[test]
    fn ages() {
        let ages = [5, 120, 7300, 200_000].map(|seconds| show_age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["5 s", "2 min", "2 h", "2 days"]);
    }
}
