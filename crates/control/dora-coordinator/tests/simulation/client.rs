//! Somebody at a command line. Each command has a connection of its own.

use std::{sync::Arc, time::Duration};

use dora_gateways::*;
use dora_message::id::NodeId;
use dora_rpc::{ConnectError, Gateway, RpcService};

use crate::{
    invariants::Rules,
    network::{Network, Pid, Site},
    trace::{Ms, Trace},
};

/// How long a command waits for its answer.
const PATIENCE: Ms = 10_000;
/// How long reaching the coordinator may take, and its endpoint.
const REACH: Ms = 2_000 + 5_000;
/// A client is not looked at more often.
const LATE: Ms = 300;

#[derive(Clone)]
pub struct Client {
    pub service: RpcService,
    pub network: Network,
    pub pid: Pid,
    pub rules: Rules,
    pub trace: Trace,
    /// Each command under way holds one.
    pub under_way: Arc<()>,
}

/// What a command came to, for the story.
fn said<T, E: std::fmt::Display>(result: &Result<T, E>) -> String {
    result.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned())
}

impl Client {
    async fn dispatcher(&self) -> Result<Gateway<DispatcherCall>, DispatcherError> {
        let pipe = self.network.dial(self.pid, Site::Client, Site::Coordinator);
        let gateway = self.service.connect_over(pipe, "dispatcher").await.map_err(|error| match error {
            ConnectError::Rpc(error) => error,
            other => dora_rpc::RpcError::Disconnected { reason: other.to_string() },
        });
        Ok(gateway.map(|gateway: Gateway<DispatcherCall>| gateway.within(Duration::from_millis(PATIENCE)))?)
    }

    fn end<T, E: std::fmt::Display>(&self, what: &str, begun: Ms, result: &Result<T, E>) {
        self.trace.say("client", format_args!("{what}: {}", said(result)));
        self.rules.command_ended(what, begun, REACH + PATIENCE + LATE);
    }

    /// Submits; again with the same id if nobody can say what became of it.
    pub async fn submit(self, submission: Submission) {
        let (Some(id), name) = (submission.id, submission.name.clone()) else { return };
        for _ in 0..3 {
            let begun = self.trace.now();
            let submitted = async { self.dispatcher().await?.submit(submission.clone()).await }.await;
            self.end(&format!("submit {id} as {name:?}"), begun, &submitted);
            match submitted {
                Ok(given) if given == id => return self.rules.acknowledged(id, name),
                Ok(other) => return self.rules.broke(format!("rule 2: {id} was submitted and got id {other}")),
                Err(DispatcherError::Rpc(_)) => tokio::time::sleep(Duration::from_secs(1)).await,
                Err(_) => return,
            }
        }
    }

    pub async fn stop(self, dataflow: DataflowId, urgency: Urgency) {
        let begun = self.trace.now();
        self.rules.stop_asked(dataflow, urgency);
        let options = StopOptions { grace: None, urgency };
        let stopped = async { self.dispatcher().await?.stop(DataflowSelector::Id(dataflow), options).await }.await;
        self.end(&format!("stop {dataflow} ({urgency:?})"), begun, &stopped);
        if stopped.is_ok() {
            self.rules.stop_acknowledged(dataflow);
        }
    }

    pub async fn stop_node(self, dataflow: DataflowId, node: NodeId) {
        let begun = self.trace.now();
        let options = StopOptions::default();
        let it = DataflowSelector::Id(dataflow);
        let stopped = async { self.dispatcher().await?.stop_node(it, node.clone(), options).await }.await;
        self.end(&format!("stop {node} of {dataflow}"), begun, &stopped);
    }

    pub async fn clean(self) {
        let begun = self.trace.now();
        self.rules.clean_asked();
        let cleaned = async { self.dispatcher().await?.clean(ListFilter::default()).await }.await;
        self.end("clean", begun, &cleaned);
    }

    pub async fn list(self) -> Result<Vec<DataflowSummary>, DispatcherError> {
        let begun = self.trace.now();
        let list = async { self.dispatcher().await?.list(ListFilter::default()).await }.await;
        self.end("list", begun, &list);
        list
    }

    /// Everything that is known.
    pub async fn infos(self) -> Result<Vec<DataflowInfo>, DispatcherError> {
        let mut infos = Vec::new();
        let dispatcher = self.dispatcher().await?;
        for summary in dispatcher.list(ListFilter::default()).await? {
            infos.push(dispatcher.info(DataflowSelector::Id(summary.id)).await?);
        }
        Ok(infos)
    }

    pub async fn machines(self) -> Result<Vec<MachineInfo>, DispatcherError> {
        self.dispatcher().await?.machines().await
    }
}
