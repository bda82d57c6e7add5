//! How much shared memory the nodes of a dataflow may use when nobody says.

use std::{fs, path::Path};

/// Bytes: the smaller of half of the memory that is available and half of what the control group allows.
pub fn default_memory_budget() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // Without either file there is no telling; a quarter of a GiB runs most dataflows.
    available(&meminfo)
        .into_iter()
        .chain(group_limit(&group, Path::new("/sys/fs/cgroup")))
        .min()
        .map_or(256 << 20, |bytes| bytes / 2)
}

/// Bytes of memory that this machine has, or that the control group allows.
pub(crate) fn total_memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = group_limit(&group, Path::new("/sys/fs/cgroup"));
    field(&meminfo, "MemTotal:").into_iter().chain(limit).min().unwrap_or(0)
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    field(meminfo, "MemAvailable:")
}

/// A field of `/proc/meminfo`, in bytes.
fn field(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The least limit of the control group and of those around it; both versions of control groups.
fn group_limit(proc_self_cgroup: &str, root: &Path) -> Option<u64> {
    let mut least = None;
    for line in proc_self_cgroup.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (mount, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        let innermost = mount.join(group.trim_start_matches('/'));
        for dir in innermost.ancestors().take_while(|dir| dir.starts_with(&mount)) {
            // "max" is no limit.
            let limit = fs::read_to_string(dir.join(file)).ok().and_then(|text| text.trim().parse::<u64>().ok());
            least = least.into_iter().chain(limit).min();
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_available() {
        assert_eq!(available("MemTotal: 5 kB\nMemAvailable:   1024 kB\n"), Some(1 << 20));
        assert_eq!(available(""), None);
        assert!(default_memory_budget() > 1 << 20);
    }

    #[test]
    fn the_least_limit_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("outer/inner");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.max"), "max\n").unwrap();
        assert_eq!(group_limit("0::/outer/inner\n", root.path()), None);
        std::fs::write(root.path().join("outer/memory.max"), "1000\n").unwrap();
        assert_eq!(group_limit("0::/outer/inner\n", root.path()), Some(1000));
        std::fs::write(inner.join("memory.max"), "10\n").unwrap();
        assert_eq!(group_limit("0::/outer/inner\n", root.path()), Some(10));
    }

    #[test]
    fn the_older_groups() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("memory/a");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.limit_in_bytes"), "77\n").unwrap();
        assert_eq!(group_limit("4:cpu,memory:/a\n3:pids:/b\n", root.path()), Some(77));
    }
}
