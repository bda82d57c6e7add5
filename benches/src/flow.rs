//! Dataflow files for the measurements. Written as JSON, which is YAML.

use serde_json::{Map, Value, json};
use std::path::Path;

/// What happens on an edge whose queue is full.
#[derive(Clone, Copy)]
pub enum Queue {
    /// What the system does by default.
    Default,
    /// The sender waits; this many messages fit.
    Lossless(usize),
}

/// One benchmark node.
pub struct Node {
    id: String,
    env: Map<String, Value>,
    rules: Map<String, Value>,
    inputs: Map<String, Value>,
    outputs: Vec<Value>,
}

impl Node {
    /// A node with a role of `bench-node`.
    pub fn new(id: impl Into<String>, role: &str) -> Self {
        let env = Map::from_iter([("BENCH_ROLE".to_string(), json!(role))]);
        Self { id: id.into(), env, rules: Map::new(), inputs: Map::new(), outputs: Vec::new() }
    }

    /// Adds an environment variable.
    pub fn env(mut self, key: &str, value: impl ToString) -> Self {
        self.env.insert(key.into(), json!(value.to_string()));
        self
    }

    /// Sets a key of the node, such as `restart_policy`.
    pub fn rule(mut self, key: &str, value: &str) -> Self {
        self.rules.insert(key.into(), json!(value));
        self
    }

    /// Adds an input.
    pub fn input(mut self, id: impl Into<String>, source: impl ToString, queue: Queue) -> Self {
        let source = source.to_string();
        let input = match queue {
            Queue::Default => json!(source),
            Queue::Lossless(size) => json!({"source": source, "queue_size": size, "queue_policy": "backpressure"}),
        };
        self.inputs.insert(id.into(), input);
        self
    }

    /// Adds an output.
    pub fn output(mut self, id: impl Into<String>) -> Self {
        self.outputs.push(Value::String(id.into()));
        self
    }

    fn write(self, program: &Path, csv: &Path, peer: &str) -> Value {
        let node = self.env("BENCH_CSV", csv.display()).env("BENCH_PEER", peer);
        let mut value = json!({"id": node.id, "path": program, "env": node.env});
        for (key, rule) in node.rules {
            value[key] = rule;
        }
        if !node.inputs.is_empty() {
            value["inputs"] = Value::Object(node.inputs);
        }
        if !node.outputs.is_empty() {
            value["outputs"] = Value::Array(node.outputs);
        }
        value
    }
}

/// The text of a dataflow of `nodes` that run `program` and write their rows to `csv` as `peer`.
pub fn dataflow(nodes: Vec<Node>, program: &Path, csv: &Path, peer: &str) -> String {
    let nodes: Vec<Value> = nodes.into_iter().map(|node| node.write(program, csv, peer)).collect();
    format!("{:#}\n", json!({ "nodes": nodes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_with_backpressure() {
        let sink = Node::new("sink", "receiver").input("in", "src/out", Queue::Lossless(32)).env("BENCH_SIZE", 8);
        let text = dataflow(vec![sink], Path::new("/bin/node"), Path::new("raw.csv"), "dora");
        let flow: Value = serde_json::from_str(&text).unwrap();
        let sink = &flow["nodes"][0];
        assert_eq!(sink["inputs"]["in"]["queue_policy"], "backpressure");
        assert_eq!((sink["env"]["BENCH_SIZE"].as_str(), sink.get("outputs")), (Some("8"), None));
    }
}
