//! JSON values as YAML text in block style. Texts are quoted wherever a reader might take them for something else.

use std::fmt::Write as _;

use serde_json::Value;

/// The text of a document.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Writes the entries of a map or list, each on a line of its own.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (position, (key, value)) in map.iter().enumerate() {
                // The first entry of a map in a list stands behind the dash.
                if position > 0 || out.ends_with('\n') || out.is_empty() {
                    indent(out, depth);
                }
                let _ = write!(out, "{}:", scalar(key));
                nested(out, value, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(out, depth);
                out.push('-');
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        out.push(' ');
                        block(out, item, depth + 1);
                    }
                    other => nested(out, other, depth),
                }
            }
        }
        other => {
            out.push_str(&inline(other));
            out.push('\n');
        }
    }
}

/// Writes what follows a key or a dash.
fn nested(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            block(out, value, depth + 1);
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            out.push('\n');
            block(out, value, depth + 1);
        }
        Value::String(text) if is_literal(text) => {
            out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
            for line in text.lines() {
                if !line.is_empty() {
                    indent(out, depth + 1);
                }
                out.push_str(line);
                out.push('\n');
            }
        }
        other => {
            out.push(' ');
            out.push_str(&inline(other));
            out.push('\n');
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => {
            let items = items.iter().map(|item| match item {
                // Between brackets more characters have a meaning.
                Value::String(text) if text.starts_with('-') || text.contains(' ') => quoted(text),
                other => inline(other),
            });
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Value::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

/// Whether a text of several lines can be written as a literal block without loss.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    text.contains('\n')
        && !body.is_empty()
        && !body.ends_with('\n')
        && !body.starts_with(['\n', ' '])
        && text.chars().all(|c| c == '\n' || (' '..='~').contains(&c))
        && body.lines().all(|line| line.is_empty() || !line.trim().is_empty())
}

/// A text on one line, quoted if need be.
fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "~"];
    let mut chars = text.chars();
    let start = match (chars.next(), chars.next()) {
        (Some('a'..='z' | 'A'..='Z' | '_' | '/'), _) => true,
        // `-- x` and `./x`, but neither `- x` nor `-1` nor `.5`.
        (Some('-'), Some('-' | 'a'..='z' | 'A'..='Z')) | (Some('.'), Some('/' | '.')) => text.len() > 3,
        _ => false,
    };
    start
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./@+=%$: ".contains(c))
        && !text.replace("://", "").contains(':')
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && !text.starts_with("---")
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // What YAML counts as a line break or does not allow in a file.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        source::Sources,
        yaml::{Data, Tree, parse},
    };

    fn read(text: &str) -> Value {
        let mut sources = Sources::default();
        let file = sources.add("f".to_owned(), text.into());
        fn value(tree: &Tree) -> Value {
            match &tree.data {
                Data::Scalar(scalar) if scalar.plain && scalar.as_bool().is_some() => scalar.as_bool().into(),
                Data::Scalar(scalar) if scalar.plain && scalar.text.parse::<u32>().is_ok() => {
                    scalar.text.parse::<u32>().unwrap().into()
                }
                Data::Scalar(scalar) => scalar.text.as_str().into(),
                Data::List(items) => items.iter().map(value).collect(),
                Data::Map(entries) => entries
                    .iter()
                    .map(|(key, tree)| {
                        let Data::Scalar(key) = &key.data else { panic!("{key:?}") };
                        (key.text.clone(), value(tree))
                    })
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
            }
        }
        value(&parse(file, text).unwrap().unwrap())
    }

    #[test]
    fn the_style() {
        let value = json!({
            "nodes": [
                { "id": "a", "args": "--x 1", "build": "one\n\n  two\n", "inputs": { "t": "dora/timer/secs/1" } },
                { "id": "b", "outputs": ["x", "1"], "env": { "V": "1.10", "E": "" }, "m": {} },
            ],
            "flag": true,
        });
        let text = text(&value);
        expect_test::expect![[r#"
            nodes:
              - id: a
                args: --x 1
                build: |
                  one

                    two
                inputs:
                  t: dora/timer/secs/1
              - id: b
                outputs: [x, "1"]
                env:
                  V: "1.10"
                  E: ""
                m: {}
            flag: true
        "#]]
        .assert_eq(&text);
        assert_eq!(read(&text), value);
    }

    #[test]
    fn dashes_between_brackets_are_quoted() {
        let value = json!({ "k": ["-- -", "a -b"], "args": "-- -" });
        assert_eq!(text(&value), "k: [\"-- -\", \"a -b\"]\nargs: -- -\n");
        assert_eq!(read(&text(&value)), value);
    }

    fn values() -> impl Strategy<Value = Value> {
        let text =
            prop_oneof!["(?s).{0,12}", "[-a-z:#/ .\\n~'\"{}]{0,12}", "(true|null|-|---|1e3|y| x|x |x\\n\\n|\\n)"];
        let leaf = prop_oneof![text.clone().prop_map(Value::from), any::<bool>().prop_map(Value::from)];
        leaf.prop_recursive(3, 20, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((text.clone(), inner), 0..4)
                    .prop_map(|entries| entries.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read(value in values()) {
            let value = json!({ "k": value });
            let text = text(&value);
            prop_assert_eq!(read(&text), value, "{}", text);
        }
    }
}
