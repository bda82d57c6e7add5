//! A coordinator and a daemon that are measured.

use crate::bench::{Bench, System, ended_within, pid_of};
use bench_common::{Outcome, now_ns};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A coordinator and a daemon in a directory of their own, which go down with this.
pub struct Cluster<'a> {
    /// The run that it belongs to.
    pub bench: &'a Bench,
    /// Whose.
    pub system: &'a System,
    home: PathBuf,
    port: u16,
    /// How long `dora up` took.
    pub up_us: f64,
}

impl<'a> Cluster<'a> {
    /// Both, ready.
    pub fn up(bench: &'a Bench, system: &'a System) -> Outcome<Self> {
        let home = bench.directory("home")?;
        // Free now, and hardly taken within the next milliseconds. A peer that always takes its own port ignores it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut cluster = Self { bench, system, home, port, up_us: 0.0 };
        cluster.up_us = cluster.timed(&["up"])?;
        Ok(cluster)
    }

    /// A command of it, to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bench.cli(self.system);
        command.args(arguments).env("DORA_HOME", &self.home).env("DORA_COORDINATOR_PORT", self.port.to_string());
        command
    }

    /// Runs a command to its end; microseconds that it took.
    pub fn timed(&self, arguments: &[&str]) -> Outcome<f64> {
        let log = self.home.join("bench.log");
        let file = fs::File::options().create(true).append(true).open(&log)?;
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let started = now_ns();
        let status = command.status()?;
        let took = (now_ns() - started) as f64 / 1e3;
        if status.success() {
            Ok(took)
        } else {
            Err(format!("dora {}: {status}; see {}", arguments.join(" "), log.display()).into())
        }
    }

    /// The process whose first argument is this word.
    pub fn process(&self, role: &str) -> Outcome<u32> {
        let [pid] = self.processes(role)[..] else { return Err(format!("there is not one {role}").into()) };
        Ok(pid)
    }

    /// Kills that process, and returns when it is gone.
    pub fn kill(&self, role: &str) -> Outcome<()> {
        let pid = pid_of(self.process(role)?)?;
        // Held before it is killed: its number may be given to another process afterwards.
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        pidfd_send_signal(&process, Signal::KILL)?;
        if ended_within(&process, Duration::from_secs(10))? {
            Ok(())
        } else {
            Err(format!("the {role} does not die").into())
        }
    }

    /// Processes of this cluster whose first argument is this word.
    fn processes(&self, role: &str) -> Vec<u32> {
        let home = format!("DORA_HOME={}", self.home.display());
        let is_it = |pid: &u32| {
            let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            read("cmdline").split('\0').nth(1) == Some(role) && read("environ").split('\0').any(|entry| entry == home)
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_it).collect()
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.timed(&["down", "--force"]) {
            eprintln!("   {error}");
        }
    }
}
