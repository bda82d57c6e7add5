//! One use of a module: its file decoded with the parameters of that use, its nodes named, connected and adopted.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    rc::Rc,
    time::Duration,
};

use dora_message::id::{DataId, NodeId};
use indexmap::IndexMap;

use super::{Expander, ids, paths};
use crate::{
    decode::{self, Context},
    diagnostic::{Code, Diagnostic},
    draft::{Draft, DraftInput, DraftModule, ModuleCall},
    load::ModuleInstance,
    mapping::DraftSource,
    model::{NodeKind, Source},
    source::{Span, Spanned},
    suggest,
    vars::Vars,
    yaml::Tree,
};

/// The outputs of the nodes directly inside a module: name, where to find it, where it stands.
type Producers = Vec<(DataId, (NodeId, DataId), Span)>;

impl Expander<'_, '_> {
    /// Expands the module at `path`, whose tree is `tree`. Returns where its outputs come from.
    pub(super) fn instance(
        &mut self,
        call: &ModuleCall,
        tree: &Rc<Tree>,
        path: &Path,
    ) -> HashMap<DataId, (NodeId, DataId)> {
        let vars = Vars { env: self.session.options.env, params: Some(&call.params) };
        let module = decode::module(tree, &mut Context { sink: &mut self.session.sink, vars });
        let Some(module) = module else { return HashMap::new() };
        self.check_inputs(call, &module);
        let position = self.result.modules.len();
        self.result.modules.push(ModuleInstance {
            id: call.id.value.clone(),
            name: call.name.clone().unwrap_or_else(|| module.name.clone()),
            description: call.description.clone(),
            file: self.dir.join(path.strip_prefix(&self.base).unwrap_or(path)),
            nodes: Vec::new(),
        });
        let first_node = self.result.nodes.len();
        let producers = self.nodes(call, &module, path.parent().unwrap_or(Path::new("")));
        let nodes = self.result.nodes[first_node..].iter().map(|draft| draft.node.id.clone()).collect();
        if let Some(instance) = self.result.modules.get_mut(position) {
            instance.nodes = nodes;
        }
        self.outputs(&module, producers)
    }

    /// Compares what the parent connects with what the module declares.
    fn check_inputs(&mut self, call: &ModuleCall, module: &DraftModule) {
        let declared = || module.inputs.iter().chain(&module.inputs_optional);
        for port in &module.inputs {
            if !call.faulty && !call.inputs.iter().any(|input| input.id == port.value) {
                let message = format!("the module `{}` needs the input `{}`", module.name, port.value);
                self.session.sink.push(
                    Diagnostic::error(Code::Module, call.id.span, message)
                        .also(port.span, "declared here")
                        .help(format!("add `{}: <node>/<output>` to `inputs:` of `{}`", port.value, call.id.value)),
                );
            }
        }
        for input in &call.inputs {
            if !declared().any(|port| port.value == input.id) {
                let help = suggest::did_you_mean(
                    &input.id,
                    "its inputs",
                    declared().map(|port| port.value.as_str()).collect::<Vec<_>>(),
                );
                let message = format!("the module `{}` has no input `{}`", module.name, input.id);
                self.session.sink.push(Diagnostic::error(Code::Module, input.span, message).maybe_help(help));
            }
        }
    }

    fn nodes(&mut self, call: &ModuleCall, module: &DraftModule, dir: &Path) -> Producers {
        let inner_ids = ids(&module.drafts);
        self.result.nameless |= module.drafts.nameless;
        let mut producers = Producers::new();
        for draft in module.drafts.nodes.iter().cloned() {
            let mut draft = draft;
            let inputs = std::mem::take(draft.inputs_mut());
            let connected = inputs.into_iter().filter_map(|input| self.connect(input, call, module, &inner_ids));
            *draft.inputs_mut() = connected.collect();
            match draft {
                Draft::Node(mut inner) => {
                    inner.node.id = prefixed(&call.id.value, &inner.node.id);
                    self.rebase(&mut inner, dir);
                    adopt_env(&mut inner.node.env, call);
                    inner.node.deploy = inner.node.deploy.or_else(|| call.deploy.clone());
                    prepend_builds(&mut inner.node.kind, &builds(call, module));
                    for output in inner.node.outputs.keys() {
                        let name = own_name(&inner.node.kind, output);
                        let span = inner.places.get(&crate::places::Part::Output(output.clone()));
                        producers.push((name, (inner.node.id.clone(), output.clone()), span));
                    }
                    self.result.nodes.push(*inner);
                }
                Draft::Module(mut inner) => {
                    inner.id.value = prefixed(&call.id.value, &inner.id.value);
                    adopt_env(&mut inner.env, call);
                    inner.deploy = inner.deploy.or_else(|| call.deploy.clone());
                    inner.build = joined(&builds(call, module), inner.build.take());
                    let (id, span) = (inner.id.value.clone(), inner.id.span);
                    self.call(*inner, dir);
                    if let Some(outputs) = self.result.outputs.get(&id) {
                        let targets = outputs.targets.iter();
                        producers.extend(targets.map(|(name, target)| (name.clone(), target.clone(), span)));
                    }
                }
            }
        }
        producers
    }

    /// Gives an input of a node inside the module its source in the dataflow. `None` if the port is not connected.
    fn connect(
        &mut self,
        mut input: DraftInput,
        call: &ModuleCall,
        module: &DraftModule,
        inner_ids: &HashSet<NodeId>,
    ) -> Option<DraftInput> {
        match &mut input.source.value {
            DraftSource::Ready(Source::Node { node, .. } | Source::Logs { node: Some(node), .. }) => {
                if inner_ids.contains(node) {
                    *node = prefixed(&call.id.value, node);
                }
                Some(input)
            }
            DraftSource::Ready(_) => Some(input),
            DraftSource::Port(port) => {
                let Some(bound) = call.inputs.iter().find(|bound| bound.id == *port) else {
                    let declared = || module.inputs.iter().chain(&module.inputs_optional);
                    if !declared().any(|declared| declared.value == *port) {
                        let names: Vec<&str> = declared().map(|port| port.value.as_str()).collect();
                        let help = suggest::did_you_mean(port, "its inputs", names)
                            .unwrap_or_else(|| format!("add `inputs: [{port}]` to `module:`"));
                        let message = format!("the module `{}` has no input `{port}`", module.name);
                        self.error(Code::UnknownSource, input.source.span, message, help);
                    }
                    return None;
                };
                // The node inside knows best what it needs; the parent may say the rest.
                input.source.value = bound.source.value.clone();
                input.queue_size = input.queue_size.or(bound.queue_size);
                input.queue_policy = input.queue_policy.or(bound.queue_policy);
                input.input_timeout = input.input_timeout.or(bound.input_timeout);
                Some(input)
            }
        }
    }

    fn rebase(&mut self, inner: &mut crate::draft::DraftNode, dir: &Path) {
        let inside = dir.strip_prefix(&self.base).unwrap_or(dir).to_owned();
        let exists = |path: &str| self.session.options.loader.is_file(&dir.join(path));
        if let Err((part, path)) = paths::rebase(&mut inner.node, &inside, &exists) {
            let span = inner.places.get(&part);
            let message = format!("`{path}` lies outside of the directory of the dataflow");
            self.error(Code::Module, span, message, "copy it beside the dataflow file or below");
        }
    }

    /// Finds the one node that produces each output of the module.
    fn outputs(&mut self, module: &DraftModule, producers: Producers) -> HashMap<DataId, (NodeId, DataId)> {
        let mut targets = HashMap::new();
        for output in &module.outputs {
            let mut found = producers.iter().filter(|(name, _, _)| *name == output.value);
            match (found.next(), found.next()) {
                (Some((_, target, _)), None) => {
                    targets.insert(output.value.clone(), target.clone());
                }
                (Some((_, first, first_span)), Some((_, second, second_span))) => {
                    let message =
                        format!("two nodes of the module `{}` have the output `{}`", module.name, output.value);
                    self.session.sink.push(
                        Diagnostic::error(Code::Module, output.span, message)
                            .also(*first_span, format!("of `{}`", first.0))
                            .also(*second_span, format!("of `{}`", second.0))
                            .help("give one of the two another name"),
                    );
                }
                (None, _) => {
                    let faulty = module.drafts.nodes.iter().any(|draft| match draft {
                        Draft::Node(node) => node.faulty,
                        Draft::Module(_) => self.session.sink.errors() > 0,
                    });
                    if !faulty && !module.drafts.nameless {
                        let names: Vec<&str> = producers.iter().map(|(name, _, _)| name.as_str()).collect();
                        let help = suggest::did_you_mean(&output.value, "outputs of its nodes", names)
                            .unwrap_or_else(|| "its nodes have no outputs".to_owned());
                        let message =
                            format!("no node of the module `{}` has the output `{}`", module.name, output.value);
                        self.error(Code::Module, output.span, message, help);
                    }
                }
            }
        }
        targets
    }

    /// Expands a module that nobody uses: all its inputs are connected to a timer.
    pub(super) fn check_standalone(&mut self, tree: Rc<Tree>, dir: &Path, path: &Path) -> String {
        let start = Span { start: 0, end: 0, ..tree.span };
        let mut call = ModuleCall {
            id: Spanned::new(NodeId::from("module"), start),
            name: None,
            description: None,
            file: Spanned::new(String::new(), start),
            env: IndexMap::new(),
            deploy: None,
            build: None,
            params: Vec::new(),
            inputs: Vec::new(),
            faulty: false,
        };
        let vars = Vars { env: self.session.options.env, params: Some(&[]) };
        // Reports of this first look are made again by the second, which knows the ports.
        let mut unused = decode::sink::Sink::default();
        let module = decode::module(&tree, &mut Context { sink: &mut unused, vars });
        let ports = module.iter().flat_map(|module| module.inputs.iter().chain(&module.inputs_optional));
        call.inputs = ports.map(placeholder).collect();
        let canonical = self.session.options.loader.canonical(path).unwrap_or_else(|_| dir.join(path));
        self.stack.push(canonical.clone());
        self.instance(&call, &tree, &canonical);
        module.map(|module| module.name).unwrap_or_default()
    }
}

fn placeholder(port: &Spanned<DataId>) -> DraftInput {
    let source = DraftSource::Ready(Source::Timer { interval: Duration::from_secs(1) });
    DraftInput {
        id: port.value.clone(),
        span: port.span,
        source: Spanned::new(source, port.span),
        queue_size: None,
        queue_policy: None,
        input_timeout: None,
        type_urn: None,
    }
}

fn prefixed(module: &NodeId, inner: &NodeId) -> NodeId {
    NodeId::from(format!("{module}.{inner}"))
}

/// The name that the node inside gave to an output, without the operator in front.
fn own_name(kind: &NodeKind, output: &DataId) -> DataId {
    match (kind, output.split_once('/')) {
        (NodeKind::Runtime(_), Some((_, name))) => DataId::from(name),
        _ => output.clone(),
    }
}

/// The node's own variables win over those of the module's node; parameters win over both.
fn adopt_env(env: &mut IndexMap<String, String>, call: &ModuleCall) {
    for (name, value) in &call.env {
        env.entry(name.clone()).or_insert_with(|| value.clone());
    }
    for (name, value) in &call.params {
        env.insert(format!("PARAM_{}", name.to_uppercase()), value.clone());
    }
}

/// Build commands of the module's node and of the module, in this order.
fn builds(call: &ModuleCall, module: &DraftModule) -> Option<String> {
    joined(&call.build, module.build.clone())
}

fn joined(first: &Option<String>, second: Option<String>) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) => Some(format!("{}\n{second}", first.trim_end())),
        (Some(first), None) => Some(first.clone()),
        (None, second) => second,
    }
}

fn prepend_builds(kind: &mut NodeKind, builds: &Option<String>) {
    match kind {
        NodeKind::Standard(standard) => standard.build = joined(builds, standard.build.take()),
        NodeKind::Runtime(runtime) => {
            for operator in &mut runtime.operators {
                operator.build = joined(builds, operator.build.take());
            }
        }
    }
}
