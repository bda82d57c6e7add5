//! The processes of this user, as `/proc` shows them.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::host::Host;
use crate::processes::words;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    pub(super) parent: u32,
    /// The kernel's letter: `R` runs, `S` sleeps, `T` is stopped, `Z` has ended.
    pub(super) state: char,
    pub(super) arguments: Vec<String>,
    /// The file that it executes.
    pub(super) program: Option<PathBuf>,
    pub(super) age: Duration,
    /// Whether it was given what a node is given.
    pub(super) is_node: bool,
}

impl Process {
    /// Whether it is a keeper.
    pub(super) fn is_keeper(&self) -> bool {
        // A program that was replaced while it runs is called `dora (deleted)`.
        let name = self.program.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        name.split(' ').next() == Some("dora") && self.arguments.get(1).is_some_and(|verb| verb == "keeper")
    }

    /// Whether it is a keeper that goes on without whoever started it.
    pub(super) fn is_lasting(&self) -> bool {
        self.is_keeper() && self.arguments.get(2).is_some_and(|argument| argument == "--lasting")
    }

    /// Its command line for people.
    pub(super) fn line(&self) -> String {
        self.arguments.join(" ")
    }
}

/// All processes of this user, by their ids.
pub(super) fn of_this_user(host: &Host) -> HashMap<u32, Process> {
    let user = rustix::process::getuid().as_raw();
    let uptime = host.text("/proc/uptime").and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let entries = fs::read_dir(host.path("/proc")).into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let ours = entry.metadata().is_ok_and(|metadata| metadata.uid() == user);
        // One that ends while we look has nothing to tell.
        ours.then(|| read(id, &entry.path(), uptime.unwrap_or_default())).flatten()
    });
    processes.map(|process| (process.id, process)).collect()
}

fn read(id: u32, directory: &Path, uptime: f64) -> Option<Process> {
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    // The second field is the command in parentheses, which may itself contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // The 22nd field: when it started, in ticks since the machine did.
    let started: f64 = fields.nth(17)?.parse().ok()?;
    let age = uptime - started / rustix::param::clock_ticks_per_second() as f64;
    let environment = fs::read(directory.join("environ")).unwrap_or_default();
    Some(Process {
        id,
        parent,
        state,
        arguments: words(&fs::read(directory.join("cmdline")).ok()?),
        program: fs::read_link(directory.join("exe")).ok(),
        age: Duration::try_from_secs_f64(age).unwrap_or_default(),
        is_node: words(&environment).iter().any(|variable| variable.starts_with("DORA_NODE_CONFIG=")),
    })
}
