//! `operator` and `operators`.

use dora_message::id::OperatorId;

use super::{
    Context,
    fields::{Fields, Value},
    node::Parts,
    ports::{self, Ports},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    model::{DEFAULT_OPERATOR_ID, LogRules, Operator, OperatorSource, PathKind},
    places::{NodePlaces, Part},
    source::{Span, Spanned},
};

/// Decodes the operators of a node into `parts`. `single` is the one of `operator`.
pub(super) fn operators(
    entries: Vec<Fields>,
    single: bool,
    parts: &mut Parts,
    places: &mut NodePlaces,
    ctx: &mut Context<'_>,
) -> Vec<Operator> {
    let mut result: Vec<(Operator, Span)> = Vec::new();
    for fields in entries {
        let span = fields.key_span("id").unwrap_or(fields.span);
        let Some((operator, ports)) = operator(fields, single, places, ctx) else { continue };
        if let Some((_, first)) = result.iter().find(|(other, _)| other.id == operator.id) {
            ctx.sink.push(
                Diagnostic::error(Code::DuplicateId, span, format!("two operators are called `{}`", operator.id))
                    .also(*first, "the first")
                    .help("give one of them another id"),
            );
            continue;
        }
        let other_kind =
            |(other, _): &&(Operator, Span)| is_python(other).is_some_and(|it| is_python(&operator) == Some(!it));
        if let Some((_, first)) = result.iter().find(other_kind) {
            ctx.sink.push(
                Diagnostic::error(Code::Conflict, span, "Python and native operators cannot share a node")
                    .also(*first, "of the other kind")
                    .help("make two nodes of them"),
            );
        }
        parts.inputs.extend(ports.inputs);
        parts.outputs.extend(ports.outputs);
        merge_logs(&mut parts.logs, ports.logs, &operator.id, places, ctx);
        result.push((operator, span));
    }
    result.into_iter().map(|(operator, _)| operator).collect()
}

/// Whether it is a Python operator; `None` if what it runs is missing.
fn is_python(operator: &Operator) -> Option<bool> {
    match &operator.source {
        OperatorSource::Python { .. } => Some(true),
        OperatorSource::SharedLibrary(path) if path.is_empty() => None,
        OperatorSource::SharedLibrary(_) => Some(false),
    }
}

fn operator(
    mut fields: Fields,
    single: bool,
    places: &mut NodePlaces,
    ctx: &mut Context<'_>,
) -> Option<(Operator, Ports)> {
    let id = match fields.text("id") {
        Some(id) => OperatorId::from(id.value),
        None if single => OperatorId::from(DEFAULT_OPERATOR_ID),
        None => return None,
    };
    for (key, span) in fields.key_spans() {
        places.parts.insert(Part::Operator(id.clone(), key), span);
    }
    let ports = ports::ports(&mut fields, Some(&id), places, ctx);
    let library = fields.text("shared-library");
    if let Some(library) = &library {
        check_library(library, ctx);
    }
    let source = python(&mut fields).or(library.map(|library| OperatorSource::SharedLibrary(library.value)));
    let operator = Operator {
        name: fields.text("name").map(|name| name.value),
        description: fields.text("description").map(|text| text.value),
        build: fields.text("build").map(|build| build.value),
        pattern: ports.pattern,
        // What runs is missing or refused, which is reported; the ports are still worth a look.
        source: source.unwrap_or(OperatorSource::SharedLibrary(String::new())),
        id,
    };
    fields.done();
    Some((operator, ports))
}

fn python(fields: &mut Fields) -> Option<OperatorSource> {
    let value = fields.take("python")?;
    match value.value {
        Value::Text(source) => Some(OperatorSource::Python { source, conda_env: None }),
        Value::Object(mut inner) => {
            let source = inner.text("source")?.value;
            let conda_env = inner.text("conda_env").map(|env| env.value);
            inner.done();
            Some(OperatorSource::Python { source, conda_env })
        }
        _ => None,
    }
}

fn check_library(library: &Spanned<String>, ctx: &mut Context<'_>) {
    if PathKind::of(&library.value) == PathKind::Url {
        return;
    }
    let name = library.value.rsplit('/').next().unwrap_or("");
    let (message, right) = match (name.strip_prefix("lib"), name.split_once('.')) {
        (Some(rest), _) => ("the name of a shared library is written without `lib`", rest),
        (None, Some((stem, _))) => ("the name of a shared library is written without its extension", stem),
        (None, None) => return,
    };
    let right = right.split('.').next().unwrap_or(right);
    let dir = &library.value[..library.value.len() - name.len()];
    let help = format!("write `{dir}{right}`; each system adds its own prefix and extension");
    ctx.error(Code::InvalidValue, library.span, message, help);
}

/// The lines of a process go one way only, so at most one of its operators may say which.
fn merge_logs(node: &mut LogRules, own: LogRules, id: &OperatorId, places: &NodePlaces, ctx: &mut Context<'_>) {
    fn merge<T>(node: &mut Option<T>, own: Option<T>, key: &'static str, conflicts: &mut Vec<&'static str>) {
        match (node.is_some(), own) {
            (_, None) => {}
            (true, Some(_)) => conflicts.push(key),
            (false, own) => *node = own,
        }
    }
    let mut conflicts = Vec::new();
    merge(&mut node.send_stdout_as, own.send_stdout_as, "send_stdout_as", &mut conflicts);
    merge(&mut node.send_logs_as, own.send_logs_as, "send_logs_as", &mut conflicts);
    merge(&mut node.min_level, own.min_level, "min_log_level", &mut conflicts);
    merge(&mut node.max_size, own.max_size, "max_log_size", &mut conflicts);
    merge(&mut node.max_rotated_files, own.max_rotated_files, "max_rotated_files", &mut conflicts);
    for key in conflicts {
        let span = places.get(&Part::Operator(id.clone(), key));
        let message = format!("`{key}` is set by two operators of one node");
        ctx.error(Code::Conflict, span, message, "the operators of a node share one process; set it on one of them");
    }
}
