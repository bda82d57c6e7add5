//! Dataflows whose files come with the command.

use dora_gateways::*;
use dora_rpc::stream;
use ring::digest::{SHA256, digest};

use crate::cluster::{Cluster, both, lines, rest};

#[tokio::test]
async fn a_file_is_seen_where_it_is_the_same() {
    both(async |cluster| {
        let Origin { path, identity, .. } = cluster.submission("nodes: []").origin;
        let sees =
            async |path, identity| cluster.executor.sees(Origin { path, identity, working_dir: None }).await.unwrap();
        assert!(sees(path.clone(), identity.clone()).await);
        assert!(!sees(path.with_extension("none"), identity).await);
        assert!(!sees(path, None).await);
    })
    .await;
}

async fn upload(cluster: &Cluster, hash: ArtifactHash, size: u64, content: &[u8]) -> Result<(), NodeExecutorError> {
    let (sender, stream) = stream(4);
    let content = content.to_vec();
    tokio::spawn(async move { sender.send(content).await });
    cluster.executor.upload_artifact(hash, size, stream).await
}

#[tokio::test]
async fn a_dataflow_from_elsewhere_runs_with_the_files_that_came_with_it() {
    both(async |cluster| {
        let script = b"#!/bin/sh\necho I am in $(basename $PWD)\n";
        let hash = ArtifactHash(digest(&SHA256, script).as_ref().try_into().unwrap());
        assert_eq!(cluster.executor.missing_artifacts(vec![hash]).await.unwrap(), [hash]);
        upload(&cluster, hash, script.len() as u64, script).await.unwrap();
        assert!(cluster.executor.missing_artifacts(vec![hash]).await.unwrap().is_empty());
        let artifact = Artifact { hash, size: script.len() as u64, path: "nodes/say".to_owned(), executable: true };
        let submission = Submission {
            descriptor: "nodes: [{ id: a, path: nodes/say }]".to_owned(),
            origin: Origin { path: "/elsewhere/dataflow.yml".into(), ..Origin::default() },
            artifacts: vec![artifact],
            watched: Some(Watching::Closely),
            ..Submission::default()
        };
        let mut master = cluster.master("master");
        let dataflow = cluster.spawn(1, submission, &master).await;
        let events = rest(cluster.executor.events(dataflow, Watching::Closely).await.unwrap()).await;
        assert_eq!(lines(&events), [format!("I am in {dataflow}")]);
        assert!(master.finished().await.is_success());
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_not_what_was_announced_is_refused() {
    both(async |cluster| {
        let (hash, content) = (ArtifactHash([1; 32]), b"something else");
        for (size, why) in
            [(14, "its content has the hash"), (13, "14 bytes came"), (15, "14 bytes came"), (u64::MAX, "more than")]
        {
            let refused = upload(&cluster, hash, size, content).await.unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(cluster.executor.missing_artifacts(vec![hash]).await.unwrap(), [hash]);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_not_sent_is_missed_by_name() {
    both(async |cluster| {
        let artifact = Artifact { hash: ArtifactHash([1; 32]), size: 1, path: "say".to_owned(), executable: true };
        let submission = Submission {
            descriptor: "nodes: [{ id: a, path: say }]".to_owned(),
            artifacts: vec![artifact],
            ..Submission::default()
        };
        let mut master = cluster.master("master");
        cluster.spawn(1, submission, &master).await;
        let outcome = master.finished().await;
        assert!(matches!(&outcome.trouble, Some(Trouble::CannotRun(text)) if text.contains("`say`")), "{outcome:?}");
    })
    .await;
}
