//! The expanded dataflow as JSON, for programs, and as YAML, for people and for loading again.

mod yaml;

use std::time::Duration;

use dora_message::{
    id::{DataId, OperatorId},
    keeper::QueuePolicy,
};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::{
    decode::scalar::format_bytes,
    model::{
        DEFAULT_QUEUE_SIZE, Dataflow, Deploy, Framing, GitRevision, GitSource, Input, LogRules, Node, NodeKind,
        Operator, OperatorSource, Output, Standard,
    },
    vars,
};

/// The expanded dataflow as JSON, in the shape of the file: what nodes get from `dataflow_descriptor()`.
///
/// Keys that nodes may count on are there even where the file does not write them; without a value they are null.
pub fn expanded_json(dataflow: &Dataflow) -> Value {
    document(dataflow, &str::to_owned)
}

/// The expanded dataflow as YAML text. Loaded again it gives an equal dataflow.
pub fn expanded_yaml(dataflow: &Dataflow) -> String {
    // Variables are expanded already; a `$` that is left is one.
    let mut document = document(dataflow, &vars::escape);
    prune(&mut document);
    yaml::text(&document)
}

/// Removes what has no value, and lists of ports that are empty.
fn prune(value: &mut Value) {
    let is_empty =
        |value: &Value| value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|key, value| {
                let no_ports = matches!(key.as_str(), "inputs" | "outputs") && is_empty(value);
                !value.is_null() && !no_ports
            });
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

type EnvText<'a> = &'a dyn Fn(&str) -> String;

fn document(dataflow: &Dataflow, env_text: EnvText<'_>) -> Value {
    let rules: Vec<Value> =
        dataflow.type_rules.iter().map(|rule| json!({ "from": rule.from, "to": rule.to })).collect();
    let mut top = Map::new();
    top.insert("nodes".into(), dataflow.nodes.iter().map(|each| node(each, env_text)).collect());
    set(&mut top, "env", (!dataflow.env.is_empty()).then(|| env(&dataflow.env, env_text)));
    top.insert("deploy".into(), dataflow.deploy.as_ref().map(deploy).into());
    top.insert("debug".into(), json!({ "enable_debug_inspection": dataflow.debug.enable_debug_inspection }));
    top.insert("health_check_interval".into(), dataflow.health_check_interval.as_secs_f64().into());
    set(&mut top, "strict_types", dataflow.strict_types.then_some(true));
    set(&mut top, "exit_when_nodes_finish", dataflow.exit_when_nodes_finish.then_some(true));
    set(&mut top, "type_rules", (!rules.is_empty()).then_some(rules));
    Value::Object(top)
}

/// Adds a key if it has a value.
fn set(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

fn env(variables: &IndexMap<String, String>, env_text: EnvText<'_>) -> Value {
    variables.iter().map(|(name, value)| (name.clone(), Value::from(env_text(value)))).collect::<Map<_, _>>().into()
}

fn deploy(deploy: &Deploy) -> Value {
    let mut map = Map::new();
    set(&mut map, "machine", deploy.machine.clone());
    set(&mut map, "working_dir", deploy.working_dir.clone());
    let labels: Map<_, _> = deploy.labels.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    set(&mut map, "labels", (!labels.is_empty()).then_some(labels));
    set(&mut map, "distribute", deploy.distribute.map(|word| word.as_str()));
    Value::Object(map)
}

fn node(node: &Node, env_text: EnvText<'_>) -> Value {
    let mut map = Map::new();
    map.insert("id".into(), node.id.as_str().into());
    map.insert("name".into(), node.name.clone().into());
    map.insert("description".into(), node.description.clone().into());
    match &node.kind {
        NodeKind::Standard(standard) => {
            program(&mut map, standard);
            map.insert("env".into(), env_or_null(node, env_text));
            ports(&mut map, node, None);
            set(&mut map, "pattern", standard.pattern.map(|pattern| pattern.as_str()));
            logs(&mut map, &node.logs, None);
            supervision(&mut map, node);
        }
        NodeKind::Runtime(runtime) => {
            map.insert("env".into(), env_or_null(node, env_text));
            let operators: Vec<Value> = runtime.operators.iter().map(|each| operator(each, node)).collect();
            match (runtime.single, operators.first()) {
                (true, Some(only)) => map.insert("operator".into(), only.clone()),
                _ => map.insert("operators".into(), operators.into()),
            };
        }
    }
    set(&mut map, "cpu_affinity", (!node.cpu_affinity.is_empty()).then(|| node.cpu_affinity.clone()));
    map.insert("deploy".into(), node.deploy.as_ref().map(deploy).into());
    Value::Object(map)
}

fn env_or_null(node: &Node, env_text: EnvText<'_>) -> Value {
    if node.env.is_empty() { Value::Null } else { env(&node.env, env_text) }
}

fn program(map: &mut Map<String, Value>, standard: &Standard) {
    map.insert("path".into(), standard.path.as_str().into());
    set(map, "path_sha256", standard.path_sha256.clone());
    set(map, "args", standard.args.clone());
    set(map, "build", standard.build.clone());
    if let Some(GitSource { url, revision }) = &standard.git {
        map.insert("git".into(), url.as_str().into());
        match revision {
            Some(GitRevision::Branch(name)) => map.insert("branch".into(), name.as_str().into()),
            Some(GitRevision::Tag(name)) => map.insert("tag".into(), name.as_str().into()),
            Some(GitRevision::Rev(name)) => map.insert("rev".into(), name.as_str().into()),
            None => None,
        };
    }
}

fn supervision(map: &mut Map<String, Value>, node: &Node) {
    let (restart, health) = (&node.restart, &node.health);
    map.insert("restart_policy".into(), restart.policy.as_str().into());
    map.insert("max_restarts".into(), restart.max_restarts.into());
    set(map, "restart_delay", seconds(restart.delay));
    set(map, "max_restart_delay", seconds(restart.max_delay));
    set(map, "restart_window", seconds(restart.window));
    set(map, "health_check_timeout", seconds(health.health_check_timeout));
    set(map, "startup_timeout", seconds(health.startup_timeout));
    set(map, "finish_grace_secs", seconds(health.finish_grace));
    set(map, "shared_memory_pool_size", node.shared_memory_pool_size.map(format_bytes));
}

fn operator(operator: &Operator, node: &Node) -> Value {
    let mut map = Map::new();
    map.insert("id".into(), operator.id.as_str().into());
    set(&mut map, "name", operator.name.clone());
    set(&mut map, "description", operator.description.clone());
    match &operator.source {
        OperatorSource::Python { source, conda_env: None } => map.insert("python".into(), source.as_str().into()),
        OperatorSource::Python { source, conda_env } => {
            map.insert("python".into(), json!({ "source": source, "conda_env": conda_env }))
        }
        OperatorSource::SharedLibrary(path) => map.insert("shared-library".into(), path.as_str().into()),
    };
    set(&mut map, "build", operator.build.clone());
    ports(&mut map, node, Some(&operator.id));
    set(&mut map, "pattern", operator.pattern.map(|pattern| pattern.as_str()));
    // Keys without an operator's id in their value belong to whichever comes first.
    let first =
        node.runtime().and_then(|runtime| runtime.operators.first()).is_some_and(|first| first.id == operator.id);
    logs(&mut map, &node.logs, Some((&operator.id, first)));
    Value::Object(map)
}

/// The id of a port inside its operator. `None` if it belongs to another one.
fn local<'a>(id: &'a DataId, operator: Option<&OperatorId>) -> Option<&'a str> {
    match operator {
        None => Some(id.as_str()),
        Some(operator) => id.strip_prefix(operator.as_str())?.strip_prefix('/'),
    }
}

fn ports(map: &mut Map<String, Value>, node: &Node, operator: Option<&OperatorId>) {
    let inputs = || node.inputs.iter().filter_map(|(id, port)| Some((local(id, operator)?, port)));
    let outputs = || node.outputs.iter().filter_map(|(id, port)| Some((local(id, operator)?, port)));
    map.insert("inputs".into(), inputs().map(|(id, port)| (id.to_owned(), input(port))).collect::<Map<_, _>>().into());
    map.insert("outputs".into(), outputs().map(|(id, _)| Value::from(id)).collect());
    let types = inputs().filter_map(|(id, port)| Some((id, port.type_urn.clone()?.into())));
    set_map(map, "input_types", types);
    fn each<'a, T: Into<Value>>(
        outputs: impl Iterator<Item = (&'a str, &'a Output)>,
        of: impl Fn(&Output) -> Option<T>,
    ) -> impl Iterator<Item = (&'a str, Value)> {
        outputs.filter_map(move |(id, port)| Some((id, of(port)?.into())))
    }
    set_map(map, "output_types", each(outputs(), |port| port.type_urn.clone()));
    set_map(
        map,
        "output_metadata",
        each(outputs(), |port| Some(port.metadata.clone()).filter(|keys| !keys.is_empty())),
    );
    let framing = |port: &Output| Some(port.framing).filter(|framing| *framing != Framing::Raw).map(Framing::as_str);
    set_map(map, "output_framing", each(outputs(), framing));
}

fn set_map<'a>(map: &mut Map<String, Value>, key: &str, entries: impl Iterator<Item = (&'a str, Value)>) {
    let entries: Map<String, Value> = entries.map(|(id, value)| (id.to_owned(), value)).collect();
    set(map, key, (!entries.is_empty()).then_some(entries));
}

fn input(input: &Input) -> Value {
    let source = input.source.to_string();
    let mut map = Map::new();
    set(&mut map, "queue_size", (input.queue_size != DEFAULT_QUEUE_SIZE).then_some(input.queue_size));
    set(&mut map, "queue_policy", policy_word(input.queue_policy));
    set(&mut map, "input_timeout", seconds(input.input_timeout));
    if map.is_empty() {
        return source.into();
    }
    map.shift_insert(0, "source".to_owned(), source.into());
    Value::Object(map)
}

/// The word of the file; none for the default.
fn policy_word(policy: QueuePolicy) -> Option<&'static str> {
    match policy {
        QueuePolicy::DropOldest => None,
        QueuePolicy::DropNewest => Some("drop_newest"),
        QueuePolicy::Backpressure => Some("backpressure"),
    }
}

fn logs(map: &mut Map<String, Value>, logs: &LogRules, operator: Option<(&OperatorId, bool)>) {
    let id = operator.map(|(id, _)| id);
    let own = |output: &Option<DataId>| output.as_ref().and_then(|output| local(output, id)).map(str::to_owned);
    set(map, "send_stdout_as", own(&logs.send_stdout_as));
    set(map, "send_logs_as", own(&logs.send_logs_as));
    if operator.is_none_or(|(_, first)| first) {
        set(map, "min_log_level", logs.min_level.map(|level| level.as_str()));
        set(map, "max_log_size", logs.max_size.map(format_bytes));
        set(map, "max_rotated_files", logs.max_rotated_files);
    }
}
