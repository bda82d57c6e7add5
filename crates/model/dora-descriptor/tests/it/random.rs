//! No input panics.

use std::path::{Path, PathBuf};

use dora_descriptor::{LoadError, Loader, Options, load, schema};
use proptest::prelude::*;

/// Gives the same bytes for every file.
struct Bytes(Vec<u8>);

impl Loader for Bytes {
    fn read(&self, _: &Path, _: u64) -> Result<String, LoadError> {
        String::from_utf8(self.0.clone()).map_err(|error| LoadError::NotText { at: error.utf8_error().valid_up_to() })
    }
    fn canonical(&self, path: &Path) -> Result<PathBuf, LoadError> {
        Ok(path.to_owned())
    }
    fn is_file(&self, _: &Path) -> bool {
        true
    }
    fn files_below(&self, dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
        Ok(vec![dir.join("a.yml")])
    }
}

fn try_bytes(bytes: Vec<u8>) {
    let loader = Bytes(bytes);
    let options = Options { loader: &loader, env: &|_| None, strict_types: false };
    match load(Path::new("dir/flow.yml"), &options) {
        Ok(loaded) => drop((loaded.warnings.render(true), dora_descriptor::expanded_yaml(&loaded.dataflow))),
        Err(mistakes) => assert!(mistakes.has_errors() && !mistakes.render(true).is_empty()),
    }
}

/// Keys of the table, taken from the schema.
fn keys() -> Vec<String> {
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap();
    definitions.values().flat_map(|each| each["properties"].as_object().unwrap().keys().cloned()).collect()
}

/// YAML values made of keys that exist and values that may fit.
fn documents() -> impl Strategy<Value = serde_json::Value> {
    let word = prop_oneof![
        "[a-c]",
        "[a-c]/[a-c]",
        "_mod/[a-c]",
        "dora/(timer|logs)/[a-z]{0,6}/[0-9.]{0,3}",
        "(\\$|\\$\\{)[A-Z]{0,2}(:-)?[a-z]?\\}?",
        "(backpressure|never|m.yml|dynamic|shell|std/core/v1/UInt8)",
        "(?s).{0,4}",
    ];
    let leaf = prop_oneof![
        4 => word.prop_map(serde_json::Value::from),
        1 => any::<i32>().prop_map(serde_json::Value::from),
        1 => any::<bool>().prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
    ];
    let key = prop_oneof![4 => proptest::sample::select(keys()), 1 => "[a-c]"];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|entries| entries.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        try_bytes(bytes);
    }

    #[test]
    fn no_document_panics(document in documents(), nodes in proptest::collection::vec(documents(), 0..4)) {
        try_bytes(document.to_string().into_bytes());
        let document = serde_json::json!({ "nodes": nodes });
        try_bytes(document.to_string().into_bytes());
    }

    #[test]
    fn no_mutilated_file_panics(cut in 0usize..2000, insert in "[-:{}\\[\\]&*!|>'\"%@`, \\n\\t\u{e9}]{0,3}") {
        let text = include_str!("../bad/values.yml");
        let mut cut = cut.min(text.len());
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        try_bytes(format!("{}{insert}{}", &text[..cut], &text[cut..]).into_bytes());
        try_bytes(format!("{}{insert}", &text[..cut]).into_bytes());
    }
}
