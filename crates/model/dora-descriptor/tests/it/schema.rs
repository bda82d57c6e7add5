//! The JSON Schema and the decoder accept the same files.

use dora_descriptor::{Code, MemoryLoader, Options, Severity, parse, schema};
use serde_json::{Value, json};

/// Mistakes that only the whole dataflow shows, which a schema cannot see.
const BEYOND_A_SCHEMA: [Code; 7] =
    [Code::DuplicateId, Code::UnknownSource, Code::Cycle, Code::Variable, Code::Module, Code::Type, Code::Unreadable];

/// The verdict of the decoder on what a schema can see.
fn decoder_accepts(document: &Value) -> bool {
    let loader = MemoryLoader::new();
    let options = Options { loader: &loader, env: &|_| Some(String::new()), strict_types: false };
    // JSON is YAML.
    match parse("flow.yml", &document.to_string(), &options) {
        Ok(_) => true,
        Err(mistakes) => mistakes
            .iter()
            .all(|mistake| mistake.severity == Severity::Warning || BEYOND_A_SCHEMA.contains(&mistake.code)),
    }
}

fn agree(document: &Value, validator: &jsonschema::Validator) -> bool {
    let (decoder, schema) = (decoder_accepts(document), validator.is_valid(document));
    assert_eq!(decoder, schema, "decoder: {decoder}, schema: {schema}\n{document:#}");
    decoder
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

fn node(extra: Value) -> Value {
    let mut node = json!({ "id": "a", "path": "a" });
    node.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!({ "nodes": [node] })
}

#[test]
fn values() {
    let validator = validator();
    let cases = [
        ("name", vec![json!("x"), json!(1), json!(true), json!(null), json!([]), json!({})]),
        ("path_sha256", vec![json!("abc"), json!(null)]),
        (
            "inputs",
            vec![json!({}), json!(null), json!([]), json!("a/b"), json!({ "a b": "a/b" }), json!({ "x": "a/b/c" })],
        ),
        ("outputs", vec![json!([]), json!(["a", "b/c"]), json!(["/a"]), json!("a"), json!([1]), json!([null])]),
        (
            "env",
            vec![json!({ "A": 1 }), json!({ "A": null }), json!({ "A B": 1 }), json!({ "": 1 }), json!({ "A": [] })],
        ),
        ("restart_policy", vec![json!("never"), json!("on_failure"), json!(null), json!(1)]),
        ("min_log_level", vec![json!("Warn"), json!("warning")]),
        ("max_restarts", vec![json!(0), json!(4294967295u64), json!(4294967296u64), json!(-1), json!("1"), json!(1.5)]),
        ("max_rotated_files", vec![json!(0), json!(1), json!(100), json!(101)]),
        ("restart_delay", vec![json!(0), json!(1.5), json!(-0.1), json!(1e30), json!("1")]),
        (
            "max_log_size",
            vec![json!("50MB"), json!(" 1.5 kb "), json!("1.5"), json!(10), json!(-1), json!(1.5), json!("x")],
        ),
        ("cpu_affinity", vec![json!([0, 1]), json!([-1]), json!(0)]),
        ("deploy", vec![json!({}), json!({ "machine": "a" }), json!({ "x": 1 }), json!({ "distribute": "ftp" })]),
        ("_unstable_deploy", vec![json!({ "machine": "a" })]),
        ("params", vec![json!({}), json!({ "a": 1 })]),
        ("branch", vec![json!("main")]),
        ("operator", vec![json!({ "python": "a.py" })]),
        ("custom", vec![json!({ "source": "a" })]),
        ("hub", vec![json!("a@1"), json!(null)]),
        ("ros2", vec![json!({})]),
        ("queue_size", vec![json!(1)]),
        ("args", vec![json!("a 'b'"), json!("")]),
        ("id", vec![json!("a.b-c_d"), json!("dora"), json!(".a"), json!("_mod"), json!(7), json!(null), json!("")]),
        ("path", vec![json!(""), json!(" "), json!(null), json!("dynamic"), json!(1)]),
        ("pattern", vec![json!("service-server"), json!("server")]),
        ("input_types", vec![json!({ "a": "b" }), json!({ "a": "" }), json!({ "a": null })]),
    ];
    let (mut good, mut bad) = (0, 0);
    for (key, values) in cases {
        for value in values {
            match agree(&node(json!({ key: value })), &validator) {
                true => good += 1,
                false => bad += 1,
            }
        }
    }
    assert!(good >= 30 && bad >= 40, "{good} {bad}");
}

#[test]
fn sources() {
    let validator = validator();
    for source in [
        "a/b",
        "a/b/c",
        "a",
        "",
        "a/",
        "/a",
        "a//b",
        "a b/c",
        ".a/b",
        "dora/timer/secs/1",
        "dora/timer/hz/2.5",
        "dora/timer/min/1",
        "dora/timer/secs/1.5",
        "dora/timer/secs",
        "dora/logs",
        "dora/logs/Warn",
        "dora/logs/warn/a",
        "dora/logs/warn/a/b",
        "dora/logs/loud",
        "dora/x",
        "dora",
    ] {
        agree(&node(json!({ "inputs": { "x": source } })), &validator);
        agree(&node(json!({ "inputs": { "x": { "source": source, "queue_size": 0 } } })), &validator);
    }
    for long in [
        json!({}),
        json!({ "source": "a/b", "queue_policy": "backpressure", "input_timeout": 0 }),
        json!({ "source": "a/b", "extra": 1 }),
        json!({ "source": null }),
        json!({ "source": "a/b", "queue_size": null }),
        json!(null),
        json!(["a/b"]),
    ] {
        agree(&node(json!({ "inputs": { "x": long } })), &validator);
    }
}

#[test]
fn kinds() {
    let validator = validator();
    let operator = json!({ "id": "o", "python": "a.py" });
    let kinds = [
        ("path", json!("a")),
        ("operator", operator.clone()),
        ("operators", json!([operator])),
        ("module", json!("m.yml")),
        ("custom", json!({ "path": "a" })),
    ];
    let keys = schema()["$defs"]["Node"]["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut good = 0;
    for (kind, value) in &kinds {
        for key in &keys {
            let other = match key.as_str() {
                "id" => json!("a"),
                "inputs" | "input_types" | "output_types" | "output_metadata" | "output_framing" | "env" | "params"
                | "deploy" | "_unstable_deploy" => json!({}),
                "outputs" | "cpu_affinity" => json!([]),
                "pattern" => json!("action-client"),
                "restart_policy" => json!("never"),
                "min_log_level" => json!("info"),
                "path_sha256" => continue,
                "operator" | "operators" | "module" | "custom" => {
                    kinds.iter().find(|(name, _)| name == key).unwrap().1.clone()
                }
                _ => json!(1),
            };
            good += usize::from(agree(&json!({ "nodes": [{ "id": "a", *kind: value, key: other }] }), &validator));
        }
    }
    assert!(good > 60, "{good}");
    agree(&json!({ "nodes": [{ "id": "a" }] }), &validator);
}

#[test]
fn operators() {
    let validator = validator();
    for operator in [
        json!({ "python": "a.py" }),
        json!({ "python": { "source": "a.py", "conda_env": "x" } }),
        json!({ "python": { "conda_env": "x" } }),
        json!({ "shared-library": "a" }),
        json!({ "wasm": "a" }),
        json!({}),
        json!({ "python": "a.py", "shared-library": "a" }),
        json!({ "python": "a.py", "foo": 1 }),
        json!({ "id": "a b", "python": "a.py" }),
        json!({ "id": "x", "python": "a.py", "inputs": { "a": "b/c" }, "outputs": ["d"] }),
    ] {
        agree(&json!({ "nodes": [{ "id": "a", "operator": operator }] }), &validator);
        agree(&json!({ "nodes": [{ "id": "a", "operators": [operator] }] }), &validator);
    }
}

#[test]
fn whole_files() {
    let validator = validator();
    for document in [
        json!({ "nodes": [] }),
        json!({ "nodes": null }),
        json!({}),
        json!([]),
        json!({ "nodes": [], "communication": { "x": 1 } }),
        json!({ "nodes": [], "strict_types": true, "exit_when_nodes_finish": null }),
        json!({ "nodes": [], "strict_types": "yes" }),
        json!({ "nodes": [], "health_check_interval": 0 }),
        json!({ "nodes": [], "health_check_interval": 0.1 }),
        json!({ "nodes": [], "type_rules": [{ "from": "a", "to": "b" }] }),
        json!({ "nodes": [], "type_rules": [{ "from": "a" }] }),
        json!({ "nodes": [], "debug": { "enable_debug_inspection": true } }),
        json!({ "nodes": [], "debug": { "publish_all_messages_to_zenoh": true } }),
        json!({ "nodes": [], "_unstable_debug": { "publish_all_messages_to_zenoh": true } }),
        json!({ "nodes": [], "node": [] }),
        json!({ "nodes": [1] }),
        json!({ "nodes": [], "env": { "A": true } }),
    ] {
        agree(&document, &validator);
    }
}
