//! What is left of a dataflow whose keeper and guard were both killed: its processes are told by their environment, which
//! whatever a node starts inherits.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use dora_message::{
    id::DataflowId,
    keeper::{NODE_CONFIG_ENV, NodeConfig},
};
use rustix::process::Pid;

use super::{Cleanup, Found, Process, kill_all, numbers};

/// Kills all processes of this user that are nodes of a dataflow, or were started by one; returns when they are gone. Its
/// keeper must be dead. Who has joined as a dynamic node is not meant.
pub fn kill_marked(dataflow: &DataflowId) -> Cleanup {
    kill_all(|| {
        let marked = numbers().filter(|pid| has_mark(*pid, dataflow)).filter_map(Process::read);
        Found { living: marked.filter(|process| !process.zombie).collect(), has_changed: false }
    })
}

/// Dataflows of which this user has processes, and no keeper: what a keeper has started is its child, or a descendant of
/// one that is.
pub fn abandoned() -> BTreeSet<DataflowId> {
    let mut kept: BTreeMap<DataflowId, bool> = BTreeMap::new();
    for process in numbers().filter_map(Process::read) {
        if let Some(dataflow) = mark(process.pid) {
            *kept.entry(dataflow).or_default() |= is_keeper(process.parent);
        }
    }
    kept.into_iter().filter_map(|(dataflow, kept)| (!kept).then_some(dataflow)).collect()
}

fn is_keeper(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"keeper\n")
}

fn has_mark(pid: Pid, dataflow: &DataflowId) -> bool {
    mark(pid).is_some_and(|mark| mark == *dataflow)
}

/// The dataflow that a process belongs to. Environments of other users cannot be read.
fn mark(pid: Pid) -> Option<DataflowId> {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).ok()?;
    let config = environment.split(|byte| *byte == 0).find_map(config)?;
    Some(config.dataflow_id)
}

fn config(variable: &[u8]) -> Option<NodeConfig> {
    let value = variable.strip_prefix(NODE_CONFIG_ENV.as_bytes())?.strip_prefix(b"=")?;
    serde_json::from_slice(value).ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use dora_message::keeper::NodeConfig;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_those_of_the_dataflow_are_killed() {
        let [mine, other] = [Uuid::new_v4(), Uuid::new_v4()].map(|dataflow_id| {
            let config = NodeConfig { dataflow_id, node_id: "a".into(), keeper_fd: 3, restart_count: 0 };
            let config = serde_json::to_string(&config).unwrap();
            let mut command = Command::new("sleep");
            let child = command.arg("1000").env(NODE_CONFIG_ENV, config).stdin(Stdio::null()).spawn().unwrap();
            (dataflow_id, child)
        });
        let ((mine, mut child), (other, mut stranger)) = (mine, other);
        assert!([mine, other].iter().all(|dataflow| abandoned().contains(dataflow)));
        assert_eq!(kill_marked(&mine), Cleanup { killed: 1, survivors: Vec::new() });
        assert!(!child.wait().is_ok_and(|status| status.success()));
        assert_eq!(stranger.try_wait().unwrap(), None);
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        assert_eq!(kill_marked(&mine), Cleanup::default());
        assert!(!abandoned().contains(&mine));
    }
}
