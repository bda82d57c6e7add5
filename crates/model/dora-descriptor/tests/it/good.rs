//! Files in order, and what they mean.

use std::time::Duration;

use dora_descriptor::{
    Dataflow, Loaded, MemoryLoader, Options, expanded_json, expanded_yaml, graph,
    model::{LogLevel, PathKind, Pattern, RestartPolicy},
    parse,
};
use dora_message::keeper::QueuePolicy;
use expect_test::expect;

pub(crate) fn env(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/me".to_owned()),
        "PRICE" => Some("$5".to_owned()),
        _ => None,
    }
}

pub(crate) fn loaded(text: &str) -> Loaded {
    let loader = MemoryLoader::new();
    parse("flow.yml", text, &Options { env: &env, loader: &loader, ..Options::default() })
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn dataflow(text: &str) -> Dataflow {
    loaded(text).dataflow
}

#[test]
fn scalars_keep_their_text() {
    let flow = dataflow(
        r#"
nodes:
  - id: a
    path: a
    env:
      QUOTED: "1.10"
      PLAIN: 1.10
      ZEROS: 007
      EXPONENT: 1e3
      TRUE: True
      BOOL: false
      HEX: 0x10
      EMPTY: ""
      SPACE: " x "
"#,
    );
    let env: Vec<&str> = flow.nodes[0].env.values().map(String::as_str).collect();
    assert_eq!(env, ["1.10", "1.10", "007", "1e3", "True", "false", "0x10", "", " x "]);
}

#[test]
fn rules_of_restarts_without_their_policy_are_told() {
    let warnings = |rules: &str| loaded(&format!("nodes:\n  - {{ id: a, path: a, {rules} }}\n")).warnings;
    let told = warnings("max_restarts: 3, restart_delay: 1").to_string();
    assert!(told.contains("`max_restarts` has no effect without `restart_policy`"), "{told}");
    for policy in ["on-failure", "never"] {
        assert_eq!(warnings(&format!("max_restarts: 3, restart_policy: {policy}")).len(), 0, "{policy}");
    }
}

#[test]
fn variables_are_expanded_once() {
    let flow = dataflow(
        "
env: { ROOT: '${HOME}/data', SHARED: 1 }
nodes:
  - id: a
    path: $HOME/a
    args: --x $HOME
    env: { A: '${NONE:-none}$$x', PRICE: $PRICE, SHARED: 2 }
",
    );
    let node = &flow.nodes[0];
    assert_eq!(node.env["ROOT"], "/home/me/data");
    assert_eq!(node.env["A"], "none$x");
    assert_eq!(node.env["PRICE"], "$5");
    assert_eq!(node.env["SHARED"], "2");
    let standard = node.standard().unwrap();
    assert_eq!((standard.path.as_str(), standard.args.as_deref()), ("$HOME/a", Some("--x $HOME")));
    // Loaded again, the same: nothing is expanded a second time.
    assert_eq!(dataflow(&expanded_yaml(&flow)), flow);
}

#[test]
fn variables_that_dora_sets_are_left_out_with_a_warning() {
    let loaded = loaded("nodes: [{ id: a, path: a, env: { DORA_NODE_CONFIG: x, MY: y } }]");
    assert_eq!(loaded.dataflow.nodes[0].env.len(), 1);
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn every_key_of_a_node_is_read() {
    let flow = dataflow(
        r#"
health_check_interval: 0.5
strict_types: false
exit_when_nodes_finish: true
debug: { enable_debug_inspection: true }
deploy: { machine: lab }
type_rules: [{ from: a/B, to: a/C }]
nodes:
  - id: a
    name: A node
    description: does things
    path: https://example.org/a
    path_sha256: "ABCDEF0000000000000000000000000000000000000000000000000000000000"
    args: --name "a b"
    build: |
      cargo build
      cargo test
    inputs:
      tick: dora/timer/hz/20
      loop:
        source: a/out
        queue_size: 0
        queue_policy: drop_newest
        input_timeout: 1.5
      logs: dora/logs/warn/a
    outputs: [out, text, logs]
    output_types: { out: std/core/v1/UInt8 }
    output_metadata: { out: [frame] }
    output_framing: { out: arrow-ipc }
    pattern: action-server
    send_stdout_as: text
    send_logs_as: logs
    min_log_level: WARN
    max_log_size: 50MB
    max_rotated_files: 7
    restart_policy: on-failure
    max_restarts: 3
    restart_delay: 0.25
    max_restart_delay: 10
    restart_window: 60
    health_check_timeout: 2
    startup_timeout: 3
    finish_grace_secs: 4
    shared_memory_pool_size: 64MB
    cpu_affinity: [0, 2]
    deploy: { machine: b, working_dir: work, labels: { gpu: 1 }, distribute: scp }
"#,
    );
    expect![[r#"
        nodes:
          - id: a
            name: A node
            description: does things
            path: https://example.org/a
            path_sha256: abcdef0000000000000000000000000000000000000000000000000000000000
            args: "--name \"a b\""
            build: |
              cargo build
              cargo test
            inputs:
              tick: dora/timer/millis/50
              loop:
                source: a/out
                queue_size: 1
                queue_policy: drop_newest
                input_timeout: 1.5
              logs: dora/logs/warn/a
            outputs: [out, text, logs]
            output_types:
              out: std/core/v1/UInt8
            output_metadata:
              out: [frame]
            output_framing:
              out: arrow-ipc
            pattern: action-server
            send_stdout_as: text
            send_logs_as: logs
            min_log_level: warn
            max_log_size: "50MB"
            max_rotated_files: 7
            restart_policy: on-failure
            max_restarts: 3
            restart_delay: 0.25
            max_restart_delay: 10.0
            restart_window: 60.0
            health_check_timeout: 2.0
            startup_timeout: 3.0
            finish_grace_secs: 4.0
            shared_memory_pool_size: "64MB"
            cpu_affinity: [0, 2]
            deploy:
              machine: b
              working_dir: work
              labels:
                gpu: "1"
              distribute: scp
        deploy:
          machine: lab
        debug:
          enable_debug_inspection: true
        health_check_interval: 0.5
        exit_when_nodes_finish: true
        type_rules:
          - from: a/B
            to: a/C
    "#]]
    .assert_eq(&expanded_yaml(&flow));
    let node = &flow.nodes[0];
    let standard = node.standard().unwrap();
    assert_eq!(standard.path_kind(), PathKind::Url);
    assert_eq!(standard.pattern, Some(Pattern::ActionServer));
    assert_eq!(node.inputs["loop"].queue_size, 1);
    assert_eq!(node.inputs["loop"].queue_policy, QueuePolicy::DropNewest);
    assert_eq!(node.inputs["loop"].input_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(node.restart.policy, RestartPolicy::OnFailure);
    assert_eq!(node.logs.min_level, Some(LogLevel::Warn));
    assert_eq!(node.logs.max_size, Some(50 << 20));
    assert_eq!(flow.health_check_interval, Duration::from_millis(500));
    assert_eq!(dataflow(&expanded_yaml(&flow)), flow);
}

#[test]
fn keys_without_a_value_are_not_given() {
    let flow = dataflow("nodes:\n  - id: a\n    path: a\n    inputs:\n    outputs:\n    env: ~\n    args: null\n");
    assert_eq!((flow.nodes[0].inputs.len(), flow.nodes[0].outputs.len()), (0, 0));
}

#[test]
fn spellings_of_dora_0_are_understood() {
    let loaded = loaded(
        "
communication: { _unstable_local: tcp }
_unstable_deploy: { machine: A }
_unstable_debug: { publish_all_messages_to_zenoh: true }
nodes:
  - id: a
    custom:
      source: target/a
      args: -v
      envs: { A: 1, B: 2 }
      build: cargo build
      inputs: { tick: dora/timer/millis/10 }
      outputs: [out]
    env: { B: 3 }
    _unstable_deploy: { machine: B }
",
    );
    let flow = &loaded.dataflow;
    assert_eq!(loaded.warnings.len(), 6, "{}", loaded.warnings);
    assert!(!loaded.warnings.has_errors());
    assert!(flow.debug.enable_debug_inspection);
    let node = &flow.nodes[0];
    assert_eq!(node.standard().unwrap().path, "target/a");
    assert_eq!((node.env["A"].as_str(), node.env["B"].as_str()), ("1", "3"));
    assert_eq!(flow.deploy_of(node).unwrap().machine.as_deref(), Some("B"));
    assert!(node.inputs.contains_key("tick") && node.outputs.contains_key("out"));
    assert!(parse("again.yml", &expanded_yaml(flow), &Options::default()).unwrap().warnings.is_empty());
}

#[test]
fn operators_have_ports_of_their_node() {
    let flow = dataflow(
        "
nodes:
  - id: single
    operator:
      python: { source: a.py, conda_env: vision }
      inputs: { tick: dora/timer/secs/1 }
      outputs: [out]
      send_stdout_as: out
  - id: many
    operators:
      - id: left
        shared-library: build/left
        inputs: { x: single/out }
        outputs: [out]
        min_log_level: info
      - id: right
        shared-library: build/right
        inputs: { x: single/op/out, y: many/left/out }
        outputs: [out]
",
    );
    let edges: Vec<String> = graph::edges(&flow)
        .map(|edge| format!("{}/{} -> {}/{}", edge.from, edge.output, edge.to, edge.input))
        .collect();
    assert_eq!(
        edges,
        ["single/op/out -> many/left/x", "single/op/out -> many/right/x", "many/left/out -> many/right/y"]
    );
    assert_eq!(flow.nodes[0].logs.send_stdout_as.as_deref().map(String::as_str), Some("op/out"));
    assert_eq!(flow.nodes[1].logs.min_level, Some(LogLevel::Info));
    expect![[r#"
        nodes:
          - id: single
            operator:
              id: op
              python:
                source: a.py
                conda_env: vision
              inputs:
                tick: dora/timer/secs/1
              outputs: [out]
              send_stdout_as: out
          - id: many
            operators:
              - id: left
                shared-library: build/left
                inputs:
                  x: single/op/out
                outputs: [out]
                min_log_level: info
              - id: right
                shared-library: build/right
                inputs:
                  x: single/op/out
                  "y": many/left/out
                outputs: [out]
        debug:
          enable_debug_inspection: false
        health_check_interval: 5.0
    "#]]
    .assert_eq(&expanded_yaml(&flow));
    assert_eq!(dataflow(&expanded_yaml(&flow)), flow);
}

#[test]
fn nodes_see_the_expanded_dataflow_as_json() {
    let flow = dataflow("nodes: [{ id: a, path: a, env: { A: $PRICE }, inputs: { t: dora/timer/hz/20 } }]");
    expect![[r#"
        {
          "nodes": [
            {
              "id": "a",
              "name": null,
              "description": null,
              "path": "a",
              "env": {
                "A": "$5"
              },
              "inputs": {
                "t": "dora/timer/millis/50"
              },
              "outputs": [],
              "restart_policy": "never",
              "max_restarts": 0,
              "deploy": null
            }
          ],
          "deploy": null,
          "debug": {
            "enable_debug_inspection": false
          },
          "health_check_interval": 5.0
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&expanded_json(&flow)).unwrap());
}

#[test]
fn edges_know_policy_size_and_type() {
    let flow = dataflow(
        "
nodes:
  - { id: a, path: a, outputs: [x], output_types: { x: std/core/v1/UInt8 } }
  - { id: b, path: b, inputs: { x: { source: a/x, queue_size: 3, queue_policy: backpressure } } }
",
    );
    let edge = graph::edges(&flow).next().unwrap();
    assert_eq!((edge.policy, edge.queue_size), (QueuePolicy::Backpressure, 3));
    assert_eq!(edge.type_urn, Some("std/core/v1/UInt8"));
}

#[test]
fn types_that_do_not_fit_are_warnings() {
    let text = "
nodes:
  - { id: a, path: a, outputs: [x, y], output_types: { x: std/media/v1/Image, y: std/core/v1/UInt8 } }
  - id: b
    path: b
    inputs: { x: a/x, y: a/y, z: a/x }
    input_types: { x: std/media/v1/PointCloud, y: std/core/v1/UInt64 }
";
    let result = loaded(text);
    assert_eq!(result.warnings.len(), 1, "{}", result.warnings);
    assert!(result.warnings.to_string().contains("the field `points` is missing"), "{}", result.warnings);
    assert_eq!(result.inferred_types.len(), 1);
    let strict = Options { strict_types: true, ..Options::default() };
    assert!(parse("flow.yml", text, &strict).is_err());
}

#[test]
fn users_define_types() {
    let loader = MemoryLoader::new().with(
        "dir/types/lab/v1.yml",
        "
types:
  Gauge:
    arrow: Struct
    description: of the lab
    params: [{ name: unit, default: bar }]
    fields: [{ name: value, type: Float64, nullable: false }, { name: where, type: Vector3 }]
    metadata: [{ key: sensor }]
  Wrong:
    arrow: Structt
    fields: [{ name: x, type: Flaot64 }]
",
    );
    let text = "
nodes:
  - { id: a, path: a, outputs: [x], output_types: { x: 'lab/v1/Gauge[unit=bar]' } }
  - { id: b, path: b, inputs: { x: a/x }, input_types: { x: lab/v1/Gauge } }
  - { id: c, path: c, inputs: { x: a/x }, input_types: { x: lab/v1/Gage } }
";
    let options = Options { loader: &loader, ..Options::default() };
    let result = parse("dir/flow.yml", text, &options).unwrap();
    let messages: Vec<&str> = result.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "there is no type `lab/v1/Gage`",
            "there is no Arrow type `Structt`",
            "only a `Struct` has fields, not `Structt`",
            "there is no type `Flaot64`"
        ]
    );
}

#[test]
fn a_byte_order_mark_is_no_text() {
    assert_eq!(dataflow("\u{feff}nodes: [{ id: a, path: a }]").nodes.len(), 1);
}

#[test]
fn a_cycle_with_one_edge_that_drops_is_fine() {
    dataflow(
        "
nodes:
  - { id: a, path: a, inputs: { x: { source: b/x, queue_policy: backpressure } }, outputs: [x] }
  - { id: b, path: b, inputs: { x: a/x }, outputs: [x] }
",
    );
}

#[test]
fn a_long_chain_is_no_problem() {
    let mut text = "nodes:\n  - { id: n0, path: a, outputs: [x] }\n".to_owned();
    for number in 1..3000 {
        let before = number - 1;
        text.push_str(&format!(
            "  - {{ id: n{number}, path: a, outputs: [x], inputs: {{ x: {{ source: n{before}/x, queue_policy: backpressure }} }} }}\n"
        ));
    }
    assert_eq!(graph::edges(&dataflow(&text)).count(), 2999);
}

#[test]
fn inputs_that_carry_lines_wait_for_nobody() {
    let loaded = loaded(
        "
nodes:
  - { id: talk, path: a, outputs: [text, data], send_stdout_as: text }
  - id: hear
    path: a
    inputs:
      text: { source: talk/text, queue_policy: backpressure, queue_size: 50 }
      logs: { source: dora/logs, queue_policy: backpressure }
      data: { source: talk/data, queue_policy: backpressure }
",
    );
    let inputs = &loaded.dataflow.nodes[1].inputs;
    let queues: Vec<_> = inputs.values().map(|input| (input.queue_policy, input.queue_size)).collect();
    let long = |size| (QueuePolicy::DropOldest, size);
    assert_eq!(queues, [long(500), long(100), (QueuePolicy::Backpressure, 10)]);
    let warnings: Vec<_> = loaded.warnings.records().map(|record| record.message).collect();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("`talk/text` carries what nodes print"), "{warnings:?}");
}
