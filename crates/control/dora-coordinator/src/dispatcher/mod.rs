//! The dispatcher: dataflows as a whole. It takes submissions, starts a master for each, and passes on what is asked of
//! one dataflow. Of those that have ended it knows what the store knows.

mod artifacts;
mod build;
mod clean;
mod destroy;
mod find;
mod nodes;
mod pattern;
mod reading;
mod refusal;
mod stop;
mod submit;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use dora_gateways::{
    DataflowEvent, DataflowId, DataflowMasterCall, DataflowMasterGateway, DataflowSummary, DispatcherCall,
    DispatcherError,
};
use dora_rpc::{Gateway, MainThread, RpcEndpoint, RpcStream};
use dora_store::DataflowRecord;
use tokio::sync::watch;

use crate::{blueprint::Blueprint, master::Progress, shared::Shared};

/// So long the events of a dataflow that is to be watched from its start are kept for who asks for them.
const UNCLAIMED: Duration = Duration::from_secs(30);

/// Runs dataflows.
pub(crate) struct Dispatcher {
    shared: Shared,
    /// What the coordinator before this one had begun, until it is taken up.
    begun: Vec<DataflowRecord>,
    running: BTreeMap<DataflowId, Running>,
    /// Events of dataflows that were submitted to be watched, until somebody asks.
    unclaimed: HashMap<DataflowId, RpcStream<DataflowEvent>>,
    /// Nothing is begun any more.
    closing: bool,
    /// Set when daemons and dataflows have ended and the coordinator is to follow.
    ended: watch::Sender<bool>,
}

/// A dataflow that has a master.
#[derive(Clone)]
struct Running {
    id: DataflowId,
    name: Option<String>,
    submitted: DateTime<Utc>,
    blueprint: Arc<Blueprint>,
    master: Gateway<DataflowMasterCall>,
    progress: watch::Receiver<Progress>,
}

impl Running {
    fn summary(&self) -> DataflowSummary {
        DataflowSummary {
            id: self.id,
            name: self.name.clone(),
            state: self.progress.borrow().state,
            submitted: self.submitted,
            nodes: self.blueprint.nodes.len() as u32,
        }
    }
}

impl Dispatcher {
    /// A dispatcher that takes up what the one before it had begun. `ended` is set when everything has.
    pub fn new(shared: Shared, begun: Vec<DataflowRecord>, ended: watch::Sender<bool>) -> Self {
        let (running, unclaimed) = (BTreeMap::new(), HashMap::new());
        Self { shared, begun, running, unclaimed, closing: false, ended }
    }
}

impl RpcEndpoint for Dispatcher {
    type Call = DispatcherCall;

    fn on_start(&mut self, main: &mut MainThread<Self>) {
        // Not before: endpoints end in the order opposite to that of their starts, so masters end before their dispatcher.
        for record in std::mem::take(&mut self.begun) {
            self.resume(main, record);
        }
    }

    fn handle(&mut self, main: &mut MainThread<Self>, call: DispatcherCall) {
        use DispatcherCall as Call;
        match call {
            Call::MissingArtifacts { hashes, reply } => self.missing_artifacts(main, hashes, reply),
            Call::UploadArtifact { hash, size, content, reply } => {
                self.upload_artifact(main, hash, size, content, reply);
            }
            Call::Submit { submission, reply } => self.submit(main, submission, reply),
            Call::Wait { dataflow, until, reply } => self.wait(main, dataflow, until, reply),
            Call::Stop { dataflow, options, reply } => self.stop(main, dataflow, options, reply),
            Call::Restart { dataflow, options, reply } => self.restart(main, dataflow, options, reply),
            Call::StopNode { dataflow, node, options, reply } => {
                self.pass_on(main, dataflow, reply, move |it| async move { it.master.stop_node(node, options).await });
            }
            Call::RestartNode { dataflow, node, options, reply } => {
                self.pass_on(
                    main,
                    dataflow,
                    reply,
                    move |it| async move { it.master.restart_node(node, options).await },
                );
            }
            Call::List { filter, reply } => self.list(main, filter, reply),
            Call::Info { dataflow, reply } => self.info(main, dataflow, reply),
            Call::Logs { dataflow, query, reply } => self.logs(main, dataflow, query, reply),
            Call::Events { dataflow, watching, reply } => self.events(main, dataflow, watching, reply),
            Call::Tap { dataflow, query, reply } => self.tap(main, dataflow, query, reply),
            Call::Publish { dataflow, output, message, reply } => {
                self.pass_on(main, dataflow, reply, move |it| async move { it.master.publish(output, message).await });
            }
            Call::Sees { file, reply } => self.sees(main, file, reply),
            Call::Machines { reply } => self.machines(main, reply),
            Call::AwaitMachine { machine, reply } => self.await_machine(main, machine, reply),
            Call::Build { submission, reply } => self.build(main, submission, reply),
            Call::Destroy { force, reply } => self.destroy(main, force, reply),
            Call::Clean { filter, reply } => self.clean(main, filter, reply),
            Call::Savepoint { reply, .. } => reply.err(not_served("savepoint")),
        }
    }
}

fn not_served(what: &str) -> DispatcherError {
    DispatcherError::NotServed { what: what.to_owned() }
}
