//! Building what a dataflow needs, on the machines where its nodes would go, without starting it.

use std::{collections::BTreeMap, sync::Arc};

use dora_gateways::{
    BuildStep, DataflowId, DispatcherError, MachineId, NodeExecutorCall, NodeExecutorGateway, Placement,
    ResourceManagerGateway, Submission, Trouble,
};
use dora_message::id::NodeId;
use dora_rpc::{Gateway, MainThread, Reply, RpcStream, StreamSender, Streamed, stream};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Dispatcher, refusal::resources_refused};
use crate::{blueprint::Blueprint, files::hand_over, shared::Shared};

/// Steps that wait for a reader here.
const CAPACITY: usize = 256;

type Answer = Reply<RpcStream<BuildStep>, DispatcherError>;

impl Dispatcher {
    pub(super) fn build(&mut self, main: &mut MainThread<Self>, submission: Submission, reply: Answer) {
        let read = move || (Blueprint::read(&submission), submission);
        main.blocking(read, move |dispatcher: &mut Self, main, (blueprint, submission)| match blueprint {
            Ok(blueprint) => dispatcher.place_build(main, &blueprint, submission, reply),
            Err(mistakes) => reply.err(DispatcherError::Descriptor { mistakes }),
        });
    }

    /// Looks where the nodes would go. Their places are not kept, whatever becomes of the caller.
    fn place_build(
        &mut self,
        main: &mut MainThread<Self>,
        blueprint: &Blueprint,
        submission: Submission,
        reply: Answer,
    ) {
        let (resources, nodes) = (self.shared.resources.clone(), blueprint.nodes.clone());
        let places = async move {
            let nobody = DataflowId(Uuid::now_v7());
            let places = resources.place(nobody, nodes).await?;
            resources.release(nobody, Vec::new()).await.map(|()| places)
        };
        main.then(places, |dispatcher: &mut Self, main, places| match places {
            Ok(places) => {
                let shared = dispatcher.shared.clone();
                main.reply(reply, build(shared, places, submission));
            }
            Err(error) => reply.err(resources_refused(error)),
        });
    }
}

/// Has each machine build its nodes.
async fn build(
    shared: Shared,
    places: Vec<Placement>,
    submission: Submission,
) -> Result<RpcStream<BuildStep>, DispatcherError> {
    let mut machines = BTreeMap::<MachineId, (Gateway<NodeExecutorCall>, Vec<NodeId>)>::new();
    for place in places {
        let machine = machines.entry(place.machine).or_insert_with(|| (place.executor, Vec::new()));
        machine.1.push(place.node);
    }
    let mut builds = Vec::new();
    for (machine, (executor, nodes)) in machines {
        let begin = async {
            hand_over(shared.artifacts.as_ref(), &submission.artifacts, &executor).await?;
            executor.build(shared.leader, submission.clone(), nodes).await
        };
        match begin.await {
            Ok(steps) => builds.push((machine, steps)),
            Err(error) => return Err(DispatcherError::Machine { machine, reason: error.to_string() }),
        }
    }
    let (sender, steps) = stream(CAPACITY);
    let sender = Arc::new(sender);
    tokio::spawn(async move {
        tokio::select! {
            () = sender.abandoned() => {}
            () = pass_on(builds, &sender) => {}
        }
    });
    Ok(steps)
}

/// Sends on the steps of all machines until all are done, or the first one fails: then the others are given up.
async fn pass_on(builds: Vec<(MachineId, RpcStream<BuildStep>)>, sender: &Arc<StreamSender<BuildStep>>) {
    let mut machines = JoinSet::new();
    for (machine, steps) in builds {
        machines.spawn(of_one(machine, steps, sender.clone()));
    }
    while let Some(built) = machines.join_next().await {
        if let Ok(Err(trouble)) = built {
            machines.abort_all();
            let _ = sender.send(BuildStep::Failed(trouble)).await;
            return;
        }
    }
    let _ = sender.send(BuildStep::Done).await;
}

async fn of_one(
    machine: MachineId,
    mut steps: RpcStream<BuildStep>,
    sender: Arc<StreamSender<BuildStep>>,
) -> Result<(), Trouble> {
    loop {
        let reason = match steps.next().await {
            Ok(Some(Streamed::Item(BuildStep::Done))) => return Ok(()),
            Ok(Some(Streamed::Item(BuildStep::Failed(trouble)))) => return Err(trouble),
            Ok(Some(Streamed::Item(event))) => match sender.send(event).await {
                Ok(()) => continue,
                Err(gone) => gone.to_string(),
            },
            Ok(Some(Streamed::Dropped(_))) => continue,
            Ok(None) => "its build broke off".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(Trouble::Machine { machine, reason });
    }
}
