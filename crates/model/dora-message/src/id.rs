//! Names of nodes, operators, inputs and outputs.
//!
//! ```
//! use dora_message::id::{DataId, NodeId};
//!
//! let camera: NodeId = "camera".parse()?;
//! assert!("camera/left".parse::<NodeId>().is_err());
//! assert!("left/image".parse::<DataId>().is_ok());
//! # Ok::<(), dora_message::id::InvalidId>(())
//! ```
//!
//! A value of these types made by `FromStr` is valid. `From<String>` exists because node sources use it
//! (`DataId::from("image".to_owned())`); it keeps the text as it is, and the call that uses the id refuses an invalid
//! one with [`InvalidId`]. Nothing here panics. A clone costs no allocation: each event carries an id.

use std::{borrow::Borrow, fmt, ops::Deref, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One run of a dataflow.
pub type DataflowId = Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("{kind} must not be empty")]
    Empty {
        /// What the text was meant to be, for example "node id".
        kind: &'static str,
    },
    /// `dora` names the built-in sources (`dora/timer/...`).
    #[error("`dora` is reserved for built-in inputs such as `dora/timer/millis/100`; choose another node id")]
    Reserved,
    /// A node id starts with a dot.
    #[error("node id `{id}` must not start with `.`")]
    LeadingDot {
        /// The refused text.
        id: String,
    },
    /// A character outside the allowed set.
    #[error("{kind} `{id}` contains `{found}`; allowed are letters, digits and {allowed}")]
    Character {
        /// What the text was meant to be.
        kind: &'static str,
        /// The refused text.
        id: String,
        /// The first character that is not allowed.
        found: char,
        /// The punctuation that is allowed, for the message.
        allowed: &'static str,
    },
    /// A data id with an empty part between slashes.
    #[error("{kind} `{id}` must not start or end with `/` nor contain `//`")]
    Slashes {
        /// What the text was meant to be.
        kind: &'static str,
        /// The refused text.
        id: String,
    },
}

fn check_chars(kind: &'static str, id: &str, punctuation: &str, allowed: &'static str) -> Result<(), InvalidId> {
    if id.is_empty() {
        return Err(InvalidId::Empty { kind });
    }
    match id.chars().find(|c| !c.is_ascii_alphanumeric() && !punctuation.contains(*c)) {
        Some(found) => Err(InvalidId::Character { kind, id: id.to_owned(), found, allowed }),
        None => Ok(()),
    }
}

fn check_node_id(id: &str) -> Result<(), InvalidId> {
    check_chars("node id", id, "_.-", "`_`, `.`, `-`")?;
    if id == "dora" {
        return Err(InvalidId::Reserved);
    }
    if id.starts_with('.') {
        return Err(InvalidId::LeadingDot { id: id.to_owned() });
    }
    Ok(())
}

fn check_data_id(id: &str) -> Result<(), InvalidId> {
    const KIND: &str = "input or output id";
    check_chars(KIND, id, "_.-/", "`_`, `.`, `-`, `/`")?;
    if id.starts_with('/') || id.ends_with('/') || id.contains("//") {
        return Err(InvalidId::Slashes { kind: KIND, id: id.to_owned() });
    }
    Ok(())
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<String>);

        impl $name {
            /// Whether the text follows the rules of this id. Values made by `FromStr` always do.
            pub fn check(&self) -> Result<(), InvalidId> {
                let check: fn(&str) -> Result<(), InvalidId> = $check;
                check(&self.0)
            }
            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                let id = Self::from(s);
                id.check()?;
                Ok(id)
            }
        }
        impl From<String> for $name {
            fn from(s: String) -> Self {
                Self(Arc::new(s))
            }
        }
        impl From<&str> for $name {
            fn from(s: &str) -> Self {
                Self(Arc::new(s.to_owned()))
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                Arc::unwrap_or_clone(id.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

id_type!(
    /// A node of a dataflow: `[A-Za-z0-9_.-]+`, not `dora`, no leading dot.
    NodeId,
    check_node_id
);
id_type!(
    /// An operator inside a runtime node. Any text without a slash.
    OperatorId,
    |id| if id.is_empty() {
        Err(InvalidId::Empty { kind: "operator id" })
    } else if id.contains('/') {
        Err(InvalidId::Slashes { kind: "operator id", id: id.to_owned() })
    } else {
        Ok(())
    }
);
id_type!(
    /// An input or an output: `[A-Za-z0-9_./-]+`, no empty part between slashes.
    DataId,
    check_data_id
);

impl Deref for DataId {
    type Target = String;
    fn deref(&self) -> &String {
        &self.0
    }
}
impl AsRef<String> for DataId {
    fn as_ref(&self) -> &String {
        &self.0
    }
}
impl Borrow<String> for DataId {
    fn borrow(&self) -> &String {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_ids() {
        for good in ["a", "camera_1", "mod.inner", "A-9"] {
            assert!(good.parse::<NodeId>().is_ok(), "{good}");
        }
        for bad in ["", "dora", ".hidden", "a/b", "a b", "kamera\u{e9}"] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn data_ids() {
        for good in ["image", "op/image", "a.b-c_d"] {
            assert!(good.parse::<DataId>().is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "a b"] {
            assert!(bad.parse::<DataId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn unchecked_construction_is_refused_later() {
        assert!(DataId::from("a b").check().is_err());
        assert_eq!(DataId::from("a".to_owned()).as_str(), "a");
    }
}
