//! How a process that nobody started for a dataflow finds one: it asks the keepers of its user.

use std::{
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use dora_channel::os::{
    named::{self, Peer},
    packet::{self, Blocking},
};
use dora_message::{
    attach::{DATAFLOW_ID_ENV, Standing, ToListener, dataflow_of, name_prefix, socket_name},
    id::{DataflowId, NodeId},
    keeper::MAX_PACKET,
};

/// How long keepers may take to answer, all together; one that is stopped does not.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a process could not join a dataflow as a dynamic node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// Nothing runs that could be joined.
    #[error(
        "node `{node}` has no dataflow to join: none with dynamic nodes runs. Start one first, with `dora run FILE`, \
         where FILE has `- id: {node}` with `path: dynamic`. {HERE_ONLY}"
    )]
    NothingRuns {
        /// The node.
        node: NodeId,
    },
    /// Dataflows with dynamic nodes run, but none with this one.
    #[error("no dataflow that runs has a dynamic node `{node}`. What runs: {}. {HERE_ONLY}", list(running))]
    NoSuchNode {
        /// The node.
        node: NodeId,
        /// The dataflows that run and have dynamic nodes.
        running: Vec<Running>,
    },
    /// The dataflow that was asked for does not run, or has no dynamic nodes.
    #[error(
        "node `{node}` cannot join dataflow {dataflow}, as asked by the program or by {DATAFLOW_ID_ENV}: it does not run, \
         or has no dynamic nodes. What runs: {}. {HERE_ONLY}",
        list(running)
    )]
    NoSuchDataflow {
        /// The node.
        node: NodeId,
        /// The dataflow that was asked for.
        dataflow: DataflowId,
        /// The dataflows that run and have dynamic nodes.
        running: Vec<Running>,
    },
    /// `DORA_DATAFLOW_ID` is set to something else.
    #[error(
        "{DATAFLOW_ID_ENV} is `{value}`, which is not the id of a dataflow; `dora run` tells the id when nodes may join"
    )]
    DataflowId {
        /// Its value.
        value: String,
    },
    /// Several dataflows have this dynamic node.
    #[error(
        "{} dataflows that run have a dynamic node `{node}`: {}. Set {DATAFLOW_ID_ENV} to one of them",
        dataflows.len(),
        commas(dataflows)
    )]
    Several {
        /// The node.
        node: NodeId,
        /// The dataflows.
        dataflows: Vec<DataflowId>,
    },
    /// The dataflow has the node, but this process cannot be it.
    #[error("node `{node}` of dataflow {dataflow} {standing}{}", advice(standing))]
    NotFree {
        /// The node.
        node: NodeId,
        /// The dataflow.
        dataflow: DataflowId,
        /// Why not.
        standing: Standing,
    },
    /// The system does not tell what runs.
    #[error("cannot look for dataflows to join: {0}")]
    System(io::Error),
}

const HERE_ONLY: &str = "Only dataflows of the same user, and of the same container (network namespace), can be joined";

/// A dataflow that runs and has dynamic nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The dataflow.
    pub dataflow: DataflowId,
    /// Its dynamic nodes; `None`: its keeper does not answer.
    pub dynamic: Option<Vec<NodeId>>,
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dynamic {
            Some(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(|node| format!("`{node}`")).collect();
                write!(f, "{} with dynamic nodes {}", self.dataflow, commas(&nodes))
            }
            None => write!(f, "{}, which does not answer", self.dataflow),
        }
    }
}

fn commas(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn list(running: &[Running]) -> String {
    let all: Vec<_> = running.iter().map(ToString::to_string).collect();
    if all.is_empty() { "no dataflow with dynamic nodes".to_owned() } else { all.join("; ") }
}

fn advice(standing: &Standing) -> &'static str {
    match standing {
        Standing::NotDynamic => ". `path: dynamic` in the dataflow file lets a process join as it",
        Standing::Taken { holds_messages: true, .. } => ": drop these, or end it",
        Standing::Taken { .. } => ": end it first, or join as another node",
        Standing::Unknown { .. } | Standing::Free => "",
    }
}

/// A keeper that answered.
struct Candidate {
    dataflow: DataflowId,
    standing: Standing,
    socket: OwnedFd,
}

/// What came of asking everybody.
#[derive(Default)]
struct Answers {
    candidates: Vec<Candidate>,
    silent: Vec<DataflowId>,
}

/// A connection to the keeper of the dataflow that this node can join, for the Hello. `dataflow`: only this one.
pub(super) fn find(node: &NodeId, dataflow: Option<DataflowId>) -> Result<OwnedFd, AttachError> {
    let wanted = match dataflow {
        Some(dataflow) => Some(dataflow),
        None => from_environment()?,
    };
    let answers = ask_all(node).map_err(AttachError::System)?;
    let chosen = choose(node, wanted, answers)?;
    named::set_patience(&chosen.socket, None).map_err(AttachError::System)?;
    Ok(chosen.socket)
}

fn from_environment() -> Result<Option<DataflowId>, AttachError> {
    match std::env::var_os(DATAFLOW_ID_ENV).map(|value| value.to_string_lossy().into_owned()) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => value.trim().parse().map(Some).map_err(|_| AttachError::DataflowId { value }),
    }
}

fn ask_all(node: &NodeId) -> io::Result<Answers> {
    let uid = named::own_uid();
    let deadline = Instant::now() + PATIENCE;
    let mut answers = Answers::default();
    let names = named::names(&name_prefix(uid))?;
    let asked = names.iter().filter_map(|name| dataflow_of(uid, name)).map(|dataflow| {
        let socket = ask(&socket_name(uid, &dataflow), node, deadline);
        (dataflow, socket)
    });
    // All are asked before the first answer is waited for.
    for (dataflow, asked) in asked.collect::<Vec<_>>() {
        match asked.and_then(|socket| hear(socket, deadline)) {
            Ok(Some((standing, socket))) => answers.candidates.push(Candidate { dataflow, standing, socket }),
            Ok(None) => {}
            // It has ended since its name was read.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            // The wait was given up, and so is the search.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(_) => answers.silent.push(dataflow),
        }
    }
    Ok(answers)
}

/// `None`: whoever has this name is no keeper of ours.
fn ask(name: &str, node: &NodeId, deadline: Instant) -> io::Result<Option<OwnedFd>> {
    let socket = named::connect(name, deadline.saturating_duration_since(Instant::now()))?;
    if !Peer::of(&socket)?.is_same_user() {
        return Ok(None);
    }
    let question = serde_json::to_vec(&ToListener::WhoIs { node: node.clone() })?;
    packet::send(socket.as_fd(), &question, &[], Blocking::Yes)?;
    Ok(Some(socket))
}

/// The answer of a keeper, if it is one of ours.
fn hear(socket: Option<OwnedFd>, deadline: Instant) -> io::Result<Option<(Standing, OwnedFd)>> {
    let Some(socket) = socket else { return Ok(None) };
    named::set_patience(&socket, Some(deadline.saturating_duration_since(Instant::now())))?;
    let mut buffer = vec![0; MAX_PACKET];
    let (len, _) = packet::receive(socket.as_fd(), &mut buffer, Blocking::Yes)?;
    Ok(serde_json::from_slice(&buffer[..len]).ok().map(|standing| (standing, socket)))
}

fn choose(node: &NodeId, wanted: Option<DataflowId>, answers: Answers) -> Result<Candidate, AttachError> {
    let running = running(node, &answers);
    let node = node.clone();
    let is_wanted = |candidate: &Candidate| wanted.is_none_or(|wanted| wanted == candidate.dataflow);
    let (here, _): (Vec<_>, Vec<_>) = answers.candidates.into_iter().partition(is_wanted);
    if let (Some(dataflow), []) = (wanted, &here[..]) {
        return Err(AttachError::NoSuchDataflow { node, dataflow, running });
    }
    let can_join = |candidate: &Candidate| matches!(candidate.standing, Standing::Free | Standing::Taken { .. });
    let (mut dynamic, others): (Vec<_>, Vec<_>) = here.into_iter().partition(can_join);
    if dynamic.len() > 1 {
        let dataflows = dynamic.iter().map(|candidate| candidate.dataflow).collect();
        return Err(AttachError::Several { node, dataflows });
    }
    let only = dynamic.pop().or_else(|| others.into_iter().find(|other| other.standing == Standing::NotDynamic));
    match only {
        Some(Candidate { standing: Standing::Free, dataflow, socket }) => {
            Ok(Candidate { standing: Standing::Free, dataflow, socket })
        }
        Some(Candidate { standing, dataflow, .. }) => Err(AttachError::NotFree { node, dataflow, standing }),
        None if running.is_empty() => Err(AttachError::NothingRuns { node }),
        None => Err(AttachError::NoSuchNode { node, running }),
    }
}

fn running(node: &NodeId, answers: &Answers) -> Vec<Running> {
    let of = |candidate: &Candidate| {
        let dynamic = match &candidate.standing {
            Standing::Unknown { dynamic } => dynamic.clone(),
            Standing::NotDynamic => Vec::new(),
            Standing::Free | Standing::Taken { .. } => vec![node.clone()],
        };
        Running { dataflow: candidate.dataflow, dynamic: Some(dynamic) }
    };
    let silent = answers.silent.iter().map(|dataflow| Running { dataflow: *dataflow, dynamic: None });
    answers.candidates.iter().map(of).chain(silent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> DataflowId {
        DataflowId::from_u128(number)
    }
    fn chosen(wanted: Option<u128>, standings: &[(u128, Standing)]) -> Result<DataflowId, String> {
        let candidate = |(number, standing): &(u128, Standing)| Candidate {
            dataflow: id(*number),
            standing: standing.clone(),
            socket: packet::pair().unwrap().0,
        };
        let answers = Answers { candidates: standings.iter().map(candidate).collect(), silent: Vec::new() };
        let chosen = choose(&"plot".into(), wanted.map(id), answers);
        chosen.map(|candidate| candidate.dataflow).map_err(|error| error.to_string())
    }
    fn unknown() -> Standing {
        Standing::Unknown { dynamic: vec!["other".into()] }
    }
    const TAKEN: Standing = Standing::Taken { pid: Some(7), holds_messages: false };

    #[test]
    fn the_only_dataflow_that_has_the_node_is_joined() {
        assert_eq!(chosen(None, &[(1, unknown()), (2, Standing::Free), (3, Standing::NotDynamic)]), Ok(id(2)));
        assert_eq!(chosen(Some(3), &[(2, Standing::Free), (3, Standing::Free)]), Ok(id(3)));
    }

    #[test]
    fn errors_say_what_runs_and_what_to_do() {
        let says = |wanted, standings: &[(u128, Standing)], parts: &[&str]| {
            let error = chosen(wanted, standings).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}: {parts:?}");
        };
        says(None, &[], &["none with dynamic nodes runs", "`dora run FILE`", "- id: plot"]);
        says(None, &[(1, unknown())], &["dynamic node `plot`", "000000000001 with dynamic nodes `other`"]);
        says(None, &[(1, Standing::Free), (2, TAKEN)], &["2 dataflows", "000000000001, 0000", "Set DORA_DATAFLOW_ID"]);
        says(None, &[(1, TAKEN)], &["is process 7 already: end it first"]);
        says(None, &[(1, unknown()), (2, Standing::NotDynamic)], &["000000000002 is not dynamic", "`path: dynamic`"]);
        says(Some(9), &[(1, Standing::Free)], &["000000000009", "000000000001 with dynamic nodes `plot`"]);
    }
}
