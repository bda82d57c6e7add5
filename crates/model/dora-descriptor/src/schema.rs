//! JSON Schema of the dataflow file, written from the table of keys.

use serde_json::{Map, Value, json};

use crate::keys::{self, Alternative, Key, MapKey, Object, Rule, Shape, Status};

/// The JSON Schema (draft 2020-12) of a dataflow file, for editors.
///
/// It accepts what the decoder accepts as far as one value, one map and its keys go. Whether sources exist, ids are
/// unique and modules fit together is beyond a schema.
pub fn schema() -> Value {
    root(&keys::DATAFLOW, "dora dataflow")
}

/// The JSON Schema of a module file.
pub fn module_schema() -> Value {
    root(&keys::MODULE_FILE, "dora module")
}

fn root(object: &'static Object, title: &str) -> Value {
    let mut definitions = Map::new();
    define(object, &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$ref": reference(object),
        "$defs": definitions,
    })
}

fn reference(object: &Object) -> String {
    format!("#/$defs/{}", object.name)
}

/// Adds the definition of an object, and of those it contains.
fn define(object: &'static Object, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(object.name) {
        return;
    }
    // Reserves the name: objects may contain themselves.
    definitions.insert(object.name.to_owned(), Value::Null);
    let mut properties = Map::new();
    for key in object.keys {
        if !matches!(key.status, Status::Never(..)) {
            properties.insert(key.name.to_owned(), property(object, key, definitions));
        }
    }
    let mut schema = json!({
        "type": "object",
        "description": object.doc,
        "properties": properties,
        "required": object.required,
        "additionalProperties": false,
    });
    let rules: Vec<Value> = object.rules.iter().map(rule).collect();
    if !rules.is_empty() {
        schema["allOf"] = rules.into();
    }
    definitions.insert(object.name.to_owned(), schema);
}

fn property(object: &'static Object, key: &Key, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = shape(key.shape, definitions);
    let needed = object.required.contains(&key.name) || object.is_alternative(key.name);
    if !needed && !matches!(key.shape, Shape::Any) {
        schema = json!({ "anyOf": [schema, { "type": "null" }] });
    }
    schema["description"] = key.doc.into();
    if matches!(key.status, Status::Deprecated(_) | Status::NoEffect(_)) {
        schema["deprecated"] = true.into();
    }
    schema
}

fn shape(shape_of: Shape, definitions: &mut Map<String, Value>) -> Value {
    const ANY_TEXT: [&str; 3] = ["string", "number", "boolean"];
    match shape_of {
        Shape::Text | Shape::EnvValue => json!({ "type": ANY_TEXT }),
        Shape::Filled => json!({ "type": ANY_TEXT, "pattern": "\\S" }),
        Shape::NodeId => json!({ "type": ANY_TEXT, "pattern": "^(?!dora$|_mod$)[A-Za-z0-9_-][A-Za-z0-9_.-]*$" }),
        Shape::DataId | Shape::OperatorId => json!({ "type": ANY_TEXT, "pattern": DATA_ID }),
        Shape::Source => json!({ "type": "string", "pattern": SOURCE }),
        Shape::Sha256 => json!({ "type": ANY_TEXT, "pattern": "^[0-9A-Fa-f]{64}$" }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Int(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Seconds(true) => json!({ "type": "number", "minimum": 0, "exclusiveMaximum": u64::MAX as f64 }),
        Shape::Seconds(false) => {
            json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": u64::MAX as f64 })
        }
        Shape::Bytes => json!({ "type": ["integer", "string"], "minimum": 0, "pattern": BYTES }),
        Shape::Word(words, false) => json!({ "enum": words }),
        Shape::Word(words, true) => json!({ "type": "string", "pattern": format!("^(?i:{})$", words.join("|")) }),
        Shape::List(item) => json!({ "type": "array", "items": shape(*item, definitions) }),
        Shape::Map(key, item) => {
            let names = match key {
                MapKey::Text => json!({}),
                MapKey::DataId => json!({ "pattern": DATA_ID }),
                MapKey::EnvName => json!({ "pattern": "^[^=\\s\\u0000]+$" }),
                MapKey::Param => json!({ "pattern": "^[A-Za-z0-9_]+$" }),
            };
            json!({ "type": "object", "propertyNames": names, "additionalProperties": shape(*item, definitions) })
        }
        Shape::Object(object) => {
            define(object, definitions);
            json!({ "$ref": reference(object) })
        }
        Shape::Either(scalar, object) => {
            define(object, definitions);
            json!({ "anyOf": [shape(*scalar, definitions), { "$ref": reference(object) }] })
        }
        Shape::Any => json!({}),
    }
}

const DATA_ID: &str = "^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$";
const SOURCE: &str = "^(dora/timer/(secs|millis|micros|nanos)/\\+?[0-9]+\
    |dora/timer/hz/[0-9.eE+-]+\
    |dora/logs(/(?i:error|warn|info|debug|trace|stdout)(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)?)?\
    |(?!dora/)[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)+)$";
const BYTES: &str = "^\\s*([0-9]+|[0-9]+(\\.[0-9]+)?\\s*(?i:[KMG]?B|[KMG]))\\s*$";

fn rule(rule: &Rule) -> Value {
    match rule {
        Rule::ExactlyOne(alternatives) => {
            json!({ "oneOf": alternatives.iter().map(alternative).collect::<Vec<_>>() })
        }
        Rule::AtMostOne(keys) => {
            let pairs = keys.iter().enumerate().flat_map(|(position, first)| {
                keys[position + 1..].iter().map(move |second| json!({ "not": { "required": [first, second] } }))
            });
            json!({ "allOf": pairs.collect::<Vec<_>>() })
        }
        Rule::Needs(key, needed) => json!({ "dependentRequired": { *key: [needed] } }),
    }
}

fn alternative(alternative: &Alternative) -> Value {
    let excluded: Vec<Value> = alternative.excludes.iter().map(|key| json!({ "required": [key] })).collect();
    let mut schema = json!({ "title": alternative.what, "required": [alternative.key] });
    if !excluded.is_empty() {
        schema["not"] = json!({ "anyOf": excluded });
    }
    schema
}
