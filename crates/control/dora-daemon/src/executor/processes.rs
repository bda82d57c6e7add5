//! What processes use, as the system counts it.

use std::{collections::HashMap, fs};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// The processes of this machine at one moment.
#[derive(Debug)]
pub(super) struct Processes {
    all: HashMap<u32, Process>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: u32,
    group: u32,
    /// Of itself, and of those of its children that have ended, in ticks.
    own_ticks: u64,
    children_ticks: u64,
    pages: u64,
}

/// What some processes use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Processor time since their start, in nanoseconds.
    pub(super) cpu_ns: u64,
    /// Resident memory, in bytes.
    pub(super) memory: u64,
    /// Bytes read from disks.
    pub(super) disk_read: u64,
    /// Bytes written to disks.
    pub(super) disk_written: u64,
}

impl Processes {
    /// Those of now. One that ends meanwhile is left out.
    pub(super) fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let process = |pid: u32| Some((pid, Process::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?));
        Processes { all: pids.filter_map(process).collect() }
    }

    /// A process and all of its group: what a node has started belongs to that, unless it wanted a group of its own.
    pub(super) fn group(&self, pid: u32) -> Usage {
        let members = self.all.iter().filter(|(member, process)| process.group == pid || **member == pid);
        members.fold(Usage::default(), |sum, (member, process)| {
            let (disk_read, disk_written) = disk(*member);
            let usage = process.usage(process.own_ticks + process.children_ticks);
            sum.plus(Usage { disk_read, disk_written, ..usage })
        })
    }

    /// These processes and their children, each by itself: the daemon, or keepers and those who watch over them.
    pub(super) fn with_children(&self, pids: &[u32]) -> Usage {
        let is_meant = |pid: &u32, process: &Process| pids.contains(pid) || pids.contains(&process.parent);
        let meant = self.all.iter().filter(|(pid, process)| is_meant(pid, process));
        meant.fold(Usage::default(), |sum, (_, process)| sum.plus(process.usage(process.own_ticks)))
    }

    /// One process by itself.
    pub(super) fn one(&self, pid: u32) -> Usage {
        self.all.get(&pid).map_or_else(Usage::default, |process| process.usage(process.own_ticks))
    }
}

impl Process {
    /// Understands `/proc/<pid>/stat`. The name of the program, in parentheses, may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
        let ticks = |index| Some(number(index)?.max(0).unsigned_abs());
        Some(Process {
            parent: number(1)?.try_into().ok()?,
            group: number(2)?.try_into().ok()?,
            own_ticks: ticks(11)? + ticks(12)?,
            children_ticks: ticks(13)? + ticks(14)?,
            pages: ticks(21)?,
        })
    }

    fn usage(&self, ticks: u64) -> Usage {
        let (per_second, page) = (rustix::param::clock_ticks_per_second().max(1), rustix::param::page_size() as u64);
        Usage { cpu_ns: ticks.saturating_mul(SECOND / per_second), memory: self.pages * page, ..Usage::default() }
    }
}

impl Usage {
    pub(super) fn plus(self, other: Self) -> Self {
        Usage {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            memory: self.memory + other.memory,
            disk_read: self.disk_read + other.disk_read,
            disk_written: self.disk_written + other.disk_written,
        }
    }
}

/// Bytes that a process has read from and written to disks; none where that is not to be known.
fn disk(pid: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    (field("read_bytes:").unwrap_or(0), field("write_bytes:").unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let stat = "7 (a) b (c)) S 3 5 5 0 -1 4194304 100 0 0 0 11 12 13 14 20 0 1 0 1000 9000 42 0";
        let expected = Process { parent: 3, group: 5, own_ticks: 23, children_ticks: 27, pages: 42 };
        assert_eq!(Process::parse(stat), Some(expected));
        assert_eq!(Process::parse("7 (a S 3"), None);
    }

    #[test]
    fn this_process_is_among_them() {
        let processes = Processes::read();
        let own = processes.one(std::process::id());
        assert!(own.memory > 0);
        assert!(processes.with_children(&[std::process::id()]).memory >= own.memory);
    }
}
