//! Names of projects: what is a directory, a package of cargo and a node at the same time.

use std::{fmt, str::FromStr};

use dora_message::id::NodeId;

/// A name that every program takes which will see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProjectName(String);

/// Words that cannot be the name of a package or of the program that it builds: those of the language, of cargo's
/// directories, of the standard library, and packages that the project itself depends on.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dora-node-api",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "eyre",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// The longest name: file systems and package tools take at least this.
const LONGEST: usize = 64;

impl ProjectName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ProjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reason = if text.is_empty() {
            "is empty".to_owned()
        } else if text.len() > LONGEST {
            format!("has more than {LONGEST} characters")
        } else if !text.starts_with(|first: char| first.is_ascii_lowercase()) || !text.chars().all(is_plain) {
            "must be lower-case letters, digits, `-` and `_`, and start with a letter".to_owned()
        } else if TAKEN.contains(&text) {
            "means something to Rust or cargo".to_owned()
        } else if let Err(error) = NodeId::from_str(text) {
            format!("cannot be the id of a node: {error}")
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(match similar(text) {
            Some(similar) => format!("it {reason}; `{similar}` would do"),
            None => format!("it {reason}"),
        })
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || matches!(character, '-' | '_')
}

/// A name that is like this one and allowed.
fn similar(text: &str) -> Option<String> {
    // Of a path the last part, which is what its directory is called.
    let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let plain: String =
        last.chars().map(|c| c.to_ascii_lowercase()).map(|c| if is_plain(c) { c } else { '-' }).take(LONGEST).collect();
    let trimmed = plain.trim_matches('-');
    [trimmed.to_owned(), format!("my-{trimmed}")]
        .into_iter()
        .find(|candidate| candidate != text && candidate != "my-" && ProjectName::from_str(candidate).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_will_not_do_come_with_one_that_will() {
        let reason = |text: &str| ProjectName::from_str(text).err().unwrap_or_default();
        for good in ["hello", "a", "robot_2", "my-camera"] {
            assert_eq!(reason(good), "");
        }
        let cases = [
            ("Camera", "`camera` would do"),
            ("my robot", "`my-robot` would do"),
            ("2nd", "`my-2nd` would do"),
            ("projects/arm", "`arm` would do"),
            ("test", "`my-test` would do"),
            ("dora", "`my-dora` would do"),
            ("", "it is empty"),
        ];
        for (text, expected) in cases {
            assert!(reason(text).contains(expected), "{text}: {}", reason(text));
        }
    }

    #[test]
    fn the_list_is_in_order() {
        assert!(TAKEN.is_sorted());
    }

    proptest! {
        #[test]
        fn what_is_proposed_is_allowed(text in ".{0,80}") {
            if let Some(proposed) = similar(&text) {
                prop_assert!(ProjectName::from_str(&proposed).is_ok());
            }
        }
    }
}
