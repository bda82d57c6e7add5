//! All processes, and the order in which things happen: whatever is due next is done, until nothing is left to be done.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use dora_coordinator::{Coordinator, CoordinatorOptions};
use dora_gateways::{DataflowInfo, DispatcherError, MachineId, MachineInfo, Urgency};
use dora_rpc::{HeartbeatConfig, Role, RpcService};
use dora_store::Store;
use fastrand::Rng;

use crate::{
    client::Client,
    daemon::{About, Daemon, config, fails},
    faults::{Event, FAULTY, MACHINES, story},
    host::Host,
    invariants::{MACHINE_TIMEOUT, Rules},
    machine::{self, Machine},
    network::{Network, Pid, Site},
    trace::{Ms, Trace},
};

/// The process of all commands.
const CLIENT: Pid = 0;
/// A process that nothing comes to looks at its timers at least so often.
const LAG: Ms = 200;
/// The store is looked at at least so often.
const LOOK: Ms = 500;
/// Once faults have ceased, everything has converged after so long.
const CALM: Ms = 40_000;

pub struct World {
    dice: Rng,
    pub trace: Trace,
    pub rules: Rules,
    network: Network,
    /// A handle of the epoch that leads.
    store: Store,
    processes: BTreeMap<Pid, Process>,
    last: Pid,
    coordinator: Option<Pid>,
    coordinators: BTreeMap<Pid, RpcService>,
    machines: Vec<machine::Shared>,
    daemons: [Option<Pid>; MACHINES],
    client: Client,
    agenda: BTreeMap<(Ms, usize), Event>,
    /// The store may have changed.
    dirty: bool,
    looked: Ms,
}

struct Process {
    host: Host,
    due: Ms,
}

impl World {
    pub fn new(seed: u64, trace: Trace) -> Self {
        let mut dice = Rng::with_seed(seed);
        let rules = Rules::new(trace.clone());
        let network = Network::new(dice.fork());
        let machine = |number, dice| {
            let name = MachineId(format!("m{number}"));
            Arc::new(Mutex::new(Machine::new(name, dice, rules.clone())))
        };
        let machines = (0..MACHINES).map(|number| machine(number, dice.fork())).collect();
        let events = story(&mut dice).into_iter().enumerate();
        let agenda = events.map(|(number, (at, event))| ((at, number), event)).collect();
        let host = Host::new(0, 1000);
        let service = host.enter(|| RpcService::new(config(Role::Client, Duration::ZERO)));
        let client = Client {
            service,
            network: network.clone(),
            pid: CLIENT,
            rules: rules.clone(),
            trace: trace.clone(),
            under_way: Arc::new(()),
        };
        let store = Store::in_memory().unwrap();
        trace.begins_with(store.epoch());
        Self {
            dice,
            trace,
            rules,
            network,
            store,
            processes: [(CLIENT, Process { host, due: 0 })].into(),
            last: 0,
            coordinator: None,
            coordinators: BTreeMap::new(),
            machines,
            daemons: [None; MACHINES],
            client,
            agenda,
            dirty: false,
            looked: 0,
        }
    }

    /// The whole history.
    pub fn run(&mut self) {
        self.run_until(FAULTY);
        self.calm();
        self.settle();
        if !self.rules.is_broken() {
            self.stop_everything();
        }
    }

    fn now(&self) -> Ms {
        self.trace.now()
    }

    /// Faults cease.
    fn calm(&mut self) {
        self.trace.say("---", "faults cease");
        self.agenda.clear();
        self.network.heal_all();
        self.happens(Event::WakeCoordinators);
        self.happens(Event::EndReplaced);
        self.happens(Event::StartCoordinator);
        for machine in 0..MACHINES {
            self.happens(Event::WakeDaemon(machine));
            self.happens(Event::StartDaemon(machine));
        }
    }

    /// Waits until everything has converged.
    fn settle(&mut self) {
        let mut open = Vec::new();
        while self.now() < FAULTY + CALM && !self.rules.is_broken() {
            self.run_until(self.now() + 1000);
            open = match self.infos() {
                _ if Arc::strong_count(&self.client.under_way) > 1 => vec!["rule 6: commands are under way".to_owned()],
                Some(Ok(infos)) => self.rules.unsettled(&infos, &self.machines),
                other => vec![format!("rule 7: the dataflows are not told: {other:?}")],
            };
            if open.is_empty() {
                return self.trace.say("---", "everything has converged");
            }
        }
        open.into_iter().for_each(|open| self.rules.broke(open));
    }

    /// Stops all dataflows: then nothing is left.
    fn stop_everything(&mut self) {
        let infos = self.infos().and_then(Result::ok).unwrap_or_default();
        for info in infos.into_iter().filter(|info| !info.summary.state.is_final()) {
            let stop = self.client.clone().stop(info.summary.id, Urgency::Ask);
            self.command(stop);
        }
        self.run_until(self.now() + 12_000);
        let infos = self.infos().and_then(Result::ok);
        let left = infos.map_or_else(|| vec!["rule 7: no answer".to_owned()], |infos| self.rules.left(&infos));
        left.into_iter().for_each(|left| self.rules.broke(left));
        match self.ask(Client::machines) {
            Some(Ok(machines)) => self.check_places(&machines),
            other => self.rules.broke(format!("rule 7: the machines are not told: {other:?}")),
        }
    }

    fn check_places(&self, machines: &[MachineInfo]) {
        if machines.len() != MACHINES {
            self.rules.broke(format!("rule 7: machines are missing: {machines:?}"));
        }
        for machine in machines.iter().filter(|machine| machine.free != machine.resources || !machine.reachable) {
            self.rules.broke(format!("rule 7: places are held, or it is not reached: {machine:?}"));
        }
        for machine in &self.machines {
            let machine = machine.lock().unwrap();
            if !machine.keepers.is_empty() {
                self.rules.broke(format!("rule 7: keepers are left on {}: {:?}", machine.name, machine.keepers.keys()));
            }
        }
    }

    fn infos(&mut self) -> Option<Result<Vec<DataflowInfo>, DispatcherError>> {
        self.ask(Client::infos)
    }

    /// Asks, and lets the world go on until there is an answer.
    fn ask<T: Send + Debug + 'static, F: Future<Output = T> + Send + 'static>(
        &mut self,
        question: impl FnOnce(Client) -> F,
    ) -> Option<T> {
        let answer = Arc::new(Mutex::new(None));
        let (slot, question) = (answer.clone(), question(self.client.clone()));
        self.command(async move { *slot.lock().unwrap() = Some(question.await) });
        let until = self.now() + 20_000;
        while answer.lock().unwrap().is_none() && self.now() < until && !self.rules.is_broken() {
            self.run_until(self.now() + 10);
        }
        answer.lock().unwrap().take()
    }

    /// Somebody gives a command.
    fn command(&mut self, command: impl Future<Output = ()> + Send + 'static) {
        let now = self.now();
        if let Some(client) = self.processes.get_mut(&CLIENT) {
            client.host.enter(|| drop(tokio::spawn(command)));
            client.due = now + 1;
        }
    }

    fn run_until(&mut self, until: Ms) {
        while !self.rules.is_broken() {
            let machines = self.machines.iter().filter_map(|machine| machine.lock().unwrap().next());
            let processes = self.processes.values().filter(|it| !it.host.is_frozen()).map(|process| process.due);
            let agenda = self.agenda.keys().next().map(|(at, _)| *at);
            let next = machines.chain(processes).chain(agenda).chain(self.network.next()).min();
            match next {
                Some(next) if next <= until => self.step(next.max(self.now() + 1)),
                _ => return self.pass(until),
            }
        }
    }

    /// Nothing happens until then.
    fn pass(&mut self, until: Ms) {
        self.trace.advance(until);
        self.network.advance(until);
    }

    /// Does what is due now.
    fn step(&mut self, now: Ms) {
        self.pass(now);
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let event = entry.remove();
            self.happens(event);
        }
        for number in 0..MACHINES {
            let changed = self.machines[number].lock().unwrap().run(now);
            if changed && let Some(pid) = self.daemons[number] {
                self.wake(pid);
            }
        }
        let arrivals = self.network.deliver();
        for (site, pipe) in arrivals.callers {
            let called = self.coordinator.filter(|_| site == Site::Coordinator);
            match called.and_then(|pid| Some((pid, self.coordinators.get(&pid)?, self.processes.get(&pid)?))) {
                Some((pid, service, process)) => {
                    pipe.taken_by(pid);
                    process.host.enter(|| service.accept(pipe));
                    self.wake(pid);
                }
                None => pipe.refuse(),
            }
        }
        if self.dirty && arrivals.readers.contains(&CLIENT) {
            // What has been written is known before somebody is told.
            self.look();
        }
        arrivals.readers.into_iter().for_each(|pid| self.wake(pid));
        let due: Vec<_> = self.processes.iter().filter(|(_, it)| it.due <= now).map(|(pid, _)| *pid).collect();
        for pid in due {
            self.let_live(pid);
        }
        if self.dirty && now >= self.looked + LOOK {
            self.look();
        }
    }

    fn let_live(&mut self, pid: Pid) {
        self.dirty |= self.coordinators.contains_key(&pid);
        let now = self.now();
        if let Some(process) = self.processes.get_mut(&pid).filter(|process| !process.host.is_frozen()) {
            process.host.run(now);
            process.due = now + LAG;
        }
    }

    fn wake(&mut self, pid: Pid) {
        let soon = self.now() + 1;
        if let Some(process) = self.processes.get_mut(&pid) {
            process.due = process.due.min(soon);
        }
    }

    fn look(&mut self) {
        (self.dirty, self.looked) = (false, self.now());
        match self.store.all() {
            Ok(records) => self.rules.looked(&records),
            Err(error) => self.rules.broke(error.to_string()),
        }
    }

    fn process(&mut self) -> Pid {
        self.last += 1;
        let now = self.now();
        let host = Host::new(now, self.dice.u64(950..1050));
        self.processes.insert(self.last, Process { host, due: now + 1 });
        self.last
    }

    /// An event of the story.
    fn happens(&mut self, event: Event) {
        let now = self.now();
        self.trace.say("---", format_args!("{event:?}"));
        match event {
            Event::KillCoordinator => self.kill_coordinator(),
            Event::StartCoordinator if self.coordinator.is_none() => self.start_coordinator(),
            Event::HangCoordinator => {
                if let Some(process) = self.coordinator.and_then(|pid| self.processes.get_mut(&pid)) {
                    process.host.freeze();
                    self.rules.leader_hangs(None);
                }
            }
            Event::WakeCoordinators => {
                let coordinators = self.coordinators.keys();
                let hanging = coordinators.filter(|pid| self.processes.get(pid).is_some_and(|it| it.host.is_frozen()));
                hanging.copied().collect::<Vec<_>>().into_iter().for_each(|pid| self.thaw(pid));
                self.rules.leader_hangs(self.coordinator.map(|_| self.store.epoch()));
            }
            Event::ReplaceCoordinator => {
                let hanging = self.coordinator.filter(|pid| self.processes[pid].host.is_frozen());
                if hanging.is_some() {
                    self.start_coordinator();
                }
            }
            Event::EndReplaced => {
                let leader = self.coordinator;
                let replaced: Vec<_> = self.coordinators.keys().filter(|pid| Some(**pid) != leader).copied().collect();
                replaced.into_iter().for_each(|pid| self.end(pid));
            }
            Event::KillDaemon(machine) => self.kill_daemon(machine),
            Event::StartDaemon(machine) if self.daemons[machine].is_none() => self.start_daemon(machine),
            Event::HangDaemon(machine) => {
                if let Some(process) = self.daemons[machine].and_then(|pid| self.processes.get_mut(&pid)) {
                    process.host.freeze();
                }
            }
            Event::WakeDaemon(machine) => {
                let hanging = self.daemons[machine].filter(|pid| self.processes[pid].host.is_frozen());
                hanging.into_iter().for_each(|pid| self.thaw(pid));
            }
            Event::KillKeeper(machine) => {
                let mut machine = self.machines[machine].lock().unwrap();
                let number = machine.keepers.len();
                let one = machine.keepers.keys().nth(now as usize % number.max(1)).copied();
                one.into_iter().for_each(|keeper| machine.kill_keeper(keeper));
            }
            Event::KillMachine(number) => {
                self.kill_daemon(number);
                let mut machine = self.machines[number].lock().unwrap();
                let all: Vec<_> = machine.keepers.keys().copied().collect();
                all.into_iter().for_each(|keeper| machine.kill_keeper(keeper));
            }
            Event::Cut(from, to) => self.network.cut(from, to),
            Event::Slow(from, to) => self.network.slow(from, to),
            Event::Heal(from, to) => self.network.heal(from, to),
            Event::Reset(one, other) => self.network.reset(one, other),
            Event::Submit(submission) => self.command(self.client.clone().submit(*submission)),
            Event::Stop(dataflow, urgency) => self.command(self.client.clone().stop(dataflow, urgency)),
            Event::List => {
                let list = self.client.clone().list();
                self.command(async move { drop(list.await) });
            }
            Event::StartCoordinator | Event::StartDaemon(_) => {}
        }
    }

    fn thaw(&mut self, pid: Pid) {
        let now = self.now();
        if let Some(process) = self.processes.get_mut(&pid) {
            process.host.thaw(now);
            process.due = now + 1;
        }
    }

    fn kill_coordinator(&mut self) {
        let Some(pid) = self.coordinator.take() else { return };
        self.end(pid);
        self.rules.leader_gone();
    }

    fn end(&mut self, coordinator: Pid) {
        self.coordinators.remove(&coordinator);
        self.processes.remove(&coordinator);
    }

    fn start_coordinator(&mut self) {
        let pid = self.process();
        let Ok(store) = self.store.succeed() else { return self.rules.broke("the store is not opened again") };
        self.store = store.clone();
        let heartbeat =
            HeartbeatConfig { interval: Duration::from_secs(1), timeout: Duration::from_secs(3), failures: 2 };
        let machine_timeout = Duration::from_millis(MACHINE_TIMEOUT);
        let options = CoordinatorOptions { heartbeat, machine_timeout, ..CoordinatorOptions::new(store) };
        let (rules, disk) = (self.rules.clone(), Duration::from_millis(self.dice.u64(..40)));
        let service = self.processes[&pid].host.enter(|| {
            let service = RpcService::new(config(Role::Coordinator, disk));
            if let Err(error) = Coordinator::start(&service, options) {
                rules.broke(error.to_string());
            }
            tokio::spawn(fails(service.clone(), rules));
            service
        });
        self.coordinators.insert(pid, service);
        self.coordinator = Some(pid);
        self.trace.say("coordinator", format_args!("leads in epoch {}", self.store.epoch()));
        self.rules.leader_began(self.store.epoch());
    }

    fn start_daemon(&mut self, number: usize) {
        let pid = self.process();
        let machine = self.machines[number].clone();
        let name = {
            let mut machine = machine.lock().unwrap();
            machine.orphaned = None;
            machine.name.clone()
        };
        let (network, rules, trace) = (self.network.clone(), self.rules.clone(), self.trace.clone());
        let me = About { name, site: Site::Machine(number), pid, machine, network, rules, trace };
        let dice = self.dice.fork();
        self.processes[&pid].host.enter(|| Daemon::start(me, dice));
        self.daemons[number] = Some(pid);
    }

    fn kill_daemon(&mut self, number: usize) {
        let Some(pid) = self.daemons[number].take() else { return };
        self.processes.remove(&pid);
        self.machines[number].lock().unwrap().orphaned = Some(self.now());
    }
}
