//! Figures, and builds that are asked for by themselves.

use dora_gateways::*;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::cluster::{LEADER, both, next, rest};

#[tokio::test]
async fn figures_of_nodes_edges_and_the_daemon() {
    both(async |cluster| {
        let text = "
nodes:
  - { id: busy, path: sh, args: \"-c 'while :; do :; done'\", outputs: [x] }
  - { id: idle, path: sleep, args: '1000', inputs: { in: { source: busy/x, queue_size: 7 } } }
";
        let (dataflow, mut master) = cluster.run(text).await;
        let pid = master.until("busy", &NodeState::Starting).await.pid;
        let snapshot = async |query| cluster.executor.metrics(query).await.unwrap();
        let of_busy = loop {
            let figures = snapshot(MetricQuery { dataflow: Some(dataflow), nodes: vec!["busy".into()] }).await;
            assert_eq!(figures.nodes.len(), 1);
            if figures.nodes[0].cpu_ns > 0 {
                break figures;
            }
        };
        assert_eq!((of_busy.nodes[0].pid, of_busy.nodes[0].machine.0.as_str()), (pid, "here"));
        assert!(of_busy.nodes[0].memory > 0 && of_busy.machines[0].memory > 0);
        let all = snapshot(MetricQuery::default()).await;
        assert_eq!(all.nodes.len(), 2);
        let edge = &all.edges[0];
        assert_eq!((edge.from.as_str(), edge.to.as_str(), edge.capacity, edge.queued), ("busy", "idle", 7, 0));
        let other = MetricQuery { dataflow: Some(DataflowId(uuid::Uuid::nil())), nodes: vec![] };
        assert!(snapshot(other).await.nodes.is_empty());
        cluster.executor.stop_nodes(LEADER, dataflow, vec![], StopOptions::default()).await.unwrap();
        master.finished().await;
    })
    .await;
}

#[tokio::test]
async fn outputs_are_known_and_who_looks_at_one_is_told_when_there_is_no_more() {
    both(async |cluster| {
        let text = "nodes: [{ id: a, path: sleep, args: '1000', outputs: [x] }]";
        let (dataflow, mut master) = cluster.run(text).await;
        master.until("a", &NodeState::Starting).await;
        let output = |output: &str| OutputId { node: "a".into(), output: output.into() };
        let message = RawMessage { tag: 0, header: vec![], payload: vec![1] };
        cluster.executor.publish(LEADER, dataflow, output("x"), message.clone()).await.unwrap();
        let unknown = NodeExecutorError::UnknownOutput { output: output("y") };
        let refused = cluster.executor.publish(LEADER, dataflow, output("y"), message).await.unwrap_err();
        assert_eq!(refused, unknown);
        let tap = async |outputs| cluster.executor.tap(dataflow, TapQuery { outputs, payload: false }).await;
        assert_eq!(tap(vec![output("y")]).await.unwrap_err(), unknown);
        let looking = [tap(vec![]).await.unwrap(), tap(vec![output("x"), output("y")]).await.unwrap()];
        cluster.executor.stop_nodes(LEADER, dataflow, vec![], StopOptions::default()).await.unwrap();
        master.finished().await;
        for messages in looking {
            assert!(rest(messages).await.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_build_tells_its_steps_and_its_end() {
    both(async |cluster| {
        let build = async |line: &str| {
            let submission = cluster.submission(&format!("nodes: [{{ id: a, path: 'true', build: '{line}' }}]"));
            rest(cluster.executor.build(LEADER, submission, vec!["a".into()]).await.unwrap()).await
        };
        let steps = build("echo built").await;
        assert_eq!(steps.last(), Some(&BuildStep::Done));
        let is_output = |step: &BuildStep| {
            matches!(step, BuildStep::Event(BuildEvent { progress: Progress::Output { text, .. }, .. }) if text == "built")
        };
        assert!(steps.iter().any(is_output), "{steps:?}");
        let steps = build("false").await;
        assert!(matches!(steps.last(), Some(BuildStep::Failed(Trouble::Build(mistake))) if mistake.node.as_str() == "a"));
        let elsewhere = Submission { origin: Origin::default(), ..cluster.submission("nodes: [{ id: a, path: a }]") };
        let refused = cluster.executor.build(LEADER, elsewhere, vec!["a".into()]).await.unwrap_err();
        assert!(matches!(refused, NodeExecutorError::NotServed { .. }), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_build_that_nobody_watches_any_more_is_cancelled() {
    both(async |cluster| {
        let text = "nodes: [{ id: a, path: 'true', build: \"sh -c 'echo $$; exec sleep 1000'\" }]";
        let mut steps = cluster.executor.build(LEADER, cluster.submission(text), vec!["a".into()]).await.unwrap();
        let pid = loop {
            let step = next(&mut steps).await.expect("it goes on");
            if let BuildStep::Event(BuildEvent { progress: Progress::Output { text, .. }, .. }) = step {
                break Pid::from_raw(text.parse().unwrap()).unwrap();
            }
        };
        let witness = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        drop(steps);
        let dies = move || poll(&mut [PollFd::new(&witness, PollFlags::IN)], None);
        assert_eq!(tokio::task::spawn_blocking(dies).await.unwrap(), Ok(1));
    })
    .await;
}
