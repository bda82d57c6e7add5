//! The table of keys: every key of a dataflow file, a module file and a type package, with its shape and its meaning.
//!
//! There is one table so that nothing drifts: the decoder checks files against it, its "expected one of" comes from it,
//! and [`crate::schema`] is written from it. To add a key: add a line here, then read it in `decode`.

mod file;
mod node;
mod types;

pub(crate) use file::{DATAFLOW, MODULE_FILE};
pub(crate) use types::TYPE_PACKAGE;

/// A map with a fixed set of keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// What it is, for messages: "an operator".
    pub(crate) what: &'static str,
    /// Name of its definition in the schema.
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) doc: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
    /// Keys that must be there.
    pub(crate) required: &'static [&'static str],
    /// How its keys exclude and need each other.
    pub(crate) rules: &'static [Rule],
}

impl Object {
    /// The key with this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Whether the key is one of those of which exactly one must be there.
    pub(crate) fn is_alternative(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| match rule {
            Rule::ExactlyOne(alternatives) => alternatives.iter().any(|alternative| alternative.key == name),
            Rule::AtMostOne(_) | Rule::Needs(..) => false,
        })
    }

    /// Names of the keys that one should write.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().filter(|key| matches!(key.status, Status::Current)).map(|key| key.name)
    }
}

/// A key of an [`Object`].
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) status: Status,
    pub(crate) doc: &'static str,
}

/// Whether a key should be written.
#[derive(Debug)]
pub(crate) enum Status {
    Current,
    /// An old spelling that is understood, with a warning that says what to write instead, in backticks where it is text.
    Deprecated(&'static str),
    /// Accepted with a warning: it never had an effect.
    NoEffect(&'static str),
    /// Refused, with this reason and this way out.
    Never(&'static str, &'static str),
}

/// How keys of one map exclude and need each other.
#[derive(Debug)]
pub(crate) enum Rule {
    /// Exactly one of these keys must be there.
    ExactlyOne(&'static [Alternative]),
    /// At most one of these.
    AtMostOne(&'static [&'static str]),
    /// The first needs the second.
    Needs(&'static str, &'static str),
}

/// One of the keys of [`Rule::ExactlyOne`].
#[derive(Debug)]
pub(crate) struct Alternative {
    /// The key.
    pub(crate) key: &'static str,
    /// What a map with this key is: "a node with `operator`".
    pub(crate) what: &'static str,
    /// What one writes this key for, in a few words.
    pub(crate) for_what: &'static str,
    /// Keys that may not stand beside it.
    pub(crate) excludes: &'static [&'static str],
    /// What to do with such a key.
    pub(crate) hint: &'static str,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any scalar that is not null; its text is taken as it stands.
    Text,
    /// The same, but not empty.
    Filled,
    /// A scalar that becomes an environment variable.
    EnvValue,
    /// An id of a node, an input or output, an operator.
    NodeId,
    DataId,
    OperatorId,
    /// Where an input comes from.
    Source,
    /// 64 hexadecimal digits.
    Sha256,
    Bool,
    /// A whole number in a range.
    Int(u32, u32),
    /// Seconds; `true` if 0 is allowed.
    Seconds(bool),
    /// A number of bytes: `1048576` or `"64MB"`.
    Bytes,
    /// One of these words; `true` if their case does not matter.
    Word(&'static [&'static str], bool),
    List(&'static Shape),
    /// A map with keys of the user's choice: what the keys are, what the values are.
    Map(MapKey, &'static Shape),
    Object(&'static Object),
    /// A scalar of the first shape, or the map.
    Either(&'static Shape, &'static Object),
    /// Not looked at, because the key is refused or has no effect.
    Any,
}

/// What the keys of a map are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapKey {
    /// Any text.
    Text,
    /// An input or output.
    DataId,
    /// The name of an environment variable.
    EnvName,
    /// The name of a module's parameter.
    Param,
}

/// What the key with this name belongs to, for those who wrote it in the wrong place.
pub(crate) fn owner(name: &str) -> Option<&'static str> {
    let objects: [&'static Object; 8] = [
        &DATAFLOW,
        &node::NODE,
        &node::INPUT,
        &node::OPERATOR,
        &node::PYTHON,
        &file::DEPLOY,
        &file::DEBUG,
        &file::MODULE_HEADER,
    ];
    let mut owners = objects.into_iter().filter(|object| object.names().any(|key| key == name));
    owners.next().map(|object| object.what)
}

const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, status: Status::Current, doc }
}

const fn old(name: &'static str, shape: Shape, instead: &'static str, doc: &'static str) -> Key {
    Key { name, shape, status: Status::Deprecated(instead), doc }
}

const fn never(name: &'static str, reason: &'static str, instead: &'static str) -> Key {
    Key { name, shape: Shape::Any, status: Status::Never(reason, instead), doc: reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(object: &'static Object, seen: &mut Vec<&'static str>) {
        if seen.contains(&object.name) {
            return;
        }
        seen.push(object.name);
        for (position, key) in object.keys.iter().enumerate() {
            assert!(!key.doc.is_empty(), "{}.{} is not documented", object.name, key.name);
            assert!(object.keys[..position].iter().all(|other| other.name != key.name), "{} twice", key.name);
            visit_shape(key.shape, seen);
        }
        let exists = |name: &&str| assert!(object.key(name).is_some(), "{}: no key {name}", object.name);
        object.required.iter().for_each(exists);
        for rule in object.rules {
            match rule {
                Rule::ExactlyOne(alternatives) => alternatives.iter().for_each(|alternative| {
                    exists(&alternative.key);
                    alternative.excludes.iter().for_each(exists);
                }),
                Rule::AtMostOne(keys) => keys.iter().for_each(exists),
                Rule::Needs(first, second) => [first, second].into_iter().for_each(exists),
            }
        }
    }

    fn visit_shape(shape: Shape, seen: &mut Vec<&'static str>) {
        match shape {
            Shape::List(item) | Shape::Map(_, item) => visit_shape(*item, seen),
            Shape::Object(object) | Shape::Either(_, object) => visit(object, seen),
            _ => {}
        }
    }

    #[test]
    fn the_table_is_consistent() {
        let mut seen = Vec::new();
        visit(&DATAFLOW, &mut seen);
        visit(&MODULE_FILE, &mut seen);
        visit(&TYPE_PACKAGE, &mut seen);
        assert!(seen.len() >= 14, "{seen:?}");
    }
}
