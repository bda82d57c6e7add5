//! What a runner refuses although the file is in order.

use dora_descriptor::{Capabilities, unserved};

use crate::good::loaded;

const EVERYTHING: &str = r#"
debug: { enable_debug_inspection: true }
health_check_interval: 5
deploy: { machine: a }
nodes:
  - { id: dynamic, path: dynamic, input_types: {} }
  - { id: shell, path: shell, args: echo, build: make }
  - { id: url, path: "https://example.org/x" }
  - { id: python, path: a.py, git: "https://example.org/x.git" }
  - id: watched
    path: a
    restart_policy: always
    health_check_timeout: 1
    finish_grace_secs: 1
    cpu_affinity: [0]
    shared_memory_pool_size: 1MB
    send_stdout_as: x
    send_logs_as: y
    max_log_size: 1MB
    outputs: [x, y]
    inputs: { logs: dora/logs, x: { source: watched/x, input_timeout: 1 } }
    deploy: { labels: { a: b }, working_dir: x }
  - id: operators
    operators:
      - { id: a, python: a.py }
      - { id: b, python: b.py, min_log_level: info, build: make }
  - { id: library, operator: { shared-library: a } }
  - { id: plain, path: a, restart_policy: never, deploy: { distribute: local } }
"#;

#[test]
fn each_refusal_has_its_place() {
    let refusals = unserved(&loaded(EVERYTHING), &Capabilities::default());
    let lines: Vec<String> = refusals
        .records()
        .map(|record| {
            let position = record.position.unwrap();
            format!("{}:{} {}", position.line, position.column, record.message)
        })
        .collect();
    expect_test::expect![[r#"
        2:1 inspecting messages is not served by this version of dora yet
        3:1 `health_check_interval` is not served by this version of dora yet
        4:1 deployment to other machines is not served by this version of dora yet
        6:20 `path: dynamic` is not served by this version of dora yet
        7:18 `path: shell` is not served by this version of dora yet
        7:43 `build` is not served by this version of dora yet
        8:16 a node from a URL is not served by this version of dora yet
        9:19 a node in Python is not served by this version of dora yet
        9:31 `git` is not served by this version of dora yet
        12:5 `restart_policy` is not served by this version of dora yet
        13:5 `health_check_timeout` is not served by this version of dora yet
        14:5 `finish_grace_secs` is not served by this version of dora yet
        15:5 `cpu_affinity` is not served by this version of dora yet
        16:5 `shared_memory_pool_size` is not served by this version of dora yet
        17:5 `send_stdout_as` is not served by this version of dora yet
        18:5 `send_logs_as` is not served by this version of dora yet
        19:5 `max_log_size` is not served by this version of dora yet
        21:21 an input from `dora/logs` is not served by this version of dora yet
        21:56 `input_timeout` is not served by this version of dora yet
        22:5 deployment to other machines is not served by this version of dora yet
        22:5 `working_dir` is not served by this version of dora yet
        24:5 more than one operator in a node is not served by this version of dora yet
        25:18 an operator in Python is not served by this version of dora yet
        26:18 an operator in Python is not served by this version of dora yet
        26:32 `min_log_level` is not served by this version of dora yet
        26:53 `build` is not served by this version of dora yet
        27:32 an operator in a shared library is not served by this version of dora yet"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn a_runner_that_serves_everything_refuses_nothing() {
    assert!(unserved(&loaded(EVERYTHING), &Capabilities::ALL).is_empty());
    let plain = "nodes: [{ id: a, path: a, inputs: { t: dora/timer/secs/1 }, outputs: [x] }]";
    assert!(unserved(&loaded(plain), &Capabilities::default()).is_empty());
}
