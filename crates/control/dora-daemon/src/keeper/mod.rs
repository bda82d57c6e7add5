//! A keeper process as its supervisor holds it.
//!
//! It must not know what the packets mean for the dataflow; [`Execution`](crate::Execution) does.

mod claim;
mod control;
mod processes;

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use dora_channel::os::{
    memory::{memfd_with, read_memfd},
    packet::{self, Blocking},
};
use dora_keeper::{cleanup::Cleanup, start::Bond};
use dora_message::{
    keeper::MAX_PACKET,
    supervision::{Figures, FinalReport, FromKeeper, LaunchPlan, ToKeeper},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::de::DeserializeOwned;

use crate::{adoption, tap::TapReader};
pub(crate) use claim::claim;
pub use claim::{AdoptError, Owner, adoptable, incarnation};
pub use control::Control;
use processes::Processes;

/// The longest final report or set of figures, in bytes of JSON.
const LONGEST_REPORT: u64 = 256 * 1024 * 1024;
/// Time that a keeper which was dismissed has to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a keeper cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The process could not be started.
    #[error("cannot start `{} keeper`, which runs the nodes: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The plan could not be handed over.
    #[error("the keeper did not take the dataflow: {0}")]
    Launch(io::Error),
}

/// A keeper. Dropping one that is tied to this process ends it and everything that it had started, and waits for that. One
/// that may outlive this process is let go of, and goes on; once it has [finished](Received::Finished) it is dismissed.
#[derive(Debug)]
pub struct Keeper {
    processes: Processes,
    control: Control,
    buffer: Vec<u8>,
    end: Option<End>,
}

/// Why nothing more comes from a keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Everything is over, and was told.
    Finished,
    /// It ends by itself, without having run anything.
    Failed,
    /// It has died, and what it had left is cleaned up.
    Lost,
    /// It goes on without us.
    LetGo,
}

/// What came of waiting.
#[derive(Debug)]
pub enum Received {
    /// The keeper reports something. Never what comes with memory, for which there are others.
    Packet(FromKeeper),
    /// Answers [`Control::ask_figures`].
    Figures {
        /// Number of the question.
        serial: u64,
        /// The answer.
        figures: Figures,
    },
    /// Follows [`Control::tap`].
    Tapped {
        /// Number of the tap.
        tap: u64,
        /// What the present process of the node sends.
        reader: TapReader,
    },
    /// Everything is over and nothing is left.
    Finished(FinalReport),
    /// The keeper died. Its nodes died with it; what they had left behind was killed.
    Lost {
        /// How it ended, if known.
        status: Option<ExitStatus>,
        /// What was killed.
        cleanup: Cleanup,
    },
    /// It lives, and this process supervises it no more: another one does, or it has not been read for too long.
    LetGo,
    /// Somebody called [`Control::wake`].
    Woken,
    /// The time is over.
    TimedOut,
}

impl Keeper {
    /// Starts `exe keeper` and has it execute a plan. `exe` is a program that calls [`dora_keeper::run`] then, as `dora`
    /// does.
    pub fn start(exe: &Path, plan: &LaunchPlan) -> Result<Self, KeeperError> {
        let bond = claim::bond_of(plan);
        let started = || {
            let (child, socket) = dora_keeper::start::start(exe, &bond)?;
            adoption::register(child.id());
            let processes = match bond {
                Bond::Tied => Processes::Tied(child),
                Bond::Lasting { .. } => claim::greeted(&socket, child, plan.dataflow_id)?,
            };
            Keeper::of(socket, processes)
        };
        let keeper = started().map_err(|source| KeeperError::Start { program: exe.to_owned(), source })?;
        keeper.launch(plan).map_err(KeeperError::Launch)?;
        Ok(keeper)
    }

    fn of(socket: OwnedFd, processes: Processes) -> io::Result<Self> {
        Ok(Keeper { processes, control: Control::new(socket)?, buffer: vec![0; MAX_PACKET], end: None })
    }

    fn launch(&self, plan: &LaunchPlan) -> io::Result<()> {
        let json = serde_json::to_vec(plan)?;
        let memory = memfd_with("dora-plan", &json)?;
        self.control.send(&ToKeeper::Launch { plan_len: json.len() as u64 }, Some(&memory))
    }

    /// To give orders.
    pub fn control(&self) -> &Control {
        &self.control
    }
    /// Kills the keeper itself, and so its nodes: for one that does not answer. [`next`](Self::next) tells of its end.
    pub fn kill(&mut self) {
        self.processes.kill();
    }
    /// Process id of the keeper, or of what guards it.
    pub fn pid(&self) -> u32 {
        self.processes.pid()
    }
    /// The next report; waits for it, for at most `timeout`. After [`Received::Finished`], [`Received::Lost`],
    /// [`Received::LetGo`] or [`FromKeeper::Failed`] there is none.
    pub fn next(&mut self, timeout: Option<Duration>) -> Received {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match self.wait(deadline) {
                Ready::Socket => {}
                Ready::Wake => return Received::Woken,
                Ready::Nothing => return Received::TimedOut,
            }
            let socket = self.control.0.socket.as_fd();
            let (len, fds) = match packet::receive(socket, &mut self.buffer, Blocking::No) {
                Ok((0, _)) => return self.lost(),
                Ok(packet) => packet,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                // Longer than any packet of the protocol: ignored, like everything that is not understood.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
                Err(_) => return self.lost(),
            };
            let Ok(packet) = serde_json::from_slice(&self.buffer[..len]) else { continue };
            if let Some(received) = self.received(packet, fds) {
                return received;
            }
        }
    }

    /// A packet with what came with it; `None` if that cannot be read.
    fn received(&mut self, packet: FromKeeper, fds: Vec<OwnedFd>) -> Option<Received> {
        Some(match packet {
            FromKeeper::Finished { report_len } => self.finished(fds, report_len),
            FromKeeper::Figures { serial, len } => Received::Figures { serial, figures: read(fds, len)? },
            FromKeeper::Tapped { tap, bit, capacity } => match TapReader::open(bit, capacity, fds) {
                Ok(reader) => Received::Tapped { tap, reader },
                Err(error) => Received::Packet(FromKeeper::TapOver { tap, reason: error.to_string() }),
            },
            FromKeeper::Failed { reason } => {
                self.end = Some(End::Failed);
                Received::Packet(FromKeeper::Failed { reason })
            }
            packet => Received::Packet(packet),
        })
    }

    fn wait(&self, deadline: Option<Instant>) -> Ready {
        let descriptors = &self.control.0;
        loop {
            let timeout = deadline.map(|at| {
                let left = at.saturating_duration_since(Instant::now());
                Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
            });
            let mut polled =
                [PollFd::new(&descriptors.wake, PollFlags::IN), PollFd::new(&descriptors.socket, PollFlags::IN)];
            match poll(&mut polled, timeout.as_ref()) {
                Ok(0) => return Ready::Nothing,
                Ok(_) if polled[0].revents().contains(PollFlags::IN) => {
                    let _ = rustix::io::read(&descriptors.wake, &mut [0; 8][..]);
                    return Ready::Wake;
                }
                Ok(_) => return Ready::Socket,
                Err(_) => {}
            }
        }
    }

    fn finished(&mut self, fds: Vec<OwnedFd>, len: u64) -> Received {
        let report = read(fds, len);
        if self.end.replace(End::Finished).is_none()
            && let Processes::Tied(_) = self.processes
        {
            self.processes.end(FAREWELL);
        }
        Received::Finished(report.unwrap_or_default())
    }

    fn lost(&mut self) -> Received {
        match self.processes.lost() {
            Some((status, cleanup)) => {
                self.end = Some(End::Lost);
                Received::Lost { status, cleanup }
            }
            None => {
                self.end = Some(End::LetGo);
                Received::LetGo
            }
        }
    }
}

/// JSON that came in memory; `None` if it cannot be read.
fn read<T: DeserializeOwned>(fds: Vec<OwnedFd>, len: u64) -> Option<T> {
    let json = read_memfd(fds.into_iter().next()?, len, LONGEST_REPORT).ok()?;
    serde_json::from_slice(&json).ok()
}

enum Ready {
    Socket,
    Wake,
    Nothing,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Not by closing: a control may live in another thread.
        let hang_up = || {
            let _ = rustix::net::shutdown(&self.control.0.socket, rustix::net::Shutdown::Both);
        };
        match (self.end, &self.processes) {
            (Some(End::Finished), Processes::Lasting(_)) => {
                self.control.tell(&ToKeeper::Dismiss);
                self.processes.end(FAREWELL);
            }
            (Some(End::Finished | End::Lost), _) => {}
            (Some(End::LetGo), _) | (None, Processes::Lasting(_)) => hang_up(),
            (Some(End::Failed), _) | (None, Processes::Tied(_)) => {
                hang_up();
                self.processes.wait();
            }
        }
    }
}
