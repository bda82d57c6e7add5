//! An entry of `nodes`.

use dora_message::id::{DataId, NodeId};
use indexmap::IndexMap;

use super::{Context, fields::Fields, file, operator, ports};
use crate::{
    diagnostic::{Code, Diagnostic},
    draft::{Draft, DraftInput, DraftNode, ModuleCall},
    mapping::MODULE_PORTS,
    model::{
        GitRevision, GitSource, HealthRules, LogRules, Node, NodeKind, Output, PathKind, RestartPolicy, RestartRules,
        Runtime, Standard,
    },
    places::{NodePlaces, Part},
    source::Spanned,
};

/// What a node gets from its kind.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) inputs: Vec<DraftInput>,
    pub(super) outputs: IndexMap<DataId, Output>,
    pub(super) logs: LogRules,
    /// Variables of the block of dora 0.2.
    env: IndexMap<String, String>,
}

/// Decodes a node. `None` if it has no usable id.
///
/// Otherwise there is a draft even if something is wrong, so that what refers to the node can be checked as well.
pub(super) fn node(mut fields: Fields, ctx: &mut Context<'_>) -> Option<Draft> {
    let faults = ctx.sink.errors();
    let id = fields.text("id");
    let mut places = NodePlaces::new(id.as_ref().map_or(fields.span, |id| id.span));
    places.parts.extend(fields.key_spans().map(|(key, span)| (Part::Key(key), span)));
    if let Some(id) = id.as_ref().filter(|id| id.value == MODULE_PORTS) {
        ctx.error(Code::InvalidId, id.span, "`_mod` stands for the inputs of a module", "choose another node id");
    }
    let id = id.map(|id| id.map(NodeId::from));
    let draft = match fields.key_span("module") {
        Some(_) => module_call(id, &mut fields, &mut places, ctx).map(|call| Draft::Module(Box::new(call))),
        None => running_node(id, &mut fields, places, ctx).map(|node| Draft::Node(Box::new(node))),
    };
    fields.done();
    let faulty = fields.faulty || ctx.sink.errors() > faults;
    draft.map(|mut draft| {
        match &mut draft {
            Draft::Node(node) => node.faulty = faulty,
            Draft::Module(call) => call.faulty = faulty,
        }
        draft
    })
}

fn running_node(
    id: Option<Spanned<NodeId>>,
    fields: &mut Fields,
    mut places: NodePlaces,
    ctx: &mut Context<'_>,
) -> Option<DraftNode> {
    let mut parts = Parts::default();
    let kind = kind(fields, &mut parts, &mut places, ctx);
    if matches!(&kind, NodeKind::Standard(standard) if standard.path_kind() == PathKind::Dynamic) {
        warn_of_idle_keys(fields, ctx);
    } else if fields.key_span("restart_policy").is_none() {
        warn_of_rules_without_policy(fields, ctx);
    }
    let mut env = parts.env;
    env.extend(file::env(fields, "env", ctx));
    let node = Node {
        id: id.as_ref().map_or_else(|| NodeId::from(""), |id| id.value.clone()),
        name: fields.text("name").map(|name| name.value),
        description: fields.text("description").map(|text| text.value),
        kind,
        inputs: IndexMap::new(),
        outputs: parts.outputs,
        env,
        deploy: file::deploy(fields),
        logs: parts.logs,
        restart: restart(fields),
        health: HealthRules {
            health_check_timeout: fields.seconds("health_check_timeout").map(|time| time.value),
            startup_timeout: fields.seconds("startup_timeout").map(|time| time.value),
            finish_grace: fields.seconds("finish_grace_secs").map(|time| time.value),
        },
        shared_memory_pool_size: fields.bytes("shared_memory_pool_size").map(|size| size.value),
        cpu_affinity: fields.ints("cpu_affinity"),
    };
    id.map(|_| DraftNode { node, inputs: parts.inputs, places, faulty: false })
}

/// What is done with a process that is started here, and not with one that joins.
const FOR_STARTED_NODES: [&str; 14] = [
    "restart_policy",
    "max_restarts",
    "restart_delay",
    "max_restart_delay",
    "restart_window",
    "startup_timeout",
    "health_check_timeout",
    "finish_grace_secs",
    "cpu_affinity",
    "min_log_level",
    "max_log_size",
    "max_rotated_files",
    "send_stdout_as",
    "send_logs_as",
];

fn warn_of_idle_keys(fields: &Fields, ctx: &mut Context<'_>) {
    for (key, span) in FOR_STARTED_NODES.iter().filter_map(|key| Some((key, fields.key_span(key)?))) {
        let message = format!("`{key}` has no effect on a dynamic node, which somebody else starts");
        ctx.sink.push(Diagnostic::warning(Code::Suspicious, span, message).help(format!("remove `{key}`")));
    }
}

/// What has a meaning only beside `restart_policy`.
const FOR_RESTARTS: [&str; 4] = ["max_restarts", "restart_delay", "max_restart_delay", "restart_window"];

fn warn_of_rules_without_policy(fields: &Fields, ctx: &mut Context<'_>) {
    let Some((key, span)) = FOR_RESTARTS.iter().find_map(|key| Some((key, fields.key_span(key)?))) else { return };
    let message = format!("`{key}` has no effect without `restart_policy`: this node is never started again");
    ctx.sink.push(
        Diagnostic::warning(Code::Suspicious, span, message)
            .help("add `restart_policy: on-failure`, or `always` for a restart after any end"),
    );
}

fn kind(fields: &mut Fields, parts: &mut Parts, places: &mut NodePlaces, ctx: &mut Context<'_>) -> NodeKind {
    if let Some(operator) = fields.object("operator") {
        let operators = operator::operators(vec![operator.value], true, parts, places, ctx);
        return NodeKind::Runtime(Runtime { operators, single: true });
    }
    if let Some(span) = fields.key_span("operators") {
        let entries = fields.objects("operators");
        if entries.is_empty() && !fields.faulty {
            ctx.error(Code::InvalidValue, span, "`operators` is empty", "list at least one operator");
        }
        let operators = operator::operators(entries, false, parts, places, ctx);
        return NodeKind::Runtime(Runtime { operators, single: false });
    }
    if let Some(custom) = fields.object("custom") {
        return NodeKind::Standard(custom_program(custom.value, parts, places, ctx));
    }
    let ports = ports::ports(fields, None, places, ctx);
    (parts.inputs, parts.outputs, parts.logs) = (ports.inputs, ports.outputs, ports.logs);
    let path = fields.text("path");
    let args = fields.text("args");
    let args = args.map(|args| Spanned::new(ctx.substitute(&args), args.span));
    let sha256 = fields.text("path_sha256");
    let build = fields.text("build").map(|build| build.value);
    let git = git(fields);
    if let Some(path) = &path {
        check_program(path, args.as_ref(), sha256.as_ref(), ctx);
    }
    NodeKind::Standard(Standard {
        // What runs is missing or refused, which is reported; the ports are still worth a look.
        path: path.map(|path| path.value).unwrap_or_default(),
        path_sha256: sha256.map(|digits| digits.value),
        args: args.map(|args| args.value),
        build,
        git,
        pattern: ports.pattern,
    })
}

/// `custom`, the form of dora 0.2.
fn custom_program(mut custom: Fields, parts: &mut Parts, places: &mut NodePlaces, ctx: &mut Context<'_>) -> Standard {
    let (path, source) = (custom.text("path"), custom.text("source"));
    let args = custom.text("args");
    let args = args.map(|args| Spanned::new(ctx.substitute(&args), args.span));
    let path = path.or(source);
    if let Some(path) = &path {
        check_program(path, args.as_ref(), None, ctx);
    }
    for (key, span) in custom.key_spans() {
        places.parts.entry(Part::Key(key)).or_insert(span);
    }
    parts.env = file::env(&mut custom, "envs", ctx);
    parts.inputs = ports::inputs(&mut custom, None, places, ctx);
    parts.outputs = ports::outputs(&mut custom, None, places, ctx);
    parts.logs.send_stdout_as = custom.text("send_stdout_as").map(|output| DataId::from(output.value));
    let standard = Standard {
        path: path.map(|path| path.value).unwrap_or_default(),
        path_sha256: None,
        args: args.map(|args| args.value),
        build: custom.text("build").map(|build| build.value),
        git: None,
        pattern: None,
    };
    custom.done();
    standard
}

fn check_program(
    path: &Spanned<String>,
    args: Option<&Spanned<String>>,
    sha256: Option<&Spanned<String>>,
    ctx: &mut Context<'_>,
) {
    let kind = PathKind::of(&path.value);
    if let Some(sha256) = sha256.filter(|_| kind != PathKind::Url) {
        let message = "`path_sha256` is for what a URL gives";
        ctx.error(Code::Conflict, sha256.span, message, "remove it, or give a URL in `path`");
    }
    match (kind, args) {
        (PathKind::Shell, None) => {
            ctx.error(Code::MissingKey, path.span, "`path: shell` needs a command line", "write it into `args:`");
        }
        (PathKind::Shell, Some(_)) | (_, None) => {}
        (PathKind::Dynamic, Some(args)) => ctx.sink.push(
            Diagnostic::warning(Code::Suspicious, args.span, "nobody gives these arguments to a dynamic node")
                .help("remove `args`; whoever starts the node passes them"),
        ),
        (_, Some(args)) => {
            if shlex::split(&args.value).is_none() {
                let message = "the quotes of these arguments do not match";
                ctx.error(
                    Code::InvalidValue,
                    args.span,
                    message,
                    "close each quote; write \\' or \\\" for a plain one",
                );
            }
        }
    }
}

fn git(fields: &mut Fields) -> Option<GitSource> {
    let mut text = |key: &str| fields.text(key).map(|text| text.value);
    let revision = text("branch").map(GitRevision::Branch);
    let revision = text("tag").map(GitRevision::Tag).or(revision);
    let revision = text("rev").map(GitRevision::Rev).or(revision);
    text("git").map(|url| GitSource { url, revision })
}

fn restart(fields: &mut Fields) -> RestartRules {
    RestartRules {
        policy: match fields.text("restart_policy").as_ref().map(|word| word.value.as_str()) {
            Some("always") => RestartPolicy::Always,
            Some("on-failure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::Never,
        },
        max_restarts: fields.int("max_restarts").map_or(0, |count| count.value),
        delay: fields.seconds("restart_delay").map(|time| time.value),
        max_delay: fields.seconds("max_restart_delay").map(|time| time.value),
        window: fields.seconds("restart_window").map(|time| time.value),
    }
}

fn module_call(
    id: Option<Spanned<NodeId>>,
    fields: &mut Fields,
    places: &mut NodePlaces,
    ctx: &mut Context<'_>,
) -> Option<ModuleCall> {
    let file = fields.text("module");
    let mut params: Vec<(Spanned<String>, String)> = Vec::new();
    for (name, value) in fields.text_map("params") {
        let upper = name.value.to_uppercase();
        if let Some((first, _)) = params.iter().find(|(other, _)| other.value.to_uppercase() == upper) {
            ctx.sink.push(
                Diagnostic::error(
                    Code::Conflict,
                    name.span,
                    format!("`{}` and `{}` are both `PARAM_{upper}`", first.value, name.value),
                )
                .also(first.span, "the first")
                .help("names of parameters must differ in more than their case"),
            );
            continue;
        }
        let value = ctx.substitute(&value);
        params.push((name, value));
    }
    let call = ModuleCall {
        id: id.clone().unwrap_or_else(|| Spanned::new(NodeId::from(""), fields.span)),
        name: fields.text("name").map(|name| name.value),
        description: fields.text("description").map(|text| text.value),
        file: file.unwrap_or_else(|| Spanned::new(String::new(), fields.span)),
        env: file::env(fields, "env", ctx),
        deploy: file::deploy(fields),
        build: fields.text("build").map(|build| build.value),
        params: params.into_iter().map(|(name, value)| (name.value, value)).collect(),
        inputs: ports::inputs(fields, None, places, ctx),
        faulty: false,
    };
    id.map(|_| call)
}
