//! Being known to a coordinator.

use std::time::Duration;

use dora_gateways::*;
use dora_rpc::{Address, FencingToken, MainThread, RpcEndpoint};
use tokio::sync::mpsc;

use crate::cluster::{LEADER, Master, both, spawn, submission};

/// Takes every daemon.
struct Resources {
    leader: FencingToken,
    daemons: mpsc::UnboundedSender<Heard>,
}

#[derive(Debug)]
enum Heard {
    Registered(DaemonRegistration),
    Unregistered,
}

impl RpcEndpoint for Resources {
    type Call = ResourceManagerCall;

    fn handle(&mut self, _main: &mut MainThread<Self>, call: ResourceManagerCall) {
        match call {
            ResourceManagerCall::RegisterDaemon { daemon, reply } => {
                let _ = self.daemons.send(Heard::Registered(daemon));
                reply.ok(Registered {
                    leader: self.leader,
                    heartbeat_interval: Duration::from_millis(200),
                    heartbeat_timeout: Duration::from_secs(1),
                });
            }
            ResourceManagerCall::UnregisterDaemon { reply, .. } => {
                let _ = self.daemons.send(Heard::Unregistered);
                reply.ok(());
            }
            other => panic!("not in the script: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_daemon_comes_back_to_the_next_coordinator_with_all_that_it_runs() {
    both(async |cluster| {
        let (daemons, mut heard) = mpsc::unbounded_channel();
        let service = cluster.service.clone();
        let start =
            |leader| service.start_server("resource_manager", Resources { leader, daemons: daemons.clone() }).unwrap();
        let daemon = std::sync::Arc::new(cluster.daemon);
        let serving = tokio::spawn({
            let (daemon, service) = (daemon.clone(), service.clone());
            async move { daemon.serve(&service, Address::here()).await }
        });
        // The daemon is there before its coordinator.
        let first = start(LEADER);
        daemon.registered().await;
        let Some(Heard::Registered(registration)) = heard.recv().await else { panic!("it did not register") };
        assert!(registration.running.is_empty() && registration.resources.cpu_millis >= 1000);
        let mut master = Master::start(&service, "master");
        let text = "nodes: [{ id: a, path: sleep, args: '1000' }]";
        let submission = submission(cluster.dir.path(), text);
        registration.executor.spawn_nodes(LEADER, spawn(1, submission.clone(), &master)).await.unwrap();
        master.until("a", &NodeState::Starting).await;
        // Without heartbeats it registers again, as the same daemon.
        let mut running = 0;
        while running == 0 {
            let Some(Heard::Registered(again)) = heard.recv().await else { panic!("it did not register again") };
            assert_eq!(again.incarnation, registration.incarnation);
            // Perhaps it had done so before it was given anything.
            running = again.running.len();
        }
        assert_eq!(running, 1);
        first.stop().await;
        let next = FencingToken { epoch: 3, nonce: 0 };
        while heard.try_recv().is_ok() {}
        let _second = start(next);
        let Some(Heard::Registered(back)) = heard.recv().await else { panic!("it did not come back") };
        assert_eq!(back.running[0].nodes[0].state, NodeState::Starting);
        back.executor.heartbeat(next).await.unwrap();
        assert!(matches!(back.executor.heartbeat(LEADER).await, Err(NodeExecutorError::Stale(_))));
        // The way to the master was that of the registration before: the next leader says whom to tell.
        let resumed = SpawnNodes { resumed: true, ..spawn(1, submission, &master) };
        back.executor.spawn_nodes(next, resumed).await.unwrap();
        daemon.shut_down(StopOptions::default()).await.unwrap();
        serving.await.unwrap().unwrap();
        assert!(master.finished().await.is_success());
        while !matches!(heard.recv().await, Some(Heard::Unregistered)) {}
    })
    .await;
}
