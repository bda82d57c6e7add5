//! The types that a dataflow may name: the standard ones and those of its `types/` directory.

use std::{collections::BTreeMap, path::Path};

use super::{Urn, standard};
use crate::{
    decode::fields::{self, Fields, Value},
    diagnostic::{Code, Diagnostic},
    keys,
    load::{MAX_MODULE_SIZE, Session},
    source::{Span, Spanned},
    suggest,
};

/// Directory beside the dataflow file that holds type packages.
const USER_DIR: &str = "types";
/// Structs inside structs that are compared.
const MAX_NESTING: u32 = 8;
/// Arrow types without parts, as type packages write them.
const PRIMITIVES: [&str; 13] = [
    "Boolean",
    "LargeBinary",
    "Utf8",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Float32",
    "Float64",
];

/// What a name stands for.
#[derive(Debug)]
struct Definition {
    arrow: String,
    fields: Vec<(String, String)>,
}

/// The types by name.
#[derive(Debug)]
pub(crate) struct Registry {
    types: BTreeMap<String, Definition>,
}

impl Registry {
    /// The standard types.
    pub(crate) fn standard() -> Self {
        let types = standard::PACKAGES.into_iter().flat_map(|(package, entries)| {
            entries.iter().map(move |(name, arrow, fields)| {
                let fields = fields.iter().map(|(name, of)| ((*name).to_owned(), (*of).to_owned())).collect();
                (format!("{package}/{name}"), Definition { arrow: (*arrow).to_owned(), fields })
            })
        });
        Self { types: types.collect() }
    }

    /// Adds the packages of the `types/` directory in `dir`. What is wrong with them is reported.
    pub(crate) fn add_user_types(&mut self, dir: &Path, session: &mut Session<'_>) {
        let root = dir.join(USER_DIR);
        let files = session.options.loader.files_below(&root).unwrap_or_default();
        let mut field_types = Vec::new();
        for path in files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "yml")) {
            let Ok(relative) = path.strip_prefix(&root) else { continue };
            let package = relative.with_extension("").to_string_lossy().replace('\\', "/");
            self.add_package(path, &package, &mut field_types, session);
        }
        // Only now all names are known.
        for Spanned { value, span } in field_types {
            if !self.is_known(&value, 0) {
                let help = suggest::did_you_mean(&value, "Arrow types", PRIMITIVES);
                let message = format!("there is no type `{value}`");
                session.sink.push(Diagnostic::warning(Code::Type, span, message).maybe_help(help));
            }
        }
    }

    fn add_package(
        &mut self,
        path: &Path,
        package: &str,
        field_types: &mut Vec<Spanned<String>>,
        session: &mut Session<'_>,
    ) {
        let text = match session.options.loader.read(path, MAX_MODULE_SIZE) {
            Ok(text) => text,
            Err(error) => {
                let file = session.sources.add(path.display().to_string(), "".into());
                let message = format!("cannot read the type package: {error}");
                session.sink.push(Diagnostic::error(Code::Unreadable, Span { file, start: 0, end: 0 }, message));
                return;
            }
        };
        let file = session.sources.add(path.display().to_string(), text.into());
        if package == "std" || package.starts_with("std/") {
            let message = "packages below `std/` are reserved";
            session.sink.push(
                Diagnostic::error(Code::Type, Span { file, start: 0, end: 0 }, message)
                    .help("move the file to a directory of your own name"),
            );
            return;
        }
        let Some(tree) = session.tree(file, "a type package") else { return };
        let Some(mut fields) = fields::object(&keys::TYPE_PACKAGE, &tree, &mut session.sink) else { return };
        for (name, value) in fields.map("types").map(|map| map.value).unwrap_or_default() {
            if let Value::Object(fields) = value.value
                && let Some(definition) = definition(fields, field_types, session)
            {
                self.types.insert(format!("{package}/{}", name.value), definition);
            }
        }
        fields.done();
    }

    /// Whether there is a type with this base name.
    pub(crate) fn contains(&self, urn: &Urn<'_>) -> bool {
        self.types.contains_key(urn.base)
    }

    /// The name that was probably meant: one of the same package first.
    pub(crate) fn suggest(&self, urn: &Urn<'_>) -> Option<&str> {
        let names = || self.types.keys().map(String::as_str);
        let (package, name) = urn.base.rsplit_once('/').unwrap_or(("", urn.base));
        let short = |full: &str| full.rsplit('/').next().map(str::to_owned);
        let same_package = names().filter(|full| full.rsplit_once('/').is_some_and(|(other, _)| other == package));
        let near = suggest::nearest(name, same_package.filter_map(|full| full.rsplit('/').next()));
        if let Some(near) = near {
            return names().find(|full| *full == format!("{package}/{near}"));
        }
        let near = suggest::nearest(name, names().filter_map(|full| full.rsplit('/').next()))?;
        names().find(|full| short(full).as_deref() == Some(near))
    }

    fn is_known(&self, name: &str, nesting: u32) -> bool {
        match inner(name) {
            Some(inner) => nesting < MAX_NESTING && self.is_known(inner, nesting + 1),
            None => PRIMITIVES.contains(&name.trim()) || self.find(name).is_some(),
        }
    }

    /// A type by its full name, or by its last part if only one type ends like this.
    fn find(&self, name: &str) -> Option<&Definition> {
        let name = Urn::parse(name.trim())?.base;
        if let Some(definition) = self.types.get(name) {
            return Some(definition);
        }
        let suffix = format!("/{name}");
        let mut found = self.types.iter().filter(|(full, _)| full.ends_with(&suffix));
        match (found.next(), found.next()) {
            (Some((_, definition)), None) => Some(definition),
            _ => None,
        }
    }

    /// Why a struct of type `sent` cannot stand for one of type `expected`. `None` if it can, or if nobody knows.
    pub(crate) fn difference(&self, sent: &Urn<'_>, expected: &Urn<'_>) -> Option<String> {
        let (sent, expected) = (self.find(sent.base)?, self.find(expected.base)?);
        if sent.fields.is_empty() || expected.fields.is_empty() {
            return None;
        }
        expected.fields.iter().find_map(|(name, of)| {
            let Some((_, sent_of)) = sent.fields.iter().find(|(other, _)| other == name) else {
                return Some(format!("the field `{name}` is missing"));
            };
            let same = self.layout(sent_of, 0) == self.layout(of, 0);
            (!same).then(|| format!("the field `{name}` is `{sent_of}` instead of `{of}`"))
        })
    }

    /// The type of a field written out down to its primitives.
    fn layout(&self, name: &str, nesting: u32) -> String {
        let name = name.trim();
        if PRIMITIVES.contains(&name) || nesting >= MAX_NESTING {
            return name.to_owned();
        }
        if let Some(inner) = inner(name) {
            return format!("List<{}>", self.layout(inner, nesting + 1));
        }
        match self.find(name) {
            Some(definition) if definition.fields.is_empty() => definition.arrow.clone(),
            Some(definition) => {
                let fields =
                    definition.fields.iter().map(|(name, of)| format!("{name}:{}", self.layout(of, nesting + 1)));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            None => name.to_owned(),
        }
    }
}

/// What stands in `List<...>`.
fn inner(name: &str) -> Option<&str> {
    name.trim().strip_prefix("List<")?.strip_suffix('>')
}

fn definition(
    mut fields: Fields,
    field_types: &mut Vec<Spanned<String>>,
    session: &mut Session<'_>,
) -> Option<Definition> {
    let arrow = fields.text("arrow");
    let has_fields = fields.key_span("fields");
    let mut definition = Definition { arrow: String::new(), fields: Vec::new() };
    for mut field in fields.objects("fields") {
        // The order of values in a batch does not depend on whether a field may be null.
        field.flag("nullable");
        if let (Some(name), Some(of)) = (field.text("name"), field.text("type")) {
            definition.fields.push((name.value, of.value.clone()));
            field_types.push(of);
        }
        field.done();
    }
    for mut param in fields.objects("params") {
        param.text("name");
        param.text("default");
        param.done();
    }
    for mut metadata in fields.objects("metadata") {
        metadata.text("key");
        metadata.text("description");
        metadata.done();
    }
    fields.text("description");
    fields.done();
    let arrow = arrow?;
    if arrow.value != "Struct" {
        if let Some(span) = has_fields {
            let message = format!("only a `Struct` has fields, not `{}`", arrow.value);
            session.sink.push(Diagnostic::warning(Code::Type, span, message).help("write `arrow: Struct`"));
        }
        if !PRIMITIVES.contains(&arrow.value.as_str()) {
            let names = PRIMITIVES.into_iter().chain(["Struct"]).collect::<Vec<_>>();
            let help = suggest::did_you_mean(&arrow.value, "Arrow types", names);
            let message = format!("there is no Arrow type `{}`", arrow.value);
            session.sink.push(Diagnostic::warning(Code::Type, arrow.span, message).maybe_help(help));
        }
    }
    Some(Definition { arrow: arrow.value, ..definition })
}
