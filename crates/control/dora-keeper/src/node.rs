//! One node: its process, its output, the signals it got.

use std::{io, os::fd::OwnedFd, rc::Rc, time::Instant};

use dora_message::{
    id::DataflowId,
    log::LogEntry,
    supervision::{ExitCause, ExitStatus, FromKeeper, Limits, NodeEnd, NodePlan, OutputStream, Overdue},
};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    conversation::{Conversation, Stage},
    guest::Guest,
    last_lines::LastLines,
    log::Logs,
    outbox::Outbox,
    poller::{Poller, Port, Token},
    restart::Restart,
    spawn::{self, Inheritance, Spawned},
    stdio::{Amount, Pipe},
    stop::{Ladder, Step},
    supervisor::SupervisorLink,
    watchdog::Watchdog,
};

/// Where a node is between its start and the report of its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    /// The process runs, or has ended and was not waited for: its number belongs to nobody else.
    Running(Pid),
    /// The process is gone; its output is still being forwarded.
    Ended(ExitStatus, ExitCause, Option<Restart>),
    /// The process is gone, the supervisor knows, and another one will be started.
    Waiting(ExitStatus, Restart),
    /// The supervisor knows.
    Over,
    /// No process of ours: the node is dynamic.
    Dynamic,
}

/// What the supervisor wants to come after the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Nothing.
    Stop,
    /// The next process.
    Restart,
}

/// The strongest signal that the keeper has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signalled {
    /// None.
    No,
    /// SIGTERM.
    Terminated,
    /// SIGKILL, because the grace was over.
    KilledByLadder,
    /// SIGKILL, because the supervisor wants it at once.
    KilledByOrder,
}

/// One node.
pub(crate) struct Node {
    pub(crate) life: Life,
    pub(crate) conversation: Conversation,
    pub(crate) signalled: Signalled,
    pub(crate) watchdog: Watchdog,
    /// What it took too long for, and is being ended for.
    pub(crate) overdue: Option<Overdue>,
    /// It is being stopped, alone.
    pub(crate) ladder: Option<Ladder>,
    /// The supervisor has ordered that.
    pub(crate) ordered: Option<Aim>,
    /// It has dropped its outputs: when they end if the process goes on.
    pub(crate) outputs_end: Option<Instant>,
    /// The process that is this dynamic node now.
    pub(crate) guest: Option<Guest>,
    stdout: Option<Pipe>,
    stderr: Option<Pipe>,
    last_stderr: LastLines,
}

impl Node {
    /// Starts the process; the error is a sentence for its user.
    pub(crate) fn spawn(
        dataflow: DataflowId,
        plan: &NodePlan,
        number: usize,
        restart_count: u32,
        inheritance: &Inheritance,
        poller: &Rc<Poller>,
    ) -> Result<Self, String> {
        let spawned = spawn::spawn(dataflow, plan, restart_count, inheritance)?;
        let pid = spawned.pid;
        let watchdog = Watchdog::new(plan.limits, Instant::now());
        Self::watch(spawned, watchdog, number, poller).map_err(|error| {
            let _ = kill_process_group(pid, Signal::KILL);
            format!("the keeper cannot watch it: {error}")
        })
    }

    fn watch(spawned: Spawned, watchdog: Watchdog, number: usize, poller: &Rc<Poller>) -> io::Result<Self> {
        let token = |port| Token::Node(number, port);
        Ok(Node {
            conversation: Conversation::new(Some(Outbox::new(spawned.socket, token(Port::Socket), poller)?)),
            watchdog,
            stdout: Some(Pipe::new(spawned.stdout, token(Port::Stdout), poller)?),
            stderr: Some(Pipe::new(spawned.stderr, token(Port::Stderr), poller)?),
            ..Self::without_process(Life::Running(spawned.pid))
        })
    }

    /// A node that was not started.
    pub(crate) fn unborn(error: String, cause: ExitCause) -> Self {
        Self::without_process(Life::Ended(ExitStatus::SpawnFailed { error }, cause, None))
    }

    /// A dynamic node that no process is.
    pub(crate) fn dynamic() -> Self {
        Self::without_process(Life::Dynamic)
    }

    /// A dynamic node that a process wants to be.
    pub(crate) fn joined(socket: OwnedFd, guest: Guest, number: usize, poller: &Rc<Poller>) -> io::Result<Self> {
        let outbox = Outbox::new(socket, Token::Node(number, Port::Socket), poller)?;
        Ok(Node { conversation: Conversation::new(Some(outbox)), guest: Some(guest), ..Self::dynamic() })
    }

    fn without_process(life: Life) -> Self {
        Node {
            life,
            conversation: Conversation::new(None),
            signalled: Signalled::No,
            watchdog: Watchdog::new(Limits::default(), Instant::now()),
            overdue: None,
            ladder: None,
            ordered: None,
            outputs_end: None,
            guest: None,
            stdout: None,
            stderr: None,
            last_stderr: LastLines::default(),
        }
    }

    /// A process that nobody here started exchanges messages as this node.
    pub(crate) fn is_started_guest(&self) -> bool {
        self.guest.is_some() && self.conversation.stage() == Stage::Started
    }

    /// Its process exchanges messages.
    pub(crate) fn is_connected(&self) -> bool {
        self.conversation.stage() == Stage::Started && !self.conversation.is_closed()
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        match self.life {
            Life::Running(pid) => Some(pid),
            _ => None,
        }
    }

    /// Process id of the process that is the node, for people, if it can be seen from here.
    pub(crate) fn seen_pid(&self) -> Option<u32> {
        self.guest.as_ref().map_or_else(|| self.pid().map(|pid| pid.as_raw_pid().unsigned_abs()), Guest::pid)
    }

    /// Its process runs, or another one will be started.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self.life, Life::Running(_) | Life::Ended(_, _, Some(_)) | Life::Waiting(..))
    }

    /// When something is to be done about it.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let stop = self.ladder.as_ref().and_then(Ladder::deadline);
        [self.watchdog.deadline(), stop, self.outputs_end].into_iter().flatten().min()
    }

    /// Climbs its own ladder.
    pub(crate) fn climb(&mut self, now: Instant) {
        while let Some(step) = self.ladder.as_mut().and_then(|ladder| ladder.due(now)) {
            self.take(step);
        }
    }

    /// One step of a ladder.
    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Terminate => self.terminate(),
            Step::Kill => self.kill(Signalled::KilledByLadder),
        }
    }

    /// SIGTERM to the process group, and SIGCONT: a stopped process would not hear it.
    pub(crate) fn terminate(&mut self) {
        self.signal(Signal::TERM, Signalled::Terminated);
        self.signal(Signal::CONT, Signalled::Terminated);
    }

    /// SIGKILL to the process group.
    pub(crate) fn kill(&mut self, why: Signalled) {
        self.signal(Signal::KILL, why);
    }

    fn signal(&mut self, signal: Signal, mark: Signalled) {
        if let Life::Running(pid) = self.life {
            let _ = kill_process_group(pid, signal);
            self.signalled = self.signalled.max(mark);
        }
    }

    /// What it printed on standard error that says best why it ended, if it printed there.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.last_stderr.reason()
    }

    /// Stops or continues to read what the node prints.
    pub(crate) fn pause_output(&mut self, paused: bool) {
        for pipe in [&mut self.stdout, &mut self.stderr] {
            if pipe.as_mut().is_some_and(|pipe| pipe.pause(paused).is_err()) {
                *pipe = None;
            }
        }
    }

    /// Reads what the node, whose number this is, has printed on one stream.
    pub(crate) fn read_output(&mut self, number: usize, stream: OutputStream, amount: Amount, logs: &mut Logs) {
        let pipe = match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        let Some(open) = pipe else { return };
        let last_stderr = &mut self.last_stderr;
        let mut each = |line: &str| {
            if stream == OutputStream::Stderr {
                LogEntry::parse(line).message.lines().for_each(|line| last_stderr.push(line));
            }
        };
        if !open.read(amount, &mut |bytes| logs.take(number, stream, bytes, &mut each)) {
            logs.end(number, stream, &mut each);
            *pipe = None;
        }
    }

    /// After the process is gone: reads what is left in the pipes. A child of its own may hold them open for ever.
    pub(crate) fn drain(&mut self, number: usize, logs: &mut Logs) {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            self.read_output(number, stream, Amount::Rest, logs);
        }
    }

    /// No other process will be started: what was to be a restart is an end, and this is why.
    pub(crate) fn cancel_restart(&mut self, why: ExitCause) -> bool {
        let status = match &self.life {
            Life::Ended(status, _, Some(_)) | Life::Waiting(status, _) => status.clone(),
            _ => return false,
        };
        self.life = Life::Ended(status, why, None);
        true
    }

    /// If another process is to be started, it is to be soon.
    pub(crate) fn hasten_restart(&mut self, now: Instant) {
        if let Life::Ended(_, _, Some(restart)) | Life::Waiting(_, restart) = &mut self.life {
            restart.at = restart.at.min(now);
        }
    }

    /// Tells the supervisor that the process has ended, once all of its output has been told, and what comes next. If
    /// nothing does, that was the end of the node.
    pub(crate) fn report(&mut self, plan: &NodePlan, link: &mut SupervisorLink) -> Option<NodeEnd> {
        let Life::Ended(status, cause, restart) = std::mem::replace(&mut self.life, Life::Over) else { return None };
        if let Some(restart) = restart {
            let delay_ms = restart.delay.as_millis().try_into().unwrap_or(u64::MAX);
            let (node, number) = (plan.id.clone(), restart.number);
            link.send(&FromKeeper::Restarting { node, status: status.clone(), restart: number, delay_ms });
            self.life = Life::Waiting(status, restart);
            return None;
        }
        let never_connected = self.conversation.stage() == Stage::Silent;
        let last_stderr = self.last_stderr.take();
        let end = NodeEnd { node: plan.id.clone(), status, cause, never_connected, last_stderr };
        let NodeEnd { node, status, cause, never_connected, last_stderr } = end.clone();
        link.send(&FromKeeper::Exited { node, status, cause, never_connected, last_stderr });
        Some(end)
    }
}
