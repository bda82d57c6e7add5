//! Tells the master of a dataflow what becomes of its nodes on a machine, until it knows the end: as the real daemon does.

use std::{collections::BTreeMap, time::Duration};

use dora_gateways::*;
use dora_message::id::NodeId;
use dora_rpc::{Gateway, RpcError};
use tokio::{sync::watch, time::sleep};

use crate::daemon::About;

type Master = Gateway<DataflowMasterCall>;

pub struct Reporter {
    me: About,
    dataflow: DataflowId,
    masters: watch::Receiver<Option<Master>>,
    told: BTreeMap<NodeId, NodeState>,
    sequence: u64,
}

/// What came of reporting to one master.
enum Reported {
    /// It knows the end, or does not want to.
    End,
    /// It cannot be reached any more.
    Lost,
}

impl Reporter {
    pub fn new(me: About, dataflow: DataflowId, masters: watch::Receiver<Option<Master>>) -> Self {
        Self { me, dataflow, masters, told: BTreeMap::new(), sequence: 0 }
    }

    /// Whether a master knows the end.
    pub async fn report(mut self) -> bool {
        loop {
            let master = self.masters.borrow_and_update().clone();
            self.told.clear();
            let mut next = self.masters.clone();
            if let Some(master) = master {
                let reported = tokio::select! {
                    biased;
                    Ok(()) = next.changed() => continue,
                    reported = self.report_to(&master) => reported,
                    () = master.closed() => Reported::Lost,
                };
                if matches!(reported, Reported::End) {
                    return true;
                }
            }
            if self.masters.changed().await.is_err() {
                return false;
            }
        }
    }

    async fn report_to(&mut self, master: &Master) -> Reported {
        let changes = self.me.machine.lock().unwrap().keepers.get(&self.dataflow).map(|keeper| keeper.changes());
        // Its keeper was killed: the daemon knows no more than that.
        let Some(mut changes) = changes else { return Reported::Lost };
        loop {
            changes.borrow_and_update();
            let (news, outcome) = self.news();
            if !news.is_empty() {
                match persist(|| master.nodes_changed(self.me.name.clone(), news.clone())).await {
                    Ok(()) => {}
                    Err(DataflowMasterError::Ended) => return Reported::End,
                    Err(DataflowMasterError::OldAttempt { .. }) => {
                        let now = self.me.trace.now();
                        self.me.machine.lock().unwrap().stop(now, self.dataflow, &[], Urgency::Ask);
                    }
                    Err(_) => return Reported::Lost,
                }
            }
            if let Some(outcome) = outcome {
                return match persist(|| master.machine_finished(self.me.name.clone(), outcome.clone())).await {
                    Ok(()) | Err(DataflowMasterError::Ended | DataflowMasterError::OldAttempt { .. }) => Reported::End,
                    Err(_) => Reported::Lost,
                };
            }
            if changes.changed().await.is_err() {
                return self.keeper_died(master).await;
            }
        }
    }

    /// What the master does not know yet, and the end.
    fn news(&mut self) -> (Vec<NodeUpdate>, Option<Outcome>) {
        let machine = self.me.machine.lock().unwrap();
        let Some(keeper) = machine.keepers.get(&self.dataflow) else { return (Vec::new(), None) };
        let mut news = Vec::new();
        for (id, node) in &keeper.nodes {
            let Some(state) = keeper.state(id) else { continue };
            if self.told.get(id) != Some(&state) {
                self.sequence += 1;
                self.told.insert(id.clone(), state.clone());
                let (attempt, sequence, restarts) = (node.attempt, self.sequence, node.restarts);
                news.push(NodeUpdate { node: id.clone(), attempt, sequence, state, pid: None, restarts });
            }
        }
        (news, keeper.outcome())
    }

    /// The daemon sees its keeper die, and says so.
    async fn keeper_died(&self, master: &Master) -> Reported {
        let trouble = Some(Trouble::KeeperDied { how: "killed".to_owned() });
        let lost = |node: &NodeId| NodeOutcome {
            node: node.clone(),
            result: dora_message::result::NodeResult::Lost,
            never_connected: false,
            last_stderr: Vec::new(),
        };
        let outcome = Outcome { nodes: self.told.keys().map(lost).collect(), trouble, ..Outcome::default() };
        match persist(|| master.machine_finished(self.me.name.clone(), outcome.clone())).await {
            Ok(()) | Err(DataflowMasterError::Ended | DataflowMasterError::OldAttempt { .. }) => Reported::End,
            Err(_) => Reported::Lost,
        }
    }
}

/// Repeats a call as long as the master may hear the next one.
async fn persist<F: Future<Output = Result<(), DataflowMasterError>>>(
    mut call: impl FnMut() -> F,
) -> Result<(), DataflowMasterError> {
    let mut wait = 100;
    loop {
        match call().await {
            Err(DataflowMasterError::Rpc(RpcError::Deadline { .. } | RpcError::Overloaded { .. })) => {
                sleep(Duration::from_millis(wait)).await;
                wait = (wait * 2).min(3000);
            }
            decided => return decided,
        }
    }
}
