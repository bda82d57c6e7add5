//! What holds in every history, in plain words, each with its check.
//!
//!  1. No node ever runs twice at the same time.
//!  2. A dataflow that was acknowledged is in the store and stays there, under its id and its name. Two that have not ended
//!     never have one name. What has ended stays as it ended, until somebody has what has ended forgotten.
//!     A stop that is in the store stays there. Nothing is started before the store knows where.
//!  3. A node that is reported to have ended so has ended so. It is reported as lost only if its machine gave no sign of life
//!     for the machine timeout, if its keeper was killed, or if somebody stopped it by force.
//!  4. Once a stop is acknowledged nothing of the dataflow runs, except where a machine was given up; and nothing of it is
//!     started again. Nothing is started of a dataflow that has ended.
//!  5. A leader of an older epoch changes nothing on a machine that has served a newer one. (In the store it cannot: each of
//!     its writes is refused, and rule 2 would see one.)
//!  6. Every command ends within its deadline; while there is no coordinator, at once.
//!  7. Once faults have ceased, everything converges: each dataflow has ended and nothing of it runs; or it is Running, and
//!     the coordinator says of each node what its machine says. Nothing else runs. Then each can be stopped, and no place is
//!     held.
//!
//! Who takes part in the simulation tells here what it does; nothing here is known to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use dora_gateways::{Attempt, DataflowId, DataflowInfo, DataflowState, MachineId, NodeOutcome, NodeState, Urgency};
use dora_message::{id::NodeId, result::NodeResult};
use dora_store::{DataflowRecord, Store};

use crate::{
    machine,
    trace::{Ms, Trace},
};

/// A machine that is silent for so long is lost.
pub const MACHINE_TIMEOUT: Ms = 10_000;

/// Clocks differ by so much, in a thousand; and what is found out is found out a little later.
const TOLERANCE: Ms = MACHINE_TIMEOUT / 5;

/// So long a command takes to find out that there is no coordinator.
const AT_ONCE: Ms = 2_500;

/// The rules, shared by all who take part.
#[derive(Clone)]
pub struct Rules {
    trace: Trace,
    store: Store,
    facts: Arc<Mutex<Facts>>,
}

#[derive(Default)]
struct Facts {
    broken: Vec<String>,
    /// Processes that live.
    alive: BTreeMap<(DataflowId, NodeId), MachineId>,
    /// How nodes have ended.
    ends: BTreeMap<(DataflowId, NodeId), NodeResult>,
    killed_keepers: BTreeSet<(DataflowId, MachineId)>,
    epochs: BTreeMap<MachineId, u64>,
    /// When each machine surely showed the leader that it lives.
    signs: BTreeMap<MachineId, Vec<Ms>>,
    /// The epoch that leads, if its coordinator runs.
    leader: Option<u64>,
    /// When leaders began.
    beginnings: Vec<Ms>,
    /// When there was no coordinator.
    gaps: Vec<(Ms, Option<Ms>)>,
    acknowledged: BTreeMap<DataflowId, Option<String>>,
    /// What has ended may be forgotten.
    cleaned: bool,
    stopped: BTreeSet<DataflowId>,
    forced: BTreeSet<DataflowId>,
    records: BTreeMap<DataflowId, DataflowRecord>,
    /// Those that were cleaned, as they were last.
    forgotten: BTreeMap<DataflowId, DataflowRecord>,
    looked: Ms,
}

impl Rules {
    pub fn new(trace: Trace, store: Store) -> Self {
        Self { trace, store, facts: Arc::default() }
    }

    /// What was violated.
    pub fn broken(&self) -> Vec<String> {
        self.facts().broken.clone()
    }

    pub fn is_broken(&self) -> bool {
        !self.facts().broken.is_empty()
    }

    pub fn broke(&self, what: impl Into<String>) {
        let what = what.into();
        self.trace.say("RULE BROKEN", &what);
        self.facts().broken.push(what);
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap()
    }

    // ---- 1, 4: processes -------------------------------------------------------------------------------------------

    /// A daemon is told to start nodes.
    pub fn ordered(&self, machine: &MachineId, dataflow: DataflowId) {
        let record = self.store.get(dataflow).ok().flatten();
        if !record.is_some_and(|record| record.placed.iter().any(|place| place.machine == *machine)) {
            self.broke(format!("rule 2: {machine} is to start {dataflow}, and the store does not know"));
        }
    }

    /// A process begins.
    pub fn begun(&self, machine: &MachineId, dataflow: DataflowId, node: &NodeId, attempt: Attempt) {
        let mut facts = self.facts();
        let twin = facts.alive.insert((dataflow, node.clone()), machine.clone());
        let has_ended = facts.record(dataflow).is_some_and(|record| record.state.is_final());
        let is_over = has_ended || facts.stopped.contains(&dataflow);
        // A keeper starts a node of its own again until it hears of the stop.
        let is_known = facts.is_given_up(dataflow, machine);
        drop(facts);
        self.trace.say(machine, format_args!("{node} of {dataflow} runs, attempt {}", attempt.0));
        if let Some(twin) = twin {
            self.broke(format!("rule 1: {node} of {dataflow} begins on {machine} while it runs on {twin}"));
        }
        if is_over && !is_known {
            self.broke(format!("rule 4: {node} of {dataflow} begins on {machine} although the dataflow was stopped"));
        }
    }

    /// A process has ended and another one will begin.
    pub fn paused(&self, dataflow: DataflowId, node: &NodeId) {
        self.facts().alive.remove(&(dataflow, node.clone()));
    }

    /// A node has ended.
    pub fn ended(&self, machine: &MachineId, dataflow: DataflowId, node: &NodeId, result: &NodeResult) {
        self.trace.say(machine, format_args!("{node} of {dataflow} ends: {result}"));
        let mut facts = self.facts();
        facts.alive.remove(&(dataflow, node.clone()));
        facts.ends.insert((dataflow, node.clone()), result.clone());
    }

    /// A keeper stops all of its nodes.
    pub fn keeper_stops(&self, machine: &MachineId, dataflow: DataflowId) {
        self.trace.say(machine, format_args!("the keeper of {dataflow} stops its nodes"));
    }

    /// A keeper was killed, and its nodes with it.
    pub fn keeper_died(&self, machine: &MachineId, dataflow: DataflowId) {
        self.trace.say(machine, format_args!("the keeper of {dataflow} is killed"));
        let mut facts = self.facts();
        facts.killed_keepers.insert((dataflow, machine.clone()));
        facts.alive.retain(|(id, _), place| *id != dataflow || place != machine);
    }

    // ---- 5: leaders ------------------------------------------------------------------------------------------------

    pub fn leader_began(&self, epoch: u64) {
        let now = self.trace.now();
        let mut facts = self.facts();
        facts.leader = Some(epoch);
        facts.beginnings.push(now);
        if let Some((_, end @ None)) = facts.gaps.last_mut() {
            *end = Some(now);
        }
    }

    /// There is no coordinator now.
    pub fn leader_gone(&self) {
        let now = self.trace.now();
        let mut facts = self.facts();
        facts.leader = None;
        facts.gaps.push((now, None));
    }

    /// The coordinator hangs, or goes on.
    pub fn leader_hangs(&self, epoch: Option<u64>) {
        self.facts().leader = epoch;
    }

    /// A daemon serves a leader.
    pub fn admitted(&self, machine: &MachineId, epoch: u64) {
        let mut facts = self.facts();
        let highest = facts.epochs.entry(machine.clone()).or_default();
        *highest = epoch.max(*highest);
    }

    /// A daemon does what a leader says.
    pub fn commanded(&self, machine: &MachineId, epoch: u64) {
        let highest = self.facts().epochs.get(machine).copied().unwrap_or_default();
        if epoch < highest {
            self.broke(format!("rule 5: {machine} obeys epoch {epoch} although it has served epoch {highest}"));
        }
    }

    /// A daemon gives a sign of life that surely arrives.
    pub fn signed(&self, machine: &MachineId, epoch: u64) {
        let now = self.trace.now();
        let mut facts = self.facts();
        if facts.leader == Some(epoch) {
            facts.signs.entry(machine.clone()).or_default().push(now);
        }
    }

    // ---- 2, 4, 6: commands -----------------------------------------------------------------------------------------

    pub fn acknowledged(&self, dataflow: DataflowId, name: Option<String>) {
        self.facts().acknowledged.insert(dataflow, name);
    }

    /// Somebody wants what has ended to be forgotten.
    pub fn clean_asked(&self) {
        self.facts().cleaned = true;
    }

    /// Somebody wants a dataflow to be stopped.
    pub fn stop_asked(&self, dataflow: DataflowId, urgency: Urgency) {
        if urgency == Urgency::Kill {
            self.facts().forced.insert(dataflow);
        }
    }

    /// A stop was answered: it has ended.
    pub fn stop_acknowledged(&self, dataflow: DataflowId) {
        let mut facts = self.facts();
        facts.stopped.insert(dataflow);
        let given_up = |place: &MachineId| facts.is_given_up(dataflow, place);
        let mut left = facts.alive.iter().filter(|((id, _), place)| *id == dataflow && !given_up(place));
        let left = left.next().map(|((_, node), place)| format!("{node} on {place}"));
        drop(facts);
        if let Some(left) = left {
            self.broke(format!("rule 4: {dataflow} was stopped, and {left} runs"));
        }
    }

    /// A command has ended, as it may or as it must.
    pub fn command_ended(&self, what: &str, begun: Ms, most: Ms) {
        let now = self.trace.now();
        let nobody = |(from, until): &(Ms, Option<Ms>)| {
            *from <= begun && until.unwrap_or(now) >= begun + AT_ONCE && now > begun + AT_ONCE
        };
        let nobody = self.facts().gaps.iter().any(nobody);
        if now > begun + most || nobody {
            self.broke(format!("rule 6: {what} took {} ms, no coordinator: {nobody}", now - begun));
        }
    }

    // ---- 2, 3: the store -------------------------------------------------------------------------------------------

    /// What the store says now. It is looked at after every change.
    pub fn looked(&self, records: &[DataflowRecord]) {
        let now = self.trace.now();
        let mut mistakes = Vec::new();
        {
            let mut facts = self.facts();
            facts.forget(records);
            let found: BTreeMap<_, _> = records.iter().map(|record| (record.id, record)).collect();
            for (id, name) in &facts.acknowledged {
                match found.get(id) {
                    None => mistakes.push(format!("rule 2: {id} was acknowledged and is not in the store")),
                    Some(record) if record.submission.name != *name => {
                        mistakes.push(format!("rule 2: {id} is called {:?} and was {name:?}", record.submission.name));
                    }
                    Some(_) => {}
                }
            }
            let mut names = BTreeSet::new();
            for record in records.iter().filter(|record| !record.state.is_final()) {
                if !record.name().is_none_or(|name| names.insert(name)) {
                    mistakes.push(format!("rule 2: two dataflows that have not ended are called {:?}", record.name()));
                }
            }
            for (id, before) in facts.records.iter().filter(|(_, before)| before.state.is_final()) {
                if found.get(id).is_none_or(|record| record.result != before.result || record.state != before.state) {
                    mistakes.push(format!("rule 2: {id} had ended, and now there is {:?}", found.get(id)));
                }
            }
            for id in facts.records.iter().filter(|(_, before)| before.stop.is_some()).map(|(id, _)| id) {
                let is_kept = |now: &&DataflowRecord| now.state.is_final() || now.stop.is_some();
                if !found.get(id).is_some_and(is_kept) {
                    mistakes.push(format!("rule 2: {id} was to be stopped, and now there is {:?}", found.get(id)));
                }
            }
            mistakes.extend(records.iter().flat_map(|record| facts.untrue(record, now)));
        }
        for record in records {
            let known = self.facts().records.insert(record.id, record.clone());
            if known.as_ref().map(|known| known.state) != Some(record.state) {
                let trouble = record.result.as_ref().and_then(|result| result.outcome.trouble.as_ref());
                let trouble = trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
                self.trace.say("store", format_args!("{} is {:?}{trouble}", record.id, record.state));
            }
        }
        self.facts().looked = now;
        mistakes.into_iter().for_each(|mistake| self.broke(mistake));
    }

    // ---- 7: what it comes to ---------------------------------------------------------------------------------------

    /// What is not yet as it must be in the end: nothing, once everything has converged.
    pub fn unsettled(&self, infos: &[DataflowInfo], machines: &[machine::Shared]) -> Vec<String> {
        let facts = self.facts();
        let mut open = Vec::new();
        let infos: BTreeMap<_, _> = infos.iter().map(|info| (info.summary.id, info)).collect();
        for id in facts.acknowledged.keys().filter(|id| !infos.contains_key(id)) {
            open.push(format!("rule 7: {id} is not listed"));
        }
        for ((id, node), place) in &facts.alive {
            let led = infos.get(id).is_some_and(|info| !info.summary.state.is_final());
            let here = infos.get(id).and_then(|info| info.nodes.iter().find(|info| info.node == *node));
            if !led || here.is_none_or(|info| info.machine.as_ref() != Some(place)) {
                open.push(format!("rule 7: {node} of {id} runs on {place}, and nobody leads it"));
            }
        }
        for (id, info) in infos.iter().filter(|(_, info)| !info.summary.state.is_final()) {
            let stops = facts.record(*id).is_some_and(|record| record.stop.is_some());
            if info.summary.state != DataflowState::Running || stops {
                open.push(format!("rule 7: {id} is {:?}, to be stopped: {stops}", info.summary.state));
            }
            for node in &info.nodes {
                let truth = truth(machines, *id, node.machine.as_ref(), &node.node);
                let end = facts.ends.get(&(*id, node.node.clone()));
                let has_ended = match &node.state {
                    NodeState::Ended(NodeResult::Lost) => !facts.alive.contains_key(&(*id, node.node.clone())),
                    NodeState::Ended(result) => end == Some(result),
                    _ => false,
                };
                if !has_ended && truth.as_ref() != Some(&node.state) {
                    open.push(format!("rule 7: {} of {id} is said to be {:?} and is {truth:?}", node.node, node.state));
                }
            }
        }
        open
    }

    /// What still runs, or is held, although everything was stopped.
    pub fn left(&self, infos: &[DataflowInfo]) -> Vec<String> {
        let mut left: Vec<_> = self
            .facts()
            .alive
            .iter()
            .map(|((id, node), place)| format!("rule 7: {node} of {id} runs on {place}"))
            .collect();
        let running = infos.iter().filter(|info| !info.summary.state.is_final());
        left.extend(running.map(|info| format!("rule 7: {} is {:?}", info.summary.id, info.summary.state)));
        left
    }
}

/// How nodes ended, as a record says it.
fn ends(record: &DataflowRecord) -> impl Iterator<Item = &NodeOutcome> {
    let outcomes = record.result.iter().map(|result| &result.outcome).chain(record.ended.values());
    outcomes.flat_map(|outcome| &outcome.nodes)
}

/// What the machine says of a node that it has, if messages flow there.
fn truth(
    machines: &[machine::Shared],
    dataflow: DataflowId,
    name: Option<&MachineId>,
    node: &NodeId,
) -> Option<NodeState> {
    let machine = machines.iter().map(|machine| machine.lock().unwrap()).find(|machine| Some(&machine.name) == name)?;
    let keeper = machine.keepers.get(&dataflow)?;
    keeper.state(node).filter(|_| keeper.flows())
}

impl Facts {
    /// What has ended and was cleaned is not asked for any more.
    fn forget(&mut self, records: &[DataflowRecord]) {
        if !self.cleaned {
            return;
        }
        let led: BTreeSet<_> = self.alive.keys().map(|(id, _)| *id).filter(|id| !self.has_given_up(*id)).collect();
        let stays = |id: &DataflowId| led.contains(id) || records.iter().any(|record| record.id == *id);
        let (gone, kept) = std::mem::take(&mut self.records).into_iter().partition(|(id, _)| !stays(id));
        self.records = kept;
        let gone: BTreeMap<DataflowId, DataflowRecord> = gone;
        self.acknowledged.retain(|id, _| !gone.contains_key(id));
        self.forgotten.extend(gone);
    }

    /// Whether a part of a dataflow was given up.
    fn has_given_up(&self, dataflow: DataflowId) -> bool {
        self.record(dataflow).into_iter().flat_map(ends).any(|end| end.result == NodeResult::Lost)
    }

    fn record(&self, dataflow: DataflowId) -> Option<&DataflowRecord> {
        self.records.get(&dataflow).or_else(|| self.forgotten.get(&dataflow))
    }

    /// What is newly said of the nodes of a dataflow and is not true.
    fn untrue(&self, record: &DataflowRecord, now: Ms) -> Vec<String> {
        let before = self.records.get(&record.id);
        let mut untrue = Vec::new();
        for said in
            ends(record).filter(|said| !before.is_some_and(|before| ends(before).any(|it| it.node == said.node)))
        {
            let place = record.placed.iter().find(|place| place.node == said.node).map(|place| &place.machine);
            let end = self.ends.get(&(record.id, said.node.clone()));
            if said.result != NodeResult::Lost && end != Some(&said.result) {
                untrue.push(format!(
                    "rule 3: {} of {} is said to be {}, and is {end:?}",
                    said.node, record.id, said.result
                ));
            }
            if said.result == NodeResult::Lost && !place.is_some_and(|place| self.may_be_lost(record.id, place, now)) {
                untrue.push(format!("rule 3: {} of {} is said to be lost on {place:?}", said.node, record.id));
            }
        }
        untrue
    }

    fn may_be_lost(&self, dataflow: DataflowId, place: &MachineId, now: Ms) -> bool {
        self.forced.contains(&dataflow)
            || self.killed_keepers.contains(&(dataflow, place.clone()))
            || self.was_silent(place, now)
    }

    /// Whether a machine gave no sign of life for the machine timeout, up to some moment since the store was looked at.
    fn was_silent(&self, place: &MachineId, now: Ms) -> bool {
        let mut heard: Vec<_> =
            self.beginnings.iter().chain(self.signs.get(place).into_iter().flatten()).copied().collect();
        heard.sort_unstable();
        heard.push(now);
        heard.windows(2).any(|pair| pair[1] > self.looked && pair[1] - pair[0] >= MACHINE_TIMEOUT - TOLERANCE)
    }

    fn is_given_up(&self, dataflow: DataflowId, place: &MachineId) -> bool {
        let record = self.record(dataflow);
        let is_lost = |end: &NodeOutcome, node: &NodeId| end.node == *node && end.result == NodeResult::Lost;
        let lost = |node: &NodeId| record.into_iter().flat_map(ends).any(|end| is_lost(end, node));
        let placed = record.map_or(&[][..], |record| &record.placed);
        placed.iter().any(|it| it.machine == *place && lost(&it.node))
    }
}
