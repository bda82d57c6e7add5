//! Inputs, outputs and what is said about them; the same for nodes and operators.

use dora_message::{
    id::{DataId, OperatorId},
    keeper::QueuePolicy,
};
use indexmap::IndexMap;

use super::{
    Context,
    fields::{Fields, Value, into_text},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    draft::DraftInput,
    mapping,
    model::{Framing, LogLevel, LogRules, Output, Pattern},
    places::{NodePlaces, Part},
    source::{Span, Spanned},
    suggest,
};

/// The ports of a node or of one operator.
pub(super) struct Ports {
    pub(super) inputs: Vec<DraftInput>,
    pub(super) outputs: IndexMap<DataId, Output>,
    pub(super) pattern: Option<Pattern>,
    pub(super) logs: LogRules,
}

/// Puts the operator's id in front of the id of its port.
fn full_id(operator: Option<&OperatorId>, id: &str) -> DataId {
    match operator {
        Some(operator) => DataId::from(format!("{operator}/{id}")),
        None => DataId::from(id),
    }
}

/// Takes all keys that are about ports.
pub(super) fn ports(
    fields: &mut Fields,
    operator: Option<&OperatorId>,
    places: &mut NodePlaces,
    ctx: &mut Context<'_>,
) -> Ports {
    let mut inputs = inputs(fields, operator, places, ctx);
    let mut outputs = outputs(fields, operator, places, ctx);
    input_types(fields, operator, &mut inputs, places, ctx);
    output_annotations(fields, operator, &mut outputs, places, ctx);
    let pattern =
        fields.text("pattern").and_then(|word| Pattern::ALL.into_iter().find(|pattern| pattern.as_str() == word.value));
    let logs = logs(fields, operator, &outputs, ctx);
    Ports { inputs, outputs, pattern, logs }
}

/// Takes `inputs`.
pub(super) fn inputs(
    fields: &mut Fields,
    operator: Option<&OperatorId>,
    places: &mut NodePlaces,
    ctx: &mut Context<'_>,
) -> Vec<DraftInput> {
    let entries = fields.map("inputs").map(|map| map.value).unwrap_or_default();
    let mut result = Vec::new();
    for (name, value) in entries {
        let id = full_id(operator, &name.value);
        if let Some(input) = input(id, name.span, value, places, ctx) {
            places.parts.insert(Part::Input(input.id.clone()), name.span);
            places.parts.insert(Part::InputSource(input.id.clone()), input.source.span);
            result.push(input);
        }
    }
    result
}

fn input(
    id: DataId,
    span: Span,
    value: Spanned<Value>,
    places: &mut NodePlaces,
    ctx: &mut Context<'_>,
) -> Option<DraftInput> {
    let mut fields = match value.value {
        Value::Object(fields) => Some(fields),
        Value::Text(text) => {
            let source = source(Spanned::new(text, value.span), ctx)?;
            return Some(DraftInput {
                id,
                span,
                source,
                queue_size: None,
                queue_policy: None,
                input_timeout: None,
                type_urn: None,
            });
        }
        _ => None,
    }?;
    for (key, key_span) in fields.key_spans() {
        places.parts.insert(Part::InputKey(id.clone(), key), key_span);
    }
    let text = fields.text("source");
    let queue_size = fields.int("queue_size").map(|size| size.value);
    let queue_policy = fields.text("queue_policy").map(|word| match word.value.as_str() {
        "backpressure" => QueuePolicy::Backpressure,
        "drop_newest" => QueuePolicy::DropNewest,
        _ => QueuePolicy::DropOldest,
    });
    let input_timeout = fields.seconds("input_timeout").map(|timeout| timeout.value);
    fields.done();
    let source = source(text?, ctx)?;
    Some(DraftInput { id, span, source, queue_size, queue_policy, input_timeout, type_urn: None })
}

fn source(text: Spanned<String>, ctx: &mut Context<'_>) -> Option<Spanned<mapping::DraftSource>> {
    match mapping::parse(&text.value) {
        Ok(source) => Some(Spanned::new(source, text.span)),
        Err(error) => {
            ctx.sink.push(Diagnostic::error(error.code, text.span, error.message).maybe_help(error.help));
            None
        }
    }
}

/// Takes `outputs`.
pub(super) fn outputs(
    fields: &mut Fields,
    operator: Option<&OperatorId>,
    places: &mut NodePlaces,
    ctx: &mut Context<'_>,
) -> IndexMap<DataId, Output> {
    let mut result = IndexMap::new();
    for name in fields.texts("outputs") {
        let id = full_id(operator, &name.value);
        if let Some(first) = places.parts.insert(Part::Output(id.clone()), name.span) {
            ctx.sink.push(
                Diagnostic::warning(
                    Code::Suspicious,
                    name.span,
                    format!("the output `{}` stands here twice", name.value),
                )
                .also(first, "the first time")
                .help("remove one of them"),
            );
        }
        result.insert(id, Output::default());
    }
    result
}

fn input_types(
    fields: &mut Fields,
    operator: Option<&OperatorId>,
    inputs: &mut [DraftInput],
    places: &mut NodePlaces,
    ctx: &mut Context<'_>,
) {
    for (name, urn) in fields.text_map("input_types") {
        let id = full_id(operator, &name.value);
        match inputs.iter_mut().find(|input| input.id == id) {
            Some(input) => {
                places.parts.insert(Part::InputType(id), urn.span);
                input.type_urn = Some(urn.value);
            }
            None => no_port("input", &name, operator, inputs.iter().map(|input| input.id.as_str()), ctx),
        }
    }
}

fn output_annotations(
    fields: &mut Fields,
    operator: Option<&OperatorId>,
    outputs: &mut IndexMap<DataId, Output>,
    places: &mut NodePlaces,
    ctx: &mut Context<'_>,
) {
    for (name, urn) in fields.text_map("output_types") {
        let id = full_id(operator, &name.value);
        match outputs.get_mut(&id) {
            Some(output) => {
                places.parts.insert(Part::OutputType(id), urn.span);
                output.type_urn = Some(urn.value);
            }
            None => no_port("output", &name, operator, outputs.keys().map(|id| id.as_str()), ctx),
        }
    }
    for (name, keys) in fields.map("output_metadata").map(|map| map.value).unwrap_or_default() {
        let keys = match keys.value {
            Value::List(keys) => keys.into_iter().filter_map(into_text).map(|key| key.value).collect(),
            _ => Vec::new(),
        };
        match outputs.get_mut(&full_id(operator, &name.value)) {
            Some(output) => output.metadata = keys,
            None => no_port("output", &name, operator, outputs.keys().map(|id| id.as_str()), ctx),
        }
    }
    for (name, word) in fields.text_map("output_framing") {
        let framing = if word.value == "arrow-ipc" { Framing::ArrowIpc } else { Framing::Raw };
        match outputs.get_mut(&full_id(operator, &name.value)) {
            Some(output) => output.framing = framing,
            None => no_port("output", &name, operator, outputs.keys().map(|id| id.as_str()), ctx),
        }
    }
}

/// An annotation of a port that does not exist. Annotations are a lint, so this is a warning unless types are strict.
fn no_port<'a>(
    what: &str,
    name: &Spanned<String>,
    operator: Option<&OperatorId>,
    ports: impl Iterator<Item = &'a str> + Clone,
    ctx: &mut Context<'_>,
) {
    let prefix = operator.map(|operator| format!("{operator}/")).unwrap_or_default();
    let ports = ports.filter_map(|port| port.strip_prefix(prefix.as_str()));
    let help = suggest::did_you_mean(&name.value, &format!("{what}s"), ports.clone().collect::<Vec<_>>())
        .unwrap_or_else(|| format!("there are no {what}s; add it to `{what}s:`"));
    ctx.sink
        .push(Diagnostic::warning(Code::Type, name.span, format!("there is no {what} `{}`", name.value)).help(help));
}

/// Takes what happens to lines of text.
fn logs(
    fields: &mut Fields,
    operator: Option<&OperatorId>,
    outputs: &IndexMap<DataId, Output>,
    ctx: &mut Context<'_>,
) -> LogRules {
    let mut output = |key: &str| {
        let name = fields.text(key)?;
        let id = full_id(operator, &name.value);
        if !outputs.contains_key(&id) {
            ctx.sink.push(
                Diagnostic::warning(Code::Suspicious, name.span, format!("nobody can receive `{}`", name.value))
                    .help(format!("add `{}` to `outputs:`", name.value)),
            );
        }
        Some(id)
    };
    let (send_stdout_as, send_logs_as) = (output("send_stdout_as"), output("send_logs_as"));
    LogRules {
        send_stdout_as,
        send_logs_as,
        min_level: fields.text("min_log_level").and_then(|word| LogLevel::from_word(&word.value)),
        max_size: fields.bytes("max_log_size").map(|size| size.value),
        max_rotated_files: fields.int("max_rotated_files").map(|count| count.value),
    }
}
