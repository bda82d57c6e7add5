//! Modules replaced by their nodes.

use std::path::Path;

use dora_descriptor::{Loaded, MemoryLoader, Options, expanded_yaml, parse};

use crate::good::env;

const TRANSFORM: &str = "
module:
  name: transform
  inputs: [raw]
  inputs_optional: [config]
  outputs: [filtered]
build: pip install -r requirements.txt
nodes:
  - id: doubler
    path: doubler.py
    args: --speed $PARAM_SPEED --mode ${_param.Mode}
    build: make
    env: { MODE: '${_param.Mode}', OWN: inner }
    inputs:
      data: { source: _mod/raw, queue_size: 3 }
      config: _mod/config
    outputs: [doubled]
  - id: filter
    operator:
      python: filter.py
      inputs: { data: doubler/doubled, logs: dora/logs/info/doubler }
      outputs: [filtered]
";

const OUTER: &str = "
module: { name: outer, inputs: [data], outputs: [filtered, total] }
nodes:
  - id: inner
    module: ../transform.yml
    inputs: { raw: _mod/data }
    params: { speed: $PARAM_SPEED, Mode: slow }
  - id: sum
    path: ./bin/sum
    inputs: { x: inner/filtered }
    outputs: [total]
";

fn load(text: &str) -> Result<Loaded, String> {
    let loader = MemoryLoader::new()
        .with("project/modules/transform.yml", TRANSFORM)
        .with("project/modules/deep/outer.yml", OUTER);
    let options = Options { env: &env, loader: &loader, ..Options::default() };
    parse("project/flow.yml", text, &options).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn modules_become_nodes() {
    let loaded = load(
        "
nodes:
  - { id: source, path: source.py, outputs: [value] }
  - id: pipeline
    name: The pipeline
    module: modules/transform.yml
    inputs: { raw: { source: source/value, queue_size: 7, queue_policy: backpressure } }
    params: { speed: 2.0, Mode: turbo }
    env: { OWN: outer, OTHER: outer }
    deploy: { machine: lab }
    build: echo first
  - id: nested
    module: modules/deep/outer.yml
    inputs: { data: pipeline/filtered }
    params: { speed: 3 }
  - { id: sink, path: sink.py, inputs: { a: pipeline/filtered, b: nested/filtered, c: nested/total } }
",
    )
    .unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    expect_test::expect![[r#"
        nodes:
          - id: source
            path: source.py
            outputs: [value]
            restart_policy: never
            max_restarts: 0
          - id: pipeline.doubler
            path: modules/doubler.py
            args: --speed 2.0 --mode turbo
            build: |-
              echo first
              pip install -r requirements.txt
              make
            env:
              MODE: turbo
              OWN: inner
              OTHER: outer
              PARAM_SPEED: "2.0"
              PARAM_MODE: turbo
            inputs:
              data:
                source: source/value
                queue_size: 3
                queue_policy: backpressure
            outputs: [doubled]
            restart_policy: never
            max_restarts: 0
            deploy:
              machine: lab
          - id: pipeline.filter
            env:
              OWN: outer
              OTHER: outer
              PARAM_SPEED: "2.0"
              PARAM_MODE: turbo
            operator:
              id: op
              python: modules/filter.py
              build: |-
                echo first
                pip install -r requirements.txt
              inputs:
                data: pipeline.doubler/doubled
                logs: dora/logs/info/pipeline.doubler
              outputs: [filtered]
            deploy:
              machine: lab
          - id: nested.inner.doubler
            path: modules/doubler.py
            args: --speed 3 --mode slow
            build: |-
              pip install -r requirements.txt
              make
            env:
              MODE: slow
              OWN: inner
              PARAM_SPEED: "3"
              PARAM_MODE: slow
            inputs:
              data:
                source: pipeline.filter/op/filtered
                queue_size: 3
            outputs: [doubled]
            restart_policy: never
            max_restarts: 0
          - id: nested.inner.filter
            env:
              PARAM_SPEED: "3"
              PARAM_MODE: slow
            operator:
              id: op
              python: modules/filter.py
              build: pip install -r requirements.txt
              inputs:
                data: nested.inner.doubler/doubled
                logs: dora/logs/info/nested.inner.doubler
              outputs: [filtered]
          - id: nested.sum
            path: modules/deep/bin/sum
            env:
              PARAM_SPEED: "3"
            inputs:
              x: nested.inner.filter/op/filtered
            outputs: [total]
            restart_policy: never
            max_restarts: 0
          - id: sink
            path: sink.py
            inputs:
              a: pipeline.filter/op/filtered
              b: nested.inner.filter/op/filtered
              c: nested.sum/total
            restart_policy: never
            max_restarts: 0
        debug:
          enable_debug_inspection: false
        health_check_interval: 5.0
    "#]]
    .assert_eq(&expanded_yaml(&loaded.dataflow));
    let modules: Vec<String> = loaded
        .modules
        .iter()
        .map(|module| format!("{} {:?} {} {:?}", module.id, module.name, module.file.display(), module.nodes))
        .collect();
    expect_test::expect![[r#"
        pipeline "The pipeline" project/modules/transform.yml ["pipeline.doubler", "pipeline.filter"]
        nested "outer" project/modules/deep/outer.yml ["nested.inner.doubler", "nested.inner.filter", "nested.sum"]
        nested.inner "transform" project/modules/transform.yml ["nested.inner.doubler", "nested.inner.filter"]"#]]
    .assert_eq(&modules.join("\n"));
    let again = parse("project/flow.yml", &expanded_yaml(&loaded.dataflow), &Options::default()).unwrap();
    assert_eq!(again.dataflow, loaded.dataflow);
}

#[test]
fn outputs_that_a_module_does_not_declare_are_its_own() {
    let mistakes = load(
        "
nodes:
  - { id: s, path: s, outputs: [x] }
  - { id: m, module: modules/transform.yml, inputs: { raw: s/x }, params: { Mode: a } }
  - { id: r, path: r, inputs: { x: m/doubled } }
",
    )
    .unwrap_err();
    assert!(mistakes.contains("the module `m` has no output `doubled`"), "{mistakes}");
}

#[test]
fn nesting_is_bounded() {
    let mut loader = MemoryLoader::new();
    for level in 0..12 {
        let text = format!("module: {{ name: m }}\nnodes: [{{ id: n, module: m{}.yml }}]", level + 1);
        loader = loader.with(format!("m{level}.yml"), text);
    }
    let options = Options { loader: &loader, ..Options::default() };
    let mistakes = parse("flow.yml", "nodes: [{ id: n, module: m0.yml }]", &options).unwrap_err();
    assert!(mistakes.to_string().contains("more than 8 deep"), "{mistakes}");
}

#[test]
fn uses_of_modules_are_bounded() {
    let nodes = |module: &str| {
        let entries: Vec<String> = (0..30).map(|number| format!("{{ id: n{number}, module: {module} }}")).collect();
        format!("nodes: [{}]", entries.join(", "))
    };
    let loader = MemoryLoader::new()
        .with("a.yml", format!("module: {{ name: a }}\n{}", nodes("b.yml")))
        .with("b.yml", format!("module: {{ name: b }}\n{}", nodes("c.yml")))
        .with("c.yml", "module: { name: c }\nnodes: []");
    let options = Options { loader: &loader, ..Options::default() };
    let mistakes = parse("flow.yml", &nodes("a.yml"), &options).unwrap_err();
    assert!(mistakes.to_string().contains("more than 10000 modules"), "{mistakes}");
}

#[test]
fn a_module_of_more_than_a_megabyte_is_refused() {
    let loader = MemoryLoader::new().with("m.yml", "#".repeat((1 << 20) + 1));
    let options = Options { loader: &loader, ..Options::default() };
    let mistakes = parse("flow.yml", "nodes: [{ id: n, module: m.yml }]", &options).unwrap_err();
    assert!(mistakes.to_string().contains("larger than 1048576"), "{mistakes}");
}

#[test]
fn modules_are_read_from_disk() {
    let loaded = dora_descriptor::load(Path::new("tests/good/modules.yml"), &Options::default()).unwrap();
    let ids: Vec<&str> = loaded.dataflow.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["sender", "twice.worker", "receiver"]);
    assert_eq!(loaded.dataflow.nodes[1].standard().unwrap().path, "modules/worker.py");
}

#[cfg(unix)]
#[test]
fn a_link_does_not_lead_out_of_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(dir.path().join("secret.yml"), "module: { name: m }\nnodes: []").unwrap();
    std::os::unix::fs::symlink("../secret.yml", project.join("m.yml")).unwrap();
    std::fs::write(project.join("flow.yml"), "nodes: [{ id: n, module: m.yml }]").unwrap();
    let mistakes = dora_descriptor::load(&project.join("flow.yml"), &Options::default()).unwrap_err();
    assert!(mistakes.to_string().contains("outside of the directory"), "{mistakes}");
}
