//! Processes of this machine, as `/proc` shows them: their command lines, variables and open files. Those of other users
//! are mostly hidden. It must not know why somebody looks.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// One process. It may have ended since it was found: then it has nothing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    directory: PathBuf,
}

impl Process {
    /// All that a `/proc` shows.
    pub(crate) fn all(proc: &Path) -> impl Iterator<Item = Self> {
        let entries = fs::read_dir(proc).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| Some(Self { id: entry.file_name().to_str()?.parse().ok()?, directory: entry.path() }))
    }

    /// The one of this machine with this number.
    pub(crate) fn numbered(id: u32) -> Self {
        Self { id, directory: PathBuf::from(format!("/proc/{id}")) }
    }

    /// The words of its command line, its own name first.
    pub(crate) fn arguments(&self) -> Vec<String> {
        words(&fs::read(self.directory.join("cmdline")).unwrap_or_default())
    }

    /// Whether it is `dora` with this verb.
    pub(crate) fn is_dora(&self, verbs: &[&str]) -> bool {
        let arguments = self.arguments();
        let name = arguments.first().map(Path::new).and_then(Path::file_name);
        name.is_some_and(|name| name == "dora") && arguments.get(1).is_some_and(|verb| verbs.contains(&verb.as_str()))
    }

    /// A variable that it was started with.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let variables = words(&fs::read(self.directory.join("environ")).ok()?);
        variables.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    }

    /// What its descriptors are, as the kernel writes it: paths, `socket:[NUMBER]`.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = PathBuf> {
        let descriptors = fs::read_dir(self.directory.join("fd")).into_iter().flatten().flatten();
        descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
    }

    /// Whether somebody has stopped it (SIGSTOP), so that it does nothing until it is told to go on.
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(self.directory.join("stat")).unwrap_or_default();
        state(&stat).is_some_and(|state| matches!(state, 'T' | 't'))
    }
}

/// For people: `process 12 (dora coordinator --port=7000)`.
impl fmt::Display for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} ({})", self.id, self.arguments().join(" "))
    }
}

/// What stands between NUL bytes.
pub(crate) fn words(bytes: &[u8]) -> Vec<String> {
    let words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    words.filter(|word| !word.is_empty()).collect()
}

/// The kernel's letter for what a process does, of the text of its `stat`.
fn state(stat: &str) -> Option<char> {
    // The second field is the command in parentheses, which may itself contain anything.
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_them() {
        let ours = Process::numbered(std::process::id());
        assert!(Process::all(Path::new("/proc")).any(|process| process == ours));
        assert!(!ours.arguments().is_empty() && !ours.is_stopped() && ours.descriptors().next().is_some());
        assert_eq!(ours.variable("PATH"), std::env::var("PATH").ok());
        assert!(ours.to_string().starts_with(&format!("process {} (", ours.id)));
    }

    #[test]
    fn a_name_may_contain_anything() {
        assert_eq!(state("7 (a) R (b)) T 1 2"), Some('T'));
        assert_eq!(state(""), None);
    }
}
