//! From YAML trees to values, by the table of keys. Goes on after each mistake, so that all are found.

use std::time::Duration;

use super::{scalar, sink::Sink};
use crate::{
    diagnostic::{Code, Diagnostic},
    keys::{self, Alternative, Key, MapKey, Object, Rule, Shape, Status},
    source::{Span, Spanned},
    suggest,
    yaml::{Data, Tree},
};

/// A value that has its shape.
#[derive(Debug)]
pub(crate) enum Value {
    Text(String),
    Bool(bool),
    Int(u32),
    Seconds(Duration),
    Bytes(u64),
    List(Vec<Spanned<Value>>),
    Map(Vec<(Spanned<String>, Spanned<Value>)>),
    Object(Fields),
    /// A key that is refused or without effect.
    Ignored,
}

/// The keys of one map and their values. Values are taken out; see [`Fields::done`].
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) span: Span,
    /// Something in the map is wrong, and reported.
    pub(crate) faulty: bool,
    entries: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    key: &'static Key,
    key_span: Span,
    /// None if it is null, wrong (and reported), or taken.
    value: Option<Spanned<Value>>,
}

macro_rules! take {
    ($(#[$doc:meta] $name:ident: $variant:ident($type:ty);)*) => {
        $(#[$doc] pub(crate) fn $name(&mut self, key: &str) -> Option<Spanned<$type>> {
            match self.take(key)? {
                Spanned { value: Value::$variant(value), span } => Some(Spanned { value, span }),
                _ => None,
            }
        })*
    };
}

impl Fields {
    fn field(&self, key: &str) -> Option<&Field> {
        self.entries.iter().find(|field| field.key.name == key)
    }

    /// Where a key stands, if it is there, whatever its value.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.field(key).map(|field| field.key_span)
    }

    /// All keys and their places.
    pub(crate) fn key_spans(&self) -> impl Iterator<Item = (&'static str, Span)> {
        self.entries.iter().map(|field| (field.key.name, field.key_span))
    }

    /// Takes a value.
    pub(crate) fn take(&mut self, key: &str) -> Option<Spanned<Value>> {
        self.entries.iter_mut().find(|field| field.key.name == key)?.value.take()
    }

    take! {
        /// Takes a text, an id or a word.
        text: Text(String);
        /// Takes a boolean.
        flag: Bool(bool);
        /// Takes a whole number.
        int: Int(u32);
        /// Takes a number of seconds.
        seconds: Seconds(Duration);
        /// Takes a number of bytes.
        bytes: Bytes(u64);
        /// Takes a list.
        list: List(Vec<Spanned<Value>>);
        /// Takes a map.
        map: Map(Vec<(Spanned<String>, Spanned<Value>)>);
        /// Takes a map with fixed keys.
        object: Object(Fields);
    }

    /// Takes a list of texts.
    pub(crate) fn texts(&mut self, key: &str) -> Vec<Spanned<String>> {
        let items = self.list(key).map(|list| list.value).unwrap_or_default();
        items.into_iter().filter_map(into_text).collect()
    }

    /// Takes a list of whole numbers.
    pub(crate) fn ints(&mut self, key: &str) -> Vec<u32> {
        let items = self.list(key).map(|list| list.value).unwrap_or_default();
        items.into_iter().filter_map(|item| if let Value::Int(int) = item.value { Some(int) } else { None }).collect()
    }

    /// Takes a list of maps with fixed keys.
    pub(crate) fn objects(&mut self, key: &str) -> Vec<Fields> {
        let items = self.list(key).map(|list| list.value).unwrap_or_default();
        items
            .into_iter()
            .filter_map(|item| match item.value {
                Value::Object(fields) => Some(fields),
                _ => None,
            })
            .collect()
    }

    /// Takes a map of texts.
    pub(crate) fn text_map(&mut self, key: &str) -> Vec<(Spanned<String>, Spanned<String>)> {
        let entries = self.map(key).map(|map| map.value).unwrap_or_default();
        entries.into_iter().filter_map(|(key, value)| Some((key, into_text(value)?))).collect()
    }

    /// To be called when everything was taken: no key may be decoded and then forgotten.
    pub(crate) fn done(&self) {
        let forgotten = self.entries.iter().find(|field| field.value.is_some() && field.key.is_read());
        debug_assert!(self.faulty || forgotten.is_none(), "nobody reads {forgotten:?}");
    }
}

impl Key {
    fn is_read(&self) -> bool {
        matches!(self.status, Status::Current | Status::Deprecated(_))
    }
}

pub(crate) fn into_text(value: Spanned<Value>) -> Option<Spanned<String>> {
    match value.value {
        Value::Text(text) => Some(Spanned::new(text, value.span)),
        _ => None,
    }
}

/// Decodes a map with fixed keys. `None` if it is no map.
pub(crate) fn object(object: &'static Object, tree: &Tree, sink: &mut Sink) -> Option<Fields> {
    let Data::Map(entries) = &tree.data else {
        let message = format!("{} must be a map of keys and values", object.what);
        let names = suggest::list(object.names()).map(|list| format!("its keys: {list}"));
        sink.push(Diagnostic::error(Code::InvalidValue, tree.span, message).label(found(tree)).maybe_help(names));
        return None;
    };
    let faults = sink.errors();
    let mut fields = Fields { span: tree.span, faulty: false, entries: Vec::new() };
    let mut strangers = Vec::new();
    for (key_tree, value) in entries {
        let Some(name) = key_text(key_tree, sink) else { continue };
        let Some(key) = object.key(name) else {
            sink.push(unknown_key(object, name, key_tree.span));
            strangers.push(name);
            continue;
        };
        if let Some(first) = fields.key_span(name) {
            sink.push(duplicate_key(name, first, key_tree.span));
            continue;
        }
        let value = field_value(object, key, key_tree.span, value, sink);
        fields.entries.push(Field { key, key_span: key_tree.span, value });
    }
    for name in object.required {
        let mistyped = strangers.iter().any(|stranger| suggest::nearest(stranger, object.names()) == Some(*name));
        if fields.field(name).is_none() && !mistyped {
            sink.push(missing_key(object, name, tree.span));
        }
    }
    for rule in object.rules {
        check_rule(object, rule, &fields, &strangers, sink);
    }
    fields.faulty = sink.errors() > faults;
    Some(fields)
}

fn key_text<'a>(tree: &'a Tree, sink: &mut Sink) -> Option<&'a str> {
    match &tree.data {
        Data::Scalar(scalar) => Some(&scalar.text),
        _ => {
            sink.push(Diagnostic::error(Code::InvalidValue, tree.span, "a key must be a text").label(found(tree)));
            None
        }
    }
}

fn field_value(
    object: &'static Object,
    key: &'static Key,
    key_span: Span,
    tree: &Tree,
    sink: &mut Sink,
) -> Option<Spanned<Value>> {
    let name = key.name;
    match key.status {
        Status::Current => {}
        Status::Deprecated(instead) => sink.push(
            Diagnostic::warning(Code::Deprecated, key_span, format!("`{name}` is an old spelling"))
                .help(format!("write {instead}")),
        ),
        Status::NoEffect(reason) => sink.push(
            Diagnostic::warning(Code::Deprecated, key_span, format!("`{name}` has no effect: {reason}"))
                .help("remove it"),
        ),
        Status::Never(reason, instead) => {
            let message = format!("`{name}` is not supported: {reason}");
            sink.push(Diagnostic::error(Code::Unsupported, key_span, message).help(instead));
            return None;
        }
    }
    if tree.is_null() && !matches!(key.shape, Shape::Any) {
        if object.required.contains(&name) || object.is_alternative(name) {
            sink.push(
                Diagnostic::error(Code::InvalidValue, key_span, format!("`{name}` has no value"))
                    .help(format!("expected {}", scalar::expected(key.shape))),
            );
        }
        return None;
    }
    value(key.shape, tree, sink)
}

/// Decodes a value. `None` if it does not have the shape.
fn value(shape: Shape, tree: &Tree, sink: &mut Sink) -> Option<Spanned<Value>> {
    let value = match (shape, &tree.data) {
        (Shape::Any, _) => Value::Ignored,
        (Shape::Object(inner), _) | (Shape::Either(_, inner), Data::Map(_)) => {
            Value::Object(object(inner, tree, sink)?)
        }
        (Shape::Either(inner, _), Data::Scalar(_)) => return value(*inner, tree, sink),
        (Shape::List(item), Data::List(items)) => {
            Value::List(items.iter().filter_map(|tree| value(*item, tree, sink)).collect())
        }
        (Shape::Map(key, item), Data::Map(entries)) => Value::Map(map(key, *item, entries, sink)),
        (_, Data::Scalar(text)) => match scalar::decode(shape, text) {
            Ok(value) => value,
            Err(refusal) => {
                sink.push(refusal.into_diagnostic(tree.span));
                return None;
            }
        },
        (_, _) => {
            let message = format!("expected {}", scalar::expected(shape));
            sink.push(Diagnostic::error(Code::InvalidValue, tree.span, message).label(found(tree)));
            return None;
        }
    };
    Some(Spanned::new(value, tree.span))
}

fn map(key: MapKey, item: Shape, entries: &[(Tree, Tree)], sink: &mut Sink) -> Vec<(Spanned<String>, Spanned<Value>)> {
    let mut result: Vec<(Spanned<String>, Spanned<Value>)> = Vec::new();
    let mut seen: std::collections::HashMap<&str, Span> = std::collections::HashMap::new();
    for (key_tree, tree) in entries {
        let Some(name) = key_text(key_tree, sink) else { continue };
        if let Err(refusal) = scalar::check_map_key(key, name) {
            sink.push(refusal.into_diagnostic(key_tree.span));
            continue;
        }
        if let Some(first) = seen.insert(name, key_tree.span) {
            sink.push(duplicate_key(name, first, key_tree.span));
            continue;
        }
        if let Some(value) = value(item, tree, sink) {
            result.push((Spanned::new(name.to_owned(), key_tree.span), value));
        }
    }
    result
}

pub(super) fn found(tree: &Tree) -> String {
    format!("found {}", tree.describe())
}

fn unknown_key(object: &'static Object, name: &str, span: Span) -> Diagnostic {
    let help = if name == "module" {
        Some("this is a module file; a dataflow uses it by a node with `module: <file>`".to_owned())
    } else if name == "<<" {
        Some("merge keys are not part of YAML 1.2; repeat the keys, or use an alias for a whole value".to_owned())
    } else {
        let near = suggest::nearest(name, object.names()).map(|near| format!("did you mean `{near}`?"));
        let elsewhere = || keys::owner(name).map(|owner| format!("it is a key of {owner}"));
        near.or_else(elsewhere).or_else(|| suggest::list(object.names()).map(|list| format!("its keys: {list}")))
    };
    Diagnostic::error(Code::UnknownKey, span, format!("`{name}` is not a key of {}", object.what)).maybe_help(help)
}

fn duplicate_key(name: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::error(Code::DuplicateKey, second, format!("`{name}` stands here twice"))
        .label("the second time")
        .also(first, "the first time")
        .help("remove one of them")
}

fn missing_key(object: &'static Object, name: &str, span: Span) -> Diagnostic {
    let doc = object.key(name).map(|key| format!("`{name}`: {}", key.doc));
    Diagnostic::error(Code::MissingKey, span, format!("{} needs the key `{name}`", object.what)).maybe_help(doc)
}

fn check_rule(object: &'static Object, rule: &'static Rule, fields: &Fields, strangers: &[&str], sink: &mut Sink) {
    let present = |keys: &'static [&'static str]| {
        keys.iter().filter_map(|key| fields.key_span(key).map(|span| (*key, span))).collect::<Vec<_>>()
    };
    match rule {
        Rule::ExactlyOne(alternatives) => check_alternatives(object, alternatives, fields, strangers, sink),
        Rule::AtMostOne(keys) => {
            if let [(first, first_span), rest @ ..] = present(keys).as_slice() {
                for (second, span) in rest {
                    sink.push(exclusive(first, *first_span, second, *span));
                }
            }
        }
        Rule::Needs(key, needed) => {
            if let (Some(span), None) = (fields.key_span(key), fields.key_span(needed)) {
                sink.push(
                    Diagnostic::error(Code::Conflict, span, format!("`{key}` needs `{needed}` beside it"))
                        .help(format!("add `{needed}:`, or remove `{key}`")),
                );
            }
        }
    }
}

fn exclusive(first: &str, first_span: Span, second: &str, span: Span) -> Diagnostic {
    Diagnostic::error(Code::Conflict, span, format!("`{first}` and `{second}` exclude each other"))
        .also(first_span, "")
        .help(format!("keep one of them: `{first}` or `{second}`"))
}

fn check_alternatives(
    object: &'static Object,
    alternatives: &'static [Alternative],
    fields: &Fields,
    strangers: &[&str],
    sink: &mut Sink,
) {
    let mut present: Vec<(&Alternative, Span)> =
        alternatives.iter().filter_map(|alternative| Some((alternative, fields.key_span(alternative.key)?))).collect();
    present.sort_by_key(|(_, span)| *span);
    let Some(((chosen, chosen_span), others)) = present.split_first() else {
        let names = || alternatives.iter().map(|alternative| alternative.key);
        let mistyped = strangers.iter().any(|stranger| suggest::nearest(stranger, names()).is_some());
        let refused = fields.entries.iter().any(|field| matches!(field.key.status, Status::Never(..)));
        if !mistyped && !refused {
            let list: Vec<String> =
                alternatives.iter().map(|each| format!("`{}` ({})", each.key, each.for_what)).collect();
            let message = format!("{} needs one of {}", object.what, suggest::list(names()).unwrap_or_default());
            sink.push(
                Diagnostic::error(Code::MissingKey, fields.span, message)
                    .help(format!("add one of {}", list.join(", "))),
            );
        }
        return;
    };
    for (other, span) in others {
        sink.push(exclusive(chosen.key, *chosen_span, other.key, *span));
    }
    if others.is_empty() {
        for key in chosen.excludes {
            if let Some(span) = fields.key_span(key) {
                let message = format!("`{key}` is not a key of {}", chosen.what);
                sink.push(Diagnostic::error(Code::Conflict, span, message).also(*chosen_span, "").help(chosen.hint));
            }
        }
    }
}
