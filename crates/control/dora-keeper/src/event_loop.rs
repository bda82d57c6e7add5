//! The keeper's only loop: waits for a descriptor or a deadline, and hands what happened to the dataflow.
//!
//! `orphan` is what it does without a supervisor, and how it gets the next one.

mod orphan;

use std::{
    io,
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use dora_message::supervision::{ExitStatus, Figures, FinalReport, FromKeeper, ToKeeper};
use rustix::process::{WaitOptions, WaitStatus, wait};

use crate::{
    cleanup::{Cleanup, kill_descendants},
    dataflow::Dataflow,
    poller::{Door, Poller, Token},
    signals::Signals,
    spawn::Inheritance,
    start::{Bond, GuardId, Supervisor, leave_stderr},
    stop::{DEFAULT_GRACE, Ladder},
    supervisor::{Heard, SupervisorLink, read_plan},
    vigil::Vigil,
};

/// Time for the log files of a dataflow that was abandoned.
const LAST_LINES: Duration = Duration::from_millis(500);

/// A keeper process.
pub(crate) struct Keeper {
    poller: Rc<Poller>,
    signals: Signals,
    link: SupervisorLink,
    inheritance: Inheritance,
    dataflow: Option<Dataflow>,
    guard: GuardId,
    /// `None`: it ends with its supervisor.
    vigil: Option<Vigil>,
    /// Everything has ended, and this is kept until a supervisor has taken it.
    ending: Option<Ending>,
}

/// What a keeper that waits for a supervisor has to tell.
struct Ending {
    report: FinalReport,
    /// The supervisor was told.
    told: bool,
}

/// Whether the loop goes on.
enum Next {
    Continue,
    /// Everything was said; it only has to be read.
    Finish,
    /// Nobody is there any more.
    Abandon,
}

impl Keeper {
    pub(crate) fn new(supervisor: Supervisor, inheritance: Inheritance) -> io::Result<Self> {
        let poller = Rc::new(Poller::new()?);
        let signals = Signals::new()?;
        poller.add(signals.fd(), Token::Signals)?;
        let guard = supervisor.guard;
        // Before the supervisor can tell what to run: then whoever comes after it finds this keeper.
        let vigil = match &supervisor.bond {
            Bond::Tied => None,
            Bond::Lasting { name } => Some(Vigil::open(name, &poller)?),
        };
        let link = SupervisorLink::new(supervisor, &poller)?;
        Ok(Keeper { poller, signals, link, inheritance, dataflow: None, guard, vigil, ending: None })
    }

    /// Runs until everything is over. Whatever the reason, nothing that was started is left.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let ended = self.serve();
        // After an orderly end there is nothing to kill or to write, and this costs one look.
        kill_descendants(&[]);
        if let Some(dataflow) = &mut self.dataflow {
            dataflow.settle_logs(LAST_LINES);
        }
        ended
    }

    fn serve(&mut self) -> io::Result<()> {
        if self.link.is_lasting() {
            leave_stderr()?;
        }
        loop {
            for token in self.poller.wait(self.deadline())? {
                match self.handle(token) {
                    Next::Continue => {}
                    Next::Finish => return self.say_goodbye(),
                    Next::Abandon => return Ok(()),
                }
            }
            if let Some(report) = self.attend() {
                if !self.link.is_lasting() {
                    self.link.send_report(&report);
                    return self.say_goodbye();
                }
                self.ending = Some(Ending { report, told: false });
            }
            if !matches!(self.attend_as_orphan(), Next::Continue) {
                return Ok(());
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let nodes = self.dataflow.as_ref().filter(|_| self.ending.is_none()).and_then(Dataflow::deadline);
        [nodes, self.orphan_deadline()].into_iter().flatten().min()
    }

    /// Does what is due. The report, once everything has ended.
    fn attend(&mut self) -> Option<FinalReport> {
        let dataflow = self.dataflow.as_mut()?;
        if self.ending.is_none() {
            dataflow.tick(Instant::now(), &mut self.link);
        }
        dataflow.tell_output(&mut self.link);
        if self.ending.is_some() || !dataflow.is_over(Instant::now()) {
            return None;
        }
        dataflow.tell_losses(&mut self.link);
        let cleanup = kill_descendants(&[]);
        self.warn_of_survivors(&cleanup);
        self.dataflow.as_ref().map(|dataflow| dataflow.report(&cleanup))
    }

    fn handle(&mut self, token: Token) -> Next {
        match token {
            Token::Supervisor => {
                self.link.flush();
                return self.listen();
            }
            Token::SupervisorProcess => return Next::Abandon,
            Token::Signals => {
                let pending = self.signals.take();
                if pending.child {
                    self.reap();
                }
                if pending.terminate {
                    match &mut self.dataflow {
                        Some(_) if self.ending.is_some() => return self.leave(),
                        Some(dataflow) => dataflow.stop(Ladder::begin(Instant::now(), DEFAULT_GRACE), &mut self.link),
                        None => return Next::Abandon,
                    }
                }
            }
            Token::LogWriter => {
                if let Some(dataflow) = &mut self.dataflow {
                    dataflow.log_writer_ready();
                }
            }
            Token::Listener(Door::Supervisors) => self.supervisors_came(),
            Token::Visitor(Door::Supervisors, number) => return self.supervisor_claims(number),
            Token::Listener(Door::Guests) => {
                if let Some(dataflow) = &mut self.dataflow {
                    dataflow.visitors_came(&mut self.link);
                }
            }
            Token::Visitor(Door::Guests, number) => {
                if let Some(dataflow) = &mut self.dataflow {
                    dataflow.visitor_ready(number, &mut self.link);
                }
            }
            Token::Node(number, port) => {
                if let Some(dataflow) = &mut self.dataflow {
                    dataflow.port_ready(number, port, &mut self.link);
                }
            }
        }
        Next::Continue
    }

    /// Does all that the supervisor wants.
    fn listen(&mut self) -> Next {
        while let Some(heard) = self.link.receive() {
            let next = match heard {
                Heard::Order(order, fds) => self.obey(order, fds),
                Heard::Gone => self.supervisor_gone(),
            };
            match next {
                Next::Continue => {}
                other => return other,
            }
        }
        Next::Continue
    }

    fn obey(&mut self, order: ToKeeper, fds: Vec<OwnedFd>) -> Next {
        match (order, &mut self.dataflow) {
            (ToKeeper::Launch { plan_len }, None) => return self.launch(fds, plan_len),
            (ToKeeper::Launch { .. }, Some(_)) => {
                self.link.warn("this keeper runs a dataflow already; a second one was refused".to_owned());
            }
            // The report was taken. Before that nothing of it can be left.
            (ToKeeper::Dismiss, _) if self.ending.is_some() => return Next::Abandon,
            (order, Some(dataflow)) => dataflow.obey(order, &fds, &mut self.link),
            (ToKeeper::Stop { .. } | ToKeeper::Hurry | ToKeeper::Kill, None) => return Next::Finish,
            (ToKeeper::Figures { serial }, None) => self.link.send_figures(serial, &Figures::default()),
            // About nodes that are not there.
            (_, None) => {}
        }
        Next::Continue
    }

    fn launch(&mut self, fds: Vec<OwnedFd>, plan_len: u64) -> Next {
        let launched = match read_plan(fds, plan_len) {
            Ok(plan) => self
                .begin_vigil(&plan)
                .and_then(|()| Dataflow::launch(*plan, &self.inheritance, &self.poller, &mut self.link)),
            Err(error) => Err(format!("the launch plan cannot be read: {error}")),
        };
        match launched {
            Ok(dataflow) => self.dataflow = Some(dataflow),
            Err(reason) => return self.fail(reason),
        }
        Next::Continue
    }

    fn fail(&mut self, reason: String) -> Next {
        kill_descendants(&[]);
        self.link.send(&FromKeeper::Failed { reason });
        Next::Finish
    }

    /// Takes the status of every child that has ended, so that none stays a zombie; and of those that were stopped.
    fn reap(&mut self) {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED | WaitOptions::CONTINUED;
        while let Ok(Some((pid, status))) = wait(options) {
            let Some(dataflow) = &mut self.dataflow else { continue };
            match status.stopped() || status.continued() {
                true => dataflow.process_paused(pid, status.stopped()),
                false => dataflow.process_ended(pid, exit_status(status), &mut self.link),
            }
        }
    }

    fn warn_of_survivors(&mut self, cleanup: &Cleanup) {
        if !cleanup.survivors.is_empty() {
            let pids: Vec<_> = cleanup.survivors.iter().map(u32::to_string).collect();
            let message = format!(
                "nodes have left processes behind that cannot be killed, because they belong to another user or hang in \
                 the kernel: {}",
                pids.join(", ")
            );
            self.link.warn(message);
        }
    }

    /// Waits until the supervisor has read everything, or is gone.
    fn say_goodbye(&mut self) -> io::Result<()> {
        while !self.link.is_drained() {
            for token in self.poller.wait(None)? {
                match token {
                    Token::Supervisor => {
                        self.link.flush();
                        while let Some(heard) = self.link.receive() {
                            if matches!(heard, Heard::Gone) {
                                return Ok(());
                            }
                        }
                    }
                    Token::SupervisorProcess => return Ok(()),
                    Token::Signals => {
                        self.signals.take();
                    }
                    Token::LogWriter => {
                        self.handle(token);
                    }
                    Token::Listener(_) | Token::Visitor(..) | Token::Node(..) => {}
                }
            }
        }
        Ok(())
    }
}

fn exit_status(status: WaitStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code { code },
        (None, Some(signal)) => ExitStatus::Signal { signal },
        // Only ends are waited for.
        (None, None) => ExitStatus::Code { code: -1 },
    }
}
