//! How much memory there is for messages, and how the kernel gives it.

use dora_daemon::default_memory_budget;

use super::{finding::Finding, host::Host};
use crate::units::show_size;

/// Less than this is soon used up by a camera or two.
const LITTLE: u64 = 256 << 20;

pub(super) fn probe(host: &Host) -> Vec<Finding> {
    let mut findings = vec![budget(default_memory_budget())];
    findings.extend(machine(host));
    findings.extend(group(host));
    findings.extend(overcommit(host));
    findings.extend(huge_pages(host));
    findings
}

/// What `dora run` allows a dataflow when nobody says: it knows of control groups.
fn budget(bytes: u64) -> Finding {
    const WHAT: &str = "memory for messages";
    let detail = format!("at most {} for one dataflow, unless `dora run --memory` says otherwise", show_size(bytes));
    match bytes < LITTLE / 2 {
        true => Finding::warning(
            WHAT,
            detail,
            "it is half of what is available: end other programs, or raise the memory limit of the container",
        ),
        false => Finding::ok(WHAT, detail),
    }
}

fn machine(host: &Host) -> Option<Finding> {
    const WHAT: &str = "memory";
    let (total, available) = (host.memory("MemTotal")?, host.memory("MemAvailable")?);
    let shared = host.memory("Shmem").unwrap_or_default();
    let detail = format!(
        "{} of {} are available; {} are shared memory, messages among them",
        show_size(available),
        show_size(total),
        show_size(shared)
    );
    Some(match available < LITTLE {
        true => Finding::warning(WHAT, detail, "end programs that use much of it"),
        false => Finding::ok(WHAT, detail),
    })
}

fn group(host: &Host) -> Option<Finding> {
    const WHAT: &str = "memory limit";
    let limit: u64 = host.control_group("memory.max")?.parse().ok()?;
    let used: u64 = host.control_group("memory.current").and_then(|text| text.parse().ok()).unwrap_or_default();
    let detail =
        format!("{} in this container or service, {} in use; messages count", show_size(limit), show_size(used));
    Some(match limit.saturating_sub(used) < LITTLE {
        true => Finding::warning(
            WHAT,
            detail,
            "above the limit the kernel kills nodes (SIGKILL): raise it (`--memory` of the container, MemoryMax= of the \
             service), or lower `dora run --memory`",
        ),
        false => Finding::ok(WHAT, detail),
    })
}

fn overcommit(host: &Host) -> Option<Finding> {
    const WHAT: &str = "overcommit";
    Some(match host.number("/proc/sys/vm/overcommit_memory")? {
        2 => Finding::warning(
            WHAT,
            "the kernel promises no memory that it does not have (mode 2)",
            "programs that reserve much and use little may fail to start; `sysctl vm.overcommit_memory=0` is the default",
        ),
        mode => Finding::ok(WHAT, format!("mode {mode}")),
    })
}

fn huge_pages(host: &Host) -> Option<Finding> {
    const WHAT: &str = "huge pages of shared memory";
    let text = host.text("/sys/kernel/mm/transparent_hugepage/shmem_enabled")?;
    let mode = text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))?;
    Some(match mode {
        "always" | "force" => Finding::warning(
            WHAT,
            format!("`{mode}`: each message may use 2 MiB of memory"),
            "`echo never > /sys/kernel/mm/transparent_hugepage/shmem_enabled` as administrator",
        ),
        _ => Finding::ok(WHAT, format!("`{mode}`")),
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{finding::Status, host::FakeHost},
        *,
    };

    #[test]
    fn a_small_machine_is_warned_about() {
        let fake = FakeHost::new(&[("/proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 100000 kB\nShmem: 0 kB\n")]);
        assert_eq!(machine(&fake.host()).map(|finding| finding.status), Some(Status::Warning));
        fake.set("/proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n");
        assert_eq!(machine(&fake.host()).map(|finding| finding.status), Some(Status::Ok));
        assert_eq!((budget(1 << 20).status, budget(1 << 30).status), (Status::Warning, Status::Ok));
    }

    #[test]
    fn what_is_left_below_the_limit_counts() {
        let fake = FakeHost::new(&[
            ("/proc/self/cgroup", "0::/a\n"),
            ("/sys/fs/cgroup/a/memory.max", "1073741824\n"),
            ("/sys/fs/cgroup/a/memory.current", "1000\n"),
        ]);
        assert_eq!(group(&fake.host()).map(|finding| finding.status), Some(Status::Ok));
        fake.set("/sys/fs/cgroup/a/memory.current", "1000000000\n");
        assert_eq!(group(&fake.host()).map(|finding| finding.status), Some(Status::Warning));
    }

    #[test]
    fn modes_of_the_kernel() {
        let files = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
        let fake = FakeHost::new(&[(files, "always within_size advise [never] deny force\n")]);
        assert_eq!(huge_pages(&fake.host()).map(|finding| finding.status), Some(Status::Ok));
        fake.set(files, "[always] within_size advise never deny force\n");
        fake.set("/proc/sys/vm/overcommit_memory", "2\n");
        assert_eq!(huge_pages(&fake.host()).map(|finding| finding.status), Some(Status::Warning));
        assert_eq!(overcommit(&fake.host()).map(|finding| finding.status), Some(Status::Warning));
    }
}
