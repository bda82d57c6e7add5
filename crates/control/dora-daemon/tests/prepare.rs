//! From dataflow files to launch plans.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::{fs, path::Path, time::Duration};

use dora_daemon::{PrepareError, PrepareOptions, Prepared, Problem, prepare};
use dora_descriptor::NodeKind;
use dora_message::{
    keeper::{InputSource, QueuePolicy},
    log::LogLevel,
    supervision::{EdgeSource, Limits},
};

fn prepared(base: &Path, text: &str, options: &PrepareOptions) -> Result<Prepared, PrepareError> {
    let loaded = dora_descriptor::parse("dataflow.yml", text, &dora_descriptor::Options::default()).unwrap();
    prepare(&loaded.dataflow, base, options)
}

fn options() -> PrepareOptions {
    let env = [("PATH", "/usr/bin:/bin"), ("HOME", "/home/me"), ("DORA_AUTH_TOKEN", "secret"), ("SHARED", "shell")];
    PrepareOptions {
        inherited_env: env.map(|(name, value)| (name.into(), value.into())).into(),
        memory: Some(12345),
        ..PrepareOptions::default()
    }
}

const EXAMPLE: &str = r#"
env: { SHARED: dataflow, LD_PRELOAD: evil.so }
nodes:
  - id: camera
    path: sh
    args: -c "echo 'a  b'" last
    inputs: { tick: dora/timer/millis/20 }
    outputs: [image, debug/info]
    env: { VERSION: "1.10", SHARED: node }
  - id: viewer
    path: ./viewer
    inputs:
      image: { source: camera/image, queue_size: 3, queue_policy: backpressure }
      info: camera/debug/info
"#;

fn example() -> (tempfile::TempDir, Prepared) {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/sh", dir.path().join("viewer")).unwrap();
    let prepared = prepared(dir.path(), EXAMPLE, &options()).unwrap();
    (dir, prepared)
}

#[test]
fn a_dynamic_node_has_no_program_and_no_rules() {
    let dir = tempfile::tempdir().unwrap();
    let text = "nodes: [{ id: plot, path: dynamic, restart_policy: always, finish_grace_secs: 1 }]";
    let plan = prepared(dir.path(), text, &options()).unwrap().plan;
    let plot = &plan.nodes[0];
    assert!(plot.is_dynamic() && plot.restart.is_none() && plot.limits == Limits::default());
}

#[test]
fn programs_and_arguments() {
    let (dir, prepared) = example();
    let [camera, viewer] = &prepared.plan.nodes[..] else { panic!() };
    assert!(camera.program.as_ref().is_some_and(|path| path.is_absolute() && path.ends_with("sh")));
    assert_eq!(camera.args, ["-c", "echo 'a  b'", "last"]);
    assert_eq!(viewer.program, Some(dir.path().join("viewer")));
    assert_eq!((&viewer.working_dir, viewer.args.len()), (&dir.path().to_owned(), 0));
}

#[test]
fn inputs_outputs_and_edges() {
    let (_dir, prepared) = example();
    let plan = &prepared.plan;
    assert_eq!(plan.nodes[0].inputs[0].source, InputSource::Timer { interval_ns: 20_000_000 });
    assert_eq!(plan.nodes[0].outputs.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["image", "debug/info"]);
    assert_eq!(plan.nodes[1].inputs.len(), 2);
    let [image, info] = &plan.edges[..] else { panic!() };
    assert_eq!(
        (image.from, image.to, image.capacity, image.policy),
        (EdgeSource::Node(0), 1, 3, QueuePolicy::Backpressure)
    );
    assert_eq!((info.output.as_str(), info.input.as_str()), ("debug/info", "info"));
    assert_eq!((info.capacity, info.policy), (10, QueuePolicy::DropOldest));
    assert_eq!(plan.memory_budget, 12345);
    assert_eq!(plan.descriptor["nodes"][0]["id"], "camera");
}

#[test]
fn what_nodes_print_has_edges_and_files() {
    let text = "
nodes:
  - { id: talk, path: sh, outputs: [text, data], send_stdout_as: text, min_log_level: info, max_log_size: 1KB }
  - { id: hear, path: sh, inputs: { text: talk/text, data: talk/data, logs: dora/logs, some: dora/logs/warn/talk } }
";
    let plan = prepared(Path::new("/"), text, &options()).unwrap().plan;
    let log = &plan.nodes[0].log;
    let file = format!("/out/{}/log_talk.jsonl", plan.dataflow_id);
    assert_eq!(log.file.as_deref(), Some(Path::new(&file)));
    assert_eq!((log.max_size, log.max_rotated_files, log.min_level), (Some(1024), 5, LogLevel::Info));
    assert_eq!(plan.nodes[0].outputs, ["data".into()], "only the keeper sends what the node prints");
    let edges: Vec<_> = plan.edges.iter().map(|edge| (edge.from, edge.output.as_str())).collect();
    let logs = |level, node| EdgeSource::Logs { level, node };
    assert_eq!(
        edges,
        [
            (EdgeSource::Printed(0), "text"),
            (EdgeSource::Node(0), "data"),
            (logs(LogLevel::Stdout, None), "logs"),
            (logs(LogLevel::Warn, Some(0)), "logs/warn/talk"),
        ]
    );
    assert_eq!(plan.nodes[1].inputs[2].source, InputSource::Logs);
}

#[test]
fn a_log_file_has_one_name() {
    let flow = |rule: &str| format!("nodes: [{{ id: a, path: sh, {rule} }}, {{ id: a.3, path: sh }}]");
    let error = prepared(Path::new("/"), &flow("max_log_size: 1MB"), &options()).unwrap_err();
    assert_eq!(error.mistakes[0].problem, Problem::LogNames { other: "a.3".into() });
    for fine in ["max_rotated_files: 3", "max_log_size: 1MB, max_rotated_files: 2"] {
        assert!(prepared(Path::new("/"), &flow(fine), &options()).is_ok(), "{fine}");
    }
}

#[test]
fn the_node_wins_over_the_dataflow_and_both_over_the_shell() {
    let (_dir, prepared) = example();
    let variable = |node: usize, wanted: &str| {
        let mut found = prepared.plan.nodes[node].env.iter().filter(|(name, _)| name == wanted);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{wanted} is there twice");
        value
    };
    assert_eq!((variable(0, "SHARED"), variable(1, "SHARED")), (Some("node"), Some("dataflow")));
    assert_eq!((variable(0, "VERSION"), variable(1, "VERSION")), (Some("1.10"), None));
    assert_eq!((variable(0, "HOME"), variable(0, "PYTHONUNBUFFERED")), (Some("/home/me"), Some("1")));
    assert_eq!((variable(0, "LD_PRELOAD"), variable(0, "DORA_AUTH_TOKEN")), (None, None));
    assert_eq!(prepared.warnings.iter().filter(|text| text.contains("LD_PRELOAD")).count(), 2);
}

#[test]
fn the_command_line_wins_over_all() {
    let mut options = options();
    options.env = vec![("SHARED".into(), "command line".into()), ("DORA_NODE_CONFIG".into(), "x".into())];
    options.exit_when_nodes_finish = Some(true);
    let prepared = prepared(Path::new("/"), "nodes: [{ id: a, path: sh, env: { SHARED: n } }]", &options).unwrap();
    let env = &prepared.plan.nodes[0].env;
    assert!(env.contains(&("SHARED".into(), "command line".into())));
    assert!(prepared.warnings.iter().any(|text| text.contains("`DORA_NODE_CONFIG` is left out")));
    assert!(prepared.plan.exit_when_nodes_finish);
}

#[test]
fn the_anchor_turns_one_clock_into_the_other() {
    use dora_channel::os::clock::{monotonic_ns, wall_ns};
    let (_dir, prepared) = example();
    let difference = (prepared.plan.clock_anchor_ns + monotonic_ns()).abs_diff(wall_ns());
    assert!(difference < Duration::from_secs(60).as_nanos() as u64, "{difference} ns");
}

#[test]
fn all_mistakes_are_reported_together() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text"), "").unwrap();
    let text = r#"
nodes:
  - { id: missing, path: ./target/release/nothing }
  - { id: command, path: no-such-command }
  - { id: text, path: text }
  - { id: folder, path: . }
  - { id: variable, path: $NOWHERE/x }
  - { id: elsewhere, path: sh, deploy: { working_dir: nowhere } }
"#;
    let mut loaded = dora_descriptor::parse("dataflow.yml", text, &dora_descriptor::Options::default()).unwrap();
    let NodeKind::Standard(standard) = &mut loaded.dataflow.nodes[2].kind else { panic!() };
    // Loading a file refuses this already; a dataflow that comes from elsewhere may have it.
    standard.args = Some("it's".to_owned());
    let error = prepare(&loaded.dataflow, dir.path(), &options()).unwrap_err();
    let of = |id: &str| {
        let problems = error.mistakes.iter().filter(|mistake| mistake.node.as_str() == id);
        problems.map(|mistake| mistake.problem.clone()).collect::<Vec<_>>()
    };
    assert!(matches!(&of("missing")[..], [Problem::ProgramMissing { hint: Some(_), .. }]));
    assert!(matches!(&of("command")[..], [Problem::ProgramMissing { looked, .. }] if looked.ends_with("on the PATH")));
    assert!(matches!(&of("text")[..], [Problem::NotExecutable { .. }, Problem::Args { .. }]));
    assert!(matches!(&of("folder")[..], [Problem::Directory { .. }]));
    assert!(matches!(&of("variable")[..], [Problem::UnsetVariable { name, .. }] if name == "NOWHERE"));
    assert!(matches!(&of("elsewhere")[..], [Problem::WorkingDir { .. }]));
    assert_eq!(error.mistakes.len(), 7);
    assert_eq!(error.to_string().lines().count(), 7);
    assert!(error.to_string().starts_with("node `missing`: the program `./target/release/nothing` does not exist"));
}

#[test]
fn limits_of_time() {
    let text = "\
nodes:
  - id: quick
    path: sh
    startup_timeout: 2
    health_check_timeout: 0.5
    finish_grace_secs: 3
    inputs:
      in: { source: plain/out, input_timeout: 0.25 }
      tick: { source: dora/timer/secs/1, input_timeout: 7 }
  - id: plain
    path: sh
    outputs: [out]
";
    let limits = |env: &[(&str, &str)]| {
        let mut options = options();
        options.inherited_env.extend(env.iter().map(|(name, value)| (name.into(), value.into())));
        let prepared = prepared(Path::new("/"), text, &options).unwrap();
        let [quick, plain] = &prepared.plan.nodes[..] else { panic!() };
        let timeouts: Vec<_> = quick.inputs.iter().map(|input| input.timeout_ns).collect();
        assert_eq!(timeouts, [Some(250_000_000), None], "timers are not watched");
        (quick.limits, plain.limits, prepared.warnings)
    };
    let (quick, plain, warnings) = limits(&[]);
    assert_eq!((quick.startup_ms, quick.health_ms, quick.finish_ms), (Some(2000), Some(500), Some(3000)));
    assert_eq!((plain.startup_ms, plain.health_ms, plain.finish_ms), (None, None, Some(120_000)));
    assert!(warnings.is_empty(), "{warnings:?}");
    let (quick, plain, _) = limits(&[("DORA_FINISH_DRAIN_GRACE_SECS", "off")]);
    assert_eq!((quick.finish_ms, plain.finish_ms), (Some(3000), None));
    assert_eq!(limits(&[("DORA_FINISH_DRAIN_GRACE_SECS", "1.5")]).1.finish_ms, Some(1500));
    let (_, plain, warnings) = limits(&[("DORA_FINISH_DRAIN_GRACE_SECS", "soon")]);
    assert_eq!((plain.finish_ms, warnings.len()), (Some(120_000), 1));
    assert!(warnings[0].contains("`soon`") && warnings[0].contains("`off`"), "{warnings:?}");
}

#[test]
fn cores_that_are_not_there_are_a_warning() {
    let text = "\
nodes:
  - { id: some, path: sh, cpu_affinity: [0, 100000] }
  - { id: none, path: sh, cpu_affinity: [99999] }
";
    let prepared = prepared(Path::new("/"), text, &options()).unwrap();
    let [some, none] = &prepared.plan.nodes[..] else { panic!() };
    assert_eq!((&some.cpu_affinity[..], &none.cpu_affinity[..]), (&[0][..], &[][..]));
    assert!(prepared.warnings[0].contains("(100000); it runs on the others"), "{:?}", prepared.warnings);
    assert!(prepared.warnings[1].contains("(99999); it runs on any core"), "{:?}", prepared.warnings);
}
