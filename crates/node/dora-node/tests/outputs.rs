//! Names of outputs, and what a node says about itself.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use common::{node, start};
use dora_message::{
    id::{DataflowId, NodeId},
    metadata::MetadataParameters,
};
use dora_node::{DoraNode, NodeError};

fn lone() -> (common::Keeper, DoraNode) {
    let (keeper, mut nodes) = start(&[node("a").output("x").output("op/y").timer("tick", common::LONG)]);
    (keeper, nodes.pop().unwrap().0)
}

#[test]
fn invalid_ids_are_refused_by_every_call_that_uses_them() {
    let (_keeper, mut node) = lone();
    for id in ["", "a b", "/a", "a//b", "\u{e9}"] {
        let sent = node.send_output(id.into(), MetadataParameters::new(), 1u8).unwrap_err();
        assert!(matches!(sent, NodeError::InvalidId(_)), "{sent}");
        let raw = node.send_output_raw(id.into(), MetadataParameters::new(), 1, |_| {}).unwrap_err();
        assert!(matches!(raw, NodeError::InvalidId(_)), "{raw}");
        assert!(matches!(node.close_outputs(vec![id.into()]).unwrap_err(), NodeError::InvalidId(_)));
        assert!(!node.validate_output(&id.into()));
    }
    let error = node.send_output("a b".into(), MetadataParameters::new(), 1u8).unwrap_err().to_string();
    assert!(error.contains("`a b`") && error.contains("allowed are letters, digits"), "{error}");
}

#[test]
fn undeclared_outputs_are_ignored() {
    let (_keeper, mut node) = lone();
    assert!(node.validate_output(&"x".into()) && node.validate_output(&"op/y".into()));
    assert!(!node.validate_output(&"z".into()));
    node.send_output("z".into(), MetadataParameters::new(), 1u8).unwrap();
    node.send_output_raw("z".into(), MetadataParameters::new(), 8, |_| panic!("called")).unwrap();
}

#[test]
fn closing_checks_all_ids_first() {
    let (_keeper, mut node) = lone();
    let error = node.close_outputs(vec!["x".into(), "z".into()]).unwrap_err();
    assert_eq!(error.to_string(), "node `a` has no open output `z`; its outputs are: `op/y`, `x`");
    assert!(node.validate_output(&"x".into()));
    node.close_outputs(vec!["x".into()]).unwrap();
    assert!(!node.validate_output(&"x".into()));
    assert!(node.close_outputs(vec!["x".into()]).is_err());
    assert_eq!(node.node_config().outputs.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["op/y"]);
}

#[test]
fn a_node_knows_itself() {
    let (_keeper, node) = lone();
    assert_eq!((node.id().as_str(), *node.dataflow_id()), ("a", DataflowId::nil()));
    assert!(node.node_config().inputs.contains_key("tick"));
    assert_eq!(node.dataflow_descriptor().unwrap().nodes().count(), 1);
    assert!(!node.is_restart() && node.restart_count() == 0);
    let (earlier, later) = (node.timestamp(), node.timestamp());
    assert!(earlier < later);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((later.get_time().as_secs_f64() - now).abs() < 60.0);
}

#[test]
fn what_is_not_served_says_so() {
    let (_keeper, mut node) = lone();
    for error in [
        node.extension_store("gpu", "key", vec![]).unwrap_err(),
        node.extension_load("gpu", "key", false).unwrap_err(),
        node.extension_drop("gpu", "key").unwrap_err(),
        node.extension_request("gpu", vec![]).unwrap_err(),
    ] {
        assert!(error.to_string().contains("extension `gpu` is not available"), "{error}");
    }
}

#[test]
fn a_dynamic_node_needs_a_dataflow_that_has_it() {
    let id = || NodeId::from("no-dataflow-has-this-node");
    for error in [
        DoraNode::init_from_node_id(id()).unwrap_err(),
        DoraNode::builder().node_id(id()).dynamic().daemon_port(1).build().unwrap_err(),
        DoraNode::builder().node_id(id()).dataflow_id(DataflowId::nil()).build().unwrap_err(),
    ] {
        assert!(matches!(error, NodeError::Attach(_)) && error.to_string().contains(id().as_str()), "{error}");
    }
}
