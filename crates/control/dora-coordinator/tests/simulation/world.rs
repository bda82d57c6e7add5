//! All processes, and the order in which things happen: whatever is due next is done, until nothing is left to be done.

mod end;
mod events;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use dora_gateways::MachineId;
use dora_rpc::{Role, RpcService};
use dora_store::Store;
use fastrand::Rng;

use crate::{
    client::Client,
    daemon::config,
    faults::{Event, FAULTY, MACHINES, story},
    host::Host,
    invariants::Rules,
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
        let store = Store::in_memory().unwrap();
        trace.begins_with(store.epoch());
        let rules = Rules::new(trace.clone(), store.clone());
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
}
