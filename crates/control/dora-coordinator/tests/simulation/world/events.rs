//! The events of a story, done to the world: processes begin, hang, go on and are killed, ways are cut and heal.

use std::time::Duration;

use dora_coordinator::{Coordinator, CoordinatorOptions};
use dora_rpc::{HeartbeatConfig, Role, RpcService};

use super::{Process, World};
use crate::{
    daemon::{About, Daemon, config, fails},
    faults::Event,
    host::Host,
    invariants::MACHINE_TIMEOUT,
    network::{Pid, Site},
};

impl World {
    fn process(&mut self) -> Pid {
        self.last += 1;
        let now = self.now();
        let host = Host::new(now, self.dice.u64(950..1050));
        self.processes.insert(self.last, Process { host, due: now + 1 });
        self.last
    }

    /// An event of the story.
    pub(super) fn happens(&mut self, event: Event) {
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
            Event::KillMachine(number) | Event::PowerOff(number) => {
                if let (Event::PowerOff(_), Some(pid)) = (&event, self.daemons[number]) {
                    self.network.mute(pid);
                }
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
            Event::StopNode(dataflow, node) => self.command(self.client.clone().stop_node(dataflow, node)),
            Event::Clean => self.command(self.client.clone().clean()),
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
