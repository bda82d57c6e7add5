//! Whole files: a dataflow, a module.

use std::collections::HashMap;

use dora_message::id::DataId;
use indexmap::IndexMap;

use super::{Context, fields, fields::Fields, node};
use crate::{
    diagnostic::{Code, Diagnostic},
    draft::{DraftDataflow, DraftModule, Drafts},
    keys,
    model::{DEFAULT_HEALTH_CHECK_INTERVAL, Debug, Deploy, Distribute, TypeRule},
    source::{Span, Spanned},
    yaml::Tree,
};

/// Decodes a dataflow file. `None` if it is not even a map.
pub(crate) fn dataflow(tree: &Tree, ctx: &mut Context<'_>) -> Option<DraftDataflow> {
    let mut fields = fields::object(&keys::DATAFLOW, tree, ctx.sink)?;
    let keys = fields.key_spans().collect();
    let drafts = drafts(&mut fields, ctx);
    warn_of_no_nodes(&drafts, &fields, ctx);
    let debug = fields.object("debug").and_then(|mut debug| take_all(&mut debug.value, "enable_debug_inspection"));
    let old_debug = fields
        .object("_unstable_debug")
        .and_then(|mut debug| take_all(&mut debug.value, "publish_all_messages_to_zenoh"));
    let draft = DraftDataflow {
        drafts,
        env: env(&mut fields, "env", ctx),
        deploy: deploy(&mut fields),
        debug: Debug { enable_debug_inspection: debug.or(old_debug).unwrap_or(false) },
        health_check_interval: fields
            .seconds("health_check_interval")
            .map_or(DEFAULT_HEALTH_CHECK_INTERVAL, |interval| interval.value),
        strict_types: fields.flag("strict_types").is_some_and(|flag| flag.value),
        exit_when_nodes_finish: fields.flag("exit_when_nodes_finish").is_some_and(|flag| flag.value),
        type_rules: fields.objects("type_rules").into_iter().filter_map(type_rule).collect(),
        keys,
    };
    fields.done();
    Some(draft)
}

fn warn_of_no_nodes(drafts: &Drafts, fields: &Fields, ctx: &mut Context<'_>) {
    if let Some(span) = fields.key_span("nodes").filter(|_| !fields.faulty && drafts.nodes.is_empty()) {
        ctx.sink.push(
            Diagnostic::warning(Code::Suspicious, span, "there is nothing to run: `nodes` is empty")
                .help("list at least one node, with its `id` and its `path`"),
        );
    }
}

fn take_all(fields: &mut Fields, key: &str) -> Option<bool> {
    let flag = fields.flag(key).map(|flag| flag.value);
    fields.done();
    flag
}

fn type_rule(mut fields: Fields) -> Option<TypeRule> {
    let rule = TypeRule { from: fields.text("from")?.value, to: fields.text("to")?.value };
    fields.done();
    Some(rule)
}

/// Decodes a module file. `None` if it lacks what a module is.
pub(crate) fn module(tree: &Tree, ctx: &mut Context<'_>) -> Option<DraftModule> {
    let mut fields = fields::object(&keys::MODULE_FILE, tree, ctx.sink)?;
    let drafts = drafts(&mut fields, ctx);
    let build = fields.text("build").map(|build| build.value);
    let mut header = fields.object("module")?.value;
    let module = DraftModule {
        name: header.text("name").map(|name| name.value).unwrap_or_default(),
        inputs: ports(&mut header, "inputs", ctx),
        inputs_optional: ports(&mut header, "inputs_optional", ctx),
        outputs: ports(&mut header, "outputs", ctx),
        build,
        drafts,
    };
    for port in &module.inputs_optional {
        if let Some(required) = module.inputs.iter().find(|required| required.value == port.value) {
            ctx.sink.push(
                Diagnostic::error(Code::Conflict, port.span, format!("`{}` is required and optional", port.value))
                    .also(required.span, "required here")
                    .help("keep one of them"),
            );
        }
    }
    header.done();
    fields.done();
    Some(module)
}

fn ports(header: &mut Fields, key: &str, ctx: &mut Context<'_>) -> Vec<Spanned<DataId>> {
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut result = Vec::new();
    for port in header.texts(key) {
        if let Some(first) = seen.insert(port.value.clone(), port.span) {
            ctx.sink.push(
                Diagnostic::error(Code::DuplicateId, port.span, format!("`{}` stands here twice", port.value))
                    .also(first, "the first time")
                    .help("remove one of them"),
            );
            continue;
        }
        result.push(port.map(DataId::from));
    }
    result
}

/// Decodes `nodes`. Ids that stand twice are reported; the second node is left out.
fn drafts(fields: &mut Fields, ctx: &mut Context<'_>) -> Drafts {
    let mut drafts = Drafts::default();
    let mut seen: HashMap<String, Span> = HashMap::new();
    for entry in fields.objects("nodes") {
        let Some(draft) = node::node(entry, ctx) else {
            drafts.nameless = true;
            continue;
        };
        if let Some(first) = seen.insert(draft.id().to_string(), draft.id_span()) {
            let message = format!("two nodes are called `{}`", draft.id());
            ctx.sink.push(
                Diagnostic::error(Code::DuplicateId, draft.id_span(), message)
                    .label("the second")
                    .also(first, "the first")
                    .help("give one of them another id"),
            );
            continue;
        }
        drafts.nodes.push(draft);
    }
    drafts
}

/// Takes `deploy`, in either spelling.
pub(super) fn deploy(fields: &mut Fields) -> Option<Deploy> {
    let (new, old) = (fields.object("deploy"), fields.object("_unstable_deploy"));
    let mut fields = new.or(old)?.value;
    let deploy = Deploy {
        machine: fields.text("machine").map(|machine| machine.value),
        working_dir: fields.text("working_dir").map(|dir| dir.value),
        labels: fields.text_map("labels").into_iter().map(|(key, value)| (key.value, value.value)).collect(),
        distribute: fields.text("distribute").map(|word| match word.value.as_str() {
            "scp" => Distribute::Scp,
            "http" => Distribute::Http,
            _ => Distribute::Local,
        }),
    };
    fields.done();
    Some(deploy)
}

/// Variables that dora sets itself; a value from the file would break the node.
const OWN_VARIABLES: [&str; 11] = [
    "DORA_NODE_CONFIG",
    "DORA_RUNTIME_CONFIG",
    "DORA_AUTH_TOKEN",
    "DORA_ALLOW_SHELL_NODES",
    "DORA_RUN_PARENT_PID",
    "DORA_ZENOH_LISTEN",
    "DORA_ZENOH_LISTEN_EXTRA",
    "DORA_ZENOH_CONNECT",
    "DORA_ZENOH_MULTICAST",
    "DORA_ZENOH_CONFIG_OVERLAY",
    "ZENOH_CONFIG",
];

/// Takes environment variables and expands their values.
pub(super) fn env(fields: &mut Fields, key: &str, ctx: &mut Context<'_>) -> IndexMap<String, String> {
    let mut result = IndexMap::new();
    for (name, value) in fields.text_map(key) {
        if OWN_VARIABLES.contains(&name.value.as_str()) {
            ctx.sink.push(
                Diagnostic::warning(
                    Code::Suspicious,
                    name.span,
                    format!("`{}` is left out: dora sets it itself", name.value),
                )
                .help("remove it"),
            );
            continue;
        }
        let value = ctx.expand(&value);
        result.insert(name.value, value);
    }
    result
}
