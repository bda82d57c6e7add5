//! The expanded text of any dataflow loads to the same dataflow.

use std::time::Duration;

use dora_descriptor::{
    Dataflow, Input, Node, NodeKind, Options, Output, Source, expanded_yaml,
    model::{
        Debug, Deploy, Distribute, Framing, GitRevision, GitSource, HealthRules, LogLevel, LogRules, Operator,
        OperatorSource, Pattern, RestartPolicy, RestartRules, Runtime, Standard, TypeRule,
    },
    parse,
};
use dora_message::{
    id::{DataId, NodeId, OperatorId},
    keeper::QueuePolicy,
};
use indexmap::IndexMap;
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Texts that are hard on whoever writes or reads YAML.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,8}", "(?s)[a-z$\\n:#'\"\\\\{}\\[\\] \u{e9}-]{0,10}", "(true|null|~|007|1.10|-|.inf|\\$x)"]
}

fn filled() -> impl Strategy<Value = String> {
    text().prop_filter("not blank", |text| !text.trim().is_empty())
}

/// Durations that a file can express: its numbers are floating-point numbers.
fn seconds() -> impl Strategy<Value = Duration> {
    let seconds = prop_oneof![0.0..10.0, 0.0..1e12, select(vec![0.0, 0.1, 1.5, 60.0])];
    seconds.prop_map(Duration::from_secs_f64)
}

fn maybe_seconds() -> impl Strategy<Value = Option<Duration>> {
    option::of(seconds())
}

fn env() -> impl Strategy<Value = IndexMap<String, String>> {
    vec(("[A-Z]{1,2}", text()), 0..3).prop_map(|entries| entries.into_iter().collect())
}

fn deploy() -> impl Strategy<Value = Option<Deploy>> {
    let labels = vec((text(), text()), 0..2).prop_map(|entries| entries.into_iter().collect());
    let distribute = option::of(select(vec![Distribute::Local, Distribute::Scp, Distribute::Http]));
    option::of(
        (option::of(filled()), option::of(filled()), labels, distribute)
            .prop_map(|(machine, working_dir, labels, distribute)| Deploy { machine, working_dir, labels, distribute }),
    )
}

fn pattern() -> impl Strategy<Value = Option<Pattern>> {
    option::of(select(Pattern::ALL.to_vec()))
}

fn standard() -> impl Strategy<Value = Standard> {
    let path = prop_oneof![filled(), select(vec!["dynamic".to_owned(), "https://example.org/x".to_owned()])];
    let args = option::of(select(vec!["--x 1".to_owned(), "'a b' \"c\"".to_owned(), String::new()]));
    let revision = option::of(prop_oneof![
        filled().prop_map(GitRevision::Branch),
        filled().prop_map(GitRevision::Tag),
        filled().prop_map(GitRevision::Rev)
    ]);
    let git = option::of((filled(), revision).prop_map(|(url, revision)| GitSource { url, revision }));
    (path, args, option::of(text()), git, pattern()).prop_map(|(path, args, build, git, pattern)| Standard {
        path_sha256: path.starts_with("https://").then(|| "a".repeat(64)),
        // A command line is needed there, and the quotes of any other must match.
        args: args.or((path == "shell").then(|| "x".to_owned())),
        path,
        build,
        git,
        pattern,
    })
}

fn runtime() -> impl Strategy<Value = Runtime> {
    let operator = |python: bool| {
        let source = match python {
            true => (filled(), option::of(text()))
                .prop_map(|(source, conda_env)| OperatorSource::Python { source, conda_env })
                .boxed(),
            false => select(vec!["build/a", "b", "https://example.org/liba.so"])
                .prop_map(|path| OperatorSource::SharedLibrary(path.to_owned()))
                .boxed(),
        };
        (option::of(text()), option::of(text()), source, option::of(text()), pattern())
    };
    (any::<bool>(), any::<bool>()).prop_flat_map(move |(python, single)| {
        vec(operator(python), 1..if single { 2 } else { 4 }).prop_map(move |operators| Runtime {
            operators: operators
                .into_iter()
                .enumerate()
                .map(|(number, (name, description, source, build, pattern))| Operator {
                    id: OperatorId::from(format!("op{number}")),
                    name,
                    description,
                    source,
                    build,
                    pattern,
                })
                .collect(),
            single,
        })
    })
}

fn output() -> impl Strategy<Value = Output> {
    let framing = select(vec![Framing::Raw, Framing::ArrowIpc]);
    (option::of(filled()), vec(filled(), 0..3), framing).prop_map(|(type_urn, metadata, framing)| Output {
        type_urn,
        metadata,
        framing,
    })
}

/// A node without inputs; each operator has the outputs of the node under its own id.
fn node() -> impl Strategy<Value = Node> {
    let kind = prop_oneof![standard().prop_map(NodeKind::Standard), runtime().prop_map(NodeKind::Runtime)];
    let about = (option::of(text()), option::of(text()), env(), deploy(), vec(any::<u32>(), 0..3));
    let ports = vec(("[a-d]{1,2}(/[a-d])?", output()), 0..4);
    let logs = (
        any::<bool>(),
        any::<bool>(),
        option::of(select(LogLevel::ALL.to_vec())),
        option::of(any::<u64>()),
        option::of(1u32..=100),
    );
    let policy = select(vec![RestartPolicy::Never, RestartPolicy::OnFailure, RestartPolicy::Always]);
    let restart = (policy, any::<u32>(), maybe_seconds(), maybe_seconds(), maybe_seconds());
    let health = (maybe_seconds(), maybe_seconds(), maybe_seconds(), option::of(any::<u64>()));
    (kind, about, ports, logs, restart, health).prop_map(|(kind, about, ports, logs, restart, health)| {
        let (name, description, env, deploy, cpu_affinity) = about;
        let prefixes: Vec<String> = match &kind {
            NodeKind::Standard(_) => vec![String::new()],
            NodeKind::Runtime(runtime) => runtime.operators.iter().map(|each| format!("{}/", each.id)).collect(),
        };
        let standard = matches!(kind, NodeKind::Standard(_));
        let mut outputs: IndexMap<DataId, Output> = IndexMap::new();
        for prefix in &prefixes {
            outputs.extend(ports.iter().map(|(id, port)| (DataId::from(format!("{prefix}{id}")), port.clone())));
        }
        let last = outputs.keys().last().cloned();
        let (policy, max_restarts, delay, max_delay, window) = restart;
        let (health_check_timeout, startup_timeout, finish_grace, pool) = health;
        Node {
            id: NodeId::from(""),
            name,
            description,
            kind,
            inputs: IndexMap::new(),
            outputs,
            env,
            deploy,
            logs: LogRules {
                send_stdout_as: last.clone().filter(|_| logs.0),
                send_logs_as: last.filter(|_| logs.1),
                min_level: logs.2,
                max_size: logs.3,
                max_rotated_files: logs.4,
            },
            restart: if standard {
                RestartRules { policy, max_restarts, delay, max_delay, window }
            } else {
                RestartRules::default()
            },
            health: if standard {
                HealthRules { health_check_timeout, startup_timeout, finish_grace }
            } else {
                HealthRules::default()
            },
            shared_memory_pool_size: pool.filter(|_| standard),
            cpu_affinity,
        }
    })
}

/// What an input says about itself; which output feeds it is settled once all outputs are known.
type InputSeed = (usize, String, usize, Option<Duration>, u32, QueuePolicy, Option<Duration>, Option<String>);

fn input() -> impl Strategy<Value = InputSeed> {
    // Edges that wait could make a cycle, which is refused.
    let policy = select(vec![QueuePolicy::DropOldest, QueuePolicy::DropNewest]);
    let timer = option::of((1u64..10_000_000_000).prop_map(Duration::from_nanos));
    (any::<usize>(), "[a-d]{1,2}", any::<usize>(), timer, 1u32.., policy, maybe_seconds(), option::of(filled()))
}

prop_compose! {
    fn dataflow()(
        mut nodes in vec(node(), 0..5),
        inputs in vec(input(), 0..10),
        env in env(),
        deploy in deploy(),
        flags in any::<[bool; 2]>(),
        interval in seconds(),
        rules in vec((filled(), filled()), 0..2),
    ) -> Dataflow {
        let outputs: Vec<Source> = nodes
            .iter_mut()
            .enumerate()
            .flat_map(|(number, node)| {
                node.id = NodeId::from(format!("n{number}"));
                // The variables of the dataflow are part of each node.
                let mut merged = env.clone();
                merged.extend(std::mem::take(&mut node.env));
                node.env = merged;
                let id = node.id.clone();
                node.outputs.keys().map(move |output| Source::Node { node: id.clone(), output: output.clone() }).collect::<Vec<_>>()
            })
            .collect();
        for (number, id, from, timer, queue_size, queue_policy, input_timeout, type_urn) in inputs {
            let Some(count) = nodes.len().checked_sub(1) else { continue };
            let node = &mut nodes[number % (count + 1)];
            let source = match (timer, outputs.get(from % outputs.len().max(1))) {
                (None, Some(source)) => source.clone(),
                (timer, _) => Source::Timer { interval: timer.unwrap_or(Duration::from_millis(20)) },
            };
            let prefix = node.runtime().map(|runtime| format!("{}/", runtime.operators[from % runtime.operators.len()].id));
            let id = DataId::from(format!("{}{id}", prefix.unwrap_or_default()));
            node.inputs.insert(id, Input { source, queue_size, queue_policy, input_timeout, type_urn });
        }
        Dataflow {
            nodes,
            env,
            deploy,
            debug: Debug { enable_debug_inspection: flags[0] },
            health_check_interval: interval.max(Duration::from_nanos(1)),
            strict_types: false,
            exit_when_nodes_finish: flags[1],
            type_rules: rules.into_iter().map(|(from, to)| TypeRule { from, to }).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_dataflow_survives(flow in dataflow()) {
        let text = expanded_yaml(&flow);
        let again = parse("flow.yml", &text, &Options { env: &|_| None, ..Options::default() });
        let again = again.unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")).dataflow;
        prop_assert_eq!(&again, &flow, "{}", text);
        let json = serde_json::to_string(&flow).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Dataflow>(&json).unwrap(), &flow);
    }
}
