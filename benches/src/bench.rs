//! One run of the driver: the systems it measures, and how their programs are started.

use crate::flow::{Node, dataflow};
use crate::options::{Options, beside_us};
use bench_common::{Csv, FIELDS, Outcome, now_ns, wait_until_quiet};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// No measurement takes longer than this.
const LIMIT_S: u64 = 180;

/// A system with dora's command line and node API.
#[derive(Clone)]
pub struct System {
    /// Its name in the rows.
    pub label: &'static str,
    cli: PathBuf,
    node: PathBuf,
    /// Where programs are looked for first.
    search: Option<PathBuf>,
}

impl System {
    /// Whether it is this project.
    pub fn is_ours(&self) -> bool {
        self.label == "dora"
    }

    /// The same with a node in Python, if there is one that has its module: ours was named, theirs is beside the command.
    fn in_python(&self, options: &Options) -> Option<Self> {
        let python = if self.is_ours() { options.python.clone()? } else { self.cli.with_file_name("python") };
        let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/bench_node.py");
        let (label, cli) = (self.label, self.cli.clone());
        python.exists().then(|| Self { label, cli, node, search: python.parent().map(Path::to_owned) })
    }

    /// The interpreter that runs its nodes.
    pub fn python(&self) -> Option<PathBuf> {
        Some(self.search.as_ref()?.join("python"))
    }

    /// The file name of its benchmark node.
    pub fn node_name(&self) -> String {
        self.node.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A dataflow that was started.
pub struct Running {
    /// `dora run`.
    pub child: Child,
    /// When it was started.
    pub started_ns: u64,
}

/// What all measurements of a run share.
pub struct Bench {
    /// What was asked for.
    pub options: Options,
    /// dora, and dora-rs if it was asked for.
    pub systems: Vec<System>,
    /// The same with nodes in Python, where there is one.
    pub pythons: Vec<System>,
    csv: PathBuf,
    work: PathBuf,
}

impl Bench {
    /// Prepares the folders and looks for the programs.
    pub fn new(options: Options) -> Outcome<Self> {
        let node = beside_us("bench-node")?;
        let mut systems = vec![System { label: "dora", cli: options.dora.clone(), node, search: None }];
        if options.peers.iter().any(|peer| peer == "dora-rs") {
            let node = options.peers_dir.join("dora-rs-peer");
            systems.push(System { label: "dora-rs", cli: options.dora_rs_cli.clone(), node, search: None });
        }
        let pythons = systems.iter().filter_map(|system| system.in_python(&options)).collect();
        let (csv, work) = (options.out.join("raw.csv"), beside_us("bench-work")?);
        fs::create_dir_all(&options.out)?;
        fs::create_dir_all(&work)?;
        let programs = systems.iter().flat_map(|system| [system.cli.clone(), system.node.clone()]);
        let peers = options.peers.iter().filter(|peer| *peer != "dora-rs").map(|peer| peer_program(&options, peer));
        for program in programs.chain(peers).filter(|program| program.components().count() > 1) {
            if !program.exists() {
                return Err(format!("{} is not built; `dora-bench --help` says how", program.display()).into());
            }
        }
        fs::write(&csv, format!("{FIELDS}\n"))?;
        Ok(Self { options, systems, pythons, csv: csv.canonicalize()?, work })
    }

    /// Where the rows are.
    pub fn csv(&self) -> &Path {
        &self.csv
    }

    /// Writes rows of a system that the driver measured itself.
    pub fn rows_of(&self, system: &System) -> Csv {
        Csv::to_file(system.label, &self.csv)
    }

    /// An empty file for what nodes write beside their rows.
    pub fn scratch(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.work.join(name);
        fs::write(&path, "")?;
        Ok(path)
    }

    /// Runs `floor` or `iceoryx2-peer` with arguments separated by blanks, if that peer was asked for.
    pub fn peer(&self, peer: &str, arguments: &str) -> Outcome<()> {
        if !self.options.peers.iter().any(|asked| asked == peer) {
            return Ok(());
        }
        eprintln!("{peer} {arguments}");
        let mut command = Command::new(peer_program(&self.options, peer));
        self.run(command.args(arguments.split_whitespace()), peer)
    }

    /// Runs `ring-bench`, which measures the channel below the node API.
    pub fn ring(&self, arguments: &str) -> Outcome<()> {
        eprintln!("ring-bench {arguments}");
        self.run(Command::new(beside_us("ring-bench")?).args(arguments.split_whitespace()), "ring")
    }

    /// Runs a dataflow to its end. An error if a node failed, or if none wrote a row.
    pub fn dataflow(&self, system: &System, name: &str, nodes: Vec<Node>) -> Outcome<()> {
        eprintln!("{} {name}", system.label);
        let rows = fs::metadata(&self.csv)?.len();
        self.run(&mut self.dora_run(system, name, nodes)?, name)?;
        if fs::metadata(&self.csv)?.len() == rows { Err(format!("{name}: no node wrote a row").into()) } else { Ok(()) }
    }

    /// Starts a dataflow and leaves it running.
    pub fn start(&self, system: &System, name: &str, nodes: Vec<Node>) -> Outcome<Running> {
        eprintln!("{} {name}", system.label);
        let mut command = self.dora_run(system, name, nodes)?;
        let command = self.to_log(&mut command, name)?;
        let started_ns = now_ns();
        Ok(Running { child: command.spawn()?, started_ns })
    }

    /// An empty directory.
    pub fn directory(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.work.join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(path.canonicalize()?)
    }

    /// The command line of a system, for a command that is not `run`.
    pub fn cli(&self, system: &System) -> Command {
        let mut command = Command::new(&system.cli);
        command.current_dir(&self.work).env("BENCH_CSV", &self.csv);
        command
    }

    /// Writes a dataflow file.
    pub fn flow(&self, system: &System, name: &str, nodes: Vec<Node>) -> Outcome<PathBuf> {
        let file = self.work.join(format!("{name}.yml"));
        fs::write(&file, dataflow(nodes, &system.node, &self.csv, system.label))?;
        Ok(file)
    }

    fn dora_run(&self, system: &System, name: &str, nodes: Vec<Node>) -> Outcome<Command> {
        let mut command = Command::new(&system.cli);
        command.arg("run").arg(self.flow(system, name, nodes)?);
        if let Some(search) = &system.search {
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", search.display()));
        }
        Ok(command)
    }

    /// Measures each system.
    pub fn each(&self, measure: impl FnMut(&System) -> Outcome<()>) -> Outcome<()> {
        self.systems.iter().try_for_each(measure)
    }

    /// Waits until the machine is quiet, for as long as was asked for.
    pub fn await_quiet(&self) {
        if self.options.quiet_s > 0 && !wait_until_quiet(self.options.quiet_s) {
            eprintln!("   the machine is not quiet");
        }
    }

    /// Measures the systems in turn, many times and briefly: a ratio within a turn does not depend on the minute.
    pub fn in_turn(&self, mut turn: impl FnMut() -> Outcome<()>) -> Outcome<()> {
        self.await_quiet();
        (0..if self.options.quick { 4 } else { 10 }).try_for_each(|_| turn())
    }

    fn to_log<'a>(&self, command: &'a mut Command, name: &str) -> Outcome<&'a mut Command> {
        let log = File::create(self.work.join(format!("{name}.log")))?;
        let command = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir(&self.work);
        Ok(command.env("BENCH_CSV", &self.csv))
    }

    fn run(&self, command: &mut Command, name: &str) -> Outcome<()> {
        if self.options.quick && command.get_args().all(|argument| argument != "run") {
            command.arg("--quick");
        }
        let mut child = self.to_log(command, name)?.spawn()?;
        if !ends_within(&child, LIMIT_S)? {
            end(child)?;
            return Err(format!("{name}: did not end within {LIMIT_S} s").into());
        }
        let status = child.wait()?;
        let log = self.work.join(format!("{name}.log"));
        if status.success() { Ok(()) } else { Err(format!("{name}: {status}; see {}", log.display()).into()) }
    }
}

fn peer_program(options: &Options, peer: &str) -> PathBuf {
    options.peers_dir.join(if peer == "floor" { "floor" } else { "iceoryx2-peer" })
}

/// Sleeps until the process has ended, without polling, which would disturb what is measured.
fn ends_within(child: &Child, seconds: u64) -> Outcome<bool> {
    ended_within(&pidfd_open(Pid::from_child(child), PidfdFlags::empty())?, Duration::from_secs(seconds))
}

/// The same of any process.
pub fn ended_within(process: &OwnedFd, limit: Duration) -> Outcome<bool> {
    Ok(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&Timespec::try_from(limit)?))? > 0)
}

/// The id of a process as the kernel's calls want it.
pub fn pid_of(pid: u32) -> Outcome<Pid> {
    Pid::from_raw(i32::try_from(pid)?).ok_or_else(|| "no process has the id 0".into())
}

/// Ends a dataflow as Ctrl-C does, and by force if that does not help within five seconds.
pub fn end(mut child: Child) -> Outcome<()> {
    kill_process(Pid::from_child(&child), Signal::INT)?;
    if !ends_within(&child, 5)? {
        child.kill()?;
    }
    child.wait()?;
    Ok(())
}
