//! Keepers that outlive their supervisor: one to kill, and the next one.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{ChildStdout, Command, Stdio},
};

use dora_channel::os::named;
use dora_message::supervision::{
    Claim, ClaimAnswer, KeeperState, LastingPlan, Refusal, SUPERVISION_VERSION, keeper_name,
};

use super::*;

/// All tests of a process have the same owner: the names differ by their dataflows.
fn owner() -> String {
    format!("test{}", std::process::id())
}

/// A plan whose keeper goes on without its supervisor.
pub fn lasting(plan: LaunchPlan) -> LaunchPlan {
    let lasting = LastingPlan {
        owner: owner(),
        incarnation: 1,
        // Longer than any test takes, and not for ever: what a test leaves that was killed ends then.
        orphan_timeout: Some(2 * PATIENCE),
        report_file: None,
        supervisor_data: "attempts and such".to_owned(),
    };
    LaunchPlan { lasting: Some(lasting), ..plan }
}

/// A supervisor in a process of its own, and its keeper.
pub struct Supervised {
    pub supervisor: Child,
    packets: Lines<BufReader<ChildStdout>>,
    pub guard: Witness,
    name: String,
    pub plan: LaunchPlan,
}

pub fn supervised(plan: LaunchPlan) -> Supervised {
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &plan).unwrap();
    let mut command = Command::new(HELPER);
    let mut supervisor = command.arg("supervise").arg(file.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut packets = BufReader::new(supervisor.stdout.take().unwrap()).lines();
    let first: serde_json::Value = serde_json::from_str(&packets.next().unwrap().unwrap()).unwrap();
    let guard = Witness::of(first["keeper"].as_u64().unwrap() as u32);
    let supervised = Supervised { supervisor, packets, guard, name: name_of(&plan), plan };
    // It has read the whole plan once it says something.
    drop(file);
    supervised
}

impl Supervised {
    /// Reads what the supervisor was told, until something fits.
    pub fn until<T>(&mut self, fits: impl Fn(&FromKeeper) -> Option<T>) -> T {
        loop {
            let packet = self.packets.next().unwrap().unwrap();
            if let Some(found) = fits(&serde_json::from_str(&packet).unwrap()) {
                return found;
            }
        }
    }
    pub fn until_all_ready(mut self) -> Self {
        self.until(|packet| (*packet == FromKeeper::AllReady).then_some(()));
        self
    }
    pub fn until_line(mut self, line: &str) -> Self {
        self.until(|packet| lines(packet).iter().any(|text| text == line).then_some(()));
        self
    }
    /// `kill -9` of the supervisor.
    pub fn kill(&mut self) {
        self.supervisor.kill().unwrap();
        self.supervisor.wait().unwrap();
        self.guard.sees_life();
    }
    /// The next supervisor.
    pub fn attach(&self, incarnation: u64) -> (Link, KeeperState) {
        attach(&self.plan, incarnation)
    }
    /// The keeper has gone and nothing of it is left.
    pub fn is_gone(&self) {
        self.guard.sees_death();
        assert!(named::names(&self.name).unwrap().is_empty());
    }
}

impl Drop for Supervised {
    /// A test that fails leaves nothing either.
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        if std::thread::panicking()
            && let Ok((_, socket)) = claim(&self.plan, &Claim { version: SUPERVISION_VERSION, incarnation: u64::MAX })
        {
            let _ = packet::send(socket.as_fd(), br#"{"type":"kill"}"#, &[], Blocking::Yes);
        }
    }
}

pub fn name_of(plan: &LaunchPlan) -> String {
    keeper_name(named::own_uid(), &plan.lasting.as_ref().unwrap().owner, &plan.dataflow_id)
}

/// A connection that has said this.
pub fn knock(plan: &LaunchPlan, words: &[u8]) -> OwnedFd {
    let socket = named::connect(&name_of(plan), PATIENCE).unwrap();
    packet::send(socket.as_fd(), words, &[], Blocking::Yes).unwrap();
    socket
}

/// What a connection is answered; `None`: it was closed.
pub fn answer(socket: &OwnedFd) -> Option<(ClaimAnswer, Vec<OwnedFd>)> {
    let mut buffer = vec![0; MAX_PACKET];
    let (len, fds) = packet::receive(socket.as_fd(), &mut buffer, Blocking::Yes).unwrap();
    (len > 0).then(|| (serde_json::from_slice(&buffer[..len]).unwrap(), fds))
}

pub fn claim(plan: &LaunchPlan, claim: &Claim) -> Result<(KeeperState, OwnedFd), Refusal> {
    let socket = knock(plan, &serde_json::to_vec(claim).unwrap());
    match answer(&socket).expect("an answer") {
        (ClaimAnswer::Granted { version, state_len }, fds) => {
            assert_eq!((version, fds.len()), (SUPERVISION_VERSION, 3));
            let state = read_memfd(fds[0].try_clone().unwrap(), state_len, 1 << 24).unwrap();
            named::set_patience(&socket, None).unwrap();
            Ok((serde_json::from_slice(&state).unwrap(), socket))
        }
        (ClaimAnswer::Refused { refusal, .. }, _) => Err(refusal),
    }
}

pub fn attach(plan: &LaunchPlan, incarnation: u64) -> (Link, KeeperState) {
    let claimed = claim(plan, &Claim { version: SUPERVISION_VERSION, incarnation });
    let (state, socket) = claimed.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(state.plan, *plan, "the plan comes back as it was given");
    (Link::new(socket), state)
}

/// A few, or many where somebody has the time.
pub fn rounds() -> usize {
    if std::env::var_os("DORA_TEST_FULL").is_some() { 200 } else { 3 }
}
