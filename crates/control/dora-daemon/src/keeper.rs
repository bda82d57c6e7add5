//! A keeper process as its supervisor holds it.
//!
//! It must not know what the packets mean for the dataflow; [`Execution`](crate::Execution) does.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    sync::Arc,
    time::{Duration, Instant},
};

use dora_channel::{
    chunk_layout,
    os::{
        memory::{memfd_with, read_memfd},
        packet::{self, Blocking},
    },
};
use dora_keeper::cleanup::Cleanup;
use dora_message::{
    id::{DataId, NodeId},
    keeper::{LooseMessage, MAX_PACKET},
    supervision::{Ending, Figures, FinalReport, FromKeeper, LaunchPlan, ToKeeper},
};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use serde::de::DeserializeOwned;

use crate::{adoption, tap::TapReader};

/// The longest final report or set of figures, in bytes of JSON.
const LONGEST_REPORT: u64 = 256 * 1024 * 1024;

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

/// A keeper. Dropping it ends the keeper and everything that it had started, and waits for that.
#[derive(Debug)]
pub struct Keeper {
    child: Child,
    control: Control,
    buffer: Vec<u8>,
    ended: bool,
}

/// Gives orders to a keeper, from any thread.
#[derive(Debug, Clone)]
pub struct Control(Arc<Descriptors>);

#[derive(Debug)]
struct Descriptors {
    socket: OwnedFd,
    wake: OwnedFd,
}

impl Control {
    /// Lets the nodes of a plan with [`LaunchPlan::hold`] start, as soon as they are ready.
    pub fn release(&self) {
        self.tell(&ToKeeper::Release);
    }
    /// Makes [`Keeper::next`] return [`Received::Figures`] with this number. A keeper that is about to end does not answer.
    pub fn ask_figures(&self, serial: u64) {
        self.tell(&ToKeeper::Figures { serial });
    }
    /// Brings one node to its end; it is not started again. If that cannot be, a warning tells why.
    pub fn stop_node(&self, node: NodeId, ending: Ending) {
        self.tell(&ToKeeper::StopNode { node, ending });
    }
    /// Brings one node to its end and starts it again, with its queues. If that cannot be, a warning tells why.
    pub fn restart_node(&self, node: NodeId, ending: Ending) {
        self.tell(&ToKeeper::RestartNode { node, ending });
    }
    /// Looks at an output of a node: makes [`Keeper::next`] return [`Received::Tapped`] for each process of the node that
    /// runs or will run, and [`FromKeeper::TapOver`] when there will be none. `tap` is a number that no other tap has.
    pub fn tap(&self, tap: u64, node: NodeId, output: DataId, capacity: u32) {
        self.tell(&ToKeeper::Tap { tap, node, output, capacity });
    }
    /// Looks no more. The readers are to be dropped as well.
    pub fn untap(&self, tap: u64) {
        self.tell(&ToKeeper::Untap { tap });
    }
    /// Sends a message to every consumer of an output, as if the node had sent it: `tag` says what the payload is, the
    /// header describes it. Consumers that are not there, or have not read what came before, do not get it.
    ///
    /// # Errors
    /// If there is no memory for it, or it is longer than anything can be.
    pub fn publish(&self, node: NodeId, output: DataId, tag: u8, header: &[u8], payload: &[u8]) -> io::Result<()> {
        let (len, header_at) = chunk_layout(payload.len(), header.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(payload);
        bytes.resize(header_at.min(len), 0);
        bytes.extend_from_slice(header);
        let memory = memfd_with("dora-message", &bytes)?;
        let message = LooseMessage { tag, len: payload.len(), header_len: header.len() };
        self.send(&ToKeeper::Publish { node, output, message }, Some(&memory))
    }
    /// Asks all nodes to stop: SIGTERM after `grace`, SIGKILL after half of it again. A keeper that is gone is none to
    /// ask, so that is no error.
    pub fn stop(&self, grace: Duration) {
        self.tell(&ToKeeper::Stop { grace_ms: grace.as_millis().try_into().unwrap_or(u64::MAX) });
    }
    /// After [`stop`](Self::stop), when somebody cannot wait: SIGTERM at once, SIGKILL two seconds later.
    pub fn hurry(&self) {
        self.tell(&ToKeeper::Hurry);
    }
    /// Kills all nodes at once.
    pub fn kill(&self) {
        self.tell(&ToKeeper::Kill);
    }
    /// Makes [`Keeper::next`] return [`Received::Woken`].
    pub fn wake(&self) {
        let _ = rustix::io::write(&self.0.wake, &1_u64.to_ne_bytes());
    }
    fn tell(&self, order: &ToKeeper) {
        let _ = self.send(order, None);
    }
    fn send(&self, order: &ToKeeper, memory: Option<&OwnedFd>) -> io::Result<()> {
        let fds: Vec<_> = memory.map(AsFd::as_fd).into_iter().collect();
        packet::send(self.0.socket.as_fd(), &serde_json::to_vec(order)?, &fds, Blocking::Yes)
    }
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
    /// Somebody called [`Control::wake`].
    Woken,
    /// The time is over.
    TimedOut,
}

impl Keeper {
    /// Starts `exe keeper`. `exe` is a program that calls [`dora_keeper::run`] then, as `dora` does.
    pub fn start(exe: &Path) -> Result<Self, KeeperError> {
        let failed = |source| KeeperError::Start { program: exe.to_owned(), source };
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| failed(error.into()))?;
        let (child, socket) = dora_keeper::start::start(exe).map_err(failed)?;
        adoption::register(child.id());
        let control = Control(Arc::new(Descriptors { socket, wake }));
        Ok(Keeper { child, control, buffer: vec![0; MAX_PACKET], ended: false })
    }
    /// Has the plan executed. A keeper executes one plan.
    pub fn launch(&self, plan: &LaunchPlan) -> Result<(), KeeperError> {
        let launch = || {
            let json = serde_json::to_vec(plan)?;
            let memory = memfd_with("dora-plan", &json)?;
            self.control.send(&ToKeeper::Launch { plan_len: json.len() as u64 }, Some(&memory))
        };
        launch().map_err(KeeperError::Launch)
    }
    /// To give orders.
    pub fn control(&self) -> &Control {
        &self.control
    }
    /// Kills the keeper itself, and so its nodes: for one that does not answer. [`next`](Self::next) tells of its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }
    /// Process id of the keeper.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    /// The next report; waits for it, for at most `timeout`. After [`Received::Finished`], [`Received::Lost`] or
    /// [`FromKeeper::Failed`] there is none.
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
        self.ended = true;
        // It has nothing left to do, whether it can end by itself or not.
        let _ = self.child.kill();
        let _ = self.child.wait();
        adoption::forget(self.child.id());
        Received::Finished(report.unwrap_or_default())
    }

    fn lost(&mut self) -> Received {
        self.ended = true;
        // It closes its socket only when it ends, unless something is very wrong with it.
        let _ = self.child.kill();
        let status = self.child.wait().ok();
        Received::Lost { status, cleanup: adoption::inherit(self.child.id()) }
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
        if !self.ended {
            // Not by closing: a control may live in another thread.
            let _ = rustix::net::shutdown(&self.control.0.socket, rustix::net::Shutdown::Both);
            let _ = self.child.wait();
            adoption::forget(self.child.id());
        }
    }
}
