//! The masters, and what they still have to be told about machines.
//!
//! Each master is told one thing at a time, so that it hears things in the order in which they happened. Of each machine
//! only the latest counts, so little can pile up.

use std::collections::{BTreeMap, BTreeSet};

use dora_gateways::{
    DataflowId, DataflowMasterCall, DataflowMasterError, DataflowMasterGateway, MachineId, NodeExecutorCall,
    ObservedDataflow,
};
use dora_rpc::{Gateway, MainThread};

use super::ResourceManager;

/// What has become of a machine.
#[derive(Debug)]
pub(super) enum News {
    /// Its daemon has registered, with this of the dataflow.
    Returned(Gateway<NodeExecutorCall>, Option<ObservedDataflow>),
    /// It gives no sign of life.
    Silent,
    /// It was silent for too long, or has left.
    Lost,
}

#[derive(Default)]
pub(super) struct Masters {
    of: BTreeMap<DataflowId, Master>,
}

#[derive(Default)]
struct Master {
    /// None as long as it is only expected.
    gateway: Option<Gateway<DataflowMasterCall>>,
    /// It is being told something of this machine.
    hears_of: Option<MachineId>,
    news: BTreeMap<MachineId, News>,
}

impl Masters {
    /// Masters that will register.
    pub fn expecting(dataflows: BTreeSet<DataflowId>) -> Self {
        Self { of: dataflows.into_iter().map(|dataflow| (dataflow, Master::default())).collect() }
    }

    /// Whether the dataflow has a master, or will have one.
    pub fn lead(&self, dataflow: DataflowId) -> bool {
        self.of.contains_key(&dataflow)
    }

    pub fn register(
        &mut self,
        main: &mut MainThread<ResourceManager>,
        dataflow: DataflowId,
        gateway: Gateway<DataflowMasterCall>,
    ) {
        self.of.entry(dataflow).or_default().gateway = Some(gateway);
        self.tell_next(main, dataflow);
    }

    /// A master is done. Of which machines it was still to hear.
    pub fn forget(&mut self, dataflow: DataflowId) -> Vec<MachineId> {
        let master = self.of.remove(&dataflow).unwrap_or_default();
        master.news.into_keys().chain(master.hears_of).collect()
    }

    /// Whether every master knows all that there is to know about a machine.
    pub fn have_heard_of(&self, machine: &MachineId) -> bool {
        !self.of.values().any(|master| master.hears_of.as_ref() == Some(machine) || master.news.contains_key(machine))
    }

    /// Tells a master, as soon as it has heard what came before.
    pub fn tell(
        &mut self,
        main: &mut MainThread<ResourceManager>,
        dataflow: DataflowId,
        machine: &MachineId,
        news: News,
    ) {
        if let Some(master) = self.of.get_mut(&dataflow) {
            master.news.insert(machine.clone(), news);
            self.tell_next(main, dataflow);
        }
    }

    fn tell_next(&mut self, main: &mut MainThread<ResourceManager>, dataflow: DataflowId) {
        let Some(master) = self.of.get_mut(&dataflow).filter(|master| master.hears_of.is_none()) else { return };
        let Some(gateway) = master.gateway.clone() else { return };
        let Some((machine, news)) = master.news.pop_first() else { return };
        master.hears_of = Some(machine.clone());
        main.then(told(gateway, machine.clone(), news), move |manager: &mut ResourceManager, main, told| {
            if let Err(error) = told {
                tracing::debug!(%dataflow, %error, "a master was not told about a machine");
            }
            if let Some(master) = manager.masters.of.get_mut(&dataflow) {
                master.hears_of = None;
                manager.masters.tell_next(main, dataflow);
                manager.tell_who_waits(&machine);
            }
        });
    }
}

async fn told(master: Gateway<DataflowMasterCall>, machine: MachineId, news: News) -> Result<(), DataflowMasterError> {
    match news {
        News::Returned(executor, observed) => master.machine_returned(machine, executor, observed).await,
        News::Silent => master.machine_silent(machine).await,
        News::Lost => master.machine_lost(machine).await,
    }
}
