//! Keepers that have outlived their daemon: which there are, and how one is taken up.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    process::Child,
    time::Duration,
};

use dora_channel::os::{
    clock::monotonic_ns,
    named::{self, Peer},
    packet::{self, Blocking},
};
use dora_keeper::start::Bond;
use dora_message::{
    id::DataflowId,
    keeper::MAX_PACKET,
    supervision::{
        Claim, ClaimAnswer, FromKeeper, KeeperState, LastingPlan, LaunchPlan, Refusal, SUPERVISION_VERSION,
        is_neighbour, keeper_name, keeper_prefix, kept_dataflow,
    },
};

use super::{
    Keeper,
    processes::{Lasting, Processes},
    read,
};
use crate::adoption;

/// Time that a keeper has to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time that a keeper has to begin.
const START: Duration = Duration::from_secs(10);
/// Bytes of the hash that tells owners apart.
const OWNER: usize = 8;

/// Tells the keepers of one daemon from those of all others on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// The daemon that keeps its own files in this directory, whichever of its processes.
    pub fn of(own_home: &Path) -> Self {
        let hash = ring::digest::digest(&ring::digest::SHA256, own_home.as_os_str().as_encoded_bytes());
        Owner(hash.as_ref().iter().take(OWNER).map(|byte| format!("{byte:02x}")).collect())
    }

    /// As it is in a [`LastingPlan`].
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What kind of keeper a plan wants.
pub(super) fn bond_of(plan: &LaunchPlan) -> Bond {
    let name = |lasting: &LastingPlan| keeper_name(named::own_uid(), &lasting.owner, &plan.dataflow_id);
    plan.lasting.as_ref().map_or(Bond::Tied, |lasting| Bond::Lasting { name: name(lasting) })
}

/// A number for this process as a supervisor, larger than that of every earlier one since the machine was started: taken
/// from a clock that nobody can set.
pub fn incarnation() -> u64 {
    monotonic_ns()
}

/// Why a keeper could not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It has ended, or is about to. It may have left a report.
    #[error("the keeper has ended")]
    Gone,
    /// It does not answer in time: it is stopped, or the machine is very busy.
    #[error("the keeper does not answer; if it was stopped, `kill -CONT` lets it go on")]
    Silent,
    /// It takes another supervisor, or none of this version.
    #[error("the keeper {0}")]
    Refused(Refusal),
    /// What it says is not understood.
    #[error("the keeper's answer is not understood: it is of another version of dora")]
    NotUnderstood,
    /// The system refuses.
    #[error("the keeper cannot be reached: {0}")]
    System(io::Error),
}

/// The dataflows whose keepers may be taken up by this owner's daemon: of this user and this network namespace, alive, and
/// supervised or not. Nobody is asked.
///
/// # Errors
/// If the system does not tell.
pub fn adoptable(owner: &Owner) -> io::Result<Vec<DataflowId>> {
    let uid = named::own_uid();
    let names = named::names(&keeper_prefix(uid, owner.as_str()))?;
    Ok(names.iter().filter_map(|name| kept_dataflow(uid, owner.as_str(), name)).collect())
}

/// Takes up a keeper: it obeys us from now on, and nobody with a smaller incarnation.
pub(crate) fn claim(
    owner: &Owner,
    dataflow: &DataflowId,
    incarnation: u64,
) -> Result<(Keeper, KeeperState), AdoptError> {
    let socket = knock(&keeper_name(named::own_uid(), owner.as_str(), dataflow))?;
    let claim = Claim { version: SUPERVISION_VERSION, incarnation };
    let claim = serde_json::to_vec(&claim).map_err(|error| AdoptError::System(error.into()))?;
    packet::send(socket.as_fd(), &claim, &[], Blocking::Yes).map_err(reached)?;
    let mut buffer = vec![0; MAX_PACKET];
    let (len, fds) = packet::receive(socket.as_fd(), &mut buffer, Blocking::Yes).map_err(reached)?;
    if len == 0 {
        return Err(AdoptError::Gone);
    }
    let (version, state_len) = match serde_json::from_slice(&buffer[..len]) {
        Ok(ClaimAnswer::Granted { version, state_len }) => (version, state_len),
        Ok(ClaimAnswer::Refused { refusal, .. }) => return Err(AdoptError::Refused(refusal)),
        Err(_) => return Err(AdoptError::NotUnderstood),
    };
    if !is_neighbour(version) {
        return Err(AdoptError::NotUnderstood);
    }
    let mut fds = fds.into_iter();
    let state: Option<KeeperState> = read(fds.by_ref().take(1).collect(), state_len);
    let state = state.ok_or(AdoptError::NotUnderstood)?;
    let lasting =
        Lasting::new(None, *dataflow, state.keeper, state.guard, fds.collect()).ok_or(AdoptError::NotUnderstood)?;
    named::set_patience(&socket, None).map_err(AdoptError::System)?;
    let keeper = Keeper::of(socket, Processes::Lasting(lasting)).map_err(AdoptError::System)?;
    Ok((keeper, state))
}

fn knock(name: &str) -> Result<OwnedFd, AdoptError> {
    let socket = named::connect(name, PATIENCE).map_err(reached)?;
    // Anybody may take a name that is free.
    match Peer::of(&socket).map_err(AdoptError::System)?.is_same_user() {
        true => Ok(socket),
        false => Err(AdoptError::Gone),
    }
}

fn reached(error: io::Error) -> AdoptError {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, TimedOut, WouldBlock};
    match error.kind() {
        ConnectionRefused | ConnectionReset | BrokenPipe => AdoptError::Gone,
        WouldBlock | TimedOut => AdoptError::Silent,
        _ => AdoptError::System(error),
    }
}

/// The processes of a keeper that was started to outlive us: it tells of them before it is told anything.
pub(super) fn greeted(socket: &OwnedFd, mut guard: Child, dataflow: DataflowId) -> io::Result<Processes> {
    match hello(socket) {
        Ok((pid, pidfds)) => {
            let guard_pid = guard.id();
            let lasting = Lasting::new(Some(guard), dataflow, pid, Some(guard_pid), pidfds);
            lasting.map(Processes::Lasting).ok_or_else(|| io::ErrorKind::InvalidData.into())
        }
        Err(error) => {
            // It runs nothing, and ends with the socket.
            let _ = guard.kill().and_then(|()| guard.wait());
            adoption::forget(guard.id());
            Err(error)
        }
    }
}

fn hello(socket: &OwnedFd) -> io::Result<(u32, Vec<OwnedFd>)> {
    named::set_patience(socket, Some(START))?;
    let mut buffer = vec![0; MAX_PACKET];
    let (len, pidfds) = packet::receive(socket.as_fd(), &mut buffer, Blocking::Yes)?;
    named::set_patience(socket, None)?;
    match serde_json::from_slice(&buffer[..len]) {
        Ok(FromKeeper::Hello { version, pid }) if is_neighbour(version) => Ok((pid, pidfds)),
        Ok(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "it is of another version of dora")),
        Err(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has ended before it said anything")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_differ_by_their_homes() {
        let (a, b) = (Owner::of(Path::new("/home/a/.dora/daemon/x")), Owner::of(Path::new("/home/b/.dora/daemon/x")));
        assert_eq!((a.as_str().len(), a == b, a == Owner::of(Path::new("/home/a/.dora/daemon/x"))), (16, false, true));
    }

    #[test]
    fn who_is_not_there_has_ended() {
        let owner = Owner::of(Path::new("/nowhere"));
        assert!(adoptable(&owner).unwrap().is_empty());
        assert!(matches!(claim(&owner, &DataflowId::nil(), 1), Err(AdoptError::Gone)));
    }

    #[test]
    fn a_later_process_has_a_larger_number() {
        let first = incarnation();
        assert!(incarnation() > first);
    }
}
