//! The files in which the system tells about itself, below a root that tests choose.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A machine, seen through `/proc` and `/sys`.
#[derive(Debug, Clone)]
pub(super) struct Host {
    root: PathBuf,
}

impl Host {
    /// The machine that this process runs on.
    pub(super) fn this() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// A machine whose files lie in this directory.
    #[cfg(test)]
    pub(super) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where a file lies.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file without blanks around it; none if it cannot be read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        read(&self.path(path))
    }

    /// A file that holds one number.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// The value of a line `NAME: VALUE kB` of `/proc/meminfo`, in bytes.
    pub(super) fn memory(&self, name: &str) -> Option<u64> {
        let text = self.text("/proc/meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }

    /// The value of a file of our control group (version 2) or, where it says nothing, of the nearest one around it.
    pub(super) fn control_group(&self, file: &str) -> Option<String> {
        let groups = self.text("/proc/self/cgroup")?;
        let ours = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let mount = self.path("/sys/fs/cgroup");
        let innermost = mount.join(ours.trim_start_matches('/'));
        let around = innermost.ancestors().take_while(|directory| directory.starts_with(&mount));
        around.filter_map(|directory| read(&directory.join(file))).find(|value| !value.starts_with("max"))
    }
}

fn read(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).trim().to_owned())
}

/// A machine for tests, made of files.
#[cfg(test)]
pub(super) struct FakeHost(tempfile::TempDir);

#[cfg(test)]
impl FakeHost {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let fake = Self(tempfile::tempdir().expect("a directory"));
        files.iter().for_each(|(path, content)| fake.set(path, content));
        fake
    }

    pub(super) fn set(&self, path: &str, content: &str) {
        let path = self.host().path(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("our own directory");
        fs::write(path, content).expect("our own file");
    }

    pub(super) fn host(&self) -> Host {
        Host::at(self.0.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_numbers_and_memory() {
        let fake = FakeHost::new(&[("/proc/meminfo", "MemTotal: 8 kB\nShmem:   2 kB\n"), ("/proc/x", " 7\n")]);
        let host = fake.host();
        assert_eq!((host.number("/proc/x"), host.memory("Shmem"), host.memory("Mem")), (Some(7), Some(2048), None));
        assert_eq!(host.text("/proc/y"), None);
    }

    #[test]
    fn the_nearest_limit_of_the_control_groups() {
        let fake = FakeHost::new(&[
            ("/proc/self/cgroup", "0::/outer/inner\n"),
            ("/sys/fs/cgroup/outer/inner/pids.max", "max\n"),
            ("/sys/fs/cgroup/outer/pids.max", "100\n"),
        ]);
        assert_eq!(fake.host().control_group("pids.max").as_deref(), Some("100"));
        assert_eq!(fake.host().control_group("cpu.max"), None);
    }
}
