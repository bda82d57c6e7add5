//! A directory, a mark, and commands that run in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Pid;

use crate::{Finished, Running, binaries, leftovers};

/// Variables that change what a test sees, beside those of dora itself.
const OF_TOOLS: [&str; 6] =
    ["RUST_BACKTRACE", "NO_COLOR", "CLICOLOR_FORCE", "VIRTUAL_ENV", "PYTHONPATH", "UV_OVERRIDE"];

/// Where one test happens.
pub struct Workbench {
    directory: tempfile::TempDir,
    mark: String,
}

impl Workbench {
    /// An empty directory of its own.
    ///
    /// # Panics
    /// When the system gives none.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("dora-test-").tempdir();
        Self { directory: directory.expect("a temporary directory"), mark: uuid::Uuid::new_v4().to_string() }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What `DORA_HOME` is for the commands of this test.
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// The files of this test that are not hidden: those below `DORA_HOME`, and logs.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        files_below(self.path())
    }

    /// What every process of this test carries in [`leftovers::MARK`].
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// A process of this test whose command line ends so. It is waited for: what a script starts comes after the script.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn process(&self, ending: &str) -> Pid {
        let find = |processes: &BTreeMap<i32, String>| {
            let found = processes.iter().find(|(_, line)| line.trim_end().ends_with(ending));
            found.and_then(|(pid, _)| Pid::from_raw(*pid))
        };
        leftovers::wait_while(|| find(&leftovers::marked_processes(&self.mark)).is_none());
        let processes = leftovers::marked_processes(&self.mark);
        find(&processes).unwrap_or_else(|| panic!("no {ending} in {processes:?}"))
    }

    /// The keeper of this test's dataflow. Its guard has the same command line, but not its name.
    ///
    /// # Panics
    /// When none runs.
    pub fn keeper(&self) -> Pid {
        let is_keeper = |(pid, line): (i32, String)| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            (line.contains(" keeper") && name.trim() == "keeper").then(|| Pid::from_raw(pid))?
        };
        leftovers::marked_processes(&self.mark).into_iter().find_map(is_keeper).expect("a keeper")
    }

    /// Writes a file.
    ///
    /// # Panics
    /// When that fails.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("a file in our own directory");
        path
    }

    /// Writes a program: a shell script with this body.
    ///
    /// # Panics
    /// When that fails.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        self.program(name, format!("#!/bin/sh\n{body}\n"))
    }

    /// Writes an executable file.
    ///
    /// # Panics
    /// When that fails.
    pub fn program(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        // A process that another test forks at this moment holds what we have open for writing, and then the file
        // cannot be executed ("text file busy"). Written under another name by another process, it cannot be caught.
        let draft = self.write(&format!("{name}.draft"), content);
        let path = self.path().join(name);
        let copied = Command::new("cp").arg(&draft).arg(&path).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp works");
        std::fs::remove_file(draft).expect("our own file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("our own file");
        path
    }

    /// Writes a dataflow. `{node}` in the text stands for the path of the program that plays nodes.
    pub fn dataflow(&self, name: &str, text: &str) -> PathBuf {
        self.write(name, text.replace("{node}", &binaries::test_node().to_string_lossy()))
    }

    /// `dora` with these arguments, ready to be changed further.
    pub fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Command {
        let mut command = self.at_home(binaries::dora());
        command.args(arguments);
        command
    }

    /// A line of shell, ready to be changed further.
    pub fn shell(&self, line: &str) -> Command {
        let mut command = self.at_home("sh");
        command.args(["-c", line]);
        command
    }

    /// A program in this directory, with this mark, and with nothing of what whoever runs the tests has told dora, its nodes
    /// or their tools by variables.
    pub fn at_home(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let of_dora = std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_bytes().starts_with(b"DORA_"));
        of_dora.chain(OF_TOOLS.map(OsString::from)).for_each(|name| _ = command.env_remove(name));
        command.current_dir(self.path()).env(leftovers::MARK, &self.mark).env("DORA_HOME", self.home());
        command
    }

    /// Starts a process with a role that joins this dataflow as a dynamic node.
    pub fn join(&self, dataflow: &str, node: &str, role: &str) -> Running {
        let mut command = self.at_home(binaries::test_node());
        command.args(role.split(' ')).env("DORA_TEST_JOIN", node).env("DORA_DATAFLOW_ID", dataflow);
        Running::start(command)
    }

    /// Runs `dora` to its end, with the words of this line as its arguments.
    pub fn run(&self, line: &str) -> Finished {
        self.dora(line.split_whitespace()).finish()
    }

    /// Starts `dora` with these arguments.
    pub fn dora<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Running {
        Running::start(self.command(arguments))
    }
}

fn files_below(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let files = |path: PathBuf| if path.is_dir() { files_below(&path) } else { [path].into() };
    entries.flat_map(|entry| files(entry.path())).collect()
}
