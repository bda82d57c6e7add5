//! What is left of a dataflow whose keeper and guard were both killed: its processes are told by their environment, which
//! whatever a node starts inherits.

use std::fs;

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

/// Environments of other users cannot be read.
fn has_mark(pid: Pid, dataflow: &DataflowId) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).unwrap_or_default();
    environment.split(|byte| *byte == 0).filter_map(config).any(|config| config.dataflow_id == *dataflow)
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
        let ((mine, mut child), (_, mut stranger)) = (mine, other);
        assert_eq!(kill_marked(&mine), Cleanup { killed: 1, survivors: Vec::new() });
        assert!(!child.wait().is_ok_and(|status| status.success()));
        assert_eq!(stranger.try_wait().unwrap(), None);
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        assert_eq!(kill_marked(&mine), Cleanup::default());
    }
}
