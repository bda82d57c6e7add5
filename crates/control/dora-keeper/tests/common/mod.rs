//! A supervisor for tests: launches plans, collects what the keeper reports.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

pub mod lasting;

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use dora_channel::os::{
    memory::{memfd_with, read_memfd},
    packet::{self, Blocking},
};
use dora_keeper::start::{Bond, start};
use dora_message::{
    keeper::{MAX_PACKET, QueuePolicy},
    supervision::{
        EdgePlan, EdgeSource, ExitCause, ExitStatus, Figures, FinalReport, FromKeeper, LaunchPlan, NodePlan,
        OutputStream, RestartRule, ToKeeper,
    },
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

/// The program that plays keeper, supervisor and nodes.
pub const HELPER: &str = env!("CARGO_BIN_EXE_dora-keeper-test-helper");

/// Longer than anything takes on a busy machine: it only ends tests that hang.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn plan() -> LaunchPlan {
    LaunchPlan {
        dataflow_id: uuid::Uuid::new_v4(),
        clock_anchor_ns: 0,
        memory_budget: 64 << 20,
        exit_when_nodes_finish: false,
        hold: false,
        write_events_to: None,
        descriptor: serde_json::json!({ "nodes": [] }),
        nodes: Vec::new(),
        edges: Vec::new(),
        lasting: None,
    }
}

pub trait Build {
    fn node(self, id: &str, program: impl AsRef<Path>, args: &[&str]) -> Self;
    /// The last node has the output `out`.
    fn output(self) -> Self;
    /// A shell script.
    fn sh(self, id: &str, script: &str) -> Self;
    /// A node that speaks the protocol.
    fn helper(self, id: &str, behaviour: &str) -> Self;
    fn edge(self, from: u32, to: u32, capacity: u32, policy: QueuePolicy) -> Self;
    /// The last node is started again by this rule.
    fn restart(self, rule: RestartRule) -> Self;
}

impl Build for LaunchPlan {
    fn node(mut self, id: &str, program: impl AsRef<Path>, args: &[&str]) -> Self {
        self.nodes.push(NodePlan {
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: std::env::vars().collect(),
            ..NodePlan::of_program(id.into(), program.as_ref().to_owned(), "/".into())
        });
        self
    }
    fn output(mut self) -> Self {
        self.nodes.last_mut().unwrap().outputs.push("out".into());
        self
    }
    fn sh(self, id: &str, script: &str) -> Self {
        self.node(id, "/bin/sh", &["-c", script])
    }
    fn helper(self, id: &str, behaviour: &str) -> Self {
        let args: Vec<_> = ["node"].into_iter().chain(behaviour.split(' ')).collect();
        self.node(id, HELPER, &args)
    }
    fn edge(mut self, from: u32, to: u32, capacity: u32, policy: QueuePolicy) -> Self {
        let from = EdgeSource::Node(from);
        self.edges.push(EdgePlan { from, output: "out".into(), to, input: "in".into(), capacity, policy });
        self
    }
    fn restart(mut self, rule: RestartRule) -> Self {
        self.nodes.last_mut().unwrap().restart = Some(rule);
        self
    }
}

/// Nodes of every kind that escapes a careless parent; each prints `pid N` for each of its processes.
pub fn escapers() -> LaunchPlan {
    plan()
        .sh("stopped", "echo pid $$; kill -STOP $$; sleep 1000")
        .sh("double-fork", "echo pid $$; (sh -c 'echo pid $$; exec sleep 1000' &); sleep 1000")
        .sh("own-session", "echo pid $$; (setsid sh -c 'echo pid $$; trap \"\" TERM HUP; sleep 1000' &); sleep 1000")
        .sh("deaf", "trap '' TERM HUP INT; echo pid $$; while :; do sleep 1000; done")
        .sh("stopped-grandchild", "echo pid $$; setsid sh -c 'echo pid $$; kill -STOP $$; sleep 1000' & sleep 1000")
        .sh("closes-everything", "echo pid $$; exec <&- >&- 2>&-; sleep 1000 & sleep 1000")
}
pub const ESCAPERS: usize = 9;

/// A keeper that this process has started.
pub struct Run {
    /// Its guard.
    pub keeper: Child,
    pub link: Link,
}

/// A connection to a keeper, and what came on it.
pub struct Link {
    pub socket: OwnedFd,
    pub seen: Vec<FromKeeper>,
    pub report: Option<FinalReport>,
    /// Those that came last.
    pub figures: Option<Figures>,
    /// What came with the last packet.
    pub fds: Vec<OwnedFd>,
    /// Lines in which nobody has looked for a number: one packet may bring several.
    unread: VecDeque<String>,
}

impl Deref for Run {
    type Target = Link;
    fn deref(&self) -> &Link {
        &self.link
    }
}
impl DerefMut for Run {
    fn deref_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

impl Run {
    /// Has the plan executed, by a keeper of the kind that it asks for.
    pub fn launch(plan: &LaunchPlan) -> Self {
        let run = Self::idle_for(plan);
        let json = serde_json::to_vec(plan).unwrap();
        let memory = memfd_with("plan", &json).unwrap();
        let launch = serde_json::to_vec(&ToKeeper::Launch { plan_len: json.len() as u64 }).unwrap();
        packet::send(run.socket.as_fd(), &launch, &[memory.as_fd()], Blocking::Yes).unwrap();
        run
    }
    /// A keeper that was not told anything yet.
    pub fn idle() -> Self {
        Self::idle_for(&plan())
    }
    fn idle_for(plan: &LaunchPlan) -> Self {
        let name = plan.lasting.is_some().then(|| lasting::name_of(plan));
        let bond = name.map_or(Bond::Tied, |name| Bond::Lasting { name });
        let (keeper, socket) = start(Path::new(HELPER), &bond).unwrap();
        Run { keeper, link: Link::new(socket) }
    }
    /// The keeper itself; what was started is its guard.
    pub fn keeper_pid(&self) -> u32 {
        let guard = self.keeper.id();
        let children = std::fs::read_to_string(format!("/proc/{guard}/task/{guard}/children")).unwrap();
        children.trim().parse().unwrap()
    }
    /// Reads to the end, which must be an orderly one.
    pub fn finish(mut self) -> Finished {
        let finished = self.link.finish();
        assert!(self.keeper.wait().unwrap().success());
        finished
    }
}

impl Link {
    pub fn new(socket: OwnedFd) -> Self {
        Link { socket, seen: Vec::new(), report: None, figures: None, fds: Vec::new(), unread: VecDeque::new() }
    }
    pub fn tell(&self, packet: &ToKeeper) {
        packet::send(self.socket.as_fd(), &json(packet), &[], Blocking::Yes).unwrap();
    }
    pub fn stop(&self, grace_ms: u64) {
        self.tell(&ToKeeper::Stop { grace_ms });
    }
    /// Whether a packet comes within this time.
    pub fn is_readable(&self, within: Duration) -> bool {
        readable(&self.socket, within)
    }
    /// The next packet; `None` when the keeper is gone.
    pub fn next(&mut self) -> Option<FromKeeper> {
        assert!(self.is_readable(PATIENCE), "nothing came; seen so far: {:#?}", self.seen);
        let mut buffer = vec![0; MAX_PACKET];
        let (len, fds) = packet::receive(self.socket.as_fd(), &mut buffer, Blocking::Yes).unwrap();
        if len == 0 {
            return None;
        }
        let packet: FromKeeper = serde_json::from_slice(&buffer[..len]).unwrap();
        self.fds = fds;
        let json = |len| read_memfd(self.fds[0].try_clone().unwrap(), len, 1 << 20).unwrap();
        match &packet {
            FromKeeper::Finished { report_len } => {
                self.report = Some(serde_json::from_slice(&json(*report_len)).unwrap());
            }
            FromKeeper::Figures { len, .. } => self.figures = Some(serde_json::from_slice(&json(*len)).unwrap()),
            _ => {}
        }
        self.unread.extend(lines(&packet).iter().cloned());
        self.seen.push(packet.clone());
        Some(packet)
    }
    /// Reads until a packet fits, and gives what was made of it.
    pub fn until<T>(&mut self, fits: impl Fn(&FromKeeper) -> Option<T>) -> T {
        loop {
            match self.next() {
                Some(packet) => {
                    if let Some(found) = fits(&packet) {
                        return found;
                    }
                }
                None => panic!("the keeper is gone; seen: {:#?}", self.seen),
            }
        }
    }
    /// Asks what the keeper knows now.
    pub fn figures(&mut self) -> Figures {
        let serial = self.seen.len() as u64;
        self.tell(&ToKeeper::Figures { serial });
        self.until(|packet| matches!(packet, FromKeeper::Figures { serial: of, .. } if *of == serial).then_some(()));
        self.figures.take().unwrap()
    }
    /// Reads until such a packet has come, perhaps earlier.
    pub fn until_seen(&mut self, fits: impl Fn(&FromKeeper) -> bool) {
        if !self.seen.iter().any(&fits) {
            self.until(|packet| fits(packet).then_some(()));
        }
    }
    pub fn until_line(&mut self, expected: &str) {
        self.until_seen(|packet| lines(packet).iter().any(|line| line == expected));
    }
    /// The next number that a node prints after a word.
    pub fn until_number(&mut self, word: &str) -> u32 {
        loop {
            while let Some(line) = self.unread.pop_front() {
                if let Some(number) = line.strip_prefix(word).and_then(|number| number.trim().parse().ok()) {
                    return number;
                }
            }
            assert!(self.next().is_some(), "the keeper is gone; seen: {:#?}", self.seen);
        }
    }
    pub fn until_all_ready(&mut self) {
        self.until_seen(|packet| *packet == FromKeeper::AllReady);
    }
    /// Reads to the end, which must be an orderly one. A keeper that could wait for ever is told to go.
    pub fn finish(mut self) -> Finished {
        while let Some(packet) = self.next() {
            if matches!(packet, FromKeeper::Finished { .. }) {
                let _ = packet::send(self.socket.as_fd(), &json(&ToKeeper::Dismiss), &[], Blocking::Yes);
            }
        }
        let report = self.report.unwrap_or_else(|| panic!("no report; seen: {:#?}", self.seen));
        Finished { seen: self.seen, report }
    }
}

fn json(packet: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(packet).unwrap()
}

/// What a keeper has said in all.
pub struct Finished {
    pub seen: Vec<FromKeeper>,
    pub report: FinalReport,
}

impl Finished {
    pub fn exit(&self, id: &str) -> (ExitStatus, ExitCause) {
        let (status, cause, ..) = self.exited(id);
        (status, cause)
    }
    pub fn exited(&self, id: &str) -> (ExitStatus, ExitCause, bool, Vec<String>) {
        let mut found = self.seen.iter().filter_map(|packet| match packet {
            FromKeeper::Exited { node, status, cause, never_connected, last_stderr } if node.as_str() == id => {
                Some((status.clone(), *cause, *never_connected, last_stderr.clone()))
            }
            _ => None,
        });
        let exited = found.next().unwrap_or_else(|| panic!("no end of {id} in {:#?}", self.seen));
        assert!(found.next().is_none(), "{id} ended twice");
        exited
    }
    /// All pieces of a stream, lines ended by newlines.
    pub fn text(&self, id: &str, wanted: OutputStream) -> String {
        let mut text = String::new();
        for packet in &self.seen {
            match packet {
                FromKeeper::Lines { node, stream, lines, partial, .. } if node.as_str() == id && *stream == wanted => {
                    text += &lines.join("\n");
                    text += if *partial { "" } else { "\n" };
                }
                _ => {}
            }
        }
        text
    }
    pub fn stdout(&self, id: &str) -> String {
        self.text(id, OutputStream::Stdout)
    }
    pub fn warnings(&self) -> Vec<&str> {
        let mut warnings = Vec::new();
        for packet in &self.seen {
            if let FromKeeper::Warning { message } = packet {
                warnings.push(message.as_str());
            }
        }
        warnings
    }
}

/// The lines of a packet, which is perhaps none of lines.
pub fn lines(packet: &FromKeeper) -> &[String] {
    match packet {
        FromKeeper::Lines { lines, .. } => lines,
        _ => &[],
    }
}

pub fn code(code: i32) -> ExitStatus {
    ExitStatus::Code { code }
}
pub fn signal(signal: i32) -> ExitStatus {
    ExitStatus::Signal { signal }
}

pub fn readable(fd: impl AsFd, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A process that lives now, to see later that it does not.
pub struct Witness(OwnedFd);

impl Witness {
    pub fn of(pid: u32) -> Self {
        let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        Witness(pidfd_open(pid, PidfdFlags::empty()).unwrap())
    }
    pub fn sees_death(&self) {
        assert!(readable(&self.0, PATIENCE), "the process still lives");
    }
    pub fn sees_life(&self) {
        assert!(!readable(&self.0, Duration::ZERO), "the process is dead");
    }
}

/// A number of KiB in `/proc/PID/status`, for example `VmRSS`.
pub fn status_kib(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Whether a process comes to do nothing at all, when it is done with what it has to do.
pub fn falls_asleep(pid: u32) -> bool {
    let switches = || status_kib(pid, "voluntary_ctxt_switches");
    let is_asleep = || {
        let before = switches();
        std::thread::sleep(Duration::from_millis(300));
        switches() == before
    };
    (0..20).any(|_| is_asleep())
}
