//! Which descriptor has something to say: epoll, with names instead of numbers.
//!
//! It must not know what is read from a descriptor.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Instant,
};

use rustix::event::{Timespec, epoll};

/// What a descriptor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The socket to the supervisor.
    Supervisor,
    /// The pidfd of the supervisor.
    SupervisorProcess,
    /// The signalfd.
    Signals,
    /// The thread that writes the log files.
    LogWriter,
    /// A socket on which processes knock.
    Listener(Door),
    /// One of these processes.
    Visitor(Door, u32),
    /// One descriptor of a node.
    Node(usize, Port),
}

/// Whom a socket with a name is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Processes that want to be a dynamic node.
    Guests,
    /// Processes that want to supervise.
    Supervisors,
}

/// The descriptors that the keeper holds for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// The socket to the node.
    Socket,
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
    /// The pidfd of a process that nobody here started.
    Process,
}

/// Numbers below are no nodes.
const FIRST_NODE: u64 = 6;
/// Descriptors of one node.
const PORTS: u64 = 4;
/// Mark the numbers of visitors.
const GUESTS: u64 = 1 << 63;
const SUPERVISORS: u64 = 1 << 62;

impl Token {
    fn to_data(self) -> epoll::EventData {
        epoll::EventData::new_u64(match self {
            Token::Supervisor => 0,
            Token::SupervisorProcess => 1,
            Token::Signals => 2,
            Token::LogWriter => 3,
            Token::Listener(Door::Guests) => 4,
            Token::Listener(Door::Supervisors) => 5,
            Token::Visitor(Door::Guests, visitor) => GUESTS | u64::from(visitor),
            Token::Visitor(Door::Supervisors, visitor) => SUPERVISORS | u64::from(visitor),
            Token::Node(node, port) => FIRST_NODE + PORTS * node as u64 + port as u64,
        })
    }
    fn from_data(data: u64) -> Self {
        match data {
            0 => Token::Supervisor,
            1 => Token::SupervisorProcess,
            2 => Token::Signals,
            3 => Token::LogWriter,
            4 => Token::Listener(Door::Guests),
            5 => Token::Listener(Door::Supervisors),
            GUESTS.. => Token::Visitor(Door::Guests, (data & !GUESTS) as u32),
            SUPERVISORS.. => Token::Visitor(Door::Supervisors, (data & !SUPERVISORS) as u32),
            _ => {
                let number = data - FIRST_NODE;
                let port = [Port::Socket, Port::Stdout, Port::Stderr, Port::Process][(number % PORTS) as usize];
                Token::Node((number / PORTS) as usize, port)
            }
        }
    }
}

/// An epoll instance. Level-triggered: what is not read now is reported again.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Poller { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }
    /// Reports when there is something to read.
    pub(crate) fn add(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, token.to_data(), epoll::EventFlags::IN)?)
    }
    /// Reports, besides, when there is room to write; or no longer.
    pub(crate) fn set_writable(&self, fd: impl AsFd, token: Token, writable: bool) -> io::Result<()> {
        let extra = if writable { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
        Ok(epoll::modify(&self.epoll, fd, token.to_data(), epoll::EventFlags::IN | extra)?)
    }
    /// Reports nothing of it any more. Needed before a close too: a copy in flight would keep the registration alive.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }
    /// Waits until something is ready or the deadline has come, for ever without one.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> io::Result<Vec<Token>> {
        let mut events = Vec::with_capacity(32);
        let timeout = deadline.map(|at| {
            // Rounded up: woken too early, the loop would spin until the millisecond is over.
            let ms = at.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000) as i64;
            Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 }
        });
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(events.iter().map(|event| Token::from_data(event.data.u64())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        let all = [Port::Socket, Port::Stdout, Port::Stderr, Port::Process].map(|port| Token::Node(1234, port));
        let others = [Token::Supervisor, Token::SupervisorProcess, Token::Signals, Token::LogWriter];
        let of_door = |door| [Token::Listener(door), Token::Visitor(door, 0), Token::Visitor(door, u32::MAX)];
        let doors = [Door::Guests, Door::Supervisors].into_iter().flat_map(of_door);
        for token in others.into_iter().chain(doors).chain(all) {
            assert_eq!(Token::from_data(token.to_data().u64()), token);
        }
    }
}
