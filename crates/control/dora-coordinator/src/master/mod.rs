//! The master of one dataflow: finds places for its nodes, has them started, knows how they are, ends with their result.
//!
//! What is to be done follows from what is intended and what machines say, by [`plan()`](crate::plan()); who calls what
//! is in `calls`, what is done in `actions`, what becomes of machines in `machines`, where the dataflow is in its life in
//! `state`, how it ends in `end`.

mod actions;
mod calls;
mod end;
mod machines;
mod progress;
mod recorder;
mod state;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use dora_gateways::{
    DataflowId, DataflowMasterCall, DataflowMasterError, DataflowResult, DataflowState, MachineId, NodeExecutorCall,
    NodeState, Outcome, Placement, ResourceManagerError, ResourceManagerGateway, StopOptions, Submission, Trouble,
};
use dora_message::id::NodeId;
use dora_rpc::{Gateway, MainThread, Reply, RpcEndpoint};
use dora_store::PlacedNode;
use tokio::{sync::watch, time::Instant};

use crate::{Found, Intended, IntendedNode, MachineView, Observed, Wanted, blueprint::Blueprint, plan, shared::Shared};
pub(crate) use progress::{Progress, Source, ended, reached};
use recorder::Recorder;
use state::Census;

/// Between two looks for places.
const AGAIN: Duration = Duration::from_secs(1);

/// What a master is made for.
#[derive(Clone)]
pub(crate) struct Job {
    pub id: DataflowId,
    pub submitted: DateTime<Utc>,
    pub submission: Arc<Submission>,
    pub blueprint: Arc<Blueprint>,
    /// None of one that is new.
    pub before: Option<Before>,
}

/// What the coordinator before this one has left of a dataflow.
#[derive(Clone)]
pub(crate) struct Before {
    /// Where its nodes were placed.
    pub placed: Vec<PlacedNode>,
    /// How it was to stop.
    pub stop: Option<StopOptions>,
    /// Machines that were done with it.
    pub ended: BTreeMap<MachineId, Outcome>,
}

impl Job {
    /// What a node does, as far as it matters: one that exchanges no messages runs as soon as its process does.
    fn understood(&self, node: &NodeId, state: NodeState) -> NodeState {
        if state == NodeState::Starting && self.blueprint.plain.contains(node) { NodeState::Running } else { state }
    }

    /// What a node does, as others wait for it: nobody starts a dynamic node, so nobody waits for it.
    fn awaited(&self, node: &NodeId, state: NodeState) -> NodeState {
        let to_come = matches!(state, NodeState::Waiting | NodeState::Starting | NodeState::Restarting);
        if to_come && self.blueprint.dynamic.contains(node) { NodeState::Running } else { state }
    }
}

/// Supervises one dataflow. It ends with it.
pub(crate) struct DataflowMaster {
    shared: Shared,
    job: Job,
    /// Itself, for the daemons.
    me: Gateway<DataflowMasterCall>,
    recorder: Recorder,
    progress: watch::Sender<Progress>,
    state: DataflowState,
    /// Every node was ready once: messages have flowed.
    flowed: bool,
    /// How it is to stop, once it is.
    stop: Option<StopOptions>,
    /// What went wrong apart from the nodes, and not on one machine.
    trouble: Option<Trouble>,
    /// How it ended, until it is in the store.
    result: Option<DataflowResult>,
    intended: Intended,
    observed: Observed,
    nodes: BTreeMap<NodeId, Seen>,
    machines: BTreeMap<MachineId, Machine>,
    /// Places are being looked for, or put into the store: nothing is started that the next coordinator would not know of.
    placing: bool,
    /// A look at what is to be done is due.
    dirty: bool,
    /// Daemons whose last word is answered when it is in the store.
    last_words: Vec<Reply<(), DataflowMasterError>>,
}

/// What a daemon has told last of a node.
#[derive(Debug, Default)]
struct Seen {
    sequence: u64,
    state: Option<NodeState>,
    pid: Option<u32>,
    restarts: u32,
}

/// A machine that has nodes of the dataflow.
struct Machine {
    /// The nodes that have their places there.
    nodes: Vec<NodeId>,
    /// Its daemon; none until it has registered with this coordinator.
    executor: Option<Gateway<NodeExecutorCall>>,
    /// Counts its registrations.
    connection: u64,
    /// It has taken its nodes: processes of them may exist.
    accepted: bool,
    /// How its nodes ended, once all of them have.
    outcome: Option<Outcome>,
}

impl DataflowMaster {
    /// A master, and where its progress is seen.
    pub fn new(
        shared: Shared,
        job: Job,
        state: DataflowState,
        progress: watch::Sender<Progress>,
        me: Gateway<DataflowMasterCall>,
    ) -> Self {
        let recorder = Recorder::new(shared.store.clone(), job.id);
        Self {
            shared,
            job,
            me,
            recorder,
            progress,
            state,
            flowed: state == DataflowState::Running,
            stop: None,
            trouble: None,
            result: None,
            intended: Intended { nodes: BTreeMap::new(), released: [].into() },
            observed: Observed::new(),
            nodes: BTreeMap::new(),
            machines: BTreeMap::new(),
            placing: false,
            dirty: false,
            last_words: Vec::new(),
        }
    }

    /// Asks for places, and is told from then on what becomes of machines. `until`: what does not fit is tried again.
    fn find_places(&mut self, main: &mut MainThread<Self>, until: Option<Instant>) {
        let (resources, id, me) = (self.shared.resources.clone(), self.job.id, self.me.clone());
        let nodes = self.job.blueprint.nodes.clone();
        self.placing = true;
        let places = async move {
            resources.register_master(id, me, Vec::new()).await?;
            resources.place(id, nodes).await
        };
        main.then(places, move |master: &mut Self, main, places| master.placed(main, places, until));
    }

    fn placed(
        &mut self,
        main: &mut MainThread<Self>,
        places: Result<Vec<Placement>, ResourceManagerError>,
        until: Option<Instant>,
    ) {
        let trouble = match places {
            _ if self.stop.is_some() => Trouble::Interrupted,
            Ok(places) => return self.occupy(main, places),
            Err(ResourceManagerError::NoFit { .. }) if until.is_some_and(|until| Instant::now() < until) => {
                main.schedule(AGAIN, move |master: &mut Self, main| master.find_places(main, until));
                return;
            }
            Err(ResourceManagerError::NoFit { nodes }) => Trouble::NoFit(nodes),
            Err(error) => Trouble::CannotRun(error.to_string()),
        };
        self.placing = false;
        self.fail(main, trouble);
    }

    /// Its nodes have these places from now on.
    fn occupy(&mut self, main: &mut MainThread<Self>, places: Vec<Placement>) {
        let placed = places.iter().map(|it| PlacedNode {
            node: it.node.clone(),
            attempt: it.attempt,
            machine: it.machine.clone(),
        });
        self.recorder.placed(placed.collect());
        for Placement { node, attempt, machine, executor } in places {
            let its = self.machines.entry(machine.clone()).or_insert_with(|| Machine::new(Some(executor)));
            its.nodes.push(node.clone());
            self.observed.entry(machine.clone()).or_insert_with(|| MachineView::Reachable(BTreeMap::new()));
            self.intended.nodes.insert(node.clone(), IntendedNode { machine, attempt, wanted: Wanted::Running });
            self.nodes.insert(node, Seen::default());
        }
        self.record(main);
    }

    /// The places are in the store: nodes may be started there, unless a stop has come meanwhile.
    fn occupied(&mut self, main: &mut MainThread<Self>) {
        self.placing = false;
        if self.stop.is_some() {
            self.machines.clear();
            self.intended.nodes.clear();
            self.fail(main, Trouble::Interrupted);
        }
        self.reconcile(main);
    }

    /// Looks at what is to be done, soon: many calls that come together are looked at once.
    fn touch(&mut self, main: &mut MainThread<Self>) {
        if !std::mem::replace(&mut self.dirty, true) {
            main.then(std::future::ready(()), |master: &mut Self, main, ()| {
                master.dirty = false;
                master.reconcile(main);
            });
        }
    }

    /// Does what is to be done until nothing more is, and says where the dataflow is now.
    fn reconcile(&mut self, main: &mut MainThread<Self>) {
        if self.placing {
            return;
        }
        loop {
            let actions = plan(&self.intended, &self.observed);
            if actions.is_empty() {
                break;
            }
            actions.into_iter().for_each(|action| self.perform(main, action));
        }
        self.end_if_over(main);
        self.advance(main);
    }

    fn advance(&mut self, main: &mut MainThread<Self>) {
        let next = state::next(self.state, &self.census());
        if next != self.state {
            self.state = next;
            self.progress.send_modify(|progress| progress.state = next);
            if next == DataflowState::Running {
                self.flowed = true;
                self.record(main);
            }
        }
        if self.recorder.has_news() {
            self.record(main);
        }
    }

    fn census(&self) -> Census {
        let mut census = Census { stop: self.stop.is_some(), ..Census::default() };
        let dynamic = &self.job.blueprint.dynamic;
        let all_dynamic = dynamic.len() == self.intended.nodes.len();
        if all_dynamic && self.machines.values().all(|machine| machine.accepted) {
            // Nobody is started, so nobody is waited for.
            census.with_process = dynamic.len();
        }
        for (id, node) in &self.intended.nodes {
            let found = match self.observed.get(&node.machine) {
                Some(MachineView::Reachable(found)) => found.get(id),
                _ => None,
            };
            let state = match found {
                Some(Found { state, .. }) => state,
                // What is known of it from before: its machine is silent.
                None => self.nodes.get(id).and_then(|seen| seen.state.as_ref()).unwrap_or(&NodeState::Waiting),
            };
            census.count(state, !dynamic.contains(id));
        }
        census
    }
}

impl Machine {
    fn new(executor: Option<Gateway<NodeExecutorCall>>) -> Self {
        Self { nodes: Vec::new(), executor, connection: 1, accepted: false, outcome: None }
    }
}

impl RpcEndpoint for DataflowMaster {
    type Call = DataflowMasterCall;

    fn on_start(&mut self, main: &mut MainThread<Self>) {
        match self.job.before.take() {
            None => self.find_places(main, None),
            Some(Before { placed, stop, .. }) if placed.is_empty() => {
                self.stop = stop;
                // The machines are about to register again.
                self.find_places(main, Some(Instant::now() + self.shared.machine_timeout));
            }
            Some(before) => self.resume(main, before),
        }
    }

    fn handle(&mut self, main: &mut MainThread<Self>, call: DataflowMasterCall) {
        self.serve(main, call);
    }

    fn on_stop(&mut self, _main: &mut MainThread<Self>) {
        // Who waits for the end of the dataflow learns that it will not be told here.
        self.progress.send_modify(|progress| progress.left = true);
    }
}
